"""Read the files of a run folder. Errors name the missing or damaged file and say what to do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from topwork.errors import DatasetError, RunError, UsageError


@contextmanager
def reading(path: Path) -> Iterator[Path]:
    """Raise a `RunError` in place of other errors while a file of a run is read.

    Raises:
        RunError: the file is missing, or its content cannot be read.
    """
    try:
        yield path
    except FileNotFoundError:
        raise RunError(f"{str(path)!r} is gone, but its run needs it: put it back, or train a new run.") from None
    except (ValueError, LookupError, StopIteration, EOFError, BadZipFile, UsageError, DatasetError) as error:
        text = str(error).strip().splitlines()
        words = text[0].rstrip(".") if text else type(error).__name__
        why = f"no {words}" if isinstance(error, KeyError) else words
        raise RunError(f"{str(path)!r} is damaged ({why}): put it back as it was, or train a new run.") from None


def table(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file."""
    with reading(path):
        return dict(json.loads(path.read_text(encoding="utf-8")))


def arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an ``.npz`` file, by name."""
    with reading(path), np.load(path) as file:
        return dict(file)
