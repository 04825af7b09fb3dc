"""The plot of a search."""

from io import BytesIO

from tests.scoring.plots import coloured
from topwork.runs.scores import Rate
from topwork.runs.search.tried import Tried
from topwork.scoring.plots.tries import tries


def rows(count):
    found = [Tried(number=1, cut="x@pool", solved=True, accuracy=Rate(0.6, 0.5, 0.7))]
    for number in range(2, count + 1):
        way = {"batch_norm": "train", "learning_rate": 1e-3, "epochs": 2, "kept": number == 3}
        rate = Rate(0.6 + 0.002 * number, 0.5, 0.9)
        found.append(Tried(number=number, cut="x@block_7_add", solved=False, accuracy=rate, **way))
    found.append(Tried(number=count + 1, cut="x@b", solved=False, ended="not tried: the time was used"))
    return [one.as_json() for one in found]


def test_each_try_has_a_row_and_the_best_is_at_the_top(tmp_path):
    figure = tries(rows(5), tmp_path / "search.png")
    assert coloured(tmp_path / "search.png") > 0.001
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names[0] == "1. x@pool\nhead solved"
    assert names[-1] == "5. x@block_7_add\nbatch-norm trained, rate 0.001, 2 epochs"
    assert len(names) == 5


def test_a_long_search_is_drawn():
    assert tries(rows(60), BytesIO()).get_figheight() > 15
