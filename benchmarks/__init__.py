"""Benchmarks against named peers: `python -m benchmarks.NAME [--quick] [--json FILE]`."""
