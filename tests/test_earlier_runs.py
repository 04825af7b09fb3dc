"""What topwork wrote at 9864c83 is still read correctly: a finished run, an unfinished one, and their store.

``fixtures/format_1`` holds the network (`tests.tiny`) and the data, 120 drawn pictures of 12 classes, 0 to 11:

    run               a finished run, from before the order of classes was saved
    unfinished        a run on two views that was stopped
    home              what the unfinished run left in TOPWORK_HOME: three stores, and the network's graph
    activations.npz   what the code at that commit read from these stores

The unfinished run was made in a copy of the folder, with ``recipe.toml`` as in ``unfinished`` but
``model = "tiny.keras"``, and stopped with Ctrl-C in its second phase, after epoch 3:

    git worktree add old 9864c83
    PYTHONPATH=old TOPWORK_HOME=home python -m topwork train data.npz --recipe recipe.toml --out unfinished

With the same two variables, `activations.npz` was then written:

    import numpy, topwork
    from topwork.plan import steps

    run, found = topwork.Run("unfinished"), {}

    def read(name, wanted, rows, view=0):
        with wanted.store() as store:
            found[name] = store.read([wanted.key(wanted.shots_of(row)[view]) for row in rows])[0]

    pool, add = (step.of(run.data).wanted[0] for step in steps(run.recipe))
    for name, wanted in (("pool", pool), ("block_14_add", add)):
        read(f"{name}_0", wanted, run.data.rows)
        read(f"{name}_1", wanted, run.data.part("train"), 1)
    test = run.data.part("test")
    read("block_14_add_exact", steps(run.recipe)[-1].exact(test)[0], test)
    numpy.savez_compressed("activations.npz", **found)

``runs``, ``trunks`` and each ``lock.mdb`` were removed from ``home``. In the runs, FIXTURE replaces the folder's path,
and other words replace what identifies the machine. Everything else is as that commit wrote it.
"""

import csv
import json
import shutil
from hashlib import sha256

import numpy as np
import pytest

import topwork as tw
from tests import PROJECT
from tests.command import topwork
from tests.inference import outputs
from topwork.data import pictures
from topwork.errors import RunError
from topwork.runs.resume import with_arrays
from topwork.store.engines.local import Extraction
from topwork.store.extract import fill_all
from topwork.training.trainer import requests

FIXTURE = PROJECT / "tests" / "fixtures" / "format_1"
BY_TEXT = ("0", "1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9")
WITH_PATHS = ("environment.json", "pretrained.json", "recipe.toml")
BOUND = 1e-5
"""The bound of law 1."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("earlier") / "all"
    shutil.copytree(FIXTURE, folder)
    for path in [folder / run / name for run in ("run", "unfinished") for name in WITH_PATHS]:
        path.write_text(path.read_text(encoding="utf-8").replace("FIXTURE", str(folder)), encoding="utf-8")
    return tw.Run(folder / "run")


@pytest.fixture
def unfinished(run, tmp_path):
    shutil.copytree(run.path.parent / "unfinished", tmp_path / "unfinished")
    return tw.Run(tmp_path / "unfinished")


@pytest.fixture
def earlier_home(own_home):
    shutil.copytree(FIXTURE / "home", own_home)
    return own_home


@pytest.fixture(scope="module")
def activations():
    """Return what 9864c83 read from its stores, by name."""
    with np.load(FIXTURE / "activations.npz") as file:
        return dict(file)


def requested(unfinished):
    """Return the data of the unfinished run, with its pixels, and all its requests to the store."""
    data = with_arrays(unfinished.folder, unfinished.data)
    return data, requests(unfinished.folder, unfinished.recipe, data)


def read(unfinished):
    """Return what today's code reads from the store, named as in ``activations.npz``."""
    data, (pool, add, exact) = requested(unfinished)
    train, test = data.part("train"), data.part("test")
    return {
        "pool_0": rows_of(pool, data.rows),
        "pool_1": rows_of(pool, train, 1),
        "block_14_add_0": rows_of(add, data.rows),
        "block_14_add_1": rows_of(add, train, 1),
        "block_14_add_exact": rows_of(exact, test),
    }


def rows_of(request, rows, view=0):
    with request.store() as store:
        return store.read([request.key(request.shots_of(row)[view]) for row in rows])[0]


def beyond(found, expected):
    """Return the largest difference relative to the largest value; float16 values may also differ in their last bit."""
    rounding = np.spacing(np.abs(expected)).astype("float32") if expected.dtype == np.float16 else 0
    found, expected = found.astype("float32"), expected.astype("float32")
    return (np.abs(found - expected) - rounding).max() / np.abs(expected).max()


def test_a_run_without_a_class_order_keeps_that_of_text(run):
    assert run.data.classes == BY_TEXT
    assert tw.read(run.path.parent / "data.npz").classes == tuple(map(str, range(12)))


