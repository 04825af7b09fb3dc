"""Turn the errors of the libraries that write files into errors that say what happened."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from topwork.errors import ExportError, TopworkError
from topwork.system.files import free

FULL = 2**16
"""With fewer free bytes than this, a disk counts as full: OpenVINO's error does not say so."""


@contextmanager
def told(what: str, path: Path, advice: str = "") -> Iterator[None]:
    """Inside the ``with``, a library writes a file.

    Args:
        what: the format, as in ``"ONNX"``.
        path: where it is written to.
        advice: the end of the message, which says how to mend it.

    Raises:
        OSError: the disk is full.
        ExportError: the library cannot write the model.
    """
    try:
        yield
    except (TopworkError, OSError, MemoryError):
        raise
    except Exception as error:  # each library has its own errors
        full = os.strerror(errno.ENOSPC)
        if full in str(error) or free(path.parent) < FULL:
            raise OSError(errno.ENOSPC, full) from error
        raise ExportError(f"the model cannot be written as {what} ({_reason(error)}).{advice}") from error


def _reason(error: Exception) -> str:
    """Return the first line that says more than which layer was called."""
    lines = [line.strip() for line in re.sub(r"\x1b\[\d+m", "", str(error)).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith("Exception encountered when calling")]
    return said[0].rstrip(".") if said else type(error).__name__
