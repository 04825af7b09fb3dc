"""Findings: their order, their severity, and the lines on the gravest."""

from typing import get_args

from topwork.data.quality.findings import HEADINGS, Finding, Kind, gravest, ordered, summary


def found(kind, score=1.0, *paths, label="rose"):
    return Finding.of(kind, score, paths or ("a.jpg", "b.jpg"), "Look.", label=label)


def test_every_kind_has_a_heading_and_two_are_errors():
    assert set(HEADINGS) == set(get_args(Kind))
    assert {kind for kind in HEADINGS if found(kind).severity == "error"} == {"leak", "contradiction"}


def test_errors_come_first_and_strong_findings_before_weak_ones():
    some = [found("dark", 9), found("leak", 0.1), found("dark", 10), found("label_suspect", 0.5)]
    assert [(one.kind, one.score) for one in ordered(some)] == [
        ("leak", 0.1),
        ("label_suspect", 0.5),
        ("dark", 10),
        ("dark", 9),
    ]


def test_a_finding_is_one_json_object():
    assert found("leak", 0.123456, "a.jpg", "b.jpg").as_json() == {
        "kind": "leak",
        "severity": "error",
        "score": 0.1235,
        "paths": ("a.jpg", "b.jpg"),
        "label": "rose",
        "proposed": None,
        "advice": "Look.",
    }


def test_two_kinds_are_named_at_most_in_a_line_each():
    some = [found("dark"), found("tiny"), *(found("leak", 1 + i, f"{i}.jpg", f"{i}-copy.jpg") for i in range(6))]
    lines = gravest([*some, Finding.of("shortcut", 1, [], "", label="rose")], "topwork audit flowers")
    assert lines == [
        "The same picture, or nearly, in different parts: 5.jpg and 5-copy.jpg (5 more)",
        "How pictures were taken or saved may give their label away: rose",
        "All findings: topwork audit flowers",
    ]
    assert gravest([], "topwork audit flowers") == []
    assert summary(some) == "6 errors, 2 remarks"
