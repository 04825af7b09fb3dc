"""Plots as PNG: a run's learning curves, confusion matrix, and answers with their pictures; and grids of pictures.

Each plot has a separate figure, without pyplot, in matplotlib's default style: your backend and your settings
(``matplotlibrc``, ``rcParams``) do not change the plots, and the plots do not change them.
Labels may contain any text; a character that no installed font has is written as its code (``\\u82b1``).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from topwork.data.pictures import thumbnail
from topwork.data.reading.own_files import PLOT
from topwork.errors import MachineError, PictureError
from topwork.runs.journal import Epoch, kept_epochs
from topwork.scoring.confusion import cells
from topwork.scoring.gallery import content

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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
"""matplotlib's own font; then fonts of Linux and macOS, for the characters that it lacks."""
TRAIN, VAL, FOLDS = "#c05621", "#2b6cb0", "#718096"
WRONG, FRAME = "#c00000", "#bbbbbb"
THUMBNAIL = 200
"""The longer side of a picture in pixels; it is drawn at about this size."""
CRISP = 100
"""Pictures with fewer pixels per side are drawn with visible square pixels."""
NUMBERED = 30
"""With at most this many classes, a confusion matrix shows the number in each cell and the label of each row."""

SQUARES = 300
"""A confusion matrix has at most this many squares per side; with more classes, neighbours share a square."""


@contextmanager
def _own_style() -> Iterator[None]:
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


@_own_style()
def curves(journal: Sequence[Mapping[str, Any]], path: str | Path, auc: bool = False) -> "Figure":
    """Draw loss and accuracy over the epochs of all phases, with a star at the epoch that each phase kept.

    Training pictures are measured in inference mode, as the validation pictures are, so that the two can be compared.
    The dotted line is the loss as the optimizer saw it (with dropout, while the weights change). A phase that is solved
    has one point per strength of the L2 term instead of one per epoch.

    Args:
        journal: the lines of the journal as JSON objects, in order; see `topwork.runs.journal.Epoch`.
        path: the PNG to write.
        auc: also draw the area under the ROC curve, if the journal has it.

    Returns:
        The figure that was saved.

    Example:
        >>> row = {"phase": 1, "cut": "mobilenet_v2@pool", "val_loss": 0.8, "val_accuracy": 0.5}
        >>> figure = curves([row | {"epoch": 0}, row | {"epoch": 1, "val_loss": 0.6}], "curves.png")
    """
    rows = [Epoch.from_json(line) for line in journal]
    measured = auc and any(getattr(row, name) is not None for row in rows for name in ("train_auc", "val_auc"))
    keys = {"loss": "loss", "accuracy": "accuracy"} | ({"auc": "AUC"} if measured else {})
    figure = _figure(9, 1 + 3 * len(keys))
    panels = figure.subplots(len(keys), 1, sharex=True)
    places: list[int] = []  # of each epoch on the x axis; epoch 0 of a phase is at the end of the phase before
    start = 0
    for row in rows:
        if row.epoch == 0:
            start = max(places, default=0)
        places.append(start + row.epoch)
    starts = {row.phase: x for row, x in zip(rows, places) if row.epoch == 0}
    for axes, (key, label) in zip(panels, keys.items()):
        _lines(axes, rows, places, key)
        if len(starts) > 1:
            for phase, x in starts.items():
                axes.axvline(x, color="grey", linewidth=0.8, linestyle="--")
                axes.text(x, 1.02, f" {phase}", transform=axes.get_xaxis_transform(), color="grey", fontsize=9)
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, frameon=False, fontsize=9)
        axes.set_ylabel(label)
    cuts = {row.phase: f"phase {row.phase}: {_shown(row.cut, 90)}" for row in rows}
    panels[0].set_title("\n".join(cuts.values()), loc="left", pad=14, **_text(10))
    solved = {row.phase for row in rows if row.l2 is not None}
    if solved == set(cuts):
        ticks = {x: "start" if row.l2 is None else f"{row.l2:.2g}" for row, x in zip(rows, places)}
        panels[-1].set_xticks(list(ticks), list(ticks.values()))
        panels[-1].set_xlabel("strength of the L2 term")
    else:
        panels[-1].set_xlabel("epoch, or a strength of the L2 term where the head is solved" if solved else "epoch")
        panels[-1].xaxis.get_major_locator().set_params(integer=True)
    figure.savefig(path, format="png", metadata=PLOT)
    return figure


