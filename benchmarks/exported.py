"""What exported files take and how they answer, in every format; and the time and memory of an export."""

import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.draw import draw
from benchmarks.process import Finished, run, topwork
from topwork.shipping.formats.known import named
from topwork.system.messages import say

PLAIN = Path(__file__).parent / "plain_export.py"
RUNTIMES = {"ai_edge_litert": "ai_edge_litert.interpreter"}
"""The modules to import for a runtime, if they have other names."""

JOINED = "inception_v3@pool + resnet50@pool"
"""Two networks of Keras with 45 million weights, under one head."""


@dataclass(frozen=True)
class Plan:
    """What is exported, and how often the commands are timed.

    Args:
        data: a folder with one folder per class; if ``None``, pictures are drawn.
        pictures: how many are drawn.
        cut, weights: of the network whose files are checked.
        joined, size: a network that is only exported, with random weights, and the side of its pictures.
        rounds: how often each command is timed.
    """

    data: Path | None = None
    pictures: int = 500
    cut: str = "efficientnet_lite0@pool"
    weights: str = "random"
    joined: str = JOINED
    size: int = 75
    rounds: int = 5

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, pictures=60, cut="mobilenet_v2_035@pool", joined="mobilenet_025@pool", size=32, rounds=1)


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Args:
        made: what ``topwork export --all`` tells of each file.
        checks: ``topwork check`` from cold, by file.
        imports: the import of each runtime from cold; ``keras`` is one of them.
        predictions: ``topwork predict`` of the ONNX file and one picture, from cold.
        exports: for each network, topwork's export to ONNX and the plain script's.
    """

    made: list[dict[str, Any]]
    checks: dict[str, list[Finished]] = field(default_factory=dict)
    imports: dict[str, list[Finished]] = field(default_factory=dict)
    predictions: list[Finished] = field(default_factory=list)
    exports: dict[str, tuple[list[Finished], list[Finished]]] = field(default_factory=dict)


def measure(plan: Plan, scratch: Path) -> Measured:
    """Measure. All files are written below *scratch*; each round runs all commands in turn."""
    folder = plan.data or draw(scratch / "drawn", plan.pictures)
    place = scratch / "run"
    topwork(scratch / "home", "train", folder, "--cut", plan.cut, "--weights", plan.weights, "--out", place)
    made = json.loads(topwork(scratch / "home", "export", place, "--all", scratch / "all", "--json").output)
    found = Measured(made)
    picture = next(path for path in sorted(Path(folder).glob("*/*")) if path.suffix.lower() in (".jpg", ".jpeg"))
    written = [one for one in made if one["parity"]]
    for number in range(plan.rounds + 1):  # the first round is not counted: it brings files into memory
        for one in written:
            done = topwork(scratch / "home", "check", one["path"])
            _keep(found.checks, one["path"], done, number)
        runtimes = {named(one["kind"]).reads[0] for one in written} | {"keras"}
        for runtime in sorted(runtimes):
            done = run([sys.executable, "-c", f"import {RUNTIMES.get(runtime, runtime)}"])
            _keep(found.imports, runtime, done, number)
        done = topwork(scratch / "home", "predict", scratch / "all" / "model.onnx", picture)
        if number:
            found.predictions.append(done)
        say(f"round {number} of {plan.rounds}: checked {len(written)} files")
    found.exports[plan.cut] = _exports(plan, place, scratch)
    joined = scratch / "joined"
    names = [term.partition("@")[0] for term in plan.joined.split(" + ")]
    chosen = [f"backbones.{name}.{key}" for name in names for key in ("weights=random", f"size={plan.size}")]
    words = [word for one in chosen for word in ("--set", one)]
    topwork(scratch / "home", "train", folder, "--cut", plan.joined, *words, "--out", joined)
    found.exports[plan.joined] = _exports(plan, joined, scratch)
    return found


def _exports(plan: Plan, place: Path, scratch: Path) -> tuple[list[Finished], list[Finished]]:
    """Export a run to ONNX with topwork and with the plain script, which reads the model as a ``.keras`` file."""
    source = scratch / f"{place.name}.keras"
    topwork(scratch / "home", "export", place, source)
    ours, theirs = [], []
    for number in range(plan.rounds):
        ours.append(topwork(scratch / "home", "export", place, scratch / f"{place.name}{number}.onnx"))
        theirs.append(run([sys.executable, str(PLAIN), str(source), str(scratch / "plain.onnx")]))
        say(f"export: topwork {ours[-1].seconds:.1f} s, plain {theirs[-1].seconds:.1f} s")
    return ours, theirs


def _keep(found: dict[str, list[Finished]], name: str, done: Finished, number: int) -> None:
    if number:
        found.setdefault(name, []).append(done)
