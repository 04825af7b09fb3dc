"""The style of topwork's plots: fonts, figures, and how a figure is saved.

Plots are drawn without pyplot, in matplotlib's default style: your backend and your settings (``matplotlibrc``,
``rcParams``) do not change the plots, and the plots do not change them.
Labels may contain any text. If no installed font has one of its characters, a class is shown by its number (``#3``),
which ``classes.txt`` in the run's folder explains, and other text by codes (``\\u82b1``).
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from topwork.data.reading.own_files import PLOT
from topwork.errors import MachineError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Hiragino Sans",
    "PingFang SC",
    "Arial Unicode MS",
)
"""matplotlib's own font; then fonts of Linux and macOS, for the characters that it lacks. Others are searched last."""
DOTS = 120
"""Pixels per inch."""


@contextmanager
def own_style() -> Iterator[None]:
    """Use matplotlib's default settings inside the context.

    Raises:
        MachineError: matplotlib cannot be imported.
    """
    try:
        import matplotlib
        from matplotlib import figure  # noqa: F401
    except Exception as error:  # a damaged installation or matplotlibrc can raise anything
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise MachineError(
            f"matplotlib cannot be imported ({reason}), so no plot can be drawn. Install it again, or correct its "
            "settings: python -c 'import matplotlib' shows the error."
        ) from None
    with matplotlib.rc_context({key: value for key, value in matplotlib.rcParamsDefault.items() if key != "backend"}):
        yield


def new_figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> "Figure":
    """Return an empty figure of a size in inches. *layout*: whether matplotlib makes room for the texts."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DOTS, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def save(figure: "Figure", path: str | Path) -> None:
    """Write a figure as PNG. ``Figure.savefig`` draws it twice, and its usual compression takes longer than drawing."""
    quick = {"compress_level": 1, "compress_type": zlib.Z_RLE}
    figure.canvas.print_png(path, metadata=PLOT, pil_kwargs=quick)  # type: ignore[attr-defined]


def font(size: float) -> dict[str, Any]:
    """Return options for drawing the user's labels: fonts with their characters, and dollar signs as plain text."""
    return {"fontsize": size, "family": [*_fonts()[0], *_further], "parse_math": False}


def drawable(label: str, length: int, number: int | None = None) -> str:
    """Return a label on one line, shortened in the middle to *length*.

    If a character is in no font, it is written as its code; or, if *number* is given, all of the label is replaced:
    *number* is the position of a class, from 0, and the text is its number, from 1.
    """
    text = " ".join(label.split())
    if len(text) > length:
        text = f"{text[: length - length // 3]}…{text[1 - length // 3 :]}"
    if number is not None and not all(map(_is_known, text)):
        return f"#{number + 1}"
    return "".join(char if _is_known(char) else ascii(char)[1:-1] for char in text)


_further: list[str] = []
"""Fonts beyond `FONTS` that have characters of labels."""


@cache
def _is_known(char: str) -> bool:
    """Return whether an installed font has a character. All fonts are searched if those of `FONTS` lack it."""
    from matplotlib.font_manager import fontManager, get_font

    if ord(char) in _fonts()[1]:
        return True
    for entry in fontManager.ttflist:
        if entry.name.startswith("Last Resort"):  # matplotlib's own, with a box for every character
            continue
        try:
            has_it = ord(char) in get_font(entry.fname).get_charmap()
        except (OSError, RuntimeError):  # a damaged font
            continue
        if has_it:
            if entry.name not in _further:
                _further.append(entry.name)
            return True
    return False


@cache
def _fonts() -> tuple[tuple[str, ...], frozenset[int]]:
    """Return two things: the installed fonts of `FONTS`, and the code points of the characters that they have."""
    from matplotlib.font_manager import FontProperties, fontManager, get_font

    here = tuple(name for name in FONTS if name in fontManager.get_font_names())
    maps = (get_font(fontManager.findfont(FontProperties(family=name))).get_charmap() for name in here)
    return here, frozenset(code for charmap in maps for code in charmap)
