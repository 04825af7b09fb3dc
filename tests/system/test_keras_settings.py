"""A user's Keras settings change no result, and topwork restores each of them afterwards."""

import inspect
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.backend.common import global_state

import topwork as tw
from tests import answers, tiny
from tests.command import topwork
from topwork.errors import UsageError
from topwork.system.keras_settings import OURS, ours
from topwork.training.iteration.callbacks import under_their_settings

STRANGE = {
    "floatx": "float16",
    "epsilon": 0.25,
    "image_data_format": "channels_first",
    "max_epochs": 1,
    "max_steps_per_epoch": 1,
}


def in_force():
    """Return Keras' settings, including the dtype policy."""
    return {name: getattr(keras.config, name)() for name in OURS} | {"policy": keras.config.dtype_policy().name}


def put(settings, policy=None):
    for name, value in settings.items():
        getattr(keras.config, f"set_{name}")(value)
    global_state.set_global_attribute("dtype_policy", policy and keras.DTypePolicy(policy))


@pytest.fixture(autouse=True)
def restored():
    yield
    put(OURS)


@pytest.fixture
def strange():
    """Simulate a script that changed every setting."""
    put(STRANGE, "mixed_bfloat16")
    return in_force()


def test_ours_hold_within_and_theirs_afterwards(strange):
    with ours():
        assert in_force() == OURS | {"policy": "float32"}
        with ours():
            pass
        assert in_force() == OURS | {"policy": "float32"}
    assert in_force() == strange == STRANGE | {"policy": "mixed_bfloat16"}


def test_theirs_are_back_after_an_exception(strange):
    with pytest.raises(KeyboardInterrupt), ours(), ours():
        raise KeyboardInterrupt
    assert in_force() == strange


def test_warnings_of_retracing_are_hidden_while_topwork_computes_alone():
    logger = logging.getLogger("tensorflow")
    told = logging.LogRecord("tensorflow", logging.WARNING, "", 0, "5 calls triggered tf.function retracing.", (), None)
    other = logging.LogRecord("tensorflow", logging.WARNING, "", 0, "no GPU", (), None)
    with ours():
        assert [bool(logger.filter(one)) for one in (told, other)] == [False, True]
    assert logger.filter(told)


def test_a_policy_that_was_never_set_still_follows_floatx():
    with ours():
        assert keras.layers.Dense(1).dtype_policy.name == "float32"
    keras.config.set_floatx("float64")
    assert keras.layers.Dense(1).dtype_policy.name == "float64"


def test_a_thread_that_ends_first_leaves_ours_to_the_other(strange):
    begun, go_on, seen = Event(), Event(), []

    def longer():
        with ours():
            begun.set()
            go_on.wait(10)
            seen.append(in_force())

    thread = Thread(target=longer)
    with ours():
        thread.start()
        assert begun.wait(10)
    between = keras.config.floatx(), keras.config.dtype_policy().name
    go_on.set()
    thread.join()
    assert seen == [OURS | {"policy": "float32"}]
    assert between == ("float32", "mixed_bfloat16")  # each thread has its own policy
    assert in_force() == strange


def test_a_backend_is_refused_with_nothing_touched(strange, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "numpy")
    with pytest.raises(UsageError), ours():
        pytest.fail("it began")
    assert in_force() == strange


def test_a_call_within_the_worker_leaves_the_backend_to_it(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "openvino")
    with ours(("openvino",)), ours():
        pass


LATER = """
import sys
from topwork.system import keras_settings; from topwork.system import keras_settings

keras_settings.own_process = True
with keras_settings.ours(("openvino",)):
    assert "keras" not in sys.modules
    keras_settings.import_keras()
    import keras

    print(keras.config.floatx(), keras.layers.Dense(1).compute_dtype, keras.config.image_data_format())
print(keras.config.floatx(), keras.layers.Dense(1).compute_dtype, keras.config.image_data_format())
"""


def test_where_keras_is_imported_only_then_what_its_file_says_waits(tmp_path):
    """The worker, which runs Keras on OpenVINO, is such a case."""
    said = json.dumps({"floatx": "float16", "image_data_format": "channels_first"})
    (tmp_path / "keras.json").write_text(said)
    environment = os.environ | {"KERAS_BACKEND": "openvino", "KERAS_HOME": str(tmp_path)}
    command = [sys.executable, "-c", LATER]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["float32 float32 channels_last", "float16 float16 channels_first"]
    assert (tmp_path / "keras.json").read_text() == said


