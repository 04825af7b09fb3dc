"""The folder that topwork keeps things in, and the room on its disk."""

import os
import shutil
from pathlib import Path


def home() -> Path:
    """The folder that topwork keeps things in: ``TOPWORK_HOME``, else this user's cache folder."""
    import platformdirs

    return Path(os.environ.get("TOPWORK_HOME") or platformdirs.user_cache_path("topwork")).expanduser()


def free(folder: Path) -> int:
    """Bytes free on the disk of *folder*, which need not exist yet."""
    return shutil.disk_usage(standing(folder)).free


def standing(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    return next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
