"""Live views: the same settings as Keras layers, which draw afresh in every step.

They differ from `topwork.data.views` in two ways: each layer resamples what the one before it gave, so that pictures
become a little softer, and values keep their fractions.
"""

from math import radians
from typing import Any

import keras
import numpy as np
from keras import ops

from topwork.recipes.settings import Views


def layers(views: Views, seed: int, resample: str = "bilinear") -> list[keras.Layer]:
    """The layers that augment while a model trains, in their order; with ``training=False`` they change nothing.

    Args:
        views: what varies; what does not vary gets no layer.
        seed: of what they draw; each layer has a seed of its own, made from this.
        resample: ``"bilinear"`` or ``"nearest"``.

    Returns:
        Layers that take pixels from 0 to 255, uint8 or float ``[batch, height, width, 3]``, and give float32, whatever
        Keras' global precision.

    Example:
        >>> [layer.name for layer in layers(Views(shift=0.0), seed=0)]
        ['views_float', 'views_left_right', 'views_zoom', 'views_rotation']
    """
    table = _table(views, {"fill_mode": views.fill_mode, "interpolation": resample})
    seeds = (np.random.SeedSequence(seed).generate_state(len(table)) >> 1).tolist()  # 31 bits: what any backend takes
    drawing = [
        kind(**options, seed=own, dtype="float32", name=f"views_{name}")
        for (name, varies, kind, options), own in zip(table, seeds)
        if varies
    ]
    return [keras.layers.Rescaling(1.0, dtype="float32", name="views_float"), *drawing]


class Shear(keras.layers.Layer):
    """Rows slide by their distance from the centre; those of `keras.layers.RandomShear` do by that from the top.

    Args:
        degrees: vertical lines lean by up to so many, either way.
        seed: of what is drawn.
        edge: ``fill_mode`` and ``interpolation``, as in `keras.ops.image.affine_transform`.
        options: of every Keras layer.
    """

    def __init__(self, degrees: float, seed: int, edge: dict[str, str], **options: Any) -> None:
        super().__init__(**options)
        self._most, self._edge = radians(degrees), edge
        self._generator = keras.random.SeedGenerator(seed)

    def call(self, pixels: Any, training: bool = True) -> Any:
        """Pixels float32 ``[batch, height, width, channels]`` in and out."""
        if not training:
            return pixels
        batch, height = ops.shape(pixels)[:2]
        lean = ops.tan(keras.random.uniform((batch,), -self._most, self._most, "float32", self._generator))
        one, zero = ops.ones_like(lean), ops.zeros_like(lean)
        centre = ops.cast(height - 1, "float32") / 2
        rows = ops.stack([one, -lean, lean * centre, zero, one, zero, zero, zero], axis=1)
        return ops.image.affine_transform(pixels, rows, **self._edge)


def _table(views: Views, edge: dict[str, str]) -> list[tuple[str, Any, type[keras.Layer], dict[str, Any]]]:
    """Name, whether it varies, layer and options, in the order of `topwork.data.views`.

    Two layers flip, as one with both ways would always flip both; contrast takes a pair, as from a single number Keras
    would draw higher contrast alone.
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