RUN: Any = None
CALLS: dict[str, Callable[[Path], object]] = {
    "train": lambda out: tw.train("data", out=out),
    "join": lambda out: tw.join(["a", "b"], out=out),
    "cross_validate": lambda out: tw.cross_validate("data", 2, out=out),
    "choose": lambda _: tw.choose("data"),
    "curve": lambda _: tw.curve("data"),
    "audit": lambda _: tw.audit("data"),
    "activations": lambda _: tw.activations("data", "vgg16@pool"),
    "halves": lambda _: tw.halves("vgg16@pool"),
    "cuts": lambda _: tw.cuts("vgg16"),
    "fit": lambda _: tw.Activations("vgg16@pool").fit(["a.png"]),
    "transform": lambda _: tw.Activations("vgg16@pool").transform(["a.png"]),
    "names": lambda _: tw.Activations("vgg16@pool").get_feature_names_out(),
    "resume": lambda _: tw.Run.resume(RUN),
    "resume folds": lambda _: tw.Folds.resume(RUN),
    "model": lambda _: tw.Run.model(RUN),
    "evaluate": lambda _: tw.Run.evaluate(RUN),
    "export": lambda out: tw.Run.export(RUN, out),
    "train command": lambda out: topwork("train", out.parent, "--out", out),
    "extract command": lambda out: topwork("extract", out.parent, "vgg16@pool"),
    "choose command": lambda out: topwork("choose", out.parent, "--cut", "vgg16@pool"),
    "audit command": lambda out: topwork("audit", out.parent, "--cut", "vgg16@pool"),
    "curve command": lambda out: topwork("curve", out.parent, "--plot", out.with_suffix(".png")),
    "backbones command": lambda _: topwork("backbones", "vgg16"),
    "layers command": lambda _: topwork("backbones", "vgg16", "--layers"),
    "fetch command": lambda out: topwork("weights", "fetch", "vgg16", "--to", out),
}
NEED_NO_KERAS = {"read", "compare"}


def test_every_public_function_is_called_below():
    functions = {name for name in tw.__all__ if inspect.isfunction(getattr(tw, name))}
    assert functions == CALLS.keys() & functions | NEED_NO_KERAS


@pytest.mark.parametrize("name", CALLS)
def test_a_backend_that_cannot_serve_is_refused_before_anything_begins(name, pictures, own_home, tmp_path, monkeypatch):
    out = tmp_path / "pictures" / "out"
    out.parent.symlink_to(pictures)
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    monkeypatch.delenv("TOPWORK_OFFLINE")
    monkeypatch.delitem(sys.modules, "keras")
    try:
        ran = CALLS[name](out)
    except UsageError as error:
        told = str(error)
    else:
        assert ran.status == 2
        told = ran.err
    assert "KERAS_BACKEND is 'theano'" in told
    assert "Set it to one of tensorflow, jax, torch." in told
    assert "keras" not in sys.modules
    assert not out.exists()


NETWORK = tiny.tiny(runtime="keras")
PHASES = [tw.Phase(f"{tiny.NAME}@pool", epochs=4, learning_rate=2e-3)]


@pytest.fixture(scope="module")
def usual(pictures, tmp_path_factory):
    """Return the results under Keras' defaults, computed in a separate home."""
    folder = tmp_path_factory.mktemp("usual")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOPWORK_HOME", str(folder / "home"))
        run = tw.train(answers.read(pictures), phases=PHASES, backbones=[NETWORK], out=folder / "run")
        return answers.of_run(run) | answers.of_network(NETWORK)


