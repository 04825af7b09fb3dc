"""Files that topwork exported, and files that are refused because it did not."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.colours import ABOUT, LABELS, TWO, export
from topwork.data.pictures import Fit
from topwork.errors import ExportError
from topwork.shipping.metadata import Input, opened
from topwork.system.advice import at_command_line
from topwork.version import FILE_FORMAT, VERSION

ENTRY = ABOUT["inputs"][0]


def test_a_file_says_what_it_takes(tmp_path):
    _, about, inputs = opened(export(tmp_path / "m.onnx", TWO))
    assert about == TWO
    assert inputs == (Input("pixels_1", "front", Fit((12, 16))), Input("pixels_2", "side", Fit((8, 8))))


def test_an_input_as_json():
    assert json.loads(json.dumps(Input("pixels_2", "side", Fit((8, 6), "pad", "nearest")).as_json())) == {
        "name": "pixels_2",
        "picture": "side",
        "size": [8, 6],
        "fit": "pad",
        "resample": "nearest",
        "rule": "pillow-1/8x6/pad/nearest",
    }


def refused(path: Path) -> str:
    with pytest.raises(ExportError) as e:
        opened(path)
    return str(e.value)


def test_a_file_that_is_missing(tmp_path):
    path = tmp_path / "m.onnx"
    assert refused(path) == f"no file '{path}': expected a file that topwork exported."


def test_a_folder_instead_of_a_file(tmp_path):
    assert refused(tmp_path) == f"'{tmp_path}' is a folder: expected a file that topwork exported."


def test_a_run_without_an_exported_file(tmp_path):
    (tmp_path / "recipe.toml").touch()
    first = f"'{tmp_path}' is a run folder without an exported file; export it: "
    assert refused(tmp_path) == f"{first}topwork.Run('{tmp_path}').export('model.onnx')"
    with at_command_line():
        assert refused(tmp_path) == f"{first}topwork export {tmp_path} model.onnx"


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "No graph was found in the protobuf"), (b"not a model", "Protobuf parsing failed")]
)
def test_a_file_that_is_not_onnx(tmp_path, capfd, content, reason):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    assert refused(path) == (f"onnxruntime cannot load '{path}' ({reason}): expected a file that topwork exported.")
    assert capfd.readouterr() == ("", "")


def test_a_picture_in_the_place_of_a_model(tmp_path):
    path = tmp_path / "rose.jpg"
    Image.new("RGB", (8, 8)).save(path)
    assert refused(path) == f"'{path}' is a picture: name the model first, then the pictures."


def test_a_file_that_is_cut_short(tmp_path, capfd):
    path = export(tmp_path / "m.onnx", ABOUT)
    path.write_bytes(path.read_bytes()[:-40])
    assert refused(path).startswith(f"onnxruntime cannot load '{path}' (")
    assert capfd.readouterr() == ("", "")


def test_a_file_of_somebody_else(tmp_path):
    path = export(tmp_path / "m.onnx", None)
    assert refused(path) == (
        f"'{path}' is an ONNX model without labels and resize rule (no metadata key 'topwork'): "
        "expected a file that topwork exported."
    )


@pytest.mark.parametrize(
    "metadata",
    [
        *([], {}, {"format": 1}, {"format": "one"}),
        ABOUT | {"labels": []},
        ABOUT | {"inputs": {}},
        ABOUT | {"labels": [["a"], ["b"]]},
        ABOUT | {"inputs": [ENTRY, ENTRY | {"name": "pixels_2"}]},
        *(ABOUT | {"inputs": [entry]} for entry in (None, {}, ENTRY | {"name": "x"}, ENTRY | {"size": None})),
        *(ABOUT | {"inputs": [{k: v for k, v in ENTRY.items() if k != gone}]} for gone in ENTRY),
        {"format": 1, "labels": LABELS, **ENTRY},
    ],
    ids=str,
)
def test_a_file_whose_metadata_are_damaged(tmp_path, metadata):
    path = export(tmp_path / "m.onnx", json.dumps(metadata))
    assert refused(path) == f"the metadata of '{path}' are damaged: export the run again."


def test_a_file_whose_metadata_are_no_json(tmp_path):
    path = export(tmp_path / "m.onnx", "{")
    assert refused(path) == f"the metadata of '{path}' are damaged: export the run again."


def test_a_file_of_which_not_every_input_names_its_picture(tmp_path):
    entries = [TWO["inputs"][0], TWO["inputs"][1] | {"picture": None}]
    path = export(tmp_path / "m.onnx", TWO | {"inputs": entries})
    assert refused(path) == f"the metadata of '{path}' are damaged: export the run again."


def test_a_file_whose_labels_are_not_unique(tmp_path):
    path = export(tmp_path / "m.onnx", ABOUT | {"labels": ["red", "green", "red"]})
    assert refused(path) == f"the metadata of '{path}' have the label 'red' twice: export the run again."


def test_a_file_of_a_newer_format(tmp_path):
    path = export(tmp_path / "m.onnx", {"format": FILE_FORMAT + 1, "classes": []})
    assert refused(path) == (
        f"'{path}' has format {FILE_FORMAT + 1}, and topwork {VERSION} reads up to {FILE_FORMAT}: "
        "pip install --upgrade topwork."
    )


@pytest.mark.parametrize(
    "changed",
    [{"rule": "pillow-2/12x16/squash/bilinear"}, {"size": [12, 17]}, {"fit": "stretch"}, {"resample": "cubic"}],
)
def test_a_file_with_a_rule_of_resizing_that_is_not_ours(tmp_path, changed):
    entry = ENTRY | changed
    path = export(tmp_path / "m.onnx", ABOUT | {"inputs": [entry]})
    assert refused(path) == (
        f"'{path}' resizes pictures by the rule '{entry['rule']}', which topwork {VERSION} does not know: "
        "pip install --upgrade topwork, or export the run again."
    )
