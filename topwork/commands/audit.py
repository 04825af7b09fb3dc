"""``topwork audit``."""

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from topwork.commands.options import (
    AsJson,
    DataPath,
    Jobs,
    MaxMegapixels,
    NearCopies,
    Parts,
    Size,
    Weights,
    data_options,
    must_be_new,
)
from topwork.commands.output import print_json
from topwork.errors import UsageError
from topwork.system.advice import word
from topwork.system.messages import counted, say, some

if TYPE_CHECKING:
    from topwork.data.quality.findings import Finding
    from topwork.scoring.audit.audit import AuditResult

SHOWN = 10
"""The number of findings of each kind that are printed."""

SUSPECTS = "Models that did not learn them give another label. Look at each beside those that it looks like."


def audit(
    data: DataPath,
    cut: Annotated[
        str | None,
        typer.Option(metavar="CUT", help="The cut to use; by default, that of 'topwork train'."),
    ] = None,
    fix: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Save a table that can be used as DATA: copies share a group, and the column 'suspect' has another "
            "label for pictures whose label may be wrong. Nothing is deleted, and no label is changed.",
        ),
    ] = None,
    weights: Weights = None,
    size: Size = None,
    parts: Parts = None,
    max_megapixels: MaxMegapixels = None,
    near_copies: NearCopies = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Find wrong labels, copies, and other faults in the data.

    Copies in different parts or with different labels are errors, because they make scores wrong, if their pixels show
    it: the exit status is then 1. Everything else is a remark, for you to look at.
    """
    from topwork.data.readers import read as read_data
    from topwork.data.reading.listing import SUSPECT, write_csv
    from topwork.scoring.audit.audit import audit as audited
    from topwork.system.files import written_whole

    if fix and fix.suffix.lower() not in (".csv", ".tsv"):
        raise UsageError(f"--fix {str(fix)!r} does not end in '.csv' or '.tsv': it is a table, so give it such a name.")
    must_be_new("--fix", fix)
    rows = read_data(data, decode=True, **data_options(parts, max_megapixels, near_copies))
    if fix and not rows.root:
        raise UsageError(f"--fix writes the paths of pictures, and {data!r} contains arrays, not files: omit --fix.")
    if fix:
        "".join(path for row in rows.rows for path, _ in row.pictures).encode()  # a table holds UTF-8 alone
    found = audited(rows, cut, weights=weights or "imagenet", size=size, jobs=jobs)
    try:
        if fix:
            with written_whole(fix) as aside:
                write_csv(found.fixed.seen_from(str(fix.resolve().parent)), aside, reasons=False)
    finally:  # a full disk loses no finding
        table = str(fix) if fix and fix.exists() else None
        if as_json:
            print_json({**found.as_json(), "fix": table})
        else:
            _print(found)
            if table:
                print(table)
                suspects = counted(sum(SUSPECT in row.extra for row in found.fixed.rows), "suspect")
                say(f"{table} lists all pictures. Copies share a group; the column suspect marks {suspects}.")
                say(f"Correct its column label or remove rows, then: topwork train {word(table)}")
    if found.errors:
        raise typer.Exit(1)


def _print(found: "AuditResult") -> None:
    """Print the findings: a heading for each kind, then what was found with the pictures concerned."""
    from itertools import groupby

    from topwork.data.quality.findings import heading, summary

    print(f"{counted(found.pictures, 'picture')}, {found.cut}: {summary(found.findings)}")
    for what, group in groupby(found.findings, heading):
        each = list(group)
        print(f"\n{what}: {len(each):,}")
        for advice, same in groupby(each[:SHOWN], lambda one: "" if one.kind == "label_suspect" else one.advice):
            print(fill(advice or SUSPECTS, 80, initial_indent="  ", subsequent_indent="  "))
            for one in same:
                _print_pictures(one)
        if len(each) > SHOWN:
            print(f"  and {len(each) - SHOWN:,} more; --json names all")
    for note in found.notes:
        print()
        print(fill(note, 80))


def _print_pictures(one: "Finding") -> None:
    """Print the pictures of a finding, on a line that is not broken: names can be copied."""
    first, *others = one.paths or [""]
    if one.kind == "label_suspect":
        print(f"    {first}: {one.label!r}, or {one.proposed!r}?")
        print(f"      like {', '.join(others)}")
    elif one.kind == "outlier":
        print(f"    {first} ({one.label!r})")
    elif one.paths:
        print(f"    {some(one.paths)}")
