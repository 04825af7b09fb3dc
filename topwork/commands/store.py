"""``topwork store``: list, verify and prune what topwork stores on disk."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from topwork.commands.options import AsJson
from topwork.commands.output import print_json, print_table
from topwork.system.messages import Bar, counted, say, size

if TYPE_CHECKING:
    from topwork.store.upkeep.inventory import Item

store = typer.Typer(
    name="store",
    no_args_is_help=True,
    help="List, verify or prune what topwork stores on disk.",
)

WIDTH = 80
SHORT = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "uint8": "u8"}
WHY = {
    "in use": "a process is using it",
    "recent": "it was used less than a day ago",
    "foreign": "its folder holds something that is not topwork's",
    "yours": "a network of your own, which topwork cannot make again; remove it yourself",
    "": "a process opened it or a run began meanwhile; prune again",
}


@store.command()
def ls(as_json: AsJson = False) -> None:
    """List what takes disk space, the largest first.

    A line ends in "none" if no run needs what it lists. 'topwork store prune' deletes what these lines list.
    """
    from topwork.runs.needs import needs
    from topwork.store.upkeep.inventory import inventory
    from topwork.system.files import home

    found = inventory(needs())
    together = sum(item.thing.bytes for item in found)
    going = sum(item.thing.bytes for item in found if item.goes)
    if as_json:
        print_json({"home": str(home()), "bytes": together, "prunable": going, "items": [_as_json(i) for i in found]})
        return
    _print([item for item in found if item.thing.kind == "activations"], _ACTIVATIONS)
    _print([item for item in found if item.thing.kind != "activations"], _OTHERS)
    print(f"{size(together)} in total, in {home()}.")
    if going:
        print(f"'topwork store prune' frees {size(going)}: what no run needs.")


@store.command()
def verify(
    name: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="What to read: cuts from 'store ls', backbones, or names of folders. By default, everything.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read everything that is stored, and check that it is intact.

    The exit status is 1 if something is damaged.
    """
    from topwork.store.upkeep.inventory import contents
    from topwork.store.upkeep.verify import named
    from topwork.store.upkeep.verify import verify as verified

    things = named(contents(), name or ())
    bar = Bar("verify")
    bar.start()
    try:
        found = list(verified(things, bar.update))
    finally:
        bar.stop()
    damaged = [checked for checked in found if checked.problem]
    if as_json:
        problems = [{"path": str(one.thing.path), "problem": one.problem} for one in damaged]
        print_json({"checked": len(found), "damaged": problems})
    else:
        for one in damaged:
            print(f"{one.thing.kind} {one.thing.name}: {one.problem}")
        whole = len(found) - len(damaged)
        print(f"{whole:,} of {counted(len(found), 'thing')} {'is' if whole == 1 else 'are'} intact.")
    if damaged:
        raise typer.Exit(1)


@store.command()
def prune(as_json: AsJson = False) -> None:
    """Delete what no run needs; 'store ls' shows it beforehand.

    Anything that a process is using is kept. What was deleted is computed again if it is needed later.
    """
    from topwork.runs import registry
    from topwork.runs.needs import needs
    from topwork.store.upkeep.prune import prune as pruned

    done = pruned(needs, registry.runs)
    if as_json:
        gone = [{"path": str(thing.path), "bytes": thing.bytes} for thing in done.gone]
        stayed = [{"path": str(item.thing.path), "why": item.stays or "raced"} for item in done.stayed]
        print_json({"bytes": done.bytes, "gone": gone, "stayed": stayed})
        return
    for thing in done.gone:
        print(f"{thing.kind} {thing.name}: {size(thing.bytes)}, {thing.path.name}")
    for item in done.stayed:
        say(f"{item.thing.kind} {item.thing.name} stays: {WHY[item.stays]}.")
    print(f"{size(done.bytes)} freed." if done.gone else "Nothing to delete: everything is needed or in use.")


_ACTIVATIONS = ("activations", "px", "weights", "as", "rows", "size", "used", "runs")
_OTHERS = ("beside them", "size", "used", "runs")


def _print(items: Sequence["Item"], heads: Sequence[str]) -> None:
    """Print a table that is at most 80 columns wide. Long names are shortened."""
    if not items:
        return
    rows = []
    for item in items:
        thing = item.thing
        names = [f"{thing.kind} {thing.name}"]
        if heads is _ACTIVATIONS:
            stored_as = "/".join(SHORT[word] for word in (thing.precision, thing.dtype) if word)
            count = "?" if thing.rows is None else f"{thing.rows:,}"
            names = [thing.name, str(thing.size or "?"), thing.weights or "", stored_as, count]
        days = (datetime.now() - datetime.fromtimestamp(thing.used)).days
        used = "today" if days < 1 else f"{days:,} d"
        needed = f"{len(item.runs):,}" if item.runs else item.stays or "none"
        rows.append([*names, size(thing.bytes), used, needed])
    rest = sum(2 + max(map(len, column)) for column in zip(heads[1:], *(row[1:] for row in rows)))
    width = max(WIDTH - rest, 12)
    for row in rows:
        if len(row[0]) > width:
            row[0] = f"{row[0][: width - width // 2 - 1]}…{row[0][-(width // 2) :]}"
    print_table(heads, rows)
    print()


def _as_json(item: "Item") -> dict[str, Any]:
    thing = item.thing
    about = {
        key: getattr(thing, key) for key in ("kind", "name", "size", "weights", "precision", "dtype", "rows", "bytes")
    }
    used = datetime.fromtimestamp(thing.used).astimezone().isoformat(timespec="seconds")
    needed = {"runs": [str(run) for run in item.runs], "stays": item.stays or None, "goes": item.goes}
    return {**about, "used": used, **needed, "path": str(thing.path)}
