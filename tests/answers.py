"""Collect topwork's numerical results, from training to the exported file, so that two setups can be compared.

``python -m tests.answers PICTURES NETWORK FOLDER [NAME=VALUE ...]`` first applies these Keras settings. NETWORK is the
file from `tests.tiny`, which must have been made without them.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import topwork as tw
from tests.tiny import NAME, SIDE

PHASES = (
    tw.Phase(f"{NAME}@pool", epochs=4, learning_rate=0.01),
    tw.Phase(f"{NAME}@block_13_expand_relu", epochs=2, learning_rate=1e-3),
)
PIXELS = np.random.default_rng(1).integers(0, 256, (4, 32, 32, 3)).astype("uint8")


def read(pictures: str | Path) -> tw.Dataset:
    return tw.read(pictures, split=(0.6, 0.2, 0.2), draw="stratified")


def losses(run: tw.Run) -> np.ndarray:
    return np.array([[line.val_loss, line.train_loss] for line in run.journal])


def of_run(run: tw.Run) -> dict[str, np.ndarray]:
    """Return the results of a finished run and of its model."""
    model = run.model()
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    kept = [array for arrays in run.folder.weights().values() for array in arrays]
    assert all(array.dtype == "float32" for array in kept)
    return {
        "losses": losses(run),
        "weights": np.concatenate([array.ravel() for array in kept]),
        "model": model.predict_on_batch(PIXELS),
        "test": np.array(run.results.test.loss.value),
    }


def of_network(backbone: tw.Backbone) -> dict[str, np.ndarray]:
    """Return the results of the network's parts."""
    trunk, top = tw.halves(f"{NAME}@block_12_add", backbone=backbone)
    prices = np.array([price.kilobytes for price in tw.cuts(NAME, backbone=backbone)])
    return {"halves": top.predict_on_batch(trunk.predict_on_batch(PIXELS)), "cuts": prices}


def of_data(run: tw.Run, backbone: tw.Backbone) -> dict[str, np.ndarray]:
    """Return the results for more data, with both runtimes."""
    runtimes = [replace(backbone, runtime="openvino"), replace(backbone, runtime="keras")]
    both = [tw.activations(run.data, f"{NAME}@block_7_project", backbone=one) for one in runtimes]
    evaluated = np.array([run.evaluate(part).loss.value for part in ("test", "val")])
    return {"evaluate": evaluated, "openvino": both[0], "keras": both[1]}


def of_file(run: tw.Run, file: Path) -> dict[str, np.ndarray]:
    """Return the results of the exported file."""
    predictor = run.export(file)
    paths = [f"{run.data.root}/{row.path}" for row in run.data.rows[:6]]
    return {"export": np.array([list(guess.probabilities.values()) for guess in predictor(paths)])}


def resumed(data: tw.Dataset, backbone: tw.Backbone, out: Path) -> dict[str, np.ndarray]:
    """Return the results of a run that was interrupted and resumed."""
    import keras

    def stop(epoch: int, logs: Any = None) -> None:
        if epoch == 2:
            raise KeyError

    try:
        callback = keras.callbacks.LambdaCallback(on_epoch_begin=stop)
        tw.train(data, phases=PHASES, backbones=[backbone], out=out, callbacks=[callback])
    except KeyError:
        return {"resume": losses(tw.Run(out).resume())}
    raise AssertionError("it was not interrupted")


def main(pictures: str, network: str, where: str, *settings: str) -> None:
    if settings:
        import keras

        for name, value in (setting.split("=") for setting in settings):
            getattr(keras.config, f"set_{name}")({"epsilon": float, "max_epochs": int}.get(name, str)(value))
    data, folder = read(pictures), Path(where)
    backbone = tw.Backbone(NAME, model=network, size=SIDE, precision="float32")
    run = tw.train(data, phases=PHASES, backbones=[backbone], head="mlp", out=folder / "run")
    found = of_run(run) | of_network(backbone) | of_data(run, backbone) | of_file(run, folder / "model.onnx")
    found |= resumed(data, backbone, folder / "stopped")
    np.savez(folder / "answers.npz", **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
