"""What the commands print: tables for people, JSON where it is asked for."""

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from topwork.backbones import TABLE
from topwork.dataset import PARTS, Dataset
from topwork.extract import Wanted, failures
from topwork.predict import Guess
from topwork.talk import size


def table(data: Dataset) -> None:
    """Classes by part, what was left out, what splitting noted."""
    counts = data.counts()
    rows = [(label, *(f"{counts[label][part]:,}" for part in PARTS), f"{sum(counts[label].values()):,}") for label in counts]
    totals = [f"{len(data.part(part)):,}" for part in PARTS]
    _table(["class", *PARTS, "all"], [*rows, ("", *totals, f"{len(data.rows):,}")])
    for note in data.notes:
        print(note)
    if data.left_out:
        print(f"{len(data.left_out)} left out:")
    for gone in data.left_out:
        print(f"  {gone.path}: {gone.reason}")


def as_json(data: Dataset) -> dict[str, Any]:
    """The same as one object."""
    left_out = {gone.path: gone.reason for gone in data.left_out}
    return {"pictures": len(data.rows), "classes": data.counts(), "notes": list(data.notes), "left_out": left_out}


def preview(data: Dataset, path: Path, count: int = 24) -> None:
    """A grid of the first pictures of each class in turn, with their labels and parts."""
    from itertools import zip_longest

    from topwork import plots
    from topwork.pictures import Fit, decode, fit_array

    by_class = [[row for row in data.rows if row.label == label] for label in data.classes]
    rows = [row for turn in zip_longest(*by_class) for row in turn if row][:count]
    fit = Fit((160, 160), "pad")
    pixels = data.pixels
    pictures = [
        decode(Path(data.root, row.path), fit) if pixels is None else fit_array(pixels[int(row.path[2:-1])], fit)
        for row in rows
    ]
    plots.grid(pictures, [f"{row.label} ({row.split})" for row in rows], path)


def filled(wanted: Wanted, json_wanted: bool) -> None:
    """What an extraction left in the store."""
    below, bad = wanted.trunk(), failures(wanted)
    with wanted.store() as store:
        stored = store.stored or ()
        tensors = [{"shape": list(t.shape), "dtype": d} for t, d in zip(below.tensors, stored)]
        count = len({row.digest for row in wanted.rows} - bad.keys())
        folder = str(store.folder)
    if json_wanted:
        _json({"cut": str(wanted.term), "pictures": count, "tensors": tensors, "left_out": len(bad), "folder": folder})
        return
    for row in wanted.rows:
        if row.digest in bad:
            print(f"left out: {row.path}: {bad[row.digest]}")
    shapes = ", ".join(f"{'x'.join(map(str, t['shape']))} {t['dtype']}" for t in tensors)
    print(f"{count:,} pictures at {wanted.term}: {shapes} each, in {folder}")


def scores(found: dict[str, Any]) -> None:
    """The scores of an evaluation."""
    if found["sample"]:
        print(f"A seeded sample of {found['sample']:,} pictures was measured.")
    rates = {"accuracy": found["accuracy"], "loss": found["loss"]}
    rates |= {f"top-{k}": rate for k, rate in found["top_k"].items()}
    rates |= {f"macro {name}": rate for name, rate in found["macro"].items()}
    _table(["", "value", "95 % interval"], [(name, *_rate(rate)) for name, rate in rates.items()])
    rows = [
        (label, *(_rate(each[name])[0] for name in ("precision", "recall", "f1")), str(each["support"]))
        for label, each in found["classes"].items()
    ]
    _table(["class", "precision", "recall", "F1", "pictures"], rows)
    for path, reason in found["left_out"].items():
        print(f"left out: {path}: {reason}")


def guesses(found: Iterable[Guess], labels: Sequence[str], path: Path | None, json_wanted: bool) -> bool:
    """Print or write answers as they come; ``False`` where no picture could be read."""
    answered = False
    with _answers(path, labels) as write:
        for guess in found:
            answered |= guess.error is None
            if path:
                write(guess)
            elif json_wanted:
                _json(asdict(guess))
            elif guess.error:
                print(f"{guess.path}: {guess.error}", file=sys.stderr)
            else:
                print(f"{guess.path}\t{guess.label}\t{guess.probability:.3f}")
    return answered


def backbones(json_wanted: bool) -> None:
    """The table of backbones, and which have their ImageNet file at hand."""
    from topwork import weights

    rows = [(r.name, r.size, bool(weights.at_hand([r.file])), r.licence, r.paper) for r in TABLE.values()]
    if json_wanted:
        keys = ("name", "size", "at_hand", "licence", "paper")
        _json([dict(zip(keys, row)) for row in rows])
        return
    _table(["name", "size", "at hand", "licence", "paper"], [(n, str(s), "yes" if a else "", li, p) for n, s, a, li, p in rows])
    print(f"ImageNet files belong in {weights.folder()}.")


def places(name: str, side: int | None, json_wanted: bool) -> None:
    """The price list of one backbone."""
    from topwork import backbones as table_of
    from topwork.network import cuts
    from topwork.recipe import Backbone

    table_of.record(name)
    prices = cuts(name, backbone=Backbone(name, "random", side))
    if json_wanted:
        _json([asdict(price) for price in prices])
        return
    rows = [
        (p.name, "x".join(map(str, p.shape)), size(p.kilobytes * 1024), _millions(p.multiply_adds), _millions(p.trainable))
        for p in prices
    ]
    _table(["place", "shape", "a picture", "M madds below", "M params above"], rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    made = Table(box=SIMPLE, pad_edge=False)
    for i, head in enumerate(heads):
        made.add_column(head, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        made.add_row(*map(str, row))
    Console(highlight=False, markup=False).print(made)


def _rate(rate: Any) -> tuple[str, str]:
    if rate is None or rate.get("value") is None:
        return "-", ""
    return f"{rate['value']:.3f}", f"{rate['low']:.3f} to {rate['high']:.3f}"


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f}"


def _json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False), flush=True)


class _answers:
    """A CSV file of answers, opened only where one is wanted."""

    def __init__(self, path: Path | None, labels: Sequence[str]) -> None:
        self._path, self._labels = path, labels

    def __enter__(self) -> Any:
        if self._path:
            self._file = self._path.open("w", newline="", encoding="utf-8")
            self._table = csv.writer(self._file)
            self._table.writerow(["path", "label", "probability", *self._labels, "error"])
        return self._write

    def __exit__(self, *_: object) -> None:
        if self._path:
            self._file.close()

    def _write(self, guess: Guess) -> None:
        found = [guess.probabilities.get(label, "") for label in self._labels]
        self._table.writerow([guess.path, guess.label, guess.probability, *found, guess.error or ""])


