"""The benchmark with a known truth: how much of a shortcut's harm each feedback mode heals, with which budget.

Radiographs are drawn by a program, so that it's known where the disease, the lungs and the marker are, and what a model
would be worth that had never seen a shortcut. See docs/how-to/refocus.md.
"""
