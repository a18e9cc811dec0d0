"""The paper's own interface: numbered cells typed at a console (Rao et al., section 3.1)."""

import re
import shutil
import sys
from pathlib import Path
from typing import TextIO

from imil.errors import BadInput, ImilError
from imil.readers.base import ReaderCase, ReaderLeft, Reading
from imil.readers.pictures import heat_table, side_by_side, terminal_lines

MAX_RATIONALE = 2000
"""Longest rationale in characters; the same as over REST."""

HELP = """\
  5 6 9      these cells matter; everything else in the image will be changed
  5 6 -3     the same, and cell 3 misled the model
  s          skip: leave this image as it is
  r LABEL    relabel: the true label is wrong, this is the right one
  x          exclude: train without this image from now on
  ?          this help
  q          quit; the answers so far stand"""


class ConsoleReader:
    """A person who reads cases at a terminal.

    Args:
        name: the reader's name, kept with each answer.
        pictures: folder for a picture file of each case, image beside heat map with numbered grid; made where missing.
        terminal: draw the picture in the terminal too; by default if there is no ``pictures`` folder and the output is
            a terminal.
        stdin, stdout: the streams; by default the process's own.

    Raises:
        BadInput: if the name is empty.
    """

    def __init__(
        self,
        name: str,
        *,
        pictures: Path | str | None = None,
        terminal: bool | None = None,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
    ) -> None:
        if not name.strip():
            raise BadInput("The reader has no name; give one, it's kept with each answer.")
        self.name = name.strip()
        self._pictures = None if pictures is None else Path(pictures)
        self._stdin = stdin or sys.stdin
        self._stdout = stdout or sys.stdout
        self._terminal = (self._pictures is None and self._stdout.isatty()) if terminal is None else terminal
        self._count = 0

    def read(self, case: ReaderCase) -> Reading:
        """Show the case, and ask until the answer is one that can be used.

        Raises:
            ReaderLeft: on ``q`` or at the end of the input.
            ImilError: if the picture file can't be written.
        """
        self._count += 1
        self._show(case)
        while True:
            try:
                reading = parse(self._ask("Cells that matter (? for help): ", case), case)
            except BadInput as error:
                self._say(f"{error} Please try again.")
                continue
            if reading is not None:
                break
            self._say(HELP)
        if reading.action == "skip":
            return reading
        return Reading(reading.action, reading.cells, reading.misleading, self._ask_rationale(case), reading.new_label)

    def _show(self, case: ReaderCase) -> None:
        self._say("")
        self._say(f"Case {self._count}: {_printable(case.id)}")
        prediction, label = _printable(case.prediction), _printable(case.label)
        self._say(f"  The model says {prediction} ({case.confidence:.0%} sure). The true label is {label}.")
        if self._pictures is not None:
            self._say(f"  Picture: {self._write_picture(case, self._pictures)}")
        if self._terminal:
            for line in terminal_lines(case, shutil.get_terminal_size().columns):
                self._say(line)
        self._say("  Where the model looked, by cell:")
        for line in heat_table(case):
            self._say(f"    {line}")

    def _write_picture(self, case: ReaderCase, folder: Path) -> Path:
        # Case ids can hold slashes and worse: only harmless characters become part of the file's name.
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", case.id)[-80:]
        path = folder / f"{self._count:03}-{name}.png"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            side_by_side(case).save(path)
        except OSError as error:
            raise ImilError(
                f"The picture {path} can't be written: {error.strerror or error}; choose another folder for pictures."
            ) from error
        return path

    def _ask_rationale(self, case: ReaderCase) -> str:
        self._say('Why? For example "The model was focused on ... so I switched the focus towards ..."')
        while True:
            rationale = self._ask("Reason (Enter to leave it out): ", case).strip()
            if len(rationale) <= MAX_RATIONALE:
                return rationale
            self._say(f"That's {len(rationale)} characters; at most {MAX_RATIONALE} are kept. Please try again.")

    def _ask(self, question: str, case: ReaderCase) -> str:
        self._stdout.write(question)
        self._stdout.flush()
        line = self._stdin.readline()
        if not line:
            self._say("")
            raise ReaderLeft(f"The input ended at {case.id!r}; {self.name}'s answers before it stand.")
        if line.strip().lower() in ("q", "quit"):
            raise ReaderLeft(f"{self.name} left at {case.id!r}; the answers before it stand.")
        return line

    def _say(self, line: str) -> None:
        self._stdout.write(f"{line}\n")
        self._stdout.flush()


def _printable(text: str) -> str:
    """A name from a file without the characters that could command a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def parse(line: str, case: ReaderCase) -> Reading | None:
    """What a typed line means for a case; None if it asks for help.

    Raises:
        BadInput: if it means nothing, or names a cell or class that doesn't exist.
    """
    text = line.strip()
    word, _, rest = text.partition(" ")
    command = word.lower()
    if command in ("?", "h", "help"):
        return None
    if command in ("r", "relabel"):
        return Reading("relabel", new_label=_class_name(rest.strip(), case))
    if text.lower() in ("s", "skip"):
        return Reading("skip")
    if text.lower() in ("x", "exclude"):
        return Reading("exclude")
    return _cells(text, case)


def _cells(text: str, case: ReaderCase) -> Reading:
    relevant: list[int] = []
    misleading: list[int] = []
    for part in re.split(r"[\s,]+", text.strip(", \t")):
        match = re.fullmatch(r"(-?)([0-9]{1,6})", part, re.ASCII)
        if match is None:
            shown = f"{part!r} isn't a cell number" if part else "Nothing was typed"
            last = case.grid.num_cells - 1
            raise BadInput(f"{shown}; type numbers from 0 to {last} with spaces between, or ? for help.")
        (misleading if match[1] else relevant).append(int(match[2]))
    case.grid.mask(relevant, misleading)  # refuses cells that don't exist, and cells of both kinds
    if not relevant:
        raise BadInput("Only misleading cells were typed; at least one that matters is needed too, or s to skip.")
    return Reading("grid", case.grid.check_cells(relevant), case.grid.check_cells(misleading))


def _class_name(typed: str, case: ReaderCase) -> str:
    names = [name for name in case.classes if name == typed] or [
        name for name in case.classes if name.lower() == typed.lower()
    ]
    if len(names) != 1:
        raise BadInput(f"{typed!r} isn't a class; the classes are {', '.join(case.classes)}, e.g. r {case.classes[0]}.")
    if names[0] == case.label:
        raise BadInput(f"The true label is {case.label!r} already; name another class, or s to skip.")
    return names[0]
