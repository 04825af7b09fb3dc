"""Every format: a file answers as the run does, runs without topwork's code, and a planted fault is refused."""

import json
import resource
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import keras
import numpy as np
import pytest

import topwork as tw
from tests.exports import answers
from tests.inference import outputs
from tests.pages import fake_runtime
from tests.tiny import tiny
from topwork.data.pictures import Fit, decode, whole
from topwork.errors import ExportError
from topwork.networks.halves import rebuild
from topwork.shipping import export as exports
from topwork.shipping.checking.gate import compared
from topwork.shipping.formats.known import FORMATS

NAMES = [one.name for one in FORMATS]
PRECISE = [(one.name, precision) for one in FORMATS for precision in one.precisions]


ROUGH = ("onnx", "int8"), ("page", "int8")
"""The tiny network has few channels, so that bits matter more; real networks pass (test_real_files.py)."""


def name_of(kind, precision="float32"):
    suffix = next(one.suffix for one in FORMATS if one.name == kind)
    return f"{kind}-{precision}{suffix}"


@pytest.fixture(scope="module", autouse=True)
def runtime():
    with fake_runtime():
        yield


@pytest.fixture(scope="module")
def run(pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("formats") / "run"
    return tw.train(pictures, phases=[tw.Phase("tiny@pool", epochs=5)], backbones=[tiny()], out=out, progress=False)


@pytest.fixture(scope="module")
def files(run, tmp_path_factory):
    """Return a function that returns the run's file of a format."""
    folder = tmp_path_factory.mktemp("files")

    def file(kind, precision="float32"):
        path = folder / name_of(kind, precision)
        if not path.exists():
            run.export(path, precision=precision, force=(kind, precision) in ROUGH, progress=False)
        return path

    return file


@pytest.fixture
def sources(run):
    return [Path(run.data.root, row.path) for row in run.data.part("test")]


@pytest.mark.parametrize(("kind", "precision"), PRECISE)
def test_a_file_answers_as_the_run_does(run, files, sources, kind, precision):
    path = files(kind, precision)
    expected = outputs(run.model(), np.stack([decode(source, Fit((32, 32))) for source in sources]))
    found = answers(path, sources)
    assert expected.std(0).max() > 1e-2, "the answers do not differ between pictures"
    assert np.abs(found - expected).max() <= {"float32": 1e-4, "float16": 0.03, "int8": 0.5}[precision]
    assert np.mean(found.argmax(1) == expected.argmax(1)) >= (0.9 if (kind, precision) in ROUGH else 0.98)
    np.testing.assert_allclose(found.sum(1), 1, atol=0.02)
    about = tw.Predictor(path).about
    assert (about["kind"], about["precision"], about["labels"]) == (kind, precision, ["blue", "green", "red"])
    assert about["training"]["pictures"] == len(run.data.part("train"))


@pytest.mark.parametrize("kind", ["graphdef", "litert"])
def test_a_file_is_read_by_its_runtime_alone(files, sources, kind, tmp_path):
    """topwork is not imported: the third article's frozen graph, and a file for phones."""
    code = {
        "graphdef": """
import tensorflow as tf
graph = tf.compat.v1.GraphDef.FromString(open(file, "rb").read())
whole = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
call = whole.prune(whole.graph.get_tensor_by_name("pixels:0"), whole.graph.get_tensor_by_name("probabilities:0"))
found = call(tf.constant(pixels)).numpy()
""",
        "litert": """
from ai_edge_litert.interpreter import Interpreter
found = Interpreter(file).get_signature_runner()(pixels=pixels)["probabilities"]
""",
    }[kind]
    pixels = np.stack([decode(source, Fit((32, 32))) for source in sources])
    np.save(tmp_path / "pixels.npy", pixels)
    given, made = tmp_path / "pixels.npy", tmp_path / "found.npy"
    start = f"import sys, numpy as np\nfile = {str(files(kind))!r}\npixels = np.load({str(given)!r})\n"
    end = f"np.save({str(made)!r}, found)\nprint('topwork' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", start + code + end], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
    np.testing.assert_allclose(np.load(made), answers(files(kind), sources), atol=1e-5)


FAULTS = ["scale", "channels", "a layer", "labels", "resize", "antialiasing"]


def faulty(model, fault):
    """Return the model with a fault: another scale, channels in reverse order, or a layer left out."""

    def call(operation, args, kwargs):
        if fault == "a layer" and operation.name == "block_13_expand_relu":
            return args[0]
        if operation.name != "rescaling":
            return operation(*args, **kwargs)
        turned = keras.ops.flip(args[0], axis=-1) if fault == "channels" else args[0]
        return keras.layers.Rescaling(1 / 100 if fault == "scale" else 1 / 127.5, -1.0, name="rescaling")(turned)

    return rebuild(model, call)


def judged(expected, found, truth, precision):
    return compared({"probabilities": expected}, {"probabilities": found}, truth, precision).problem


