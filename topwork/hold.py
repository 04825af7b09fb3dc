"""Folders in use: whoever uses one holds it, and it is removed only while nobody does.

A hold is a shared ``flock`` on the folder itself. It ends with the process, however that ends, and it is seen within
one process too. LMDB's own lock on ``lock.mdb`` says the same of a store, but nobody may ask for it: a process that
opens and closes that file loses its own lock there (POSIX record locks work so). Where the file system knows no
``flock``, nothing can be held, and nobody is ever alone.
"""

import fcntl
import os
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path


class Hold:
    """Hold a folder, which is made where there is none, until `release` or the end of the process.

    Raises:
        OSError: the folder cannot be made or opened.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     hold = Hold(Path(folder, "cut"))
        ...     with alone(Path(folder, "cut")) as is_alone:
        ...         print(is_alone)
        ...     hold.release()
        False
    """

    def __init__(self, folder: Path) -> None:
        self._end = weakref.finalize(self, os.close, _held(folder))

    def release(self) -> None:
        """End the hold; a second time does nothing."""
        self._end()


@contextmanager
def alone(*folders: Path) -> Iterator[bool]:
    """Whether nobody holds any of these *folders*; if so, nobody can until the end of the ``with``.

    Who comes meanwhile waits; if the folder was renamed by then, it makes another of that name.
    """
    with ExitStack() as stack:
        yield all(_locked(folder, stack) for folder in folders)


def _held(folder: Path) -> int:
    """A handle that shares the lock of the folder that stands at that path now."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_SH)
        if _stands(handle, folder):
            return handle
        os.close(handle)


def _stands(handle: int, folder: Path) -> bool:
    """Whether the folder that was opened is still the one at that path: it may have been renamed meanwhile."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(folder))
    except FileNotFoundError:
        return False


def _locked(folder: Path, stack: ExitStack) -> bool:
    try:
        handle = os.open(folder, os.O_RDONLY)
        stack.callback(os.close, handle)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
