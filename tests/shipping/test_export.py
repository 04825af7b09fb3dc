"""Law 5: the exported file gives the model's answers for the same picture files; otherwise it is not written."""

import json
import random
import shutil
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import onnx
import pytest

import topwork as tw
from tests.command import topwork
from tests.conftest import COLOURS, picture
from tests.exports import parity, write_onnx
from tests.inference import outputs
from tests.tiny import tiny
from topwork.data.pictures import Fit, decode
from topwork.errors import ExportError, MissingExtra, UsageError
from topwork.recipes.settings import Backbone
from topwork.shipping import export as exports
from topwork.shipping import exported
from topwork.shipping.checking.gate import BOUND
from topwork.shipping.formats.known import FORMATS
from topwork.shipping.metadata import Input, seal

SMALL = "tiny@block_2_add..block_2_add"
SUM = f"{SMALL} + mobilenet_025@conv_pw_2_relu..conv_pw_2_relu"


@pytest.fixture(scope="module")
def run(pictures, tmp_path_factory):
    return tw.train(
        pictures,
        phases=[tw.Phase("tiny@pool", epochs=5)],
        backbones=[tiny()],
        out=tmp_path_factory.mktemp("runs") / "run",
    )


@pytest.fixture(scope="module")
def file(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "colours.onnx"
    run.export(path)
    return path


def test_the_file_is_as_the_design_describes_it(run, file):
    model = onnx.load(file)
    onnx.checker.check_model(model)
    (given,), made = model.graph.input, model.graph.output
    assert (given.name, given.type.tensor_type.elem_type) == ("pixels", onnx.TensorProto.UINT8)
    assert sorted(one.name for one in made) == ["distance", "map", "probabilities"]
    assert {one.type.tensor_type.elem_type for one in made} == {onnx.TensorProto.FLOAT}
    assert {one.type.tensor_type.shape.dim[0].dim_param for one in made} == {"batch"}
    (entry,) = model.metadata_props
    about = json.loads(entry.value)
    assert entry.key == "topwork"
    assert about["labels"] == ["blue", "green", "red"]
    assert about["inputs"] == [Input("pixels", None, Fit((32, 32))).as_json()]
    assert about["cut"] == "tiny@pool"
    distance = run.folder.distance()
    assert about["distance"] == {"threshold": distance.threshold, "accepted": distance.accepted}
    assert about["backbones"]["tiny"]["licence"] == "your own"
    assert about["scores"]["accuracy"] == run.results.accuracy.as_json()


def test_it_answers_as_the_run_does(run, file):
    rows = run.data.part("test")
    guesses = list(tw.Predictor(file)([Path(run.data.root, row.path) for row in rows]))
    right = np.mean([guess.label == row.label for guess, row in zip(guesses, rows, strict=True)])
    assert right == pytest.approx(run.results.accuracy.value)


def test_a_run_answers_without_a_file_as_its_file_does(run, file, pictures):
    paths = sorted(pictures.rglob("*.png"))
    ours, theirs = run.predict(paths), list(tw.Predictor(file)(paths))
    assert [one.path for one in ours] == [str(path) for path in paths]
    found = np.array([list(one.probabilities.values()) for one in ours])
    expected = np.array([list(one.probabilities.values()) for one in theirs])
    assert expected.std(0).max() > 1e-2, "the answers do not differ between pictures"
    np.testing.assert_allclose(found, expected, atol=BOUND)
    assert [one.label for one in run.predict(pictures)] == [one.label for one in ours]
    assert run.predict([b"no picture"])[0].error


def test_a_run_stands_for_its_newest_file(run, file, tmp_path, pictures):
    path = str(next(pictures.rglob("*.png")))
    run.export(tmp_path / "second.onnx")
    assert exported.best(run.path) == tmp_path / "second.onnx"
    ran = topwork("predict", run.path, path, "--json")
    assert ran.out == topwork("predict", tmp_path / "second.onnx", path, "--json").out
    (tmp_path / "second.onnx").write_bytes(b"changed")
    assert exported.best(run.path) == file
    (tmp_path / "second.onnx").unlink()
    assert tw.Predictor(run.path).labels == tw.Predictor(file).labels


@pytest.mark.parametrize(
    ("name", "words", "told"),
    [
        ("x.h5", {}, "'{}' has no suffix of a known format: expected .onnx (onnx), .xml (openvino), "),
        ("x.onnx", {"format": "onx"}, "there is no format 'onx': expected onnx, openvino, savedmodel, graphdef, "),
        ("x.pb", {"format": "onnx"}, "'{}' is to be written as onnx: give it a name that ends in '.onnx'."),
        ("x.pb", {"format": "savedmodel"}, "'{}' is to be written as savedmodel, a folder: give it a name without "),
        ("X.KERAS", {}, "'{}' is to be written as keras: give it a name that ends in '.keras'."),
        ("x.pb", {"precision": "int8"}, "graphdef has no int8: expected float32; it is in onnx, litert, page."),
        (
            "x.xml",
            {"precision": "int8"},
            "openvino has no int8: expected float32 or float16; it is in onnx, litert",
        ),
        ("x.onnx", {"runtime": "."}, "runtime= is for pages (.html): onnx has none inside."),
    ],
)
def test_the_format_is_that_of_the_name_and_has_the_precision(run, tmp_path, monkeypatch, name, words, told):
    monkeypatch.setattr("topwork.shipping.export.restore", lambda _: pytest.fail("computed before it was refused"))
    with pytest.raises(UsageError) as error:
        run.export(tmp_path / name, **words)
    assert str(error.value).startswith(told.format(tmp_path / name))


def test_what_is_not_installed_is_named_before_anything_is_computed(run, tmp_path, monkeypatch):
    monkeypatch.setattr("topwork.shipping.export.restore", lambda _: pytest.fail("computed before it was refused"))
    monkeypatch.setattr("topwork.shipping.formats.known.find_spec", lambda name: name != "ai_edge_litert")
    with pytest.raises(MissingExtra) as error:
        run.export(tmp_path / "x.tflite")
    assert str(error.value) == (
        'writing litert needs ai_edge_litert, which is not installed. Install it with: pip install "topwork[litert]".'
    )


@pytest.mark.parametrize("name", ["x.onnx", "x.xml", "x.keras"])
def test_no_other_backend_needs_tensorflow(run, tmp_path, monkeypatch, name):
    """Keras on torch exports to ONNX by itself."""
    monkeypatch.setattr("topwork.shipping.formats.onnx.keras_backend", SimpleNamespace(name=lambda: "torch"))
    for module in ("known", "onnx"):
        monkeypatch.setattr(
            f"topwork.shipping.formats.{module}.find_spec", lambda name: name not in ("tensorflow", "tf2onnx")
        )
    monkeypatch.setattr("topwork.shipping.export.restore", lambda *_: pytest.fail("reached"))
    with pytest.raises(pytest.fail.Exception, match="reached"):
        run.export(tmp_path / name)


def test_a_file_is_never_overwritten(run, file):
    before = file.read_bytes()
    with pytest.raises(ExportError) as error:
        run.export(file)
    assert (
        str(error.value) == f"{str(file)!r} exists already and is not overwritten. Choose another name, or remove it."
    )
    assert file.read_bytes() == before


def test_evaluating_and_exporting_leave_the_users_random_generators_as_they_were(run, tmp_path):
    import tensorflow as tf

    def drawn():
        return random.random(), np.random.random(), float(tf.random.uniform(()))

    def seeded():
        random.seed(5)
        np.random.seed(5)
        tf.random.set_seed(5)

    seeded()
    expected = [drawn(), drawn()]
    seeded()
    first = drawn()
    run.evaluate("val")
    run.model()
    run.export(tmp_path / "again.onnx")
    assert [first, drawn()] == expected


def planted(model, fault):
    """Return the same model with a fault at its start: another scale, or the channels in reverse order."""
    from topwork.networks.halves import rebuild

    def call(operation, args, kwargs):
        if operation.name != "rescaling":
            return operation(*args, **kwargs)
        turned = keras.ops.flip(args[0], axis=-1) if fault == "channels" else args[0]
        scale = keras.layers.Rescaling(1 / 128 if fault == "scale" else 1 / 127.5, -1.0, name="rescaling")
        return scale(turned)

    return rebuild(model, call)


@pytest.mark.parametrize(
    "fault", [pytest.param("scale", marks=pytest.mark.full), "channels", pytest.param("resize", marks=pytest.mark.full)]
)
def test_a_planted_fault_is_refused(run, file, tmp_path, fault):
    model = run.model()
    about = json.loads(onnx.load(file).metadata_props[0].value)
    del about["files"], about["seal"]
    if fault == "resize":
        about["inputs"] = [Input("pixels", None, Fit((32, 32), resample="nearest")).as_json()]
    about["seal"] = seal(about)
    write_onnx(model if fault == "resize" else planted(model, fault), tmp_path / "faulty.onnx", about)
    rows = run.data.part("test")
    sources = [Path(run.data.root, row.path) for row in rows]
    expected = outputs(model, np.stack([decode(s, Fit((32, 32))) for s in sources]))
    problem = parity(expected, tmp_path / "faulty.onnx", sources).problem
    assert problem.startswith(f"on {len(sources)} pictures, a probability differs by ")


def test_companions_are_there_together_or_not_at_all(run, tmp_path, monkeypatch):
    """An IR is three files. If one of them cannot be moved to its place, or is there by now, none stays."""
    replace = Path.replace

    def fails(path, target):
        if Path(target).suffix == ".json":
            raise OSError(5, "Input/output error")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="Input/output error"):
        run.export(tmp_path / "m.xml", progress=False)
    monkeypatch.setattr(Path, "replace", replace)
    assert list(tmp_path.iterdir()) == []

    attach = exports.metadata.attach

    def meanwhile(*words):
        (tmp_path / "m.bin").write_text("another export's")
        attach(*words)

    monkeypatch.setattr(exports.metadata, "attach", meanwhile)
    with pytest.raises(ExportError, match=r"m.bin' exists already and is not overwritten"):
        run.export(tmp_path / "m.xml", progress=False)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("m.bin", "another export's")]