def bilinear(source, fit, _):
    """Read a picture, and scale it down as OpenCV does: from the four nearest pixels, without antialiasing."""
    picture = whole(source).astype(float)
    original = picture.shape[1], picture.shape[0]
    for axis, size in enumerate(fit.size):
        places = (np.arange(size) + 0.5) * picture.shape[axis] / size - 0.5
        low = np.clip(np.floor(places).astype(int), 0, picture.shape[axis] - 2)
        share = np.clip(places - low, 0, 1).reshape([-1 if n == axis else 1 for n in range(3)])
        picture = np.take(picture, low, axis) * (1 - share) + np.take(picture, low + 1, axis) * share
    return picture.round().astype(np.uint8), original


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["onnx", *(pytest.param(kind, marks=pytest.mark.full) for kind in NAMES[1:])])
def test_a_planted_fault_is_refused(run, tmp_path, monkeypatch, kind, fault):
    """The file is made with the fault, and the gate compares it with the model; nothing is left behind."""
    module = import_module(f"topwork.shipping.formats.{kind}")
    write, attach = module.write, exports.metadata.attach

    def attached(found, path, about):
        entry = dict(about["inputs"][0])
        if fault == "labels":
            about = about | {"labels": about["labels"][::-1]}
        elif fault == "resize":
            entry |= {"resample": "nearest", "rule": "pillow-1/32x32/squash/nearest"}
        attach(found, path, about | {"inputs": [entry]})

    monkeypatch.setattr(module, "write", lambda model, path, how: write(faulty(model, fault), path, how))
    monkeypatch.setattr(exports.metadata, "attach", attached)
    if fault == "antialiasing":
        monkeypatch.setattr("topwork.shipping.predictor.glance", bilinear)
    with pytest.raises(ExportError, match="does not answer as the model does and was not kept"):
        run.export(tmp_path / name_of(kind), progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_kept_by_force_is_marked_and_says_so(run, tmp_path, monkeypatch, capsys, sources):
    monkeypatch.setattr("topwork.shipping.checking.gate.BOUND", -1.0)
    predictor = run.export(tmp_path / "forced.onnx", force=True, progress=False)
    assert "a probability differs by" in predictor.about["forced"]
    assert json.loads((run.path / "exports.jsonl").read_text().splitlines()[-1])["forced"] is True
    from tests.command import topwork

    assert "exported with --force" in topwork("predict", tmp_path / "forced.onnx", sources[0]).err


@pytest.fixture
def small_disk():
    """Let this process write no file above 20,000 bytes, as on a disk that is full or a quota that is used up."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "kind", ["onnx", "openvino", *(pytest.param(kind, marks=pytest.mark.full) for kind in NAMES[2:])]
)
def test_a_file_that_cannot_be_written_whole_leaves_nothing(run, tmp_path, small_disk, kind):
    with pytest.raises((OSError, ExportError), match=r"File too large|iostream error"):
        run.export(tmp_path / name_of(kind), progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["openvino", "savedmodel"])
def test_a_file_without_its_metadata_is_refused_and_names_them(files, tmp_path, kind):
    original = files(kind)
    path = tmp_path / original.name
    shutil.copytree(original, path) if original.is_dir() else shutil.copy(original, path)
    about = path / "topwork.json" if path.is_dir() else path.with_name(f"{path.name}.json")
    about.unlink(missing_ok=True)
    with pytest.raises(ExportError) as error:
        tw.Predictor(path)
    assert str(error.value) == (
        f"'{path}' needs '{about}', which has its labels and resize rule and cannot be read (No such file or "
        "directory). Keep both files together, under the same name, or export the run again."
    )


def test_fewer_bits_may_change_one_answer_of_few_and_two_percent_of_many():
    def judged_of(count, changed):
        expected = np.tile([0.9, 0.1], (count, 1))
        found = expected.copy()
        found[:changed] = found[:changed, ::-1]
        return judged(expected, found, [None] * count, "int8")

    assert (judged_of(20, 1), judged_of(200, 4)) == ("", "")
    assert judged_of(20, 2) == "on 20 pictures, 2 of the answers are another class"
    assert judged_of(200, 5) == "on 200 pictures, 5 of the answers are another class"


def said(changes=(), precision="float32", count=20):
    """Return what the gate says of a file whose outputs are those of the model, but for *changes*."""
    draw = np.random.default_rng(0)
    expected = {"probabilities": np.tile([0.9, 0.1], (count, 1)), "distance": np.linspace(-2, 2, count)}
    expected["map"] = draw.normal(size=(count, 2, 2, 2))
    found = {name: np.array(values) for name, values in expected.items()}
    for name, change in dict(changes).items():
        found[name] = change(found[name]) if change else None
    found = {name: values for name, values in found.items() if values is not None}
    return compared(expected, found, [None] * count, precision, threshold=1.0)


def test_the_distance_and_the_map_are_compared():
    fine = said()
    assert (fine.problem, fine.known) == ("", 20)
    assert (
        "the output 'distance' differs by 0.01 of its largest value" in said({"distance": lambda x: x + 0.02}).problem
    )
    assert "the output 'map' differs by" in said({"map": lambda x: x * 1.01}).problem
    assert said({"distance": lambda x: x * (1 + 5e-4)}).problem == ""
    for precision in ("float32", "int8"):
        assert "the output 'distance' is missing" in said({"distance": None}, precision).problem
        for name in ("probabilities", "distance", "map"):
            assert (
                f"some values of the output '{name}' are no numbers"
                in said({name: lambda x: np.where(x == x.flat[0], np.nan, x)}, precision).problem
            )
    assert "the output 'map' is missing" in said({"map": None}).problem
    assert said({"map": None}, "int8").problem == ""


def test_in_fewer_bits_the_same_pictures_are_known():
    far = said({"distance": lambda x: x + 0.5}, "int8")
    assert far.known == 17
    assert far.problem == "on 20 pictures, 3 of the pictures are known to one and unknown to the other"
    assert said({"distance": lambda x: x + 0.1}, "int8").problem == ""


def test_a_file_that_is_significantly_worse_is_refused_though_most_answers_agree():
    expected = np.tile([0.9, 0.1], (1000, 1))
    found = expected.copy()
    found[:10] = found[:10, ::-1]
    problem = judged(expected, found, [0] * 1000, "float16")
    assert problem == "on 1,000 pictures, on the test pictures, its accuracy is 0.990 instead of 1.000"
