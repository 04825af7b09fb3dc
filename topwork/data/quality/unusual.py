"""Unusual pictures: much darker, smaller or less sharp than the others of the same data.

Each value is compared with the others of the data, not with a fixed number, by Tukey's fences (Tukey 1977, Exploratory
Data Analysis): a picture is unusual if its value is further from the nearer quartile than `FENCE` times the distance
between the quartiles. Of normally distributed values, 1 in 2,700 is beyond such a fence. In data whose pictures are all
alike, the quartiles are close, and small differences would be beyond the fence; so a picture must also differ from the
quartile by `LEAST`.
"""

from collections.abc import Container, Mapping, Sequence

import numpy as np

from topwork.data.dataset import Row
from topwork.data.quality.appearance import Appearance
from topwork.data.quality.facts import Fact
from topwork.data.quality.findings import Finding, Kind
from topwork.system.advice import either

FENCE = 2.0
"""How many times the distance between the quartiles a value must be from the nearer one."""

ENOUGH = 8
"""With fewer pictures, the quartiles say too little."""

LEAST: dict[Kind, float] = {"tiny": 2.0, "odd_aspect": 1.0, "dark": 1.0, "bright": 1.0, "blurred": 0.2}
"""The least distance from the quartile: a quarter of the side, twice as long, odds times e, 1.2 times less sharp."""

GREY = 4.0
"""A picture is grey if 99 % of its pixels have less chroma than this: JPEG adds up to 2 to grey pixels."""

FEW = 0.1
"""Grey pictures are unusual if their share is smaller."""

ADVICE: dict[Kind, str] = {
    "tiny": "The network sees them enlarged, without detail. Find larger versions, or leave them out.",
    "odd_aspect": "They are squashed to a square for the network. Crop them, or train with {pad}.",
    "dark": "Even their bright pixels are dark. Lighten them, or leave them out.",
    "bright": "Even their dark pixels are bright. Check whether they show anything.",
    "blurred": "They have no sharp edges. Find sharp versions, or leave them out.",
    "grey": "The network may use colour to tell classes apart. Keep them only if you will classify grey pictures.",
}


def of_appearances(rows: Sequence[Row], known: Mapping[str, Appearance]) -> list[Finding]:
    """Return the findings on all pictures of *rows* whose appearance is *known*, by digest."""
    labelled = _unique(rows, known)
    seen = [known[digest] for digest in labelled]
    if len(seen) < ENOUGH:
        return []
    shadows, brightness, highlights = np.array([(one.shadows, one.brightness, one.highlights) for one in seen]).T
    blurred = -np.log(np.array([one.sharpness for one in seen]) + 0.01)
    grey = np.array([one.colour < GREY for one in seen])
    marked = _sizes([(one.width, one.height) for one in seen])
    marked |= _exposures(shadows, brightness, highlights) | {"blurred": _beyond("blurred", blurred)}
    marked["grey"] = np.where(grey & (grey.mean() < FEW), 1 - grey.mean(), 0)
    return _findings(marked, list(labelled.values()))


def of_facts(rows: Sequence[Row], known: Mapping[str, Fact | str]) -> list[Finding]:
    """Return the findings that need only what reading the data saves: sizes, and the luma at 8 x 8 pixels."""
    facts = {digest: one for digest, one in known.items() if isinstance(one, Fact)}
    labelled = _unique(rows, facts)
    seen = [facts[digest] for digest in labelled]
    if len(seen) < ENOUGH:
        return []
    coarse = np.frombuffer(b"".join(one.coarse for one in seen), np.uint8).reshape(-1, 64)
    shadows, highlights = np.percentile(coarse, (5, 95), axis=1)
    marked = _sizes([(one.width, one.height) for one in seen]) | _exposures(shadows, coarse.mean(1), highlights)
    return _findings(marked, list(labelled.values()))


def _unique(rows: Sequence[Row], known: Container[str]) -> dict[str, tuple[str, str]]:
    """Return digest -> label and path of each different picture that is *known*, in reading order."""
    first: dict[str, tuple[str, str]] = {}
    for row in rows:
        for path, digest in row.pictures:
            if digest in known:
                first.setdefault(digest, (row.label, path))
    return first


def _sizes(sides: Sequence[tuple[int, int]]) -> dict[Kind, np.ndarray]:
    width, height = np.array(sides, float).T
    tiny = _beyond("tiny", -np.log2(np.sqrt(width * height)))
    return {"tiny": tiny, "odd_aspect": _beyond("odd_aspect", np.abs(np.log2(width / height)))}


def _exposures(shadows: np.ndarray, brightness: np.ndarray, highlights: np.ndarray) -> dict[Kind, np.ndarray]:
    """Return the scores of pictures whose highlights are dark, or whose shadows are bright.

    The highlights of a dark picture are darker than the others are on average: a flower on black is not dark.
    """
    usual = np.median(brightness)
    dark, bright = _beyond("dark", -_odds(highlights)), _beyond("bright", _odds(shadows))
    return {"dark": np.where(highlights < usual, dark, 0), "bright": np.where(shadows > usual, bright, 0)}


def _odds(levels: np.ndarray) -> np.ndarray:
    """Return the logarithm of the odds of levels of 255, where 0 and 255 count as half a level from the end."""
    share = np.clip(levels / 255, 1 / 510, 1 - 1 / 510)
    return np.log(share / (1 - share))


def _beyond(kind: Kind, values: np.ndarray) -> np.ndarray:
    """Return how far *values* are above the upper quartile, in its distances from the lower one; 0 within the fence."""
    low, high = np.percentile(values, (25, 75))
    spread = max(high - low, LEAST[kind] / FENCE)
    score = (values - high) / spread
    return np.where(score > FENCE, score, 0)


def _findings(scores: Mapping[Kind, np.ndarray], labelled: Sequence[tuple[str, str]]) -> list[Finding]:
    """Return a finding for each score above 0; *labelled* are label and path of the pictures."""
    found = []
    pad = either('Backbone(NAME, fit="pad")', "--set backbones.NAME.fit=pad")
    for kind, each in scores.items():
        for i in np.flatnonzero(each).tolist():
            label, path = labelled[i]
            found.append(Finding.of(kind, each[i], [path], ADVICE[kind].format(pad=pad), label=label))
    return found
