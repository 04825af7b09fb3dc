"""Check that the things in topwork's home are complete.

Stores are read in another process (`topwork.store.upkeep.checker`). Trunks are loaded, graphs are parsed, and the
archives of models are checked. Random weights have no checksums, so they are only read.
"""

import json
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from topwork.errors import MachineError, StoreError, UsageError, nearest
from topwork.networks.graph import Graph
from topwork.store.tables import damaged
from topwork.store.upkeep.checker import Progress
from topwork.store.upkeep.inventory import Thing
from topwork.system.files import home
from topwork.system.processes import Beside, Ended

CRASHES = (-signal.SIGABRT, -signal.SIGBUS, -signal.SIGSEGV)
"""Exit statuses of the process that reads a store, if a damaged page made it crash."""


@dataclass(frozen=True)
class Checked:
    """The result for one thing; ``problem`` states what is wrong and what to do, and is empty if nothing is wrong."""

    thing: Thing
    problem: str


def named(things: Iterable[Thing], names: Iterable[str]) -> list[Thing]:
    """Return those *things* that have one of the *names*; all things if there are no *names*.

    A name is a cut, a backbone, or the name of a file or folder.

    Raises:
        UsageError: one of the names matches no thing.
    """
    there, wanted = list(things), set(names)
    known = {name for thing in there for name in _names(thing)}
    for name in sorted(wanted - known):
        raise UsageError(
            f"nothing below {home()} is called {name!r}{nearest(name, known) or '.'} "
            "'topwork store ls' lists what is there."
        )
    return [thing for thing in there if not wanted or wanted & _names(thing)]


def verify(things: Iterable[Thing], progress: Progress = lambda done, total: None) -> Iterator[Checked]:
    """Check things one after another, and yield the result for each.

    Args:
        things: the things to check.
        progress: called with the number of rows read and the number of all rows, while a store is checked.

    Example:
        >>> from topwork.store.upkeep.inventory import contents
        >>> [checked.problem for checked in verify(contents()) if checked.problem]  # doctest: +SKIP
        []
    """
    for thing in things:
        problem = ""
        try:
            _check(thing, progress)
        except StoreError as error:
            problem = str(error)
        except MachineError:
            raise
        except Exception as error:  # OpenVINO, h5py and json raise many kinds of errors for a damaged file
            lines = [line.strip() for line in str(error).splitlines() if not line.startswith("Exception from")]
            reason = next(filter(None, lines), type(error).__name__).rstrip(".")  # skips OpenVINO's source lines
            again = "put back a copy of it" if thing.kind == "model" else "it is made again when needed"
            problem = f"the {thing.kind} {thing.path} cannot be read: {reason}. Remove it: {again}."
        yield Checked(thing, problem)


def _names(thing: Thing) -> set[str]:
    return {thing.name, thing.backbone, thing.path.name} - {""}


def _check(thing: Thing, progress: Progress) -> None:
    """Read a thing in the way for its kind; raise an error if anything is wrong with it."""
    path = thing.path
    if thing.kind == "activations":
        _check_store(path, progress)
    elif thing.kind == "trunk" and find_spec("openvino") and (path / "trunk.xml").exists():
        from xml.etree import ElementTree

        from topwork.store.runtimes.openvino import read

        ElementTree.parse(path / "trunk.xml")  # else OpenVINO tries other formats and prints errors
        read(path / "trunk.xml")
    elif thing.kind == "graph":
        Graph.from_json(json.loads(path.read_text(encoding="utf-8")))
    elif thing.kind == "random weights":
        import h5py

        with h5py.File(path) as file:
            names: list[str] = []
            file.visit(names.append)
            for name in names:
                if isinstance(item := file[name], h5py.Dataset):
                    item[()]
    elif thing.kind == "model":
        from zipfile import ZipFile

        with ZipFile(path) as archive:
            broken = archive.testzip()
        if broken:
            raise ValueError(f"its part {broken!r} does not match its checksum")


def _check_store(folder: Path, progress: Progress) -> None:
    """Check a store in another process; raise an error if anything is wrong with it."""
    with Beside("topwork.store.upkeep.checker", quiet=True) as checker:
        checker.ask(str(folder))
        try:
            checker.answer(lambda read: progress(*read))
        except Ended as ended:
            if ended.status in CRASHES:
                raise damaged(folder, f"reading it crashed (signal {-ended.status})") from None
            raise MachineError(
                f"the process that read the store {folder} ended with status {ended.status} before it was done. "
                "Run the same command again."
            ) from None
