"""Measure what topwork saves: ``python -m benchmarks`` (see README.md in this folder)."""