@_own_style()
def learning_curve(shares: Sequence[Mapping[str, Any]], cut: str, path: str | Path) -> "Figure":
    """Draw the accuracy over the number of training pictures, with 95 % intervals; each draw is a small dot.

    Args:
        shares: `topwork.scoring.curve.Share` as JSON objects.
        cut: the cut whose activations were used.
        path: the PNG to write.

    Returns:
        The figure that was saved.

    Example:
        >>> rate = {"value": 0.8, "low": 0.7, "high": 0.9}
        >>> figure = learning_curve([{"pictures": 40, "accuracy": rate, "draws": [0.8]}], "vgg16@pool", "curve.png")
    """
    figure = _figure(7, 4)
    axes = figure.subplots()
    pictures = [one["pictures"] for one in shares]
    rates = [one["accuracy"] for one in shares]
    middle = np.array([rate["value"] for rate in rates])
    spread = [middle - [rate["low"] for rate in rates], [rate["high"] for rate in rates] - middle]
    axes.errorbar(pictures, middle, spread, fmt="o-", color=VAL, capsize=4, label="mean, with 95 % interval")
    for number, one in enumerate(shares):
        label = "single draws" if number == 0 else None
        axes.plot([one["pictures"]] * len(one["draws"]), one["draws"], ".", color=TRAIN, markersize=5, label=label)
    axes.set_xscale("log", base=2)
    axes.set_xticks(pictures, [f"{count:,}" for count in pictures])
    axes.set_xlabel("training pictures")
    axes.set_ylabel("accuracy")
    axes.set_title(_shown(cut, 90), loc="left", **_text(10))
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, format="png", metadata=PLOT)
    return figure


