"""A head on frozen layers is solved, or trained in epochs: alone, and before layers are opened; on the same folds.

A head that is followed by an opened phase is linear probing, then fine-tuning (Kumar et al. 2022). The data are
pictures, scikit-learn's digits and, if its folder is given, MNIST. All runs are made by ``topwork train``.
"""

from collections.abc import Iterator
from pathlib import Path

from benchmarks import digits
from benchmarks.choices import NETWORKS, Measured, Plan, runs_of
from benchmarks.draw import draw
from benchmarks.folds import splits
from topwork.data.readers import read
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import SOLVER, Iteration

DIGITS = 1000
"""How many digits are used."""


def measure(plan: Plan, scratch: Path) -> Measured:
    """Measure. All files are written below *scratch*."""
    data = read(plan.data or draw(scratch / "drawn", plan.pictures), decode=True)
    asked = {
        "pictures": [(split.csv, split.seed) for split in splits(data, plan.seeds, plan.folds, scratch / "splits")]
    }
    for written, folder in {"digits": None, "MNIST": plan.mnist}.items():
        if written == "digits" or folder:
            file = digits.write(scratch / f"{written}.npz", DIGITS, folder)
            asked[written] = [(file, seed) for seed in range(plan.seeds)]
    found = {}
    for shown, pairs in asked.items():
        for question, ways in _questions():
            name = f"{question}, {shown}"
            found[name] = runs_of(ways, pairs, plan, scratch / "runs" / name)
    return found


def _questions() -> Iterator[tuple[str, dict[str, Recipe]]]:
    """Yield the recipes of both ways: the head alone, and the head before opened layers."""
    ways = {"in epochs": {"epochs": Iteration().epochs}, "solved": {"optimizer": SOLVER}}
    for name, place in NETWORKS.items():
        for question, opened in (("head", []), (f"head, then {place}", [{"cut": f"{name}@{place}"}])):
            tables = {way: {"phase": [{"cut": f"{name}@pool", **one}, *opened]} for way, one in ways.items()}
            yield f"{name}: {question}", {way: Recipe.from_mapping(table) for way, table in tables.items()}
