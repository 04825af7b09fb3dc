"""How many planted faults of the data `topwork audit` finds: copies, crops, wrong labels, digits, a darker class."""

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

from topwork.system.messages import say

EACH = 20
"""How many faults of each kind are planted."""
FIRST = 40
"""How many of the suspects are looked at."""


@dataclass(frozen=True)
class Plan:
    """What faults are planted in.

    Args:
        data: photos in one folder per class.
        mnist: a folder with MNIST's test part as idx files; ``None``: no digits are planted.
        seeds: how many draws are measured.
    """

    data: Path
    mnist: Path | None = None
    seeds: int = 5


@dataclass(frozen=True)
class Found:
    """What was found of one draw.

    Args:
        copies, crops: how many of the planted pairs are errors.
        false: how many errors are not planted.
        wrong: how many of the first suspects have a planted wrong label.
        digits: how many of the first outliers are planted digits; ``None`` without digits.
    """

    copies: int
    crops: int
    false: int
    wrong: int
    digits: int | None


def measure(plan: Plan, scratch: Path) -> tuple[list[Found], dict[str, bool], list[str]]:
    """Plant and find. All files are written below *scratch*.

    Returns:
        What was found of each draw; class -> whether a shortcut names it if it is made darker by a fifth; and the
        shortcuts of the photos as they are.
    """
    found = []
    for seed in range(plan.seeds):
        found.append(_draw(plan, seed, scratch / f"faults-{seed}", scratch / f"digits-{seed}"))
        say(f"draw {seed}: {found[-1]}")
    named = {}
    for folder in sorted(path for path in plan.data.iterdir() if path.is_dir()):
        darker = scratch / f"darker-{folder.name}"
        shutil.copytree(plan.data, darker)
        for path in (darker / folder.name).iterdir():
            with Image.open(path) as image:
                ImageEnhance.Brightness(image.convert("RGB")).enhance(0.8).save(path, quality=92)
        named[folder.name] = any(one["label"] == folder.name for one in _of(audit(darker), "shortcut"))
    before = [one["advice"].split(":")[0] for one in _of(audit(plan.data), "shortcut")]
    return found, named, before


def audit(data: Path) -> dict[str, Any]:
    """Return the JSON object of ``topwork audit``."""
    command = [sys.executable, "-m", "topwork", "audit", str(data), "--json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)


def _draw(plan: Plan, seed: int, folder: Path, with_digits: Path) -> Found:
    copies, crops, wrong = _plant(plan.data, folder, seed)
    told = audit(folder)
    errors = [{Path(path).name for path in one["paths"]} for one in told["findings"] if one["severity"] == "error"]
    pairs = {kind: [{name, f"{kind}-{name}"} for name in names] for kind, names in (("copy", copies), ("crop", crops))}
    hits = {kind: sum(any(pair <= error for error in errors) for pair in some) for kind, some in pairs.items()}
    false = sum(not any(name.startswith(("copy-", "crop-")) for name in error) for error in errors)
    suspects = [Path(one["paths"][0]).name for one in _of(told, "label_suspect")[:FIRST]]
    digits = None
    if plan.mnist:
        _plant_digits(plan.data, plan.mnist, with_digits, seed)
        outliers = _of(audit(with_digits), "outlier")[:EACH]
        digits = sum(Path(one["paths"][0]).name.startswith("digit-") for one in outliers)
    return Found(hits["copy"], hits["crop"], false, sum(name in wrong for name in suspects), digits)


def _of(told: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [one for one in told["findings"] if one["kind"] == kind]


def _plant(data: Path, folder: Path, seed: int) -> tuple[list[str], list[str], list[str]]:
    """Divide photos into train and test, and plant faults; return the names of copied, cropped and mislabelled ones."""
    draw = Random(seed)
    files = sorted(data.glob("*/*"))
    labels = sorted({path.parent.name for path in files})
    draw.shuffle(files)
    test, train = files[: len(files) // 5], files[len(files) // 5 :]
    copied, cropped, wrong = train[:EACH], train[EACH : 2 * EACH], train[2 * EACH : 3 * EACH]
    for part, some in (("test", test), ("train", train)):
        for label in labels:
            (folder / part / label).mkdir(parents=True)
        for path in some:
            others = [label for label in labels if label != path.parent.name]
            label = draw.choice(others) if path in wrong else path.parent.name
            shutil.copy(path, folder / part / label / path.name)
    _save(copied, folder / "test", "copy", lambda image: image, draw)
    _save(cropped, folder / "test", "crop", lambda image: _cropped(image, draw), draw)
    return [path.name for path in copied], [path.name for path in cropped], [path.name for path in wrong]


def _save(
    paths: Sequence[Path], folder: Path, kind: str, change: Callable[[Image.Image], Image.Image], draw: Random
) -> None:
    for path in paths:
        with Image.open(path) as image:
            changed = change(image.convert("RGB"))
        changed.save(folder / path.parent.name / f"{kind}-{path.name}", "JPEG", quality=draw.randint(60, 90))


def _cropped(image: Image.Image, draw: Random) -> Image.Image:
    """Return 80 % of the area of a picture, at any place."""
    width, height = (round(side * 0.8**0.5) for side in image.size)
    left, top = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def _plant_digits(data: Path, mnist: Path, folder: Path, seed: int) -> None:
    """Copy the photos, and put digits among them, as many into each class."""
    shutil.copytree(data, folder)
    (packed,) = mnist.glob("*images-idx3-ubyte.gz")
    pixels = np.frombuffer(gzip.decompress(packed.read_bytes())[16:], np.uint8).reshape(-1, 28, 28)
    labels = sorted(path.name for path in folder.iterdir())
    for number, i in enumerate(Random(seed).sample(range(len(pixels)), EACH)):
        Image.fromarray(pixels[i]).save(folder / labels[number * len(labels) // EACH] / f"digit-{number}.png")
