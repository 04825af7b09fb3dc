"""From the words of ``topwork train`` to a recipe."""

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
from topwork.recipes.settings import Backbone
from topwork.runs.folder import Folder
from topwork.system.messages import counted, say
from topwork.training import warm_start


@dataclass(frozen=True)
class Words:
    """What the command line says of a recipe; `None` and empty lists: nothing."""

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

    @property
    def head_first(self) -> bool:
        """Whether a phase for the head alone may go before those of the cuts."""
        return bool(self.cuts) and not self.no_head_first

    def recipe(self, parent: Path | None = None) -> Recipe:
        """The recipe of a file, of a parent run or of defaults, with what the command line changes.

        Raises:
            UsageError: words that do not go together.
            RecipeError, CutError: values that are wrong.
        """
        table: dict[str, Any] = {"phase": []}
        if self.file:
            table = Recipe.load(library.file(self.file)).as_mapping()
        elif parent:
            table = warm_start.recipe(Folder(parent)).as_mapping()
        settings = dict(map(_setting, self.settings))
        settings |= {f"data.{key}": value for key, value in self.data.items()}
        if "join" in table or any(key.split(".")[0] == "join" for key in settings):
            return self._join(table, settings)
        if self.cuts:
            table = self._recut(table)
        if not table["phase"]:  # what is wrong apart from the network is found before the network is looked for
            others = {key: value for key, value in settings.items() if key.split(".")[0] != "backbones"}
            Recipe.from_mapping(table | {"phase": [{"cut": f"{official.DEFAULT}@pool"}]}).with_settings(others)
        phases = table["phase"] or [_default(table, self.weights, self.size)]
        table["phase"] = _spread(_spread(phases, "epochs", self.epochs), "learning_rate", self.learning_rates)
        if self.head:
            kind = "file" if self.head.endswith(".keras") else "kind"
            table["head"] = {**table.get("head", {}), kind: self.head}
        if self.views:
            table["views"] = {**table.get("views", {}), "count": self.views}
        return Recipe.settled(table, self._options(table, settings) | settings)

    def refuse_any(self, option: str, *others: object) -> None:
        """Refuse all other words beside an option that brings its own recipe.

        Raises:
            UsageError: there are some.
        """
        own = [getattr(self, field.name) for field in fields(self)]
        if any(value not in (None, [], {}) for value in (*own, *others)):
            raise UsageError(f"{option} goes on with the recipe and the data of that run: leave the other words away.")

    @contextmanager
    def located(self, recipe: Recipe) -> Iterator[None]:
        """While *recipe* runs, name the line of its file where a word stands that turns out to be wrong."""
        try:
            yield
        except UsageError as error:
            if not self.file or not error.key or (self.cuts and error.key.startswith("phase.")):
                raise
            path = library.file(self.file)
            written, used = (_at(one.as_mapping(), error.key) for one in (Recipe.load(path), recipe))
            raise located(error, path, path.read_text(encoding="utf-8")) if written == used else error from None

    def _join(self, table: dict[str, Any], settings: dict[str, Any]) -> Recipe:
        """A recipe that trains nothing, whose other words would go unheard."""
        names = {"cuts": "cut", "epochs": "epochs", "learning_rates": "learning-rate"}
        names |= {name: name for name in ("head", "views", "weights", "size")} | {"no_head_first": "no-head-first"}
        heard = next((f"--{option}" for name, option in names.items() if getattr(self, name) not in (None, [])), None)
        if heard:
            raise UsageError(f"a join takes runs as they were trained: leave {heard} away, or join.members.")
        return Recipe.settled(table if table.get("phase") != [] else {}, settings)

    def _recut(self, table: dict[str, Any]) -> dict[str, Any]:
        """A table with phases of these cuts alone, and with the options of those backbones that they name."""
        if self.file:
            phases = counted(len(table["phase"]), "phase")
            keep = "To keep their other settings: --set phase.1.cut=CUT, and so each phase."
            say(f"--cut replaces the {phases} of {str(self.file)!r} whole. {keep}")
        names = {name for cut in self.cuts for name in Cut.parse(cut).backbones}
        backbones = carried(table.get("backbones", {}), names)
        kept = {key: part for key, part in table.items() if key != "about"}  # it is another system now
        return kept | {"phase": [{"cut": cut} for cut in self.cuts], "backbones": backbones}

    def _options(self, table: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
        """The settings that --weights and --size stand for, of the backbone that the cuts name after *settings*."""
        given = {key: value for key, value in (("weights", self.weights), ("size", self.size)) if value is not None}
        table = {"phase": [dict(phase) for phase in table["phase"]]}
        for key, value in settings.items():
            if key.startswith("phase."):
                put(table, key, value)
        names = backbones_in(table)
        if given and len(names) > 1:
            count = len(names)
            raise UsageError(
                f"--weights and --size are for one backbone, and the cuts name {count}: use a recipe, "
                "or --set backbones.NAME.weights=random."
            )
        return {f"backbones.{name}.{key}": value for name in names for key, value in given.items()}


def _default(table: dict[str, Any], weights: str | None, size: int | None) -> dict[str, Any]:
    """One phase at the end of the default backbone, or of the one that a weights file is of."""
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


def _spread(phases: list[dict[str, Any]], key: str, values: list[Any]) -> list[dict[str, Any]]:
    """Give the k-th phase the k-th value; one value serves all."""
    if not values:
        return phases
    values = values * len(phases) if len(values) == 1 else values
    if len(values) != len(phases):
        raise UsageError(
            f"{len(values)} values of --{key} for {counted(len(phases), 'phase')}: expected one, or one for each --cut."
        )
    return [{**phase, key: value} for phase, value in zip(phases, values)]


def _at(table: Any, key: str) -> Any:
    """The value of a key, as ``phase.2.learning_rate``; `None` where there is none."""
    for word in key.split("."):
        if isinstance(table, list):
            table = table[int(word) - 1] if word.isdecimal() and 0 < int(word) <= len(table) else None
        else:
            table = table.get(word) if isinstance(table, dict) else None
    return table


def _setting(text: str) -> tuple[str, Any]:
    """``KEY=VALUE``, the value as TOML, or as text where it is none."""
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text!r}: expected KEY=VALUE, as in --set phase.1.learning_rate=1e-4.")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value
