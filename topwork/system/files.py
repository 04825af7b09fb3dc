"""Files and folders: topwork's home, free disk space, files that appear complete, and folders in use.

A process that uses a folder *holds* it, with a shared ``flock`` on the folder itself. A folder that is held is not
removed. A hold ends when its process ends, even if the process is killed. A hold also counts inside the process that
has it. LMDB's own lock on ``lock.mdb`` shows that a store is in use, too, but topwork cannot test that lock: a process
that opens and closes the file loses its own lock there (this is how POSIX record locks work). If the file system has no
``flock``, no folder can be held, and `alone` always yields false.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

from topwork.errors import StoreError
from topwork.system.messages import size

HALF_MADE = ".topwork-", ".part"
"""Prefix and suffix of the names of the temporary folders that `written_whole` makes."""

MEND = "Set TOPWORK_HOME to a folder of your own on a local disk."


def home() -> Path:
    """Return topwork's own folder: ``TOPWORK_HOME`` if it is set, else ``topwork`` in the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("TOPWORK_HOME") or platformdirs.user_cache_path("topwork")).expanduser()


def free(folder: Path) -> int:
    """Return the free bytes on the disk of *folder*, which need not exist yet."""
    return shutil.disk_usage(standing(folder)).free


def standing(folder: Path) -> Path:
    """Return *folder* if it exists, else the nearest parent that exists."""
    return next(p for p in (folder.absolute(), *folder.absolute().parents) if os.path.exists(p))


def unusable(folder: Path) -> tuple[Path, str] | None:
    """Return where and why writing in *folder* fails; ``None`` if it works. The folder need not exist yet.

    The test writes a file without a name, because permissions alone do not show that a disk is mounted read-only.

    >>> unusable(Path("/dev/null/x"))[1]
    'it is not a folder'
    """
    place = standing(folder)
    if not place.is_dir():
        return place, "it is not a folder"
    try:
        with TemporaryFile(dir=place):
            return None
    except OSError as error:
        return place, f"nothing can be written there ({error.strerror})"


def wrong() -> tuple[Path, str] | None:
    """Return where and why activations, trunks or graphs cannot be written in topwork's home; ``None`` if they can."""
    parts = (home() / name for name in ("", "store", "trunks", "graphs"))
    return next(filter(None, map(unusable, parts)), None)


def check() -> None:
    """Check that topwork's home can be written.

    Raises:
        StoreError: it cannot be written; the message names the folder and says what to do.
    """
    if found := wrong():
        raise _refused(f"{found[0]}: {found[1]}")


@contextmanager
def writing() -> Iterator[None]:
    """Inside the ``with``, turn each `OSError` of writing in topwork's home into a `StoreError`.

    Raises:
        StoreError: topwork's home cannot be written.
    """
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise _refused(f"{error.strerror or str(error).splitlines()[0]}{where}") from error


def _refused(reason: str) -> StoreError:
    return StoreError(f"topwork's home {home()} cannot be used: {reason}. {MEND}")


FULL = (errno.ENOSPC, errno.EDQUOT)
"""The errors of a full disk. Python does not say which file was written."""


@contextmanager
def named_if_full(path: Path) -> Iterator[None]:
    """Inside the ``with``, let the error of a full disk name the file *path*."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL and error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to. At the end of the ``with``, the complete file is moved to *path*.

    The temporary path has the same file name, in a temporary folder next to *path*. This process holds that folder.
    After an error, the temporary folder is removed, and an earlier file at *path* stays. If a killed process left its
    temporary folder behind, the next call for a file in the same folder removes it. Several processes may write the
    same file; the file of the last one to finish stays.

    Args:
        path: the file; its folder must exist. The caller may write more files next to the temporary file, and must
            move them itself.

    Raises:
        OSError: the file cannot be written there.

    Example:
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "results.json")
        ...     with written_whole(path) as aside:
        ...         _ = aside.write_text("{}", encoding="utf-8")
        ...         print(aside.name, path.exists())
        ...     print(os.listdir(folder))
        results.json False
        ['results.json']
    """
    for left in path.parent.glob("*".join(HALF_MADE)):
        with alone(left) as is_alone:
            if is_alone:
                shutil.rmtree(left, ignore_errors=True)
    prefix, suffix = HALF_MADE
    with TemporaryDirectory(suffix, prefix, path.parent) as folder:
        _hold = Hold(Path(folder))
        aside = Path(folder, path.name)
        with named_if_full(path):
            yield aside
        aside.replace(path)


ATTEMPTS = 100
"""How often `Hold` tries to make a folder that another process removes."""


class Hold:
    """Hold a folder until `release` is called or the process ends; a missing folder is created.

    Raises:
        OSError: the folder cannot be created or opened.

    Example:
        >>> with TemporaryDirectory() as folder:
        ...     hold = Hold(Path(folder, "cut"))
        ...     with alone(Path(folder, "cut")) as is_alone:
        ...         print(is_alone)
        ...     hold.release()
        False
    """

    def __init__(self, folder: Path) -> None:
        failed = 0
        while True:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                handle = os.open(folder, os.O_RDONLY)
            except (FileExistsError, FileNotFoundError):  # if another process removed it meanwhile, try again
                failed += 1
                if failed == ATTEMPTS:
                    raise
                continue
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_SH)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), os.stat(folder)):  # else it was renamed meanwhile
                    break
            os.close(handle)
        self.release = weakref.finalize(self, os.close, handle)
        """End the hold; a second call does nothing."""


@contextmanager
def alone(*folders: Path) -> Iterator[bool]:
    """Yield true if no process holds any of the *folders*; then no process can hold them inside the ``with``.

    A process that wants to hold one of them waits. If that folder was renamed meanwhile, the process then creates a new
    folder with the old name.
    """
    with ExitStack() as stack:
        is_alone = True
        for folder in folders:
            try:
                handle = os.open(folder, os.O_RDONLY)
                stack.callback(os.close, handle)
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_alone = os.path.samestat(os.fstat(handle), os.stat(folder))  # else it was replaced meanwhile
            except OSError:
                is_alone = False
            if not is_alone:
                break
        yield is_alone


def room(folder: Path, needed: int, what: str = "the activations") -> None:
    """Check that the disk of *folder*, which need not exist yet, has *needed* bytes free for *what*.

    Raises:
        StoreError: there is too little space.
    """
    there = free(folder)
    if needed > there:
        raise StoreError(
            f"not enough disk for {what}: {size(needed)} needed, {size(there)} free at {folder}. "
            "Free some space, or set TOPWORK_HOME to a folder on a larger disk."
        )


def digest(about: dict[str, Any]) -> str:
    """Return a hash for the name of a file or folder, from everything that it depends on: 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


LONGEST = 240
"""The longest name of a file without a number, in bytes; file systems allow about 255."""


class NewNames:
    """Gives names of new files; a name that is taken gets a number."""

    def __init__(self) -> None:
        self._counts: dict[Path, int] = {}

    def path(self, wanted: Path) -> Path:
        """Return *wanted*; or, if there is such a file, the same with a number, as in ``rose-2.jpg``.

        A name that is too long for most file systems is shortened.
        """
        stem = os.fsdecode(os.fsencode(wanted.stem)[: LONGEST - len(os.fsencode(wanted.suffix))])
        found = wanted = wanted.with_name(f"{stem}{wanted.suffix}")
        while os.path.lexists(found):
            self._counts[wanted] = self._counts.get(wanted, 1) + 1
            found = wanted.with_name(f"{stem}-{self._counts[wanted]}{wanted.suffix}")
        return found
