"""Readers: whoever looks at a queued case and says which cells matter. A person at a console, or a simulated one."""

from imil.readers.base import Reader, ReaderCase, ReaderLeft, Reading
from imil.readers.console import ConsoleReader
from imil.readers.controls import opposite_cells, shuffled_cells
from imil.readers.simulated import OracleReader, RandomCellsReader, SloppyReader, WrongCellsReader, simulated_residents

__all__ = [
    "ConsoleReader",
    "OracleReader",
    "RandomCellsReader",
    "Reader",
    "ReaderCase",
    "ReaderLeft",
    "Reading",
    "SloppyReader",
    "WrongCellsReader",
    "opposite_cells",
    "shuffled_cells",
    "simulated_residents",
]
