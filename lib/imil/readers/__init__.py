"""Readers: whoever looks at a queued case and says which cells matter. A person at a console, or a simulated one."""

from imil.readers.base import Reader, ReaderCase, ReaderLeft, Reading
from imil.readers.console import ConsoleReader
from imil.readers.simulated import OracleReader, RandomCellsReader, WrongCellsReader

__all__ = [
    "ConsoleReader",
    "OracleReader",
    "RandomCellsReader",
    "Reader",
    "ReaderCase",
    "ReaderLeft",
    "Reading",
    "WrongCellsReader",
]
