"""int8 on photos: the answers of EfficientNet-Lite0 stay, in a third of the size."""

import json

import pytest

import topwork as tw

pytestmark = pytest.mark.full


@pytest.mark.parametrize("name", ["flowers.onnx", "flowers.tflite"])
def test_int8_keeps_the_answers_in_a_third_of_the_size(real, tmp_path, name):
    run = tw.train(real / "flowers5", out=tmp_path / "run", progress=False)
    run.export(tmp_path / name, progress=False)
    run.export(tmp_path / f"small-{name}", precision="int8", progress=False)
    line = json.loads((run.path / "exports.jsonl").read_text().splitlines()[-1])
    assert line["precision"] == "int8"
    assert line["agreement"] >= 0.98
    assert (tmp_path / f"small-{name}").stat().st_size < (tmp_path / name).stat().st_size / 3
