"""What topwork saves, measured: ``python -m benchmarks`` (see README.md beside)."""
