"""The report of an experiment: a page, JSON, CSV and figures."""

from imil.experiments.report.write import write_outcome

__all__ = ["write_outcome"]
