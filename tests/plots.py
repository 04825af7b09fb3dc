"""Plots in tests: an empty picture replaces each, because drawing a small run's plots takes as long as its training.

A test that examines plots uses `drawn`.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from PIL import Image

from topwork.data.reading.own_files import PLOT
from topwork.scoring import drawing
from topwork.scoring.drawing import Pencil

DRAWS = {name: getattr(Pencil, name) for name in ("__enter__", "__exit__", "draw", "start")} | {
    "prepare": drawing.prepare
}


@contextmanager
def blank() -> Iterator[None]:
    """Start no drawing process, and write an empty picture for each plot."""
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG", pnginfo=_note())
    blanks = {
        "__enter__": lambda self: self,
        "__exit__": lambda *_: None,
        "draw": lambda self, plot, path, *_, **__: path.write_bytes(file.getvalue()),
        "start": lambda self: None,
        "prepare": lambda: None,
    }
    with _pencils(blanks):
        yield


@contextmanager
def drawn() -> Iterator[None]:
    """Draw plots as topwork does."""
    with _pencils(DRAWS):
        yield


@contextmanager
def _pencils(methods) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, method in methods.items():
            patch.setattr(drawing if name == "prepare" else Pencil, name, method)
        yield


def _note():
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, value in PLOT.items():
        info.add_text(key, value)
    return info
