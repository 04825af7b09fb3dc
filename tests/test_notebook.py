"""The notebook under docs/ runs from its first cell to its last."""

import ast
import json

import pytest

from tests import PROJECT
from topwork.networks.weights import efficientnet_lite0

CELLS = json.loads((PROJECT / "docs" / "first_week.ipynb").read_text(encoding="utf-8"))["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]


def shown(source, names):
    """Run a cell; return what a notebook would show of it: the value of its last line."""
    *lines, last = ast.parse(source).body
    exec(compile(ast.Module(lines, []), "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


@pytest.mark.full
def test_each_cell_runs_and_shows_something_that_fits(tmp_path, monkeypatch):
    if not efficientnet_lite0.path().is_file():
        pytest.skip("the extra 'weights' is not installed")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for source in CODE:
        found = shown(source, names)
        assert found is not None
        assert len(repr(found)) < 1000
    assert names["deeper"].results.accuracy.value > names["run"].results.accuracy.value > 0.8
    assert (tmp_path / "digits.onnx").is_file()