def test_an_earlier_run_scores_the_same(run):
    found = run.evaluate("test")
    assert found.accuracy == run.results.accuracy
    assert found.loss.value == pytest.approx(run.results.test.loss.value, abs=1e-5)
    assert found.confusion == run.results.test.confusion


def test_the_files_of_an_earlier_run_would_be_written_again_as_they_are(run):
    written = (run.path / "results.json").read_text(encoding="utf-8")
    assert json.dumps(run.results.as_json(), indent=1, ensure_ascii=False) + "\n" == written
    lines = (run.path / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.dumps(line.as_json()) for line in run.journal] == lines


def test_the_model_of_an_earlier_run_answers_in_the_order_that_it_was_trained_in(run):
    pixels = dict(zip((f"X[{i}]" for i in range(120)), np.load(run.path.parent / "data.npz")["X"]))
    with (run.path / "predictions.csv").open(encoding="utf-8") as file:
        first, *_ = csv.DictReader(file)
    picture = pictures.fit_array(pixels[first["path"]], pictures.Fit((32, 32)))
    said = outputs(run.model(), picture[None])[0]
    np.testing.assert_allclose(said, [float(first[label]) for label in BY_TEXT], atol=1e-4)


def test_the_recipe_of_an_earlier_run_is_read_under_todays_names(run):
    (phase,) = run.recipe.phases
    text = (run.path / "recipe.toml").read_text(encoding="utf-8")
    assert f"rate = {phase.learning_rate}\n" in text
    assert f"batch = {phase.batch_size}\n" in text


def test_an_unfinished_earlier_run_is_refused_with_the_reason(unfinished):
    before = content(unfinished.path)
    with pytest.raises(RunError) as error:
        unfinished.resume()
    assert "has format 1 and is not finished. This topwork resumes runs of format 2 only: it draws and" in str(
        error.value
    )
    file = unfinished.path / "recipe.toml"
    told, way = str(error.value).split("from the beginning: ")
    assert way == f"topwork.train(DATA, recipe=topwork.Recipe.load('{file}'))"
    said = topwork("train", "--resume", unfinished.path)
    assert (said.status, said.out) == (1, "")
    assert said.err == f"RunError: {told}from the beginning: topwork train DATA --recipe {file}\n"
    assert content(unfinished.path) == before


@pytest.mark.full
def test_the_advice_works_and_computes_nothing_again(unfinished, run, earlier_home):
    data, out = run.path.parent / "data.npz", unfinished.path.with_name("again")
    words = ("--recipe", unfinished.path / "recipe.toml", "--epochs", 1, "--epochs", 1, "--out", out)
    said = topwork("train", data, *words)
    assert said.status == 0, said.err
    assert "trunk" not in said.err
    assert not (earlier_home / "trunks").exists()
    assert {line.phase for line in tw.Run(out).journal} == {1, 2}


def test_what_an_earlier_topwork_stored_is_not_computed_again(unfinished, run, earlier_home):
    _, fills = requested(unfinished)
    assert [(str(one.term), len(one.shots)) for one in fills] == [
        ("tiny@pool", 168),
        ("tiny@block_14_add", 168),
        ("tiny@block_14_add", 60),
    ]
    assert [one.missing() for one in fills] == [[], [], []]
    events = []
    with Extraction(fills, lambda event, **_: events.append(event)) as extraction:
        extraction.wait_all(range(3))
    assert "plan" not in events
    backbone = unfinished.recipe.backbones["tiny"]
    for cut in ("tiny@pool", "tiny@block_14_add"):
        tw.activations(run.path.parent / "data.npz", cut, backbone=backbone)
    assert not (earlier_home / "trunks").exists(), "a trunk was made ready to run"
    assert stores(earlier_home) == stores(FIXTURE / "home")


def test_what_an_earlier_topwork_stored_is_read_as_it_was(unfinished, activations, earlier_home):
    found = read(unfinished)
    assert found.keys() == activations.keys()
    for name, expected in activations.items():
        assert expected.astype("float32").std(0).max() > 0.1, "pictures must differ"
        assert found[name].dtype == expected.dtype
        np.testing.assert_array_equal(found[name], expected, err_msg=name)


def test_what_an_earlier_topwork_stored_is_what_the_trunk_gives_today(unfinished, activations, own_home):
    _, fills = requested(unfinished)
    fill_all(fills)
    assert stores(own_home) == stores(FIXTURE / "home")
    found = read(unfinished)
    for name, expected in activations.items():
        assert beyond(found[name], expected) <= BOUND, name
        assert beyond(found[name][::-1], expected) > 0.1, "it must show where rows are swapped"


def stores(home):
    return sorted(path.name for path in (home / "store").iterdir())


def content(folder):
    """Return the path and the SHA-256 of every file."""
    return {path: sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}
