"""The demo: a model that reads a marker, twenty answers, a model that reads the lungs."""

from imil.demo.run import MARKER, fresh_study, run_demo, sample_data

__all__ = ["MARKER", "fresh_study", "run_demo", "sample_data"]
