"""What the tests of the plots share."""

import numpy as np
from PIL import Image

ODD = [
    "花の病気",
    "🌹 rose",
    "$5 & $6_a^b",
    "line\nbreak\x00",
    "",
    "\udcff",
    "Rosa × hybrida 'Madame Alfred Carrière'",
    "_x",
]


def journal(*lengths: int) -> list[dict]:
    rows = []
    for phase, epochs in enumerate(lengths, start=1):
        for epoch in range(epochs + 1):
            row = {"phase": phase, "epoch": epoch, "cut": f"x@block_{9 - phase}", "seconds": 0.5}
            row |= {
                "train_loss": 1.0,
                "train_accuracy": 0.5,
                "val_loss": 2.0 - 0.1 * epoch,
                "val_accuracy": 0.1 * epoch,
            }
            rows.append(row | ({"loss": 1.5} if epoch else {}))
    return rows


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def read(path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def coloured(path) -> float:
    """Return the share of pixels that are not grey."""
    return float((np.ptp(read(path), axis=-1) > 20).mean())
