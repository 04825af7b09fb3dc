"""The page: names with markup, names from right to left, many classes, and nothing from a network."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from topwork.data.dataset import Row
from topwork.data.quality.findings import Finding
from topwork.runs.journal import Epoch
from topwork.scoring import metrics
from topwork.scoring.report.answers import Answered
from topwork.scoring.report.gather import verdict
from topwork.scoring.report.page import paths_shown, render
from topwork.scoring.report.summary import Proposal, Summary, Weights
from topwork.scoring.report.thumbnails import of_pixels

EVIL = "<script>alert('x')</script>\"&"
HEBREW = "ורד"


def summary(names=("cat", "dog"), count=60, pull=0.7, **changes):
    draw = np.random.default_rng(0)
    labels = draw.integers(0, len(names), count)
    likely = draw.dirichlet(np.ones(len(names)), count) + pull * np.eye(len(names))[labels]
    likely /= likely.sum(1, keepdims=True)
    rows = [Row(f"{names[label]}/{i}.png", f"{i:04}", names[label], "test") for i, label in enumerate(labels)]
    answered = Answered(rows, likely, names)
    shown, cells = answered.confusion()
    bins, error = answered.calibration()
    scores = metrics.measure(labels, likely, names)
    return Summary(
        **{
            "name": "run",
            "run": "runs/run",
            "verdict": verdict(scores, 5 * count),
            "proposals": [Proposal("Look.", f"topwork audit {names[0]}", "Because.")],
            "pictures": {label: {"train": 8, "val": 1, "test": 1} for label in names},
            "scores": scores,
            "classes": shown,
            "confusion": cells,
            "wrong": len(answered.wrong_paths()),
            "mistakes": answered.mistakes(),
            "unsure": answered.unsure(),
            "calibration": bins,
            "mean_probability": answered.sure.mean(),
            "calibration_error": error,
            "coverage": answered.coverage(),
            "epochs": [
                Epoch(phase=1, cut="x@pool", epoch=i, l2=10.0**-i, val_loss=0.5, train_loss=0.4) for i in (1, 2)
            ],
            "weights": [Weights("x", "imagenet", "Apache-2.0")],
            **changes,
        }
    )


class Tags(HTMLParser):
    """Collects the tags with their attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]

    def handle_data(self, data):
        self.text += data


def test_names_with_markup_are_text():
    page = Tags(render([summary((EVIL, HEBREW))], {}, {}))
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert EVIL in page.text
    assert sum(tag == "bdi" for tag, _ in page.tags) > 10, "names from right to left do not turn the rest of the line"


def test_nothing_comes_from_elsewhere_and_every_link_has_a_target():
    small = {path: of_pixels(np.zeros((72, 96, 3), np.uint8)) for path in paths_shown(summary())}
    text = render([summary()], small, {})
    page = Tags(text)
    for _, attributes in page.tags:
        for name in ("src", "href", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), value
    assert len(page.ids) == len(set(page.ids))
    targets = {value for tag, a in page.tags if (value := a.get("href") or "").startswith("#")}
    assert {value[1:] for value in targets} <= set(page.ids)
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text
    assert all(
        "aria-label" in a for tag, a in page.tags if tag == "svg" and a.get("role") == "img" and "class" not in a
    )


def test_the_sections_have_the_order_of_the_questions():
    text = render([summary()], {}, {})
    heads = re.findall(r"<h2[^>]*>(.*?)</h2>", text)
    assert heads == [
        "Verdict",
        "What to do next",
        "The data",
        "Confusion",
        "The surest mistakes",
        "Labels to check",
        "How sure it is",
        "Pictures of other classes",
        "Accuracy by kind of picture",
        "Would more pictures help?",
        "Training",
        "How to repeat it",
    ]


def test_three_thousand_classes_make_a_page_of_usual_size():
    names = tuple(f"class {i}" for i in range(3000))
    text = render([summary(names, 3000)], {}, {})
    assert len(text) < 1_000_000
    assert "Of 3,000 classes, the 30 with the most mistakes are shown." in text


def test_findings_are_shown_with_their_pictures_and_suspects_apart():
    findings = [
        Finding.of("leak", 1, ["a.png", "b.png"], "Copies."),
        *(Finding.of("dark", 3, [f"dark{i}.png"], "Dark.") for i in range(12)),
        Finding.of("label_suspect", 0.5, ["s.png", "1.png"], "Hm.", label="cat", proposed="dog"),
    ]
    one = summary(findings=findings, mixed_up="Most mixed up: these.", doubted=2)
    assert paths_shown(one)[40:] != []
    text = Tags(render([one], {}, {})).text
    assert "The same picture, or nearly, in different parts: 1" in text
    assert "and 4 more" in text
    assert re.search(r"labelled cat, or dog\?", text)
    assert text.index("Labels to check") < text.index("labelled cat")
    assert re.search(r"2 of the mistakes are among the\s+labels to check", text)


@pytest.mark.parametrize(
    "changes", [{"scores": None, "confusion": [], "mistakes": [], "unsure": [], "calibration": []}]
)
def test_a_run_without_a_test_part_has_a_page(changes):
    text = render([summary(**changes, coverage=[], classes=[], verdict=verdict(None, 10))], {}, {})
    assert "its accuracy is not known" in text


def test_the_verdict_names_what_it_is_compared_with():
    labels = np.repeat([0, 1], [30, 20])
    good, poor = np.eye(2)[labels], np.eye(2)[np.zeros(50, int)]
    sentences = verdict(metrics.measure(labels, good, ["cat", "dog"]), 500)
    assert sentences[0].startswith("50 of 50 test pictures are classified correctly: accuracy 1.000, and with 95 %")
    assert "the largest class, 'cat', would be right for 0.600 of them, which is clearly worse." in sentences[1]
    assert "as good as far as these pictures tell" in verdict(metrics.measure(labels, poor, ["cat", "dog"]), 500)[1]
    wrong = verdict(metrics.measure(labels, 1 - good, ["cat", "dog"]), 500)
    assert "would be right for 0.600 of them, which is clearly better." in wrong[1]
