"""Experiments: comparisons of trainings that end in a table with intervals, and in pictures."""
