"""A recipe: all that repeats a run, as frozen dataclasses and as TOML, read strictly.

[data]                      [head]                     [[phase]]
split = [0.8, 0.1, 0.1]     kind = "linear"            cut = "mobilenet_v2@pool"
                                                       epochs = 25
[backbones.mobilenet_v2]                               rate = 1e-3
weights = "imagenet"

Or, in place of phases and what they need: runs that are joined at their probabilities.

[join]
members = ["runs/a", "runs/b"]
rule = "mean"
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any, Literal

from topwork.cut import Cut
from topwork.errors import RecipeError, UsageError, at
from topwork.lines import located
from topwork.strict import check_range, expect, put, read, refuse_unknown

Scale = Literal["own", "unit", "bgr_unit"]
Fitting = Literal["squash", "crop", "pad"]
Resample = Literal["bilinear", "nearest"]
Draw = Literal["hash", "stratified", "last"]
Pooling = Literal["avg", "max", "flatten"]
BatchNorm = Literal["frozen", "train"]
Runtime = Literal["auto", "openvino", "keras"]
Precision = Literal["auto", "float32", "bfloat16"]
TopPrecision = Literal["auto", "float32", "bfloat16", "float16"]
Loss = Literal["categorical", "binary"]
Balance = Literal["none", "balanced"]
Schedule = Literal["constant", "cosine", "plateau"]
Kind = Literal["linear", "mlp"]
Where = Literal["last", "every"]
Mode = Literal["stored", "live"]
Flip = Literal["none", "horizontal", "vertical", "both"]
Fill = Literal["nearest", "reflect", "constant"]
Rule = Literal["mean", "weighted", "stacked"]


@dataclass(frozen=True)
class Data:
    """How the rows are split: shares of train, val, test; the way of drawing; its seed."""

    split: tuple[float, ...] = (0.8, 0.1, 0.1)
    draw: Draw = "hash"
    seed: int = 0


@dataclass(frozen=True)
class Backbone:
    """A pretrained network as one run uses it.

    Args:
        name: the name used in cuts.
        weights: ``"imagenet"``, ``"random"`` (seeded), or the path of a weights file.
        size: side in pixels of the square that pictures are brought to; ``None``: the network's own.
        scale: ``"own"``: the network's own pixel scale; ``"unit"``: divided by 255; ``"bgr_unit"``: and BGR.
        fit: how a picture comes to that square; resample: and with which filter.
        model: path of your own network (``.keras`` or ``.h5``), or in Python a ``keras.Model`` itself;
            ``None``: a network of ``keras.applications``.
        runtime: what executes the trunk; ``"auto"``: OpenVINO on a CPU, Keras on a GPU.
        precision: of the trunk; ``"auto"``: bfloat16 where the processor has it.
    """

    name: str
    weights: str = "imagenet"
    size: int | None = None
    scale: Scale = "own"
    fit: Fitting = "squash"
    resample: Resample = "bilinear"
    model: str | None = None
    runtime: Runtime = "auto"
    precision: Precision = "auto"


@dataclass(frozen=True)
class Views:
    """Augmentation: how many views of each training picture there are, and what they vary.

    Args:
        count: views of a picture, the picture itself (view 0) counted; 1: no augmentation.
        mode: ``"stored"``: each view goes through the trunk once; ``"live"``: the trunk is in the model, and every
            epoch draws afresh.
        rotation, shear: up to so many degrees either way.
        shift: up to such a share of the side, in each direction; zoom: the sides seen are longer or shorter by up to
            such a share.
        flip: mirrored half of the time, left to right, top to bottom, or both.
        brightness: up to such a share of white added or taken; contrast: up to such a share more or less.
        fill: what appears beyond the border: its nearest pixel, its mirror image, or black.
    """

    count: int = 1
    mode: Mode = "stored"
    rotation: float = 10.0
    shift: float = 0.1
    shear: float = 0.0
    zoom: float = 0.1
    flip: Flip = "horizontal"
    brightness: float = 0.0
    contrast: float = 0.0
    fill: Fill = "nearest"


NO_VIEWS = Views()
"""The picture itself, alone."""


@dataclass(frozen=True)
class Head:
    """The new layers that end in the classes.

    ``"linear"``: BatchNorm, Dropout, Dense, Softmax; ``"mlp"``: before that, for each of *units*, a Dense with
    *activation*. BatchNorm stands before the last Dense, or before every one (*batch_norm_at*). *pooling* applies where
    the backbone ends in a map. Several ends are pooled and joined first.
    *file*: a ``.keras`` file with your own layers in place of all that (in Python: the ``keras.Model``); it takes what
    the backbones end in, and ends in logits.
    """

    kind: Kind = "linear"
    pooling: Pooling = "avg"
    dropout: float = 0.2
    batch_norm: bool = True
    batch_norm_at: Where = "last"
    units: tuple[int, ...] = (256,)
    activation: str = "relu"
    initializer: str = "glorot_uniform"
    file: str | None = None


@dataclass(frozen=True)
class Training:
    """What all phases share.

    Args:
        seed: of initial values and order.
        hold_out: whether to hold out validation where the data have none.
        hold_out_share: of the training part; hold_out_draw: which of it, as in `Data`.
        loss: cross-entropy over all classes, or for two classes over one logit.
        label_smoothing: the share of each label that is spread over all classes.
        class_weight: ``"balanced"``: each class weighs as much as the others, however many pictures it has.
        sampling: ``"balanced"``: an epoch shows each class as often as the others, as many pictures as before in all.
        drop_last: leave out an epoch's last batch where it is short.
    """

    seed: int = 0
    hold_out: bool = True
    hold_out_share: float = 0.1
    hold_out_draw: Draw = "stratified"
    loss: Loss = "categorical"
    label_smoothing: float = 0.0
    class_weight: Balance = "none"
    sampling: Balance = "none"
    drop_last: bool = False


@dataclass(frozen=True)
class Phase:
    """One stretch of training: what is frozen, for how long, how fast.

    Args:
        cut: as in `topwork.cut`, for instance ``"mobilenet_v2@block_12_add"``.
        epochs: passes over the training part at most.
        rate: learning rate.
        optimizer: the name of a Keras optimizer; momentum: for those that have one.
        schedule: how the rate goes on: ``"constant"``; ``"cosine"``: down to 0 at the last step; ``"plateau"``: a
            tenth of it after half the patience without a better validation loss.
        warmup: epochs in which the rate rises from 0.
        clip_norm: the largest norm of all gradients together; 0: any.
        weight_decay: the optimizer's own; 0: none.
        batch: rows a step.
        patience: epochs without a better validation loss before the phase stops; 0: never.
        batch_norm: ``"frozen"``: the backbone's batch-norm above the cut keeps its statistics; ``"train"``: it trains.
        precision: of the part that trains; ``"auto"``: mixed bfloat16 where the processor has it and a short
            measurement says that it is faster (on a GPU mixed float16).
    """

    cut: str
    epochs: int = 25
    rate: float = 1e-3
    optimizer: str = "adam"
    momentum: float = 0.0
    batch: int = 32
    patience: int = 10
    batch_norm: BatchNorm = "frozen"
    schedule: Schedule = "constant"
    warmup: float = 0.0
    clip_norm: float = 0.0
    weight_decay: float = 0.0
    precision: TopPrecision = "auto"


@dataclass(frozen=True)
class About:
    """What a recipe is, for those who choose one; a run does not depend on it.

    Args:
        title: one line.
        article: the address or the title of the article whose system it is.
        does: what that is.
        beyond: what it does that the article does not.
        expect: the time and the score to expect, or what bounds them.
    """

    title: str = ""
    article: str = ""
    does: str = ""
    beyond: str = ""
    expect: str = ""


@dataclass(frozen=True)
class Join:
    """Late fusion: finished runs joined at their probabilities; nothing of them is trained again.

    Args:
        members: the folders of two runs or more.
        rule: ``"mean"`` of the probabilities; ``"weighted"``: with the weights that make validation most likely;
            ``"stacked"``: a logistic regression on the members' log-probabilities, fitted on validation.
    """

    members: tuple[str, ...]
    rule: Rule = "mean"


@dataclass(frozen=True)
class Recipe:
    """All that repeats a run: phases, or a join.

    >>> recipe = Recipe.from_mapping({"phase": [{"cut": "vgg16@pool", "epochs": 3}]})
    >>> recipe.phases[0].epochs, recipe.head.kind
    (3, 'linear')
    """

    phases: tuple[Phase, ...] = ()
    data: Data = Data()
    backbones: Mapping[str, Backbone] = field(default_factory=dict)
    views: Views = Views()
    head: Head = Head()
    training: Training = Training()
    about: About = About()
    join: Join | None = None

    @classmethod
    def load(cls, path: str | Path) -> "Recipe":
        """Read a TOML file.

        Raises:
            RecipeError: the file is missing or no TOML, or holds an unknown key or a wrong value, whose line is named.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
            return cls.from_mapping(tomllib.loads(text))
        except OSError as error:
            raise RecipeError(f"cannot read the recipe {str(path)!r}: {error.strerror or error}.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"the recipe {str(path)!r} is no TOML: {error}.") from None
        except UsageError as error:
            raise located(error, Path(path), text) from None

    @classmethod
    def from_mapping(cls, table: Mapping[str, Any]) -> "Recipe":
        """Read what TOML gives; unknown keys and wrong values are errors that name them."""
        refuse_unknown(table, (*_PARTS, "backbones", "phase", "join"), "recipe")
        if "join" in table:
            parts = {key: read(part, table.get(key, {}), key) for key, part in _PARTS.items() if key in _BESIDE}
            return cls(join=_join(table), **parts).checked()
        named = expect(Mapping, table.get("backbones", {}), "backbones", "a table for each backbone")
        rows = expect((list, tuple), table.get("phase", ()), "phase", "one or more [[phase]]")
        backbones = {name: read(Backbone, row, f"backbones.{name}", name=name) for name, row in named.items()}
        phases = tuple(_phase(row, f"phase.{i}") for i, row in enumerate(rows, 1))
        parts = {key: read(part, table.get(key, {}), key) for key, part in _PARTS.items()}
        return cls(phases=phases, backbones=backbones, **parts).checked()

    def as_mapping(self) -> dict[str, Any]:
        """What `from_mapping` reads: every value spelled out, ``None`` left away, as TOML has none, and empty words."""
        table = asdict(self)
        about = {key: text for key, text in table["about"].items() if text}
        told = {"about": about} if about else {}
        if self.join:
            return told | {"data": table["data"], "join": table["join"]}
        backbones = {
            name: {k: v for k, v in row.items() if k != "name" and v is not None}
            for name, row in table["backbones"].items()
        }
        parts = {key: {k: v for k, v in table[key].items() if v is not None} for key in _PARTS if key != "about"}
        return told | parts | {"backbones": backbones, "phase": list(table["phases"])}

    def dumps(self) -> str:
        """The recipe as TOML."""
        import tomli_w

        return tomli_w.dumps(self.as_mapping())

    def with_settings(self, settings: Mapping[str, Any]) -> "Recipe":
        """The recipe with ``KEY=VALUE`` settings such as ``{"phase.2.rate": 1e-5}`` (phases count from 1)."""
        return Recipe.settled(self.as_mapping(), settings)

    @classmethod
    def settled(cls, table: dict[str, Any], settings: Mapping[str, Any]) -> "Recipe":
        """The recipe of a table, which need be none before such settings are made in it.

        Options of backbones that no cut names any more go, unless they are set here.
        """
        for key, value in settings.items():
            put(table, key, value)
        if "join" in table or "backbones" not in table:
            return cls.from_mapping(table)
        named = cls.from_mapping(table | {"backbones": {}}).backbones
        kept = {*named, *(key.split(".")[1] for key in settings if key.startswith("backbones."))}
        backbones = {name: row for name, row in table["backbones"].items() if name in kept}
        return cls.from_mapping(table | {"backbones": backbones})

    def checked(self) -> "Recipe":
        """The recipe itself, with a `Backbone` of defaults for each name that a cut uses alone.

        Raises:
            RecipeError: no phase, phases that do not share one end, a backbone that no cut names, a join of fewer than
                two runs or beside phases, or a value out of its range.
            CutError: a cut that cannot be read.
        """
        if self.join:
            _check_join(self.join, self.phases)
            self._check_ranges()
            return self
        if not self.phases:
            raise RecipeError(
                'the recipe has no phase: expected at least one [[phase]] with a cut, as in cut = "mobilenet_v2@pool".'
            )
        self._check_ranges()
        cuts = [_cut(phase, f"phase.{number}.cut") for number, phase in enumerate(self.phases, 1)]
        terms = [term for cut in cuts for term in cut.terms]
        ends = [tuple(replace(term, place=0) for term in cut.terms) for cut in cuts]
        other = next((number for number, end in enumerate(ends, 1) if end != ends[0]), None)
        if other:
            raise RecipeError(
                "all phases of a run share the same backbones and ends, and these do not: "
                + ", ".join(repr(phase.cut) for phase in self.phases)
                + ".",
                f"phase.{other}.cut",
            )
        names = {term.backbone: self.backbones.get(term.backbone, Backbone(term.backbone)) for term in terms}
        refuse_unknown(self.backbones, names, "backbones")
        return replace(self, backbones=names)

    def _check_ranges(self) -> None:
        parts = {name: getattr(self, name) for name in _PARTS}
        parts |= {f"backbones.{name}": backbone for name, backbone in self.backbones.items()}
        parts |= {f"phase.{number}": phase for number, phase in enumerate(self.phases, 1)}
        for where, part in parts.items():
            for key, (low, high) in _RANGES.items():
                check_range(getattr(part, key, None), low, high, f"{where}.{key}")


_BESIDE = ("about", "data")
"""What a join may stand beside."""

_PARTS = {"about": About, "data": Data, "views": Views, "head": Head, "training": Training}

_RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),
    "size": (1, inf),
    "dropout": (0, 1),
    "hold_out_share": (0, 1),
    "units": (1, inf),
    "epochs": (1, inf),
    "rate": (0, inf),
    "momentum": (0, 1),
    "batch": (1, inf),
    "patience": (0, inf),
    "warmup": (0, inf),
    "clip_norm": (0, inf),
    "weight_decay": (0, inf),
    "label_smoothing": (0, 1),
    "count": (1, 100),
    "rotation": (0, 180),
    "shift": (0, 1),
    "shear": (0, 45),
    "zoom": (0, 0.9),
    "brightness": (0, 1),
    "contrast": (0, 1),
}
"""The least and the greatest value of each key that has them, wherever it stands."""