@_own_style()
def confusion(
    matrix: Mapping[str, Any] | Sequence[Sequence[int]] | np.ndarray, classes: Sequence[str], path: str | Path
) -> "Figure":
    """Draw a confusion matrix. The numbers are counts of pictures; the colour is their share of the true class.

    With more than `SQUARES` classes, neighbouring classes share a square. Its colour is that of the largest share in
    it, so that one wrong answer among thousands of classes is still visible.

    Args:
        matrix: counts, ``[classes, classes]``, where rows are true and columns are predicted classes; or the form that
            `topwork.scoring.confusion.as_json` returns.
        classes: the labels, in the order of the matrix.
        path: the PNG to write.

    Returns:
        The figure that was saved.

    Example:
        >>> figure = confusion([[8, 2], [1, 9]], ["cat", "dog"], "confusion.png")
    """
    found = cells(matrix)
    support = np.bincount(found.true, found.counts, found.classes)
    shares = found.counts / support[found.true]
    each = -(-found.classes // SQUARES)
    squares = np.zeros((-(-found.classes // each),) * 2)
    np.maximum.at(squares, (found.true // each, found.predicted // each), shares)
    side, room = float(np.clip(0.45 * found.classes, 2.5, 10)), 0.07 * max(len(_shown(name, 22)) for name in classes)
    figure = _figure(side + room + 1.8, side + 0.7 * room + 0.8)
    axes = figure.add_subplot()
    end = len(squares) * each - 0.5
    image = axes.imshow(squares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest", extent=(-0.5, end, end, -0.5))
    figure.colorbar(image, ax=axes, shrink=0.6, label="share of the true class")

    ticks = range(0, len(classes), -(-len(classes) // NUMBERED))
    names = [_shown(classes[i], 22) for i in ticks]
    axes.set_yticks(ticks, names, **_text(8))
    axes.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor", **_text(8))
    axes.set_ylabel("true")
    axes.set_xlabel("predicted")
    if found.classes <= NUMBERED:
        size = min(10, 32 / len(str(found.counts.max())))
        for true, predicted, count, share in zip(found.true, found.predicted, found.counts, shares):
            color = "white" if share > 0.5 else "black"
            axes.text(predicted, true, f"{count}", ha="center", va="center", color=color, fontsize=size)

    right = found.counts[found.true == found.predicted].sum()
    axes.set_title(f"{right:,} of {found.counts.sum():,} pictures right", fontsize=10)
    figure.savefig(path, format="png", metadata=PLOT)
    return figure


@_own_style()
def grid(pictures: Sequence[np.ndarray], titles: Sequence[str], path: str | Path, columns: int = 6) -> "Figure":
    """Draw pictures in rows, each below its title.

    Args:
        pictures: uint8 ``[height, width, 3]``; sizes may differ. They are not cropped and keep their proportions.
        titles: one text per picture, of one or two lines.
        path: the PNG to write.
        columns: pictures per row.

    Returns:
        The figure that was saved.

    Example:
        >>> figure = grid([np.zeros((32, 48, 3), np.uint8)], ["black"], "grid.png")
    """
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    figure = _figure(1.7 * columns, 2 * rows)
    figure.set_layout_engine("none")
    for place, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        axes = _tile(figure, place % columns, 2 * (rows - place // columns))
        axes.imshow(picture)
        axes.set_axis_off()
        axes.set_title("\n".join(_shown(line, 24) for line in title.splitlines()), pad=3, **_text(8))
    figure.savefig(path, format="png", metadata=PLOT)
    return figure


@_own_style()
def predictions(found: Mapping[str, Any], path: str | Path, columns: int = 6) -> "Figure":
    """Draw pictures with the true label, the predicted label and its probability as a title; wrong answers in red.

    Args:
        found: ``heading`` and ``tiles``, from `topwork.scoring.gallery.gallery`. If a picture can no longer be read, a
            grey square is drawn instead.
        path: the PNG to write.
        columns: tiles per row.

    Returns:
        The figure that was saved.

    Example:
        >>> tile = {"pictures": ["gone.png"], "label": "cat", "predicted": "dog", "probability": 0.9}
        >>> figure = predictions({"heading": "0 of 1 test picture right.", "tiles": [tile]}, "predictions.png")
    """
    tiles = []
    for tile in found["tiles"]:
        pictures = []
        for source in tile["pictures"]:
            try:
                pictures.append(thumbnail(content(source), THUMBNAIL))
            except PictureError:
                pictures.append(np.full((THUMBNAIL, THUMBNAIL, 3), 200, np.uint8))

        height = max(len(picture) for picture in pictures)
        gap = np.full((height, -(-height // 32), 3), 255, np.uint8)
        whole = [np.pad(p, ((0, height - len(p)), (0, 0), (0, 0)), constant_values=255) for p in pictures]
        beside = np.hstack([part for picture in whole for part in (gap, picture)][1:])
        tiles.append((tile, beside))

    rows = [tiles[at : at + columns] for at in range(0, len(tiles), columns)]
    heights = [0.5 + max(min(1.56, 1.6 * len(p) / p.shape[1]) for _, p in row) for row in rows]
    width = max(1.7 * len(rows[0]), 3.4)
    heading = fill(found["heading"], int(14 * width))
    top = sum(heights) + 0.05
    figure = _figure(width, top + 0.15 + 0.16 * (heading.count("\n") + 1))
    figure.set_layout_engine("none")
    figure.text(0.5, 1 - 0.1 / figure.get_figheight(), heading, ha="center", va="top", **_text(9))
    start = (width / 1.7 - len(rows[0])) / 2
    for row, height in zip(rows, heights):
        for column, (tile, picture) in enumerate(row):
            _answer(_tile(figure, start + column, top), tile, picture)
        top -= height
    figure.savefig(path, format="png", metadata=PLOT)
    return figure


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _tile(figure: "Figure", column: float, top: float) -> "Axes":
    """Return axes for a picture below its title, 1.6 by 1.56 inches.

    *top* is the height of the row's top edge above the bottom of the figure, in inches.
    """
    width, height = figure.get_size_inches()
    return figure.add_axes(
        ((1.7 * column + 0.05) / width, (top - 1.96) / height, 1.6 / width, 1.56 / height), anchor="N"
    )


def _answer(axes: "Axes", tile: Mapping[str, Any], picture: np.ndarray) -> None:
    """Draw a picture with its frame and title."""
    wrong = tile["predicted"] != tile["label"]
    axes.imshow(picture, interpolation="nearest" if max(picture.shape) < CRISP else None)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=WRONG if wrong else FRAME, linewidth=3 if wrong else 0.8)
    title = f"{_shown(tile['label'], 24)}\n→ {_shown(tile['predicted'], 16)} ({tile['probability']:.2f})"
    axes.set_title(title, pad=4, color=WRONG if wrong else "black", **_text(8))


def _lines(axes: "Axes", journal: Sequence[Epoch], places: list[int], key: str) -> None:
    """Draw the lines of a score, and a star at the epoch that each phase kept. All stars but the last are hollow."""
    size = 4 if len(journal) <= 40 else 0
    for name, label, color, style in (
        (f"val_{key}", "validation", VAL, "o-"),
        (f"train_{key}", "training sample", TRAIN, "o-"),
        (f"fold_{key}", "folds of the\ntraining part", FOLDS, "o-"),
        (key, "training, as the\noptimizer saw it", TRAIN, "x:"),
    ):
        points = []
        for row, x in zip(journal, places):
            if row.epoch == 0:
                points.append((x, np.nan))  # so that the line breaks between phases
            value = getattr(row, name, None)  # the optimizer saw a loss only, no accuracy and no AUC
            points.append((x, np.nan if value is None else value))
        xs, ys = np.array(points, float).T
        if not np.isnan(ys).all():
            axes.plot(xs, ys, style, color=color, markersize=size, linewidth=1.4, label=label)

    part, color = ("val", VAL) if journal[0].val_loss is not None else ("train", TRAIN)
    at = {(row.phase, row.epoch): x for row, x in zip(journal, places)}
    kept = kept_epochs(journal)
    across = [at[row.phase, row.epoch] for row in kept]
    values = np.array([getattr(row, f"{part}_{key}") for row in kept], float)
    star: dict[str, Any] = {"marker": "*", "linestyle": "", "markersize": 14, "zorder": 5}
    if not np.isnan(values[:-1]).all():
        label = "kept by an\nearlier phase"
        axes.plot(across[:-1], values[:-1], color="white", markeredgecolor=color, label=label, **star)
    if not np.isnan(values[-1]):
        which = f"epoch {kept[-1].epoch}" if kept[-1].l2 is None else f"l2 {kept[-1].l2:.2g}"
        label = f"kept: {values[-1]:.3f}\n(phase {kept[-1].phase}, {which})"
        axes.plot(across[-1], values[-1], color=color, markeredgecolor="white", label=label, **star)

    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _text(size: float) -> dict[str, Any]:
    """Return options for drawing the user's labels: fonts with their characters, and dollar signs as plain text."""
    return {"fontsize": size, "family": list(_fonts()[0]), "parse_math": False}


def _shown(label: str, length: int) -> str:
    """Return a label on one line, shortened in the middle to *length*, with codes for characters that no font has."""
    text = " ".join(label.split())
    if len(text) > length:
        text = f"{text[: length - length // 3]}…{text[1 - length // 3 :]}"
    drawable = _fonts()[1]
    return "".join(char if ord(char) in drawable else ascii(char)[1:-1] for char in text)


@cache
def _fonts() -> tuple[tuple[str, ...], frozenset[int]]:
    """Return two things: the installed fonts of `FONTS`, and the code points of the characters that they have."""
    from matplotlib.font_manager import FontProperties, fontManager, get_font

    here = tuple(name for name in FONTS if name in fontManager.get_font_names())
    maps = (get_font(fontManager.findfont(FontProperties(family=name))).get_charmap() for name in here)
    return here, frozenset(code for charmap in maps for code in charmap)
