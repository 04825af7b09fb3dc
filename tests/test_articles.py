"""What docs/articles.md says about the articles' code and about topwork's is true."""

import re

import numpy as np
import pytest

from tests import PROJECT
from topwork.recipes import library
from topwork.scoring.metrics import share

TEXT = (PROJECT / "docs" / "articles.md").read_text()


@pytest.mark.full
def test_three_ways_to_a_layers_output_agree():
    example = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1]
    found: dict = {}
    exec(example, found)
    by_model, largest = found["by_model"], np.abs(found["by_model"]).max()
    assert by_model.shape == (8, 4, 4, 128)
    assert np.abs(by_model[0] - by_model[1]).max() > 0.01 * largest, "pictures differ"
    for other in ("by_function", "by_trunk"):
        assert np.abs(found[other] - by_model).max() < 1e-5 * largest
    assert found["stored"].dtype == np.float16
    assert np.abs(found["stored"].astype(float) - by_model).max() < 1e-3 * largest


def test_the_articles_partial_model_hangs_on_an_input_that_it_leaves_away():
    import keras

    start = keras.Input((8, 8, 3))
    middle = keras.layers.Conv2D(2, 3)(start)
    base = keras.Model(start, keras.layers.Conv2D(2, 3)(middle))
    partial = keras.Model(base.input, middle)
    inp = keras.Input((8, 8, 3))
    outputs = keras.layers.GlobalAveragePooling2D()(partial(inp))
    with pytest.raises(ValueError, match="not connected"):
        keras.Model(base.input, outputs)
    assert keras.Model(inp, outputs).output_shape == (None, 2)


def test_the_articles_upsampling_wants_another_axis():
    import keras

    with pytest.raises(ValueError, match="ndim=5"):
        keras.layers.UpSampling3D((3, 3, 3))(keras.Input((28, 28, 1)))


def test_the_intervals_are_wilsons():
    rows = re.findall(r"^\| (\d+) \| ([\d.]+) \| ([\d.]+) to ([\d.]+) \| (\d+) \| ([\d.]+) \| ([\d.]+) to", TEXT, re.M)
    assert len(rows) == 3
    for right, value, low, high, other, *_ in rows:
        found = share(int(right), 61)
        assert [f"{number:.3f}" for number in (found.value, found.low, found.high)] == [value, low, high]
        assert f"{share(int(other), 46).low:.3f}" == _[1]


def test_every_recipe_has_its_line():
    assert set(re.findall(r"^\| \d \|.*--recipe (\w+)", TEXT, re.MULTILINE)) == set(library.names())