def test_a_link_to_nothing_is_not_replaced(run, tmp_path):
    (tmp_path / "m.onnx").symlink_to(tmp_path / "gone")
    with pytest.raises(ExportError, match="exists already"):
        run.export(tmp_path / "m.onnx")


def test_a_refused_file_leaves_nothing_behind(run, tmp_path, monkeypatch):
    monkeypatch.setattr("topwork.shipping.checking.gate.BOUND", -1.0)
    with pytest.raises(ExportError):
        run.export(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_pictures_must_be_where_they_were(tmp_path, pictures):
    data = shutil.copytree(pictures, tmp_path / "data")
    run = tw.train(
        data,
        phases=[tw.Phase("tiny@pool", epochs=1)],
        backbones=[tiny()],
        out=tmp_path / "run",
    )
    shutil.rmtree(data)
    with pytest.raises(tw.TopworkError) as error:
        run.export(tmp_path / "model.onnx")
    assert str(error.value).startswith(
        f"no picture of the run is where it was ({data}): the file is checked on real pictures before it is written. "
    )
    assert str(error.value).endswith("say where they are: run.export(FILE, data=NEWPLACE)")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Write a CSV file with 48 rows, in which the colours of ``front`` and ``side`` together are the class."""
    folder = tmp_path_factory.mktemp("pairs")
    lines = ["front,side,label"]
    for i in range(48):
        front, side = ("blue", "red")[i // 2 % 2], ("blue", "red")[i % 2]
        picture(COLOURS[front], 2 * i).save(folder / f"{i}-front.png")
        picture(COLOURS[side], 2 * i + 1).save(folder / f"{i}-side.png")
        lines.append(f"{i}-front.png,{i}-side.png,{front} {side}")
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n")
    return folder / "pairs.csv"


@pytest.mark.full
@pytest.mark.parametrize("first", ["[front]", ""], ids=["named", "unnamed"])
def test_several_pictures_a_row_are_several_inputs(pairs, tmp_path, first):
    run = tw.train(
        pairs,
        phases=[tw.Phase(f"{SMALL}{first} + {SMALL}[side]", epochs=4, learning_rate=1e-2)],
        backbones=[tiny()],
        out=tmp_path / "run",
    )
    predictor = run.export(tmp_path / "pairs.onnx")
    fit = Fit((32, 32))
    assert predictor.inputs == (Input("pixels_1", "front", fit), Input("pixels_2", "side", fit))
    ran = topwork("predict", tmp_path / "pairs.onnx", pairs, "--json")
    answered = [list(json.loads(line)["probabilities"].values()) for line in ran.out.splitlines()]
    pixels = [
        np.stack([decode(pairs.parent / f"{i}-{name}.png", fit) for i in range(48)]) for name in ("front", "side")
    ]
    expected = outputs(run.model(), pixels)
    assert expected.std(0).max() > 1e-2, "the answers do not differ between rows"
    np.testing.assert_allclose(answered, expected, atol=BOUND)
    assert np.abs(outputs(run.model(), pixels[::-1]) - expected).max() > 100 * BOUND  # the order matters


@pytest.mark.full
def test_every_format_has_several_inputs(pairs, tmp_path):
    """The gate compares each file with the run, from the files of both pictures."""
    run = tw.train(
        pairs,
        phases=[tw.Phase(f"{SMALL}[front] + {SMALL}[side]", epochs=4, learning_rate=1e-2)],
        backbones=[tiny()],
        out=tmp_path / "run",
    )
    made = run.export_all(tmp_path / "all", progress=False)
    assert {one.kind: one.problem for one in made if one.precision != "int8"} == {one.name: "" for one in FORMATS[:-1]}
    for one in made:
        if one.parity:
            assert tw.Predictor(one.path).columns == ("front", "side")
        else:
            assert "does not answer as the model does" in one.problem


@pytest.mark.full
def test_backbones_of_two_sizes_are_two_inputs_of_one_picture(pictures, tmp_path):
    run = tw.train(
        pictures,
        phases=[tw.Phase(SUM, epochs=2, learning_rate=1e-2)],
        backbones=[tiny(), Backbone("mobilenet_025", "random", 48)],
        out=tmp_path / "run",
    )
    predictor = run.export(tmp_path / "sum.onnx")
    assert predictor.inputs == (Input("pixels_1", None, Fit((32, 32))), Input("pixels_2", None, Fit((48, 48))))
    assert predictor.about["backbones"]["mobilenet_025"]["licence"] == "Apache-2.0"
    ran = topwork("predict", tmp_path / "sum.onnx", pictures, "--json")
    guesses = [json.loads(line) for line in ran.out.splitlines()]
    pixels = [np.stack([decode(guess["path"], one.fit) for guess in guesses]) for one in predictor.inputs]
    expected = outputs(run.model(), pixels)
    assert expected.std(0).max() > 1e-2, "the answers do not differ between pictures"
    np.testing.assert_allclose([list(guess["probabilities"].values()) for guess in guesses], expected, atol=BOUND)


@pytest.mark.full
def test_several_places_of_one_backbone_are_one_input(pictures, tmp_path):
    cut = "tiny@block_2_add..block_2_add + tiny@block_12_add..block_12_add"
    run = tw.train(
        pictures, phases=[tw.Phase(cut, epochs=2, learning_rate=1e-2)], backbones=[tiny()], out=tmp_path / "run"
    )
    predictor = run.export(tmp_path / "places.onnx")
    assert predictor.inputs == (Input("pixels", None, Fit((32, 32))),)
    guesses = list(predictor(sorted(pictures.rglob("*.png"))))
    expected = outputs(run.model(), np.stack([decode(guess.path, Fit((32, 32))) for guess in guesses]))
    assert expected.std(0).max() > 1e-2, "the answers do not differ between pictures"
    np.testing.assert_allclose([list(guess.probabilities.values()) for guess in guesses], expected, atol=BOUND)


def test_a_row_whose_second_picture_is_broken_is_left_out(pairs, tmp_path, capsys):
    folder = shutil.copytree(pairs.parent, tmp_path / "pairs")
    broken = folder / "5-side.png"
    broken.write_bytes(broken.read_bytes()[:60])
    phases = [tw.Phase(f"{SMALL}[front] + {SMALL}[side]", epochs=1)]
    run = tw.train(folder / "pairs.csv", phases=phases, backbones=[tiny()], out=tmp_path / "run")
    (gone,) = run.data.left_out
    assert gone.path == "5-front.png" and gone.reason.startswith("the picture 'side' ('5-side.png'): ")
    assert f"Skipped: {gone.path}: {gone.reason}" in capsys.readouterr().err.splitlines()
    assert len(run.data.rows) == 47
