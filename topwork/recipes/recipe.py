"""Recipes: everything that is needed to repeat a run, as frozen dataclasses and as TOML, which is read strictly.

[data]                      [head]                     [[phase]]
split = [0.8, 0.1, 0.1]     kind = "linear"            cut = "mobilenet_v2@pool"
                                                       epochs = 25
[backbones.mobilenet_v2]                               learning_rate = 1e-3
weights = "imagenet"

Instead of phases and their settings, a recipe can have a join, which combines the probabilities of runs:

[join]
members = ["runs/a", "runs/b"]
rule = "mean"
"""

import tomllib
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from topwork.cut import POOL, Cut
from topwork.errors import CutError, RecipeError, UsageError, at
from topwork.recipes.parsing import POSITIVE, RANGES, check_range, expect, located, put, read, refuse_unknown
from topwork.recipes.renamed import is_of_format_1, with_new_names
from topwork.recipes.settings import (
    WORDS,
    About,
    Backbone,
    Data,
    Head,
    Join,
    Phase,
    Search,
    Training,
    Views,
)
from topwork.system.advice import either
from topwork.system.records import brief


@dataclass(frozen=True)
class Recipe:
    """Everything that is needed to repeat a run. A recipe has phases, a join, or a search that finds the phases.

    >>> recipe = Recipe.from_mapping({"phase": [{"cut": "vgg16@pool", "epochs": 3}]})
    >>> recipe.phases[0].epochs, recipe.head.kind
    (3, 'linear')
    """

    phases: tuple[Phase, ...] = ()
    data: Data = field(default_factory=Data)
    backbones: Mapping[str, Backbone] = field(default_factory=dict)
    views: Views = field(default_factory=Views)
    head: Head = field(default_factory=Head)
    training: Training = field(default_factory=Training)
    about: About = field(default_factory=About)
    join: Join | None = None
    search: Search | None = None

    __repr__ = brief

    @classmethod
    def load(cls, path: str | Path) -> "Recipe":
        """Read a TOML file. In a run folder of format 1, the keys may have their old names.

        Raises:
            RecipeError: the file is missing or is not TOML; or it has an unknown key or a wrong value, and the error
                names the line.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
            table = tomllib.loads(text)
            return cls.from_mapping(with_new_names(table) if is_of_format_1(Path(path)) else table)
        except OSError as error:
            raise RecipeError(f"cannot read the recipe {str(path)!r}: {error.strerror or error}.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"the recipe {str(path)!r} is not TOML: {error}.") from None
        except UsageError as error:
            raise located(error, Path(path), text) from None

    @classmethod
    def from_mapping(cls, table: Mapping[str, Any]) -> "Recipe":
        """Read a recipe from a table in the form that `tomllib` returns.

        Raises:
            RecipeError: a key is unknown or a value is wrong; the error names it.
            CutError: a cut cannot be read.
        """
        refuse_unknown(table, (*_PARTS, "backbones", "phase", "join", "search"), "recipe")
        if "join" in table:
            parts = {key: read(part, table.get(key, {}), key) for key, part in _PARTS.items() if key in _BESIDE}
            if beside := next((key for key in table if key not in ("join", *_BESIDE)), None):
                raise _both(beside)
            if isinstance(table["join"], Mapping) and "members" not in table["join"]:
                raise RecipeError(
                    'join has no members: expected the folders of runs, as in members = ["runs/a", "runs/b"].', "join"
                )
            return cls(join=read(Join, table["join"], "join"), **parts).checked()

        named = expect(Mapping, table.get("backbones", {}), "backbones", "a table for each backbone")
        rows = expect((list, tuple), table.get("phase", ()), "phase", "one or more [[phase]]")
        backbones = {name: read(Backbone, row, f"backbones.{name}", name=name) for name, row in named.items()}
        phases = []
        for number, row in enumerate(rows, 1):
            where = f"phase.{number}"
            if isinstance(row, Mapping) and "cut" not in row:
                raise RecipeError(f'{where} has no cut: expected one, as in cut = "mobilenet_v2@pool".', where)
            phases.append(read(Phase, row, where))
        parts = {key: read(part, table.get(key, {}), key) for key, part in _PARTS.items()}
        if isinstance(table.get("search"), Mapping) and "minutes" not in table["search"]:
            raise RecipeError("search has no minutes: expected how long it may take, as in minutes = 5.", "search")
        search = read(Search, table["search"], "search") if "search" in table else None
        return cls(phases=tuple(phases), backbones=backbones, search=search, **parts).checked()

    def as_mapping(self) -> dict[str, Any]:
        """Return a table that `from_mapping` can read. ``None``, which TOML lacks, and empty texts are omitted."""
        table = asdict(self)
        about = {key: text for key, text in table["about"].items() if text}
        told = {"about": about} if about else {}
        table["data"] = {key: value for key, value in table["data"].items() if value != {}}
        if self.join:
            return told | {"data": table["data"], "join": table["join"]}
        backbones = {
            name: {k: v for k, v in row.items() if k != "name" and v is not None}
            for name, row in table["backbones"].items()
        }
        parts = {key: {k: v for k, v in table[key].items() if v is not None} for key in _PARTS if key != "about"}
        phases = [{k: v for k, v in row.items() if v is not None} for row in table["phases"]]
        search = {"search": table["search"]} if self.search else {}
        return told | parts | {"backbones": backbones, **({"phase": phases} if phases else {}), **search}

    def dumps(self) -> str:
        """Return the recipe as TOML."""
        import tomli_w

        return tomli_w.dumps(self.as_mapping())

    def with_settings(self, settings: Mapping[str, Any]) -> "Recipe":
        """Return a recipe with changed settings, such as ``{"phase.2.learning_rate": 1e-5}`` (phases count from 1)."""
        return Recipe.settled(self.as_mapping(), settings)

    @classmethod
    def settled(cls, table: dict[str, Any], settings: Mapping[str, Any]) -> "Recipe":
        """Return the recipe of a table after *settings* are changed in it. Before that, the table may be incomplete.

        `carried` decides which options the backbones in the changed cuts get. If a backbone was replaced, ``about`` is
        dropped, because it describes the recipe with the old backbone.
        """
        given = {name: dict(row) for name, row in table.get("backbones", {}).items()}
        had = {name: given.get(name, {}) for name in {**given, **dict.fromkeys(backbones_in(table))}}
        for key, value in settings.items():
            put(table, key, value)
        if "join" in table or "backbones" not in table:
            return cls.from_mapping(table)
        named = backbones_in(table)
        rows: dict[str, Any] = carried(had, named)
        for name in [key.split(".")[1] for key in settings if key.startswith("backbones.")]:
            row = table["backbones"][name]
            rows[name] = {**rows.get(name, {}), **row} if isinstance(row, Mapping) else row
        about = table.get("about", {}) if had.keys() <= set(named) else {}
        return cls.from_mapping(table | {"backbones": rows, "about": about})

    def checked(self) -> "Recipe":
        """Check the recipe. Return it with a default `Backbone` for each name that cuts use and ``backbones`` lacks.

        Raises:
            RecipeError: there is no phase, phases have different ends, ``backbones`` has a name that no cut uses, a
                join has fewer than two runs, there are phases beside a join or a search, or a value is outside its
                range.
            CutError: a cut cannot be read.
        """
        if self.join:
            _check_join(self.join, self.phases)
        elif self.search and self.phases:
            raise RecipeError(
                "the recipe has phases beside 'search', and a search finds the phases itself: name the cuts that it "
                'may use, as in cuts = ["mobilenet_v2@pool"] of [search], or remove one of the two.',
                "phase",
            )
        elif not self.phases and not self.search:
            raise RecipeError(
                'the recipe has no phase: expected at least one [[phase]] with a cut, as in cut = "mobilenet_v2@pool".'
            )
        parts = {name: getattr(self, name) for name in _PARTS}
        parts |= {f"backbones.{name}": backbone for name, backbone in self.backbones.items()}
        parts |= {f"phase.{number}": phase for number, phase in enumerate(self.phases, 1)}
        parts |= {"search": self.search} if self.search else {}
        for where, part in parts.items():
            for key, (low, high) in RANGES.items():
                check_range(getattr(part, key, None), low, high, f"{where}.{key}", above=key in POSITIVE)
        if self.join:
            return self
        if self.search:
            if self.head.kind != "linear" or self.head.file:
                raise RecipeError(
                    "a search begins with heads that are solved, and these are linear: set head.kind = 'linear', or "
                    f"omit {either('minutes', '--minutes')}.",
                    "head.kind",
                )
            if self.views.mode == "live" and self.views.count > 1:
                raise RecipeError(
                    "a search needs stored views: omit views.mode = 'live', or omit the search.", "views.mode"
                )
            with at("search.cuts"):
                cuts = [Cut.parse(cut) for cut in self.search.cuts]
            used = [name for cut in cuts for name in cut.backbones] or list(self.backbones)
            refuse_unknown(self.backbones, used, "backbones")
            return replace(self, backbones={name: self.backbones.get(name, Backbone(name)) for name in used})

        each = []
        for number, phase in enumerate(self.phases, 1):
            with at(f"phase.{number}.cut"):
                each.append(phase.terms)
        terms = [term for some in each for term in some]
        ends = [tuple(replace(term, place=0) for term in some) for some in each]
        other = next((number for number, end in enumerate(ends, 1) if end != ends[0]), None)
        if other:
            raise RecipeError(
                "all phases of a run must share the same backbones and ends, but these do not: "
                + ", ".join(repr(phase.cut) for phase in self.phases)
                + ". Name the same in each phase's cut"
                + either(".", " (--set phase.1.cut=..., --set phase.2.cut=...)."),
                f"phase.{other}.cut",
            )
        names = {term.backbone: self.backbones.get(term.backbone, Backbone(term.backbone)) for term in terms}
        refuse_unknown(self.backbones, names, "backbones")
        return replace(self, backbones=names)

    def refuse_idle(self) -> None:
        """Refuse settings that have no effect in a new run, or that leave nothing to learn.

        Raises:
            RecipeError: the recipe has such a setting.
        """
        views, head = self.views, self.head
        if views.mode == "live" and views.count < 2:
            raise RecipeError(
                "views.mode = 'live' with views.count = 1 is no augmentation: set views.count to 2 or more (live views "
                "are drawn afresh in every epoch, whatever the count), or omit views.mode.",
                "views.mode",
            )
        shares = {"head.dropout": head.dropout, "training.label_smoothing": self.training.label_smoothing}
        for key, value in shares.items():
            if value == 1:
                raise RecipeError(f"{key} = 1 leaves nothing to learn from: expected less.", key)
        if head.kind == "mlp" and not head.units and not head.file:
            raise RecipeError(
                "head.units = [] leaves 'mlp' without layers: give the units of one or more, as in [256], or set "
                "head.kind = 'linear'.",
                "head.units",
            )
        ends = {term.end for phase in self.phases for term in phase.terms}
        if head.pooling != "avg" and not head.file and ends == {POOL}:
            raise RecipeError(
                f"head.pooling = {head.pooling!r}: all cuts end in pool, which averages. End one in a map, as in "
                "resnet50@conv5_block3_out..conv5_block3_out, or set head.pooling = 'avg'.",
                "head.pooling",
            )


def backbones_in(table: Mapping[str, Any]) -> list[str]:
    """Return the backbones that the cuts in a table name, each once. Cuts that cannot be read are skipped.

    >>> backbones_in({"phase": [{"cut": "vgg16@pool"}, {"cut": "vgg16@block5_conv1"}, {"cut": "?"}, 3]})
    ['vgg16']
    """
    found: dict[str, None] = {}
    rows = table.get("phase", ())
    for row in rows if isinstance(rows, list | tuple) else ():
        cut = row.get("cut") if isinstance(row, Mapping) else None
        if isinstance(cut, str):
            with suppress(CutError):
                found |= dict.fromkeys(Cut.parse(cut).backbones)
    return list(found)


def carried(had: Mapping[str, Mapping[str, Any]], names: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return backbone -> options, for the backbones in *names*.

    If exactly one backbone is replaced by one other, the new one gets the options of the old one, except for files of
    weights and models, which belong to one network.

    >>> carried({"inception_v3": {"size": 84, "weights": "a.h5"}}, ["xception"])
    {'xception': {'size': 84}}
    """
    kept = {name: dict(row) for name, row in had.items() if name in names}
    gone, new = [name for name in had if name not in names], [name for name in names if name not in had]
    if len(gone) == len(new) == 1:
        row = had[gone[0]]
        kept[new[0]] = {key: value for key, value in row.items() if key not in ("model", "weights") or value in WORDS}
    return kept


_BESIDE = ("about", "data")
"""The other tables that a recipe with a join may have."""

_PARTS = {"about": About, "data": Data, "views": Views, "head": Head, "training": Training}


def _check_join(join: Join, phases: Sequence[Phase]) -> None:
    if phases:
        raise _both("phase")
    members = list(join.members)
    if len(members) < 2:
        raise RecipeError(f"join.members = {members!r}: expected two runs or more.", "join.members")
    places = [Path(member).resolve() for member in members]
    twice = next((member for i, member in enumerate(members) if places[i] in places[:i]), None)
    if twice is not None:
        raise RecipeError(f"join.members names {twice!r} twice: expected different runs.", "join.members")


def _both(key: str) -> RecipeError:
    return RecipeError(
        f"the recipe has {key!r} beside 'join': a recipe either trains in phases or joins runs that are already "
        "trained. Beside 'join', only 'data' is allowed: remove one of the two.",
        key,
    )
