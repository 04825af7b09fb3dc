"""The tests; each folder tests the topwork folder of the same name."""

from pathlib import Path

PROJECT = Path(__file__).parents[1]
"""The root of the repository."""
