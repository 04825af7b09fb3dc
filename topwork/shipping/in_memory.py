"""The model of a run as a predictor without a file: Keras answers in place of onnxruntime."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from topwork.networks.outputs.complete import complete
from topwork.runs.folder import Folder
from topwork.runs.restore import restore
from topwork.shipping.described import about, inputs_of
from topwork.shipping.predictor import Predictor
from topwork.system import gpu, keras_settings

if TYPE_CHECKING:
    import keras


class Live:
    """A Keras model that is asked like an exported file."""

    def __init__(self, model: "keras.Model", names: Sequence[str]) -> None:
        self._model, self.names = model, names

    def run(self, pixels: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs by name, as float32."""
        given = [pixels[name] for name in self.names]
        with gpu.exact():
            found = self._model.predict_on_batch(given if len(given) > 1 else given[0])
        return {name: np.asarray(values, np.float32) for name, values in found.items()}


def predictor(folder: Folder) -> Predictor:
    """Return a predictor with the model of a finished run.

    Raises:
        RunError: the run has not finished.
    """
    keras_settings.import_keras()
    network = restore(folder)
    inputs = inputs_of(folder, network)
    return Predictor.of(
        Live(complete(network, folder.distance()), [one.name for one in inputs]), about(folder, inputs), inputs
    )
