"""The table of an experiment: means, intervals, corrected differences, and what they say in sentences."""

from imil.experiments.tables.build import build_table
from imil.experiments.tables.model import (
    FOCUS,
    MEASURES,
    PRIMARY,
    Contrast,
    Difference,
    Estimate,
    LevelContrast,
    Measure,
    Row,
    Table,
)
from imil.experiments.tables.sentences import sentences

__all__ = [
    "FOCUS",
    "MEASURES",
    "PRIMARY",
    "Contrast",
    "Difference",
    "Estimate",
    "LevelContrast",
    "Measure",
    "Row",
    "Table",
    "build_table",
    "sentences",
]
