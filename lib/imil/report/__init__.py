"""The report of a run: one self-contained HTML page, and the same facts as JSON."""

from imil.report.data import gather, versions
from imil.report.write import WrittenReport, write_report

__all__ = ["WrittenReport", "gather", "versions", "write_report"]
