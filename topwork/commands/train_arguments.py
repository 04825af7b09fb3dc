"""Make a recipe from the arguments of ``topwork train``."""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from topwork.cut import Cut
from topwork.errors import UsageError
from topwork.networks.weights import fingerprints, official
from topwork.recipes import library
from topwork.recipes.parsing import located, put
from topwork.recipes.recipe import Recipe, backbones_in, carried
from topwork.recipes.settings import SOLVER, Backbone
from topwork.runs.folder import Folder
from topwork.scoring.choosing import candidates
from topwork.system.messages import counted, say
from topwork.training import warm_start


@dataclass(frozen=True)
class Words:
    """The options that set keys of a recipe. ``None`` or an empty list: the option was not given."""

    file: str | Path | None
    cuts: list[str]
    epochs: list[int]
    learning_rates: list[float]
    head: str | None
    views: int | None
    weights: str | None
    size: int | None
    settings: list[str]
    data: dict[str, Any] = field(default_factory=dict)
    no_head_first: bool | None = None
    minutes: float | None = None

    @property
    def head_first(self) -> bool:
        """Whether a phase that trains the head alone may be put before the phases of the cuts."""
        return bool(self.cuts) and not self.no_head_first

    def recipe(self, parent: Path | None = None) -> Recipe:
        """Return the recipe: from a file, a parent run or the defaults, with the changes from the command line.

        Raises:
            UsageError: two options exclude each other.
            RecipeError, CutError: a value is wrong.
        """
        table: dict[str, Any] = {"phase": []}
        if self.file:
            table = Recipe.load(library.file(self.file)).as_mapping()
        elif parent:
            table = warm_start.recipe(Folder(parent)).as_mapping()
        settings = dict(map(_setting, self.settings))
        settings |= {f"data.{key}": value for key, value in self.data.items()}
        if self.minutes is not None or "search" in table or any(key.split(".")[0] == "search" for key in settings):
            return self._search(table, settings)
        if "join" in table or any(key.split(".")[0] == "join" for key in settings):
            return self._join(table, settings)
        if self.cuts:
            table = self._recut(table)
        if not table["phase"]:  # report other errors before the search for a default network
            others = {key: value for key, value in settings.items() if key.split(".")[0] != "backbones"}
            Recipe.from_mapping(table | {"phase": [{"cut": f"{official.DEFAULT}@pool"}]}).with_settings(others)
        phases = table["phase"] or [_default(table, self.weights, self.size)]
        for key, values in (("epochs", self.epochs), ("learning_rate", self.learning_rates)):
            if len(values) not in (0, 1, len(phases)):
                raise UsageError(
                    f"{len(values)} values of --{key.replace('_', '-')} for {counted(len(phases), 'phase')}: expected "
                    "one, or one for each --cut."
                )
            each = values * len(phases) if len(values) == 1 else values
            if values:  # they describe epochs, so a head that the file or the parent solved is not solved now
                phases = [
                    {name: old for name, old in phase.items() if (name, old) != ("optimizer", SOLVER)} | {key: value}
                    for phase, value in zip(phases, each)
                ]
        table["phase"] = phases
        if self.head:
            kind = "file" if self.head.endswith(".keras") else "kind"
            table["head"] = {**table.get("head", {}), kind: self.head}
        if self.views:
            table["views"] = {**table.get("views", {}), "count": self.views}
        return Recipe.settled(table, self._options(table, settings) | settings)

    def refuse_any(self, option: str, *others: object) -> None:
        """Refuse all arguments beside *option*, which takes its recipe and its data from an existing run.

        Raises:
            UsageError: another argument was given.
        """
        own = [getattr(self, field.name) for field in fields(self)]
        if any(value not in (None, [], {}) for value in (*own, *others)):
            raise UsageError(f"{option} uses the recipe and the data of that run: omit the other arguments.")

    @contextmanager
    def located(self, recipe: Recipe) -> Iterator[None]:
        """While *recipe* runs, add to an error the line of the recipe file where the wrong value is."""
        try:
            yield
        except UsageError as error:
            if not self.file or not error.key or (self.cuts and error.key.startswith("phase.")):
                raise
            path = library.file(self.file)
            values: list[Any] = []  # the value of the key in the file, then in *recipe*; `None` if missing
            value: Any
            for table in (Recipe.load(path).as_mapping(), recipe.as_mapping()):
                value = table
                for word in error.key.split("."):
                    if isinstance(value, list):
                        value = value[int(word) - 1] if word.isdecimal() and 0 < int(word) <= len(value) else None
                    else:
                        value = value.get(word) if isinstance(value, dict) else None
                values.append(value)
            written, used = values
            raise located(error, path, path.read_text(encoding="utf-8")) if written == used else error from None

    def _search(self, table: dict[str, Any], settings: dict[str, Any]) -> Recipe:
        """Return the recipe of a search, whose networks and cuts are those of the command line, or those at hand."""
        options = {
            "--epochs": self.epochs,
            "--learning-rate": self.learning_rates,
            "--no-head-first": self.no_head_first,
        }
        if heard := next((option for option, value in options.items() if value), None):
            raise UsageError(f"a search chooses how layers are trained: omit {heard}, or --minutes.")
        if table.get("phase"):
            say(f"A search finds the phases itself: those of {str(self.file)!r} are not used.")
        minutes = {} if self.minutes is None else {"minutes": self.minutes}
        cuts = self.cuts or table.get("search", {}).get("cuts", [])
        search = {**table.get("search", {}), **minutes, "cuts": cuts}
        if not table.get("backbones") or self.cuts or self.weights or self.size:
            found = candidates.networks([Cut.parse(cut) for cut in cuts], self.weights or "imagenet", self.size)
            sized = {"size": self.size} if self.size else {}
            table["backbones"] = {one.name: {"weights": one.weights, **sized} for one in found}
        if self.views:
            table["views"] = {**table.get("views", {}), "count": self.views}
        if self.head:
            table["head"] = {**table.get("head", {}), "file" if self.head.endswith(".keras") else "kind": self.head}
        table = {key: value for key, value in table.items() if key not in ("phase", "about")} | {"search": search}
        for key, value in settings.items():
            put(table, key, value)
        return Recipe.from_mapping(table)

    def _join(self, table: dict[str, Any], settings: dict[str, Any]) -> Recipe:
        """Return the recipe of a join. Refuse the options that a join would ignore."""
        names = {"cuts": "cut", "epochs": "epochs", "learning_rates": "learning-rate"}
        names |= {name: name for name in ("head", "views", "weights", "size")} | {"no_head_first": "no-head-first"}
        heard = next((f"--{option}" for name, option in names.items() if getattr(self, name) not in (None, [])), None)
        if heard:
            raise UsageError(f"a join uses runs as they were trained: omit {heard}, or join.members.")
        return Recipe.settled(table if table.get("phase") != [] else {}, settings)

    def _recut(self, table: dict[str, Any]) -> dict[str, Any]:
        """Return the table with one phase per cut, and with only the options of the backbones that the cuts name."""
        if self.file:
            phases = counted(len(table["phase"]), "phase")
            keep = "To keep their other settings, use --set phase.1.cut=CUT, and the same for each phase."
            say(f"--cut replaces the {phases} of {str(self.file)!r} with all settings. {keep}")
        names = {name for cut in self.cuts for name in Cut.parse(cut).backbones}
        backbones = carried(table.get("backbones", {}), names)
        kept = {
            key: part for key, part in table.items() if key != "about"
        }  # the recipe's description no longer applies
        return kept | {"phase": [{"cut": cut} for cut in self.cuts], "backbones": backbones}

    def _options(self, table: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
        """Return the settings that --weights and --size make, for the one backbone of the cuts.

        The cuts are those after *settings* are applied.
        """
        given = {key: value for key, value in (("weights", self.weights), ("size", self.size)) if value is not None}
        table = {"phase": [dict(phase) for phase in table["phase"]]}
        for key, value in settings.items():
            if key.startswith("phase."):
                put(table, key, value)
        names = backbones_in(table)
        if given and len(names) > 1:
            count = len(names)
            raise UsageError(
                f"--weights and --size apply to one backbone, but the cuts name {count}: use a recipe, "
                "or --set backbones.NAME.weights=random."
            )
        return {f"backbones.{name}.{key}": value for name in names for key, value in given.items()}


def _default(table: dict[str, Any], weights: str | None, size: int | None) -> dict[str, Any]:
    """Return one phase, and set its backbone in the table.

    The cut is at the end of the default backbone, or of the backbone that the weights file belongs to.
    """
    if weights in (None, "imagenet"):
        backbone, why = official.default(size)
        say(why)
    else:
        is_random, example = weights == "random", f"--cut mobilenet_v2@pool --weights {weights}"
        name = official.DEFAULT if is_random else fingerprints.owner(weights, example)
        backbone = Backbone(name, weights)
        say(f"Backbone: {name} with {'random weights' if is_random else f'the weights of {weights}'}.")
    table["backbones"] = {backbone.name: {"weights": backbone.weights}}
    return {"cut": f"{backbone.name}@pool"}


def _setting(text: str) -> tuple[str, Any]:
    """Parse ``KEY=VALUE``. A value that is not valid TOML is taken as text."""
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text!r}: expected KEY=VALUE, as in --set phase.1.learning_rate=1e-4.")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value
