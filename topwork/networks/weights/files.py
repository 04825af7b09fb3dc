"""Weights files: their folder, their download and their hashes. Only downloading imports Keras."""

import hashlib
import os
import re
import socket
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path

from topwork.errors import WeightsError
from topwork.system import keras_settings
from topwork.system.advice import either
from topwork.system.files import unusable, written_whole
from topwork.system.keras_settings import ours
from topwork.system.messages import say, shows_bars

TIMEOUT = 5.0
"""The number of seconds after which an attempt to reach the network fails."""


def folder() -> Path:
    """Return Keras' folder of official weights: ``$KERAS_HOME/models``, by default ``~/.keras/models``."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "models"


def offline() -> bool:
    """Return whether ``TOPWORK_OFFLINE=1`` forbids use of the network."""
    return os.environ.get("TOPWORK_OFFLINE", "") not in ("", "0")


@ours()
def download(path: Path, source: Callable[[], tuple[str, str | None]], network: str = "NAME") -> Path:
    """Download an official file to *path* with Keras' own downloader, which checks its published hash.

    Args:
        path: where to save the file; it appears there complete or not at all.
        source: returns the address and the hash of the file; it is called only if downloads are allowed.
        network: the name of the backbone, for messages.

    Returns:
        *path*.

    Raises:
        WeightsError: the download failed, ``TOPWORK_OFFLINE`` is set, or the folder cannot be written to; the message
            names the file and its folder.
    """
    if offline():
        raise missing(path, "and TOPWORK_OFFLINE forbids downloading it", network)
    if wrong := unusable(path.parent):
        raise WeightsError(
            f"cannot write {str(path)!r}: {wrong[0]}: {wrong[1]}. Set KERAS_HOME to a folder of your own."
        )
    keras_settings.import_keras()
    from keras.src.utils import file_utils

    url, published = source()
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    talk = sys.stderr if shows_bars() else StringIO()  # show Keras' bar only in a terminal
    say(f"Fetching {url}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as aside, redirect_stdout(talk):
            file_utils.get_file(aside.name, url, cache_dir=aside.parent, cache_subdir="", file_hash=published)
        return path
    except Exception as error:  # urllib raises errors of many classes, and Keras wraps some of them
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise missing(path, f"and could not be downloaded ({reason})", network) from None
    finally:
        socket.setdefaulttimeout(before)


def missing(path: Path, why: str, network: str = "NAME") -> WeightsError:
    """Return the error for an official file that is missing, or is not the file that Keras publishes."""
    place = repr(str(path.parent))
    state = f"in {place} are not those that Keras publishes" if path.is_file() else f"are not in {place}"
    usual = path.with_name(re.sub(r"_\d{2,3}_(?=tf_|no_top)", "_224_", path.name))
    other = f" The weights for 224 pixels work at any size: {weights_option(usual)}"
    return WeightsError(
        f"the ImageNet weights {path.name!r} {state}, {why}. "
        f"Put the file there (on a connected machine, 'topwork weights fetch {network}' brings it), "
        f"choose a backbone whose file is at hand (topwork backbones), or use random weights: "
        f"{weights_option('random')}.{other if usual != path and usual.is_file() else ''}"
    )


def weights_option(word: str | Path) -> str:
    """Return, for messages, the option that sets a network's weights to *word*: a file's path, or ``"random"``."""
    return either(f"weights={str(word)!r}", f"--weights {word}")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    return digest(path, "sha256")


def digest(path: Path, algorithm: str) -> str:
    """Return the hash of a file's bytes, in hex; a process computes it again only if size or time change."""
    about = path.stat()
    return _digest(path, algorithm, about.st_size, about.st_mtime_ns)


@cache
def _digest(path: Path, algorithm: str, size: int, time: int) -> str:  # noqa: ARG001
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
