"""The resize of the page, in JavaScript, equals that of Pillow."""

import base64
import json
import shutil
import subprocess
from functools import partial
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from topwork.data.pictures import Fit, fit_array

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(not NODE, reason="node, which runs the page's resize, is not installed")

DRIVER = """
const lines = require("node:readline").createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const { width, height, data, fit } = JSON.parse(line);
  const found = fitted({ width, height, data: Buffer.from(data, "base64") }, fit);
  console.log(JSON.stringify([found.height, found.width, Buffer.from(found.data).toString("base64")]));
});
"""


@pytest.fixture(scope="module")
def in_javascript():
    """Return a function that resizes a picture with the page's code; one node serves all tests."""
    code = (files("topwork.shipping.page") / "resize.js").read_text() + DRIVER
    node = subprocess.Popen([NODE, "-e", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield partial(resized, node)
    node.stdin.close()
    node.wait()
    node.stdout.close()


def resized(node, pixels, fit):
    height, width = pixels.shape[:2]
    how = {"size": fit.size, "fit": fit.fit, "resample": fit.resample}
    asked = {"width": width, "height": height, "data": base64.b64encode(pixels.tobytes()).decode(), "fit": how}
    node.stdin.write(json.dumps(asked) + "\n")
    node.stdin.flush()
    *shape, data = json.loads(node.stdout.readline())
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(*shape, 3)


def drawn(seed, height, width):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


sides = st.integers(1, 90)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 9),
    sides.filter(lambda side: side > 1),
    sides,
    st.tuples(sides, sides),
    st.sampled_from(["squash", "crop", "pad"]),
    st.sampled_from(["bilinear", "nearest"]),
)
@example(0, 80, 20, (31, 20), "squash", "bilinear")
@example(0, 80, 30, (31, 20), "squash", "bilinear")
@example(1, 67, 90, (7, 3), "crop", "bilinear")
@example(2, 90, 67, (13, 90), "pad", "nearest")
@example(3, 33, 33, (33, 33), "crop", "bilinear")
def test_any_size_to_any_size_equals_pillow(in_javascript, seed, height, width, size, how, resample):
    pixels, fit = drawn(seed, height, width), Fit(size, how, resample)
    np.testing.assert_array_equal(in_javascript(pixels, fit), fit_array(pixels, fit))


@pytest.mark.parametrize("how", ["squash", "crop", "pad"])
@pytest.mark.parametrize(("height", "width"), [(1000, 1500), (1501, 333), (301, 299)])
def test_a_photo_to_the_size_of_a_network_equals_pillow(in_javascript, height, width, how):
    pixels, fit = drawn(0, height, width), Fit((224, 224), how)
    np.testing.assert_array_equal(in_javascript(pixels, fit), fit_array(pixels, fit))
