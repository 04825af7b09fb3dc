"""The page: a summary as one HTML file, with its pictures, and without anything from a network."""

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined

from topwork.data.quality.findings import Finding, heading
from topwork.scoring.compare import Comparison
from topwork.scoring.report.charts import charts
from topwork.scoring.report.summary import Summary
from topwork.scoring.report.thumbnails import Thumbnail
from topwork.system.advice import word
from topwork.system.files import home
from topwork.system.messages import duration, size
from topwork.version import VERSION

FINDINGS = 8
"""How many findings of each kind are shown with their pictures."""

LISTED = 30
"""How many skipped files are listed before the rest is only counted. A longer table has a filter."""

ROWS = 200
"""How many rows a long table or list has, before the rest is only counted."""

PATHS = 6
"""How many pictures of a finding are shown."""

SUSPECTS = 24
"""How many label suspects are shown with their pictures."""


def render(
    summaries: Sequence[Summary],
    pictures: Mapping[str, Thumbnail],
    heat: Mapping[str, Thumbnail],
    comparisons: Sequence[Comparison] = (),
) -> str:
    """Return the page of one run, or of several side by side.

    Args:
        summaries: of the runs; the first one's pictures are shown.
        pictures: path -> thumbnail.
        heat: path -> heat map.
        comparisons: of several runs, each with the next.
    """
    here = Path(__file__).parent
    texts = {name: (here / f"page.{name}").read_text(encoding="utf-8") for name in ("css", "js")}
    environment = Environment(
        loader=FileSystemLoader(here),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_cache(),
    )
    environment.filters |= {"percent": percent, "duration": duration, "size": size, "comma": "{:,}".format}
    shared = Counter(one.name for one in summaries)
    names = {one.run: one.name if shared[one.name] == 1 else one.run for one in summaries}
    numbers = {path: number for number, path in enumerate(pictures)}
    cells = {(cell.label, cell.predicted): cell for cell in summaries[0].confusion}
    return environment.get_template("page.html").render(
        summaries=summaries,
        one=summaries[0],
        pictures=pictures,
        heat=heat,
        numbers=numbers,
        cells=cells,
        cell_numbers={pair: number for number, pair in enumerate(cells)},
        names=names,
        compared=[_compared(one, names) for one in comparisons],
        charts=charts(summaries[0]),
        kinds=kinds(summaries[0].findings or []),
        word=word,
        made=time.strftime("%Y-%m-%d"),
        version=VERSION,
        listed=LISTED,
        rows=ROWS,
        shown_findings=FINDINGS,
        shown_paths=PATHS,
        shown_suspects=SUSPECTS,
        **texts,
    )


def _cache() -> FileSystemBytecodeCache | None:
    """Return where the compiled template is saved: compiling it takes longer than all the rest of a short page."""
    folder = home() / "templates"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return FileSystemBytecodeCache(str(folder)) if os.access(folder, os.W_OK) else None


def percent(value: Any) -> str:
    """Return a rate with its interval, in percent.

    >>> from topwork.runs.scores import Rate
    >>> percent(Rate(0.9, 0.8, 0.95))
    '90 % (80 to 95)'
    """
    if not value:
        return "–"
    return f"{100 * value.value:.0f} % ({100 * value.low:.0f} to {100 * value.high:.0f})"


def _compared(one: Comparison, names: Mapping[str, str]) -> dict[str, Any]:
    """Return the accuracies of two runs and their difference, for the table."""
    return {
        "first": names.get(one.first, one.first),
        "second": names.get(one.second, one.second),
        "pictures": one.pictures,
        "of_first": one.scores["first"]["accuracy"],
        "of_second": one.scores["second"]["accuracy"],
        "difference": one.differences["accuracy"],
        "p": one.p,
        "text": one.text,
    }


def kinds(findings: Sequence[Finding]) -> list[tuple[str, list[Finding]]]:
    """Return headings with their findings, the gravest first; label suspects have a section of their own."""
    others = [one for one in findings if one.kind != "label_suspect"]
    return [(what, list(group)) for what, group in groupby(others, heading)]


def paths_shown(summary: Summary) -> list[str]:
    """Return the paths of the pictures that a page shows, the most important first."""
    paths = [one.path for one in summary.mistakes + summary.unsure]
    findings = summary.findings or []
    for _, group in kinds(findings):
        for one in group[:FINDINGS]:
            paths += one.paths[:PATHS]
    suspects = [one for one in findings if one.kind == "label_suspect"]
    for one in suspects[:SUSPECTS]:
        paths += one.paths
    for cell in sorted(summary.confusion, key=lambda cell: (cell.label == cell.predicted, -cell.count)):
        paths += [answer.path for answer in cell.answers]
    return paths
