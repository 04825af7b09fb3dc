"""``topwork doctor``."""

from collections.abc import Iterator
from textwrap import fill
from typing import TYPE_CHECKING

import typer

from topwork.commands.options import AsJson
from topwork.commands.output import print_json
from topwork.system.messages import size

if TYPE_CHECKING:
    from topwork.commands.diagnosis import Diagnosis


def doctor(as_json: AsJson = False) -> None:
    """Show what a bug report needs, and the problems found.

    The exit status is 1 if topwork cannot be used.
    """
    from topwork.commands import diagnosis as examined

    found = examined.diagnose()
    if as_json:
        print_json(examined.as_json(found))
    else:
        for name, told in _lines(found):
            print(fill(told, 79, initial_indent=f"{name:12}", subsequent_indent=" " * 12, break_on_hyphens=False))
        print()
        if not found.problems:
            print("No problem found.")
        for problem in found.problems:
            words = f"{'Problem' if problem.fatal else 'Warning'}: {problem.text}"
            print(fill(words, 79, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))
    if not found.is_usable:
        raise typer.Exit(1)


def _lines(found: "Diagnosis") -> Iterator[tuple[str, str]]:
    usable, cores = found.cores
    settings = "Keras' defaults"
    if found.settings:
        theirs, ours = (
            ", ".join(f"{name} {values[kind]}" for name, values in found.settings.items()) for kind in ("found", "used")
        )
        settings = f"yours: {theirs}; while topwork computes: {ours}, and then yours again"
    home, keras = (
        f"{disk.path} ({size(disk.free)} free{f', {disk.filesystem}' if disk.filesystem else ''})"
        for disk in (found.home, found.keras)
    )

    yield "topwork", found.topwork
    yield "Python", found.python
    yield "system", found.system
    yield "backend", found.backend
    yield "settings", settings
    yield "packages", ", ".join(f"{name} {version}" for name, version in found.packages.items())
    yield "processor", ", ".join([found.processor, f"{usable} of {cores} cores usable", *found.features])
    yield "GPU", "yes" if found.gpu else f"none that {found.backend} can use"
    if found.memory:
        yield "memory", f"{size(found.memory[0])}, {size(found.memory[1])} free"
    yield "home", home
    yield "weights", f"{', '.join(found.at_hand) or 'none'} at hand; files belong in {keras}"
    yield "default", found.default or "none: see below"
    yield "network", "never used (TOPWORK_OFFLINE)" if found.offline else "used to fetch weights"
