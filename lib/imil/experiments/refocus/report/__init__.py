"""The report of the benchmark: a page, its figures, and the numbers as JSON and CSV."""

from imil.experiments.refocus.report.write import write_report

__all__ = ["write_report"]