def same(found, usual):
    losses = usual["losses"]
    assert losses.std() > 0.05 and usual["model"].std(0).max() > 1e-2, "nothing was learned"
    assert found.keys() == usual.keys()
    for name, array in usual.items():
        assert found[name].dtype == array.dtype, name
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.full
def test_no_setting_of_a_script_changes_an_answer(usual, pictures, own_home, tmp_path, strange):
    """Not even all settings at once do, nor changes that a callback makes; the callback sees the script's settings."""
    seen = []

    def look(*_, **__):
        seen.append(in_force())
        keras.config.set_epsilon(seen[-1]["epsilon"] / 2)
        keras.config.set_dtype_policy("float64")

    callback = keras.callbacks.LambdaCallback(on_train_begin=look, on_epoch_end=look, on_train_batch_end=look)
    options = {"phases": PHASES, "backbones": [NETWORK], "callbacks": [callback]}
    run = tw.train(answers.read(pictures), out=tmp_path / "run", **options)
    assert seen[0] == strange
    assert seen[-1] == strange | {"epsilon": 0.25 / 2 ** (len(seen) - 1), "policy": "float64"}
    assert in_force() == strange | {"epsilon": 0.25 / 2 ** len(seen), "policy": "float64"}
    same(answers.of_run(run) | answers.of_network(NETWORK), usual)


def test_a_callback_that_raises_leaves_what_it_set(strange):
    def stop(*_):
        assert in_force() == strange
        keras.config.set_epsilon(0.5)
        raise KeyboardInterrupt

    some = under_their_settings([keras.callbacks.LambdaCallback(on_epoch_begin=stop)])
    with pytest.raises(KeyboardInterrupt), ours():
        keras.callbacks.CallbackList(some).on_epoch_begin(0)
    assert in_force() == strange | {"epsilon": 0.5}


def test_a_callback_that_uses_topwork_has_its_own_settings_afterwards(strange):
    def ask(*_):
        with ours():
            assert in_force() == OURS | {"policy": "float32"}
        assert in_force() == strange

    with ours():
        some = under_their_settings([keras.callbacks.LambdaCallback(on_epoch_begin=ask)])
        keras.callbacks.CallbackList(some).on_epoch_begin(0)
        assert in_force() == OURS | {"policy": "float32"}
    assert in_force() == strange


def test_a_callback_without_a_word_on_batches_lets_a_gpu_run_on():
    def touched(*callbacks):
        first, *_, last = under_their_settings(callbacks)
        assert vars(first).keys() == vars(last).keys()
        return {name for name in vars(first) if name.startswith("on_")}

    stopping, watching = keras.callbacks.EarlyStopping("val_loss"), keras.callbacks.TerminateOnNaN()
    assert touched([stopping]) == {"on_train_begin", "on_train_end", "on_epoch_end"}
    assert touched(stopping, watching) == touched(stopping) | {"on_batch_end"} | touched(watching)
    assert under_their_settings([]) == []


FILES = [{"floatx": "float16", "epsilon": 0.25}, {"floatx": "float64", "image_data_format": "channels_first"}]
SCRIPTS = [
    ("floatx=float16", "epsilon=0.25"),
    ("floatx=bfloat16", "image_data_format=channels_first"),
    ("floatx=float64", "max_epochs=1"),
    ("dtype_policy=mixed_float16",),
    ("dtype_policy=mixed_bfloat16",),
    ("dtype_policy=float64",),
]


def in_a_process(folder, pictures, file, *settings):
    """Return the results of a new process with its own home and ``keras.json``; check that the file stays unchanged."""
    (folder / "keras").mkdir(parents=True)
    (folder / "keras" / "keras.json").write_text(json.dumps(file))
    environment = os.environ | {"KERAS_HOME": str(folder / "keras"), "TOPWORK_HOME": str(folder / "home")}
    command = [sys.executable, "-m", "tests.answers", str(pictures), tiny.file(), str(folder), *settings]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "keras" / "keras.json").read_text()) == file
    return dict(np.load(folder / "answers.npz"))


@pytest.fixture(scope="module")
def plain(pictures, tmp_path_factory):
    return in_a_process(tmp_path_factory.mktemp("plain"), pictures, {})


@pytest.mark.full
@pytest.mark.parametrize("file", FILES, ids=str)
def test_no_setting_in_the_file_changes_an_answer(plain, pictures, tmp_path, file):
    same(in_a_process(tmp_path, pictures, file), plain)


@pytest.mark.full
@pytest.mark.parametrize("settings", SCRIPTS, ids=", ".join)
def test_no_few_settings_of_a_script_change_an_answer(plain, pictures, tmp_path, settings):
    same(in_a_process(tmp_path, pictures, {}, *settings), plain)
