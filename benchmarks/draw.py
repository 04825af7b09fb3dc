"""Draw pictures to measure on, from a seed: JPEG files as large and as detailed as photos, in a few classes.

The classes differ in colour and texture, but overlap, so that a classifier can learn something but not everything.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from topwork.system.machine import jobs

CLASSES = {
    "amber": ((180, 130, 40), 0.5, 0.02),
    "brick": ((170, 80, 65), 0.9, 0.05),
    "fern": ((75, 150, 60), 0.7, 0.12),
    "slate": ((85, 105, 145), 0.5, 0.06),
    "violet": ((130, 75, 165), 0.9, 0.03),
}
"""For each class: mean colour, roughness (the weight of fine detail against coarse) and stripes (cycles per pixel)."""

SIZES = ((500, 375), (375, 500), (500, 333), (480, 360))


def draw(
    folder: Path,
    count: int,
    seed: int = 0,
    classes: int = len(CLASSES),
    sizes: Sequence[tuple[int, int]] = SIZES,
) -> Path:
    """Write *count* pictures, from each class in turn, as ``folder/<class>/<number>.jpg``, and return *folder*."""
    names = list(CLASSES)[:classes]
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)

    def one(number: int) -> None:
        name = names[number % classes]
        picture = photo(name, np.random.default_rng((seed, number)), sizes)
        picture.save(folder / name / f"{number:05}.jpg", quality=90)

    with ThreadPoolExecutor(jobs()) as pool:
        list(pool.map(one, range(count)))
    return folder


def photo(name: str, random: np.random.Generator, sizes: Sequence[tuple[int, int]] = SIZES) -> Image.Image:
    """Return one drawn picture of a class, in one of the sizes (width, height)."""
    colour, roughness, stripes = CLASSES[name]
    width, height = sizes[random.integers(len(sizes))]
    roughness += random.normal(0, 0.1)

    def field(cells: int) -> np.ndarray:
        noise = Image.fromarray(random.normal(size=(cells, cells)).astype("float32"))
        return np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC))

    light = sum(35 * (cells / 4) ** (roughness - 1) * field(cells) for cells in (4, 16, 64, 256))
    light = light + 25 * _stripes(width, height, stripes * random.lognormal(0, 0.3), random.uniform)
    tints = random.normal(colour, 12)
    pixels = np.stack([light + tint + 10 * field(3) for tint in tints], axis=-1)
    return Image.fromarray(pixels.clip(0, 255).astype("uint8"))


def _stripes(width: int, height: int, turns: float, uniform: Callable[[float, float], float]) -> np.ndarray:
    angle, start = uniform(0, np.pi), uniform(0, 2 * np.pi)
    x, y = np.arange(width, dtype="float32"), np.arange(height, dtype="float32")[:, None]
    return np.sin(2 * np.pi * turns * (x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))) + start)
