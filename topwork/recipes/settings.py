"""The settings of a recipe, part by part, as frozen dataclasses: each field is a key, each default what is taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any, Literal

from topwork.cut import Cut, Term

Scale = Literal["own", "unit", "bgr_unit"]
Fitting = Literal["squash", "crop", "pad"]
Resample = Literal["bilinear", "nearest"]
Draw = Literal["auto", "hash", "stratified", "last"]
NearCopies = Literal["together", "ignore"]
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
    """How the data are read and split.

    Args:
        split: shares of train, val, test.
        draw: how the rows are drawn, see `topwork.data.splits.draw`; seed: of the draw.
        parts: part -> the folder that holds it, where the folders' names do not say so, see
            `topwork.data.reading.parts`.
        max_megapixels: larger pictures are left out.
        near_copies: whether these share a part, see `topwork.data.quality.near_copies`.
    """

    split: tuple[float, ...] = (0.8, 0.1, 0.1)
    draw: Draw = "auto"
    seed: int = 0
    parts: Mapping[str, str] = field(default_factory=dict)
    max_megapixels: float = 179.0
    near_copies: NearCopies = "together"


WORDS = ("imagenet", "random")
"""What a backbone's weights may be but for the path of a file."""


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
        fill_mode: what appears beyond the border: its nearest pixel, its mirror image, or black.
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
    fill_mode: Fill = "nearest"


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
    kernel_initializer: str = "glorot_uniform"
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


HEAD_RATE, OPEN_RATE = 1e-3, 1e-4
"""What a phase trains at where it states no rate: the head alone, and layers of a backbone with it (docs/log.md)."""


@dataclass(frozen=True)
class Phase:
    """One stretch of training: what is frozen, for how long, how fast.

    Args:
        cut: as in `topwork.cut`, for instance ``"mobilenet_v2@block_12_add"``.
        epochs: passes over the training part at most.
        learning_rate: ``None``: 1e-3 where the head alone trains, 1e-4 where layers of a backbone train with it.
        optimizer: the name of a Keras optimizer; momentum: for those that have one.
        schedule: how the learning rate goes on: ``"constant"``; ``"cosine"``: down to 0 at the last step;
            ``"plateau"``: a tenth of it after half the patience without a better validation loss.
        warmup_epochs: epochs in which the learning rate rises from 0.
        global_clipnorm: the largest norm of all gradients together; 0: any.
        weight_decay: the optimizer's own; 0: none.
        batch_size: rows per step.
        patience: epochs without a better validation loss before the phase stops; 0: never.
        batch_norm: ``"frozen"``: the backbone's batch-norm above the cut keeps its statistics; ``"train"``: it trains.
        precision: of the part that trains; ``"auto"``: mixed bfloat16 where the processor has it and a short
            measurement says that it is faster (on a GPU mixed float16).
    """

    cut: str
    epochs: int = 25
    learning_rate: float | None = None
    optimizer: str = "adam"
    momentum: float = 0.0
    batch_size: int = 32
    patience: int = 10
    batch_norm: BatchNorm = "frozen"
    schedule: Schedule = "constant"
    warmup_epochs: float = 0.0
    global_clipnorm: float = 0.0
    weight_decay: float = 0.0
    precision: TopPrecision = "auto"

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """The terms of its cut.

        Raises:
            CutError: the cut cannot be read.
        """
        return Cut.parse(self.cut).terms


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
class Options:
    """How a run is carried out, which its recipe does not say.

    Args:
        out: the run folder to make; ``None``: one below ``runs``, named after data and time.
        callbacks: the user's own Keras callbacks.
        strict: make pictures that cannot be read an error.
        jobs: processors to use; ``None``: all that this process may.
    """

    out: str | Path | None = None
    callbacks: Sequence[Any] = ()
    strict: bool = False
    jobs: int | None = None


RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),
    "max_megapixels": (0, inf),
    "size": (1, inf),
    "dropout": (0, 1),
    "hold_out_share": (0, 1),
    "units": (1, inf),
    "epochs": (1, inf),
    "learning_rate": (0, inf),
    "momentum": (0, 1),
    "batch_size": (1, inf),
    "patience": (0, inf),
    "warmup_epochs": (0, inf),
    "global_clipnorm": (0, inf),
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
