"""Findings: what an audit found in the data, and the lines that name the gravest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from topwork.system.messages import counted
from topwork.system.records import Record

Severity = Literal["error", "remark"]
Kind = Literal[
    "contradiction",
    "leak",
    "label_suspect",
    "shortcut",
    "classes_alike",
    "outlier",
    "unreadable",
    "class_split",
    "near_copy",
    "equal",
    "blurred",
    "dark",
    "bright",
    "grey",
    "odd_aspect",
    "tiny",
]

HEADINGS: dict[Kind, str] = {
    "contradiction": "The same picture with different labels",
    "leak": "The same picture, or nearly, in different parts",
    "label_suspect": "Labels that may be wrong",
    "shortcut": "How pictures were taken or saved may give their label away",
    "classes_alike": "Classes that cannot be told apart",
    "outlier": "Pictures unlike all others",
    "unreadable": "Pictures that cannot be read",
    "class_split": "Classes of two different kinds of pictures",
    "near_copy": "Saved again, resized or cropped",
    "equal": "Found more than once",
    "blurred": "Much less sharp than the others",
    "dark": "Much darker than the others",
    "bright": "Much brighter than the others",
    "grey": "Grey, while the others have colour",
    "odd_aspect": "Much longer and narrower than the others",
    "tiny": "Much smaller than the others",
}
"""What each kind of finding is, from the gravest to the least grave."""

ERRORS = ("contradiction", "leak")
"""The kinds that make scores wrong if they are certain. The others are remarks."""


@dataclass(frozen=True)
class Finding(Record):
    """One finding of an audit.

    Args:
        kind: one of `HEADINGS`.
        score: how strong the finding is; higher is stronger. Only scores of one kind can be compared.
        paths: the pictures concerned, the most important first. For ``label_suspect`` and ``outlier``, the picture
            itself, followed by the pictures to compare it with.
        label: the label of the pictures, or the class concerned; ``None`` if there are several.
        proposed: another label, which may be the right one; for ``classes_alike``, the other class.
        advice: what was found, and what to do about it.
        severity: ``"error"`` if it makes the scores of a run wrong, else ``"remark"``.
    """

    kind: Kind
    severity: Severity
    score: float
    paths: tuple[str, ...]
    label: str | None
    proposed: str | None
    advice: str

    @classmethod
    def of(
        cls,
        kind: Kind,
        score: float,
        paths: Iterable[str],
        advice: str,
        *,
        label: str | None = None,
        proposed: str | None = None,
        is_certain: bool = True,
    ) -> "Finding":
        """Return a finding; it is an error if its kind is one of `ERRORS` and it is certain.

        >>> Finding.of("dark", 3.1, ["a.jpg"], "Check it.", label="rose").severity
        'remark'
        """
        severity: Severity = "error" if kind in ERRORS and is_certain else "remark"
        return cls(kind, severity, round(float(score), 4), tuple(paths), label, proposed, advice)


ALIKE: dict[Kind, str] = {
    "contradiction": "They look alike, with different labels",
    "leak": "They look alike, in different parts",
    "near_copy": "They look alike, in the same part",
}
"""What findings on copies are if pixels do not show it: their score is then below 1."""


def heading(one: Finding) -> str:
    """Return what a finding is."""
    return ALIKE[one.kind] if one.kind in ALIKE and one.score < 1 else HEADINGS[one.kind]


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings: errors first, then by kind; within a kind, the strongest first."""
    ranks = {kind: rank for rank, kind in enumerate(HEADINGS)}
    return tuple(sorted(findings, key=lambda one: (one.severity, ranks[one.kind], -one.score, one.paths)))


def gravest(findings: Sequence[Finding], audit: str, count: int = 2) -> list[str]:
    """Return one line for each of the gravest kinds, at most *count*, and a line that names the *audit* for the rest.

    >>> found = [Finding.of("dark", 3.0, ["a.jpg"], ""), Finding.of("tiny", 4.0, ["b.jpg"], "")]
    >>> gravest(found, "topwork audit flowers")
    ['Much darker than the others: a.jpg', 'Much smaller than the others: b.jpg', 'All findings: topwork audit flowers']
    """
    named: dict[str, list[str]] = {}
    for one in ordered(findings):
        shown = " and ".join(one.paths[:2]) if one.kind in ERRORS else one.paths[0] if one.paths else str(one.label)
        named.setdefault(heading(one), []).append(shown)
    lines = []
    for what, (first, *others) in list(named.items())[:count]:
        more = f" ({len(others):,} more)" if others else ""
        lines.append(f"{what}: {first}{more}")
    return [*lines, f"All findings: {audit}"] if lines else []


def summary(findings: Iterable[Finding]) -> str:
    """Return the number of findings by severity.

    >>> summary([Finding.of("leak", 1, ["a.jpg", "b.jpg"], "")])
    '1 error, 0 remarks'
    """
    errors = [one.severity == "error" for one in findings]
    return f"{counted(sum(errors), 'error')}, {counted(len(errors) - sum(errors), 'remark')}"
