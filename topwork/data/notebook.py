"""What a notebook shows: pieces of HTML, that is tables, paragraphs and embedded pictures."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from topwork.data.pictures import thumbnail
from topwork.errors import PictureError

SHOWN, SIDE = 8, 96
"""How many pictures are shown, and their longer side in pixels."""
CLASSES = 12
"""At most this many classes are listed."""


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; all texts are escaped.

    >>> table(["class"], [["<cat>"]])
    '<table><tr><th>class</th></tr><tr><td>&lt;cat&gt;</td></tr></table>'
    """
    lines = ["".join(f"<th>{escape(head)}</th>" for head in heads)]
    lines += ["".join(f"<td>{escape(str(cell))}</td>" for cell in row) for row in rows]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def paragraph(text: str) -> str:
    """Return a paragraph; the text is escaped."""
    return f"<p>{escape(text)}</p>"


def picture(png: bytes, title: str = "") -> str:
    """Return a PNG as an embedded picture; *title* is shown when the mouse is over it."""
    source = base64.b64encode(png).decode()
    return f'<img src="data:image/png;base64,{source}" title="{escape(title)}" style="margin:2px">'


def with_answers(title: str, scores: str, folder: Path) -> str:
    """Return a title, scores as HTML, and the plot of answers that lies in a folder, if it is there."""
    plot = folder / "predictions.png"
    shown = picture(plot.read_bytes(), "answers on the test part") if plot.exists() else ""
    return paragraph(title) + scores + shown


def counts_table(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Return the numbers of pictures per class and part as a table; of many classes, only the first."""
    rows: list[list[object]] = [[label, *parts.values()] for label, parts in list(counts.items())[:CLASSES]]
    if len(counts) > CLASSES:
        rows.append([f"and {len(counts) - CLASSES:,} more"])
    return table(["class", *next(iter(counts.values()), ())], rows)


def small(source: "str | np.ndarray", title: str) -> str:
    """Return a small picture, from a file or from pixels; nothing, if it cannot be read."""
    try:
        pixels = source if isinstance(source, np.ndarray) else thumbnail(source, SIDE)
    except PictureError:
        return ""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels)
    image.thumbnail((SIDE, SIDE))
    file = BytesIO()
    image.save(file, "PNG")
    return picture(file.getvalue(), title)
