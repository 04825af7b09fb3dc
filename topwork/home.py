"""The folder that topwork keeps things in, the room on its disk, and what to do where nothing can be written there."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from topwork.errors import StoreError

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
    'it is no folder'
    """
    place = standing(folder)
    if not place.is_dir():
        return place, "it is no folder"
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
