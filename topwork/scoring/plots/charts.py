"""Charts as PNG: learning curves of a run, accuracy over the number of pictures, and the confusion matrix."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from topwork.runs.journal import Epoch, kept_epochs
from topwork.scoring.confusion import cells
from topwork.scoring.plots.style import drawable, font, new_figure, own_style, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAIN, VAL, FOLDS = "#c05621", "#2b6cb0", "#718096"
NUMBERED = 30
"""With at most this many classes, a confusion matrix shows the number in each cell and the label of each row."""

SQUARES = 300
"""A confusion matrix has at most this many squares per side; with more classes, neighbours share a square."""


@own_style()
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
    cuts = {row.phase: f"phase {row.phase}: {drawable(row.cut, 90)}" for row in rows}
    figure, panels = _panels(len(keys), len(cuts))
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
    panels[0].set_title("\n".join(cuts.values()), loc="left", pad=14, **font(10))
    solved = {row.phase for row in rows if row.l2 is not None}
    if solved == set(cuts):
        folds = any(row.fold_loss is not None for row in rows)
        ticks = {x: _strength(row, folds) for row, x in zip(rows, places)}
        panels[-1].set_xticks(list(ticks), list(ticks.values()))
        panels[-1].set_xlabel("strength of the L2 term")
    else:
        panels[-1].set_xlabel("epoch, or a strength of the L2 term where the head is solved" if solved else "epoch")
        panels[-1].xaxis.get_major_locator().set_params(integer=True)
    save(figure, path)
    return figure


@own_style()
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
    figure = new_figure(7, 4)
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
    axes.set_title(drawable(cut, 90), loc="left", **font(10))
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)
    return figure


@own_style()
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
    labels = [drawable(label, 22, number) for number, label in enumerate(classes)]
    side, room = float(np.clip(0.45 * found.classes, 2.5, 10)), 0.07 * max(map(len, labels))
    figure = new_figure(side + room + 1.8, side + 0.7 * room + 0.8)
    axes = figure.add_subplot()
    end = len(squares) * each - 0.5
    image = axes.imshow(squares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest", extent=(-0.5, end, end, -0.5))
    figure.colorbar(image, ax=axes, shrink=0.6, label="share of the true class")

    ticks = range(0, len(classes), -(-len(classes) // NUMBERED))
    names = [labels[i] for i in ticks]
    axes.set_yticks(ticks, names, **font(8))
    axes.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor", **font(8))
    axes.set_ylabel("true")
    axes.set_xlabel("predicted")
    if found.classes <= NUMBERED:
        size = min(10, 32 / len(str(found.counts.max())))
        for true, predicted, count, share in zip(found.true, found.predicted, found.counts, shares):
            color = "white" if share > 0.5 else "black"
            axes.text(predicted, true, f"{count}", ha="center", va="center", color=color, fontsize=size)

    right = found.counts[found.true == found.predicted].sum()
    key = "\nclass numbers: classes.txt" if labels != [drawable(label, 22) for label in classes] else ""
    axes.set_title(f"{right:,} of {found.counts.sum():,} pictures right{key}", fontsize=10)
    save(figure, path)
    return figure


def _panels(count: int, lines: int) -> tuple["Figure", np.ndarray]:
    """Return panels above each other, below a title of some lines.

    Their texts have known sizes. For matplotlib to measure them would take a quarter of the time.
    """
    width, top, bottom = 9, 0.35 + 0.18 * lines, 0.75
    height = top + 3 * count + bottom
    figure = new_figure(width, height, None)
    room = {"left": 0.8 / width, "right": 1 - 2.1 / width, "bottom": bottom / height, "top": 1 - top / height}
    figure.subplots_adjust(**room, hspace=0.13)
    return figure, figure.subplots(count, 1, sharex=True)


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
            if value is not None:  # a line connects the epochs that were scored, but not heads across strengths
                if row.l2 is not None and points and points[-1][0] < x - 1:
                    points.append((x, np.nan))
                points.append((x, value))
        xs, ys = np.array(points, float).T
        if not np.isnan(ys).all():
            axes.plot(xs, ys, style, color=color, markersize=size, linewidth=1.4, label=label)

    part, color = ("val", VAL) if journal[0].val_loss is not None else ("train", TRAIN)
    at = {(row.phase, row.epoch): x for row, x in zip(journal, places)}
    kept = kept_epochs(journal)
    across = [at[row.phase, row.epoch] for row in kept]
    scored = ["fold" if _is_refit(row) else part for row in kept]
    values = np.array([getattr(row, f"{name}_{key}", None) for row, name in zip(kept, scored)], float)
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


def _strength(row: Epoch, folds: bool) -> str:
    """Return the text below a point of a solved phase. *folds*: whether the strength was chosen by folds."""
    if row.l2 is None:
        return "start"
    strength = f"{row.l2:.2g}" if row.l2 >= 0.001 or not row.l2 else f"{row.l2:.0e}".replace("e-0", "e-")
    if _is_refit(row):
        return f"{strength}\nrefit"
    return strength + ("\nfinal" if folds and row.fold_loss is None else "")


def _is_refit(row: Epoch) -> bool:
    """Whether a line of the journal is a head that was solved again on the training and the validation part."""
    return bool(row.kept) and row.fold_loss is not None