def _cut(phase: Phase, where: str) -> Cut:
    with at(where):
        return Cut.parse(phase.cut)


def _phase(row: Any, where: str) -> Phase:
    if isinstance(row, Mapping) and "cut" not in row:
        raise RecipeError(f'{where} has no cut: expected one, as in cut = "mobilenet_v2@pool".', where)
    return read(Phase, row, where)


def _join(table: Mapping[str, Any]) -> Join:
    beside = next((key for key in table if key not in ("join", *_BESIDE)), None)
    if beside:
        raise _both(beside)
    row = table["join"]
    if isinstance(row, Mapping) and "members" not in row:
        raise RecipeError('join has no members: expected the folders of runs, as in members = ["runs/a", "runs/b"].')
    return read(Join, row, "join")


def _check_join(join: Join, phases: Sequence[Phase]) -> None:
    if phases:
        raise _both("phase")
    members = list(join.members)
    if len(members) < 2:
        raise RecipeError(f"join.members = {members!r}: expected two runs or more.")
    places = [Path(member).resolve() for member in members]
    twice = next((member for i, member in enumerate(members) if places[i] in places[:i]), None)
    if twice is not None:
        raise RecipeError(f"join.members names {twice!r} twice: expected runs that differ.")


def _both(key: str) -> RecipeError:
    return RecipeError(
        f"the recipe has {key!r} beside 'join': it is either trained in phases or joined from runs that are trained "
        "already. Of the other parts a join takes 'data' alone: leave one of the two away."
    )
