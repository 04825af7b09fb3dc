"""Live views: Keras layers with the settings of `Views`, which draw new values in every step.

They differ from `topwork.data.views` in two ways:

- Each layer resamples the output of the one before it, so pictures become a little softer.
- Values are not rounded to integers.
"""

from math import radians
from typing import Any

import keras
import numpy as np
from keras import ops

from topwork.recipes.settings import Views


def layers(views: Views, seed: int, resample: str = "bilinear") -> list[keras.Layer]:
    """Make the layers that augment pictures while a model trains; with ``training=False`` they change nothing.

    Args:
        views: the settings; there is no layer for a change that is switched off.
        seed: the seed of the random values; each layer gets a different seed derived from it.
        resample: ``"bilinear"`` or ``"nearest"``.

    Returns:
        Layers in the order of use. They take pixels from 0 to 255, uint8 or float ``[batch, height, width, 3]``, and
        return float32 of the same shape, whatever Keras' global precision is.

    Example:
        >>> [layer.name for layer in layers(Views(shift=0.0), seed=0)]
        ['views_float', 'views_left_right', 'views_zoom', 'views_rotation']
    """
    table = _table(views, {"fill_mode": views.fill_mode, "interpolation": resample})
    seeds = (np.random.SeedSequence(seed).generate_state(len(table)) >> 1).tolist()  # 31 bits, as any backend accepts
    drawing = [
        kind(**options, seed=own, dtype="float32", name=f"views_{name}")
        for (name, varies, kind, options), own in zip(table, seeds)
        if varies
    ]
    return [keras.layers.Rescaling(1.0, dtype="float32", name="views_float"), *drawing]


class Shear(keras.layers.Layer):
    """A random shear about the centre of the picture; `keras.layers.RandomShear` shears about its top.

    Args:
        degrees: the largest angle by which vertical lines lean to either side.
        seed: the seed of the random angles.
        edge: ``fill_mode`` and ``interpolation``, as in `keras.ops.image.affine_transform`.
        options: the options of every Keras layer.
    """

    def __init__(self, degrees: float, seed: int, edge: dict[str, str], **options: Any) -> None:
        super().__init__(**options)
        self._most, self._edge = radians(degrees), edge
        self._generator = keras.random.SeedGenerator(seed)

    def call(self, pixels: Any, training: bool = True) -> Any:
        """Shear pixels, float32 ``[batch, height, width, channels]``; the result has the same shape and dtype."""
        if not training:
            return pixels
        batch, height = ops.shape(pixels)[:2]
        lean = ops.tan(keras.random.uniform((batch,), -self._most, self._most, "float32", self._generator))
        one, zero = ops.ones_like(lean), ops.zeros_like(lean)
        centre = ops.cast(height - 1, "float32") / 2
        rows = ops.stack([one, -lean, lean * centre, zero, one, zero, zero, zero], axis=1)
        return ops.image.affine_transform(pixels, rows, **self._edge)


def _table(views: Views, edge: dict[str, str]) -> list[tuple[str, Any, type[keras.Layer], dict[str, Any]]]:
    """List all changes in the order of `topwork.data.views`: name, whether it is switched on, class and options.

    There are two flip layers, because a single one for both directions always flips both. Contrast takes a pair,
    because with a single number Keras draws only higher contrast.
    """
    kl = keras.layers
    return [
        ("left_right", views.flip in ("horizontal", "both"), kl.RandomFlip, {"mode": "horizontal"}),
        ("top_bottom", views.flip in ("vertical", "both"), kl.RandomFlip, {"mode": "vertical"}),
        ("zoom", views.zoom, kl.RandomZoom, {"height_factor": views.zoom, **edge}),
        ("shear", views.shear, Shear, {"degrees": views.shear, "edge": edge}),
        ("rotation", views.rotation, kl.RandomRotation, {"factor": views.rotation / 360, **edge}),
        (
            "shift",
            views.shift,
            kl.RandomTranslation,
            dict.fromkeys(("height_factor", "width_factor"), views.shift) | edge,
        ),
        ("contrast", views.contrast, kl.RandomContrast, {"factor": (views.contrast, views.contrast)}),
        ("brightness", views.brightness, kl.RandomBrightness, {"factor": views.brightness}),
    ]
