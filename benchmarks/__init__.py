"""Measurements anyone can run again: `python -m benchmarks.NAME --help`. What they gave is in docs/measurements.md."""
