import doctest
import subprocess
import sys

import numpy as np
import pytest

from tests.scoring.plots import ODD, journal
from topwork.errors import MachineError
from topwork.scoring.plots import charts, sheets, style


def test_the_examples_draw(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for module in (charts, sheets):
        assert doctest.testmod(module, extraglobs={"np": np}).failed == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "confusion.png",
        "curve.png",
        "curves.png",
        "grid.png",
        "predictions.png",
    ]


def test_labels_of_any_text_are_drawn(tmp_path):
    charts.confusion(np.eye(len(ODD), dtype=int), ODD, tmp_path / "m.png")
    sheets.grid([np.zeros((9, 9, 3), np.uint8)] * len(ODD), ODD, tmp_path / "g.png")
    charts.curves([row | {"cut": ODD[0]} for row in journal(1)], tmp_path / "c.png")
    assert len(list(tmp_path.iterdir())) == 3


def test_what_no_font_can_draw_is_shown_as_its_code():
    assert style.drawable("a\udcff\U0010fffe", 20) == "a\\udcff\\U0010fffe"
    assert style.drawable("Æneas × ж", 20) == "Æneas × ж"


def test_a_class_that_no_font_can_draw_is_shown_by_its_number(tmp_path):
    assert style.drawable("a\U0010fffe", 20, 2) == "#3"
    assert style.drawable("Æneas", 20, 2) == "Æneas"
    figure = charts.confusion([[1, 0], [0, 1]], ["cat", "\U0010fffe"], tmp_path / "m.png")
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["cat", "#2"]
    assert figure.axes[0].get_title().endswith("class numbers: classes.txt")
    plain = charts.confusion([[1, 0], [0, 1]], ["cat", "dog"], tmp_path / "m.png")
    assert "classes.txt" not in plain.axes[0].get_title()


def test_all_installed_fonts_are_searched(monkeypatch):
    monkeypatch.setattr(style, "_fonts", lambda: ((), frozenset()))
    monkeypatch.setattr(style, "_further", [])
    style._is_known.cache_clear()
    assert style.drawable("ab", 20) == "ab"
    assert len(style.font(8)["family"]) == 1
    style._is_known.cache_clear()


def test_long_labels_lose_their_middle():
    assert style.drawable("abcdefghijklmnopqrstuvwxyz", 10) == "abcdefg…yz"
    assert style.drawable(" a\n b ", 10) == "a b"


def test_plots_load_no_pyplot_and_importing_them_no_matplotlib(tmp_path):
    code = (
        "import sys; from topwork.scoring.plots.charts import confusion; print('matplotlib' in sys.modules); "
        "confusion([[1, 0], [0, 1]], ['a', 'b'], sys.argv[1]); print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "m.png")], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\nFalse\n", "")


def test_settings_of_the_user_change_no_plot_and_stay(tmp_path):
    import matplotlib

    charts.confusion([[8, 2], [1, 9]], ["cat", "dog"], tmp_path / "plain.png")
    mine = {"text.usetex": True, "font.size": 40, "savefig.dpi": 10, "figure.facecolor": "red", "image.cmap": "jet"}
    with matplotlib.rc_context(mine):
        before = dict(matplotlib.rcParams)
        charts.confusion([[8, 2], [1, 9]], ["cat", "dog"], tmp_path / "styled.png")
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "styled.png").read_bytes() == (tmp_path / "plain.png").read_bytes()


def test_without_matplotlib_the_reason_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MachineError) as error:
        charts.confusion([[8, 2], [1, 9]], ["cat", "dog"], tmp_path / "x.png")
    assert str(error.value).startswith("matplotlib cannot be imported (import of matplotlib ")
