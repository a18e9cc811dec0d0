"""VTK's names of keys, as QVTKInteractorAdapter gives them to observers of KeyPressEvent."""

from __future__ import annotations

import string

from PySide6 import QtCore

_PUNCTUATION = {
    " ": "space", "!": "exclam", '"': "quotedbl", "#": "numbersign", "$": "dollar", "%": "percent", "&": "ampersand",
    "'": "quoteright", "(": "parenleft", ")": "parenright", "*": "asterisk", "+": "plus", ",": "comma", "-": "minus",
    ".": "period", "/": "slash", ":": "colon", ";": "semicolon", "<": "less", "=": "equal", ">": "greater",
    "?": "question", "@": "at", "[": "bracketleft", "\\": "backslash", "]": "bracketright", "^": "asciicircum",
    "_": "underscore", "`": "quoteleft", "{": "braceleft", "|": "bar", "}": "braceright", "~": "asciitilde",
    "\t": "Tab", "\x7f": "Delete",
}  # fmt: skip

_KEYS = {
    "Key_Backspace": "BackSpace", "Key_Tab": "Tab", "Key_Backtab": "Tab", "Key_Return": "Return", "Key_Enter": "Return",
    "Key_Shift": "Shift_L", "Key_Control": "Control_L", "Key_Alt": "Alt_L", "Key_Pause": "Pause",
    "Key_CapsLock": "Caps_Lock", "Key_Escape": "Escape", "Key_Space": "space", "Key_PageUp": "Prior",
    "Key_PageDown": "Next", "Key_End": "End", "Key_Home": "Home", "Key_Left": "Left", "Key_Up": "Up",
    "Key_Right": "Right", "Key_Down": "Down", "Key_Insert": "Insert", "Key_Delete": "Delete", "Key_Help": "Help",
}  # fmt: skip


def key_symbol(key: int, text: str) -> str:
    """The symbol of a key press: of its character if it has a visible one, else of the key; "None" if unknown."""
    if text and text in string.ascii_letters + string.digits:
        return text
    if text in _PUNCTUATION:
        return _PUNCTUATION[text]
    for name, symbol in _KEYS.items():
        if key == getattr(QtCore.Qt, name):
            return symbol
    for number in range(1, 13):
        if key == getattr(QtCore.Qt, f"Key_F{number}"):
            return f"F{number}"
    return chr(key).lower() if key < 128 and chr(key).isalnum() else "None"
