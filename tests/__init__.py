"""The tests, in the folders of what they test."""

from pathlib import Path

PROJECT = Path(__file__).parents[1]
"""The root of the repository."""
