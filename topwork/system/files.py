"""Files and folders: topwork's home, the room on its disk, files that appear whole, and folders that are in use.

A process that uses a folder *holds* it, with a shared ``flock`` on the folder itself; a folder that is held is not
removed. A hold ends with the process, however that ends, and it is seen within one process too. LMDB's own lock on
``lock.mdb`` says the same of a store, but it cannot be asked: a process that opens and closes that file loses its own
lock there (this is how POSIX record locks work). Where the file system has no ``flock``, nothing can be held, and no
process is ever alone.
"""

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
"""How the folder begins and ends in which `written_whole` has a file made."""

MEND = "Set TOPWORK_HOME to a folder of your own on a local disk."


def home() -> Path:
    """The folder that topwork keeps things in: ``TOPWORK_HOME``, else this user's cache folder."""
    import platformdirs

    return Path(os.environ.get("TOPWORK_HOME") or platformdirs.user_cache_path("topwork")).expanduser()


def free(folder: Path) -> int:
    """Bytes free on the disk of *folder*, which need not exist yet."""
    return shutil.disk_usage(standing(folder)).free


def standing(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    return next(p for p in (folder.absolute(), *folder.absolute().parents) if os.path.exists(p))


def unusable(folder: Path) -> tuple[Path, str] | None:
    """Where and why nothing can be written below a folder, which need not exist yet; ``None`` where that is possible.

    It is tried, with a file that is never seen: permissions alone do not tell of a disk that is mounted read-only.

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
    """Where and why activations, trunks or graphs cannot be written below topwork's home; ``None``: nowhere."""
    parts = (home() / name for name in ("", "store", "trunks", "graphs"))
    return next(filter(None, map(unusable, parts)), None)


def check() -> None:
    """Refuse a home that cannot be written.

    Raises:
        StoreError: says where, and the way out.
    """
    if found := wrong():
        raise _refused(f"{found[0]}: {found[1]}")


@contextmanager
def writing() -> Iterator[None]:
    """While something is written below topwork's home.

    Raises:
        StoreError: that is not possible.
    """
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise _refused(f"{error.strerror or str(error).splitlines()[0]}{where}") from error


def _refused(reason: str) -> StoreError:
    return StoreError(f"topwork's home {home()} cannot be used: {reason}. {MEND}")


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Where to write what becomes the file *path* at the end of the ``with``: it appears whole, or not at all.

    That is a file of the same name in a folder beside it, which this process holds. If an error passes, the folder is
    removed, and what stood at *path* stays. A folder that a killed process left is removed by who next writes a file
    there. Several processes may write the same file; the last one to finish has it.

    Args:
        path: the file; its folder must be there. Other files may be made beside the one that is given, and moved.

    Raises:
        OSError: it cannot be written there.

    Example:
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "results.json")
        ...     with written_whole(path) as aside:
        ...         _ = aside.write_text("{}")
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
        yield aside
        aside.replace(path)


class Hold:
    """Hold a folder until `release` or the end of the process; it is created if it is missing.

    Raises:
        OSError: the folder cannot be made or opened.

    Example:
        >>> with TemporaryDirectory() as folder:
        ...     hold = Hold(Path(folder, "cut"))
        ...     with alone(Path(folder, "cut")) as is_alone:
        ...         print(is_alone)
        ...     hold.release()
        False
    """

    def __init__(self, folder: Path) -> None:
        while True:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder, os.O_RDONLY)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_SH)
            if _stands(handle, folder):
                break
            os.close(handle)
        self._end = weakref.finalize(self, os.close, handle)

    def release(self) -> None:
        """End the hold; a second time does nothing."""
        self._end()


@contextmanager
def alone(*folders: Path) -> Iterator[bool]:
    """Whether nobody holds any of these *folders*; if so, nobody can until the end of the ``with``.

    Who comes meanwhile waits; if the folder was renamed by then, it makes another of that name.
    """
    with ExitStack() as stack:
        is_alone = True
        for folder in folders:
            try:
                handle = os.open(folder, os.O_RDONLY)
                stack.callback(os.close, handle)
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                is_alone = False
                break
        yield is_alone


def _stands(handle: int, folder: Path) -> bool:
    """Whether the folder that was opened is still the one at that path: it may have been renamed meanwhile."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(folder))
    except FileNotFoundError:
        return False


def room(folder: Path, needed: int, what: str = "the activations") -> None:
    """Check that the disk of *folder*, which need not exist yet, has *needed* bytes free for *what*.

    Raises:
        StoreError: it has not.
    """
    there = free(folder)
    if needed > there:
        raise StoreError(
            f"not enough disk for {what}: {size(needed)} needed, {size(there)} free at {folder}. "
            "Free some space, or set TOPWORK_HOME to a folder on a larger disk."
        )


def digest(about: dict[str, Any]) -> str:
    """What stands behind a name for everything that a file or folder depends on."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
