"""Random weights for tests and for comparison, with which a network's outputs are not almost zero.

With plain initial values they are: the pooled outputs of an untrained EfficientNetB0 are about 1e-7. Here each
batch-norm gets the statistics of one seeded batch, as after one training step with momentum 0.
"""

from contextlib import suppress
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from topwork.networks.backbones import builder, catalogue
from topwork.networks.replay import replay
from topwork.recipes.settings import Backbone
from topwork.system.files import home, room, writing, written_whole

if TYPE_CHECKING:
    import keras

SEED = 0
_BATCH = 16


def identity(backbone: Backbone) -> str:
    """Return all that random weights depend on, as text: seed, size, pixel scale, versions of Keras and the builder."""
    build = f"-build-{builder.version_of(backbone)}" if builder.version_of(backbone) else ""
    return f"random-{SEED}-{catalogue.size(backbone)}-{builder.scale(backbone)}-keras-{version('keras')}{build}"


def weights_file(backbone: Backbone) -> Path:
    """Return the file of a backbone's random weights.

    It is made once, so that all processes and backends load the same weights.
    """
    path = kept(backbone)
    if path.exists():
        with suppress(OSError):
            path.touch()  # 'topwork store prune' keeps recently used files
    else:
        network = builder.build(backbone, None)
        room(path, 5 * network.count_params() + 1_000_000, "random weights")
        _fill(network, backbone)
        with writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(path) as aside:
                network.save_weights(aside)
    return path


def kept(backbone: Backbone) -> Path:
    """Return the path of the file of a backbone's random weights, whether it exists or not."""
    return home() / "weights" / f"{backbone.name}-{identity(backbone)}.weights.h5"


def _fill(network: "keras.Model", backbone: Backbone) -> None:
    """Set kernels to He-normal values (He et al. 2015), gammas to 1, other weights to 0; fit batch-norms to a batch.

    - One of the gammas is ConvNeXt's LayerScale. Keras starts it at 1e-6, with which its blocks have no effect.
    - The mean and variance of each batch-norm are set to those of its input for one seeded batch: 16 pictures of
      coloured patches with noise, uint8 ``[16, side, side, 3]``.
    """
    import keras

    draw = np.random.default_rng(SEED)
    for variable in network.trainable_variables:
        shape = tuple(variable.shape)
        if len(shape) > 1:
            inputs = prod(shape[:-2] if "depthwise" in variable.path else shape[:-1])
            variable.assign(draw.normal(0, np.sqrt(2 / inputs), shape).astype("float32"))
        else:
            variable.assign(np.full(shape, "gamma" in variable.path, "float32"))

    side = catalogue.size(backbone)
    draw = np.random.default_rng(SEED)
    patches = draw.integers(0, 200, (_BATCH, 4, 4, 3)).repeat(-(-side // 4), 1).repeat(-(-side // 4), 2)
    patches = patches[:, :side, :side]
    pictures = (patches + draw.integers(0, 56, patches.shape)).astype("uint8")

    def call(operation: Any, args: Any, kwargs: Any) -> Any:
        if isinstance(operation, keras.layers.BatchNormalization):
            operation.moving_mean.assign(np.mean(args[0], axis=(0, 1, 2)))
            operation.moving_variance.assign(np.var(args[0], axis=(0, 1, 2)))
        return keras.ops.convert_to_numpy(operation(*args, **kwargs))

    pixels = builder.scaled(pictures, builder.scale(backbone))
    replay(network, {id(network.inputs[0]): keras.ops.convert_to_numpy(pixels)}, call=call)
