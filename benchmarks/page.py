"""Pages with a model inside: their size, the time to the first answer in a browser, and the answers."""

import json
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.draw import draw
from benchmarks.process import Finished, topwork
from topwork.system.messages import say

BROWSERS = "chromium", "chromium-browser", "google-chrome"


@dataclass(frozen=True)
class Plan:
    """What is exported as a page, and how often it is opened.

    Args:
        data: a folder with one folder per class; if ``None``, pictures are drawn.
        pictures: how many are drawn.
        cuts, weights: of the networks.
        runtime: a folder with ONNX Runtime for browsers; by default, npm fetches it.
        asked: the number of pictures that each page classifies.
        rounds: how often each page is opened.
    """

    data: Path | None = None
    pictures: int = 500
    cuts: tuple[str, ...] = ("mobilenet_v2_035@pool", "efficientnet_lite0@pool")
    weights: str = "random"
    runtime: Path | None = None
    asked: int = 100
    rounds: int = 5

    def quick(self) -> "Plan":
        """Return a tiny plan, to see that the benchmark works; its figures mean nothing."""
        return replace(self, pictures=60, cuts=self.cuts[:1], asked=4, rounds=1)


@dataclass(frozen=True)
class Measured:
    """What was measured of a page.

    Args:
        cut: of the network.
        size: in bytes.
        export: the command that wrote the page.
        first: the seconds from opening the page to its first answer, in each round.
        further: the seconds for each further picture, in each round.
        same: the number of pictures with the class that ``topwork predict`` gives.
        difference: the largest difference of a probability from that of ``topwork predict``.
        asked: the number of pictures.
    """

    cut: str
    size: int
    export: Finished
    first: list[float]
    further: list[float]
    same: int
    difference: float
    asked: int


def measure(plan: Plan, scratch: Path) -> list[Measured]:
    """Measure each network. All files are written below *scratch*."""
    folder = plan.data or draw(scratch / "drawn", plan.pictures)
    found = sorted(path for path in Path(folder).glob("*/*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    pictures = found[:: max(1, len(found) // plan.asked)][: plan.asked]
    return [_measured(plan, cut, folder, pictures, scratch / str(number)) for number, cut in enumerate(plan.cuts)]


def _measured(plan: Plan, cut: str, folder: Path, pictures: list[Path], place: Path) -> Measured:
    place.mkdir()
    words = ["--runtime", plan.runtime] if plan.runtime else []
    topwork(place / "home", "train", folder, "--cut", cut, "--weights", plan.weights, "--out", place / "run")
    export = topwork(place / "home", "export", place / "run", place / "page.html", *words)
    expected = topwork(place / "home", "predict", place / "page.html", *pictures, "--json").output.splitlines()
    first, further, answers = _opened(place / "page.html", pictures, plan.rounds)
    same, difference = 0, 0.0
    for ours, theirs in zip(answers, map(json.loads, expected), strict=True):
        same += ours["label"] == theirs["label"]
        pairs = zip(ours["probabilities"].values(), theirs["probabilities"].values(), strict=True)
        difference = max(difference, *(abs(one - other) for one, other in pairs))
    say(f"{cut}: first answer after {min(first):.1f} s")
    size = (place / "page.html").stat().st_size
    return Measured(cut, size, export, first, further, same, difference, len(pictures))


def _opened(page: Path, pictures: list[Path], rounds: int) -> tuple[list[float], list[float], list[dict[str, Any]]]:
    """Open a page several times; return the seconds to the first answer, those of each further one, and the answers."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    first, further, answers = [], [], []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for _ in range(rounds):
            tab = browser.new_page()
            start = time.perf_counter()
            tab.goto(page.as_uri(), wait_until="commit")
            tab.locator("#choose:enabled").wait_for()
            tab.set_input_files("#files", pictures[0])
            tab.locator(".said h3").wait_for()
            first.append(time.perf_counter() - start)
            start = time.perf_counter()
            tab.set_input_files("#files", pictures[1:])
            tab.get_by_text("Waiting…").last.wait_for()
            tab.get_by_text("Waiting…").last.wait_for(state="detached", timeout=600_000)
            further.append((time.perf_counter() - start) / (len(pictures) - 1))
            answers = tab.evaluate("asked")
            tab.close()
        browser.close()
    return first, further, answers
