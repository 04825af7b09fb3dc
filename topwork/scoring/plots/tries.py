"""The plot of a search: what each try reached."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topwork.runs.search.tried import Tried
from topwork.scoring.plots.style import drawable, font, new_figure, own_style, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEPT, OTHERS = "tab:orange", "tab:blue"


@own_style()
def tries(rows: Sequence[Mapping[str, Any]], path: str | Path) -> "Figure":
    """Draw the accuracy of each try of a search with its 95 % interval, the best at the top.

    Args:
        rows: `topwork.runs.search.tried.Tried` as JSON objects; those that were not tried are not drawn.
        path: the PNG to write.

    Returns:
        The figure that was saved.

    Example:
        >>> rate = {"value": 0.8, "low": 0.7, "high": 0.9}
        >>> figure = tries([{"number": 1, "cut": "vgg16@pool", "solved": True, "accuracy": rate}], "search.png")
    """
    found = [(one.accuracy, one) for one in map(Tried.from_json, rows) if one.accuracy is not None]
    found.sort(key=lambda pair: (pair[0].value, -pair[1].number))
    figure = new_figure(9, 1.2 + 0.42 * len(found))
    axes = figure.subplots()
    for place, (rate, one) in enumerate(found):
        color = KEPT if one.kept else OTHERS
        spread = [[rate.value - rate.low], [rate.high - rate.value]]
        axes.errorbar([rate.value], [place], xerr=spread, fmt="o", color=color, capsize=3)
    names = [f"{drawable(f'{one.number}. {one.cut}', 50)}\n{about(one)}" for _, one in found]
    axes.set_yticks(range(len(found)), names, **font(8))
    axes.set_xlabel("accuracy on the validation part, with 95 % intervals")
    axes.set_title("What the search tried; the run keeps the one in orange", loc="left", fontsize=10)
    axes.grid(alpha=0.25, axis="x")
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)
    return figure


def about(one: Tried) -> str:
    """Return how a try was trained, in a few words.

    >>> about(Tried(number=1, cut="x@pool", solved=True))
    'head solved'
    >>> about(Tried(number=2, cut="x@a", solved=False, batch_norm="train", learning_rate=1e-3, epochs=14, views=4))
    'batch-norm trained, rate 0.001, 14 epochs, 4 views'
    """
    views = f", {one.views} views" if one.views > 1 else ""
    if one.solved:
        return f"head solved{views}"
    norm = "trained" if one.batch_norm == "train" else "frozen"
    return f"batch-norm {norm}, rate {one.learning_rate:g}, {one.epochs} epochs{views}"
