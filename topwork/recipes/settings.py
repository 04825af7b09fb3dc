"""The settings of a recipe as frozen dataclasses, one per table: each field is a key with its default."""

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
        split: shares of train, val and test.
        draw: how rows are assigned to parts, see `topwork.data.splits.draw`.
        seed: the seed of that draw.
        parts: part -> the folder that holds it, if the folders' names do not show it, see
            `topwork.data.reading.parts`.
        max_megapixels: larger pictures are skipped.
        near_copies: whether near copies share a part, see `topwork.data.quality.near_copies`.
    """

    split: tuple[float, ...] = (0.8, 0.1, 0.1)
    draw: Draw = "auto"
    seed: int = 0
    parts: Mapping[str, str] = field(default_factory=dict)
    max_megapixels: float = 179.0
    near_copies: NearCopies = "together"


WORDS = ("imagenet", "random")
"""What a backbone's weights can be, apart from the path of a file."""


@dataclass(frozen=True)
class Backbone:
    """A pretrained network as one run uses it.

    Args:
        name: the name used in cuts.
        weights: ``"imagenet"``, ``"random"`` (seeded), or the path of a weights file.
        size: pictures are resized to a square with this side, in pixels; ``None``: the network's own.
        scale: ``"own"``: the network's own pixel scale; ``"unit"``: divided by 255; ``"bgr_unit"``: the same in BGR.
        fit: how a picture is fitted to that square.
        resample: the filter of the resizing.
        model: path of your own network (``.keras`` or ``.h5``), or in Python a ``keras.Model`` itself;
            ``None``: a network of ``keras.applications``.
        runtime: what executes the trunk; ``"auto"``: OpenVINO on a CPU, Keras on a GPU.
        precision: of the trunk; ``"auto"``: bfloat16 if the processor has it.
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
        count: views of a picture, including the picture itself (view 0); 1: no augmentation.
        mode: ``"stored"``: each view goes through the trunk once; ``"live"``: the trunk is part of the model, and new
            views are drawn in every epoch.
        rotation: largest rotation, in degrees either way.
        shift: largest shift, as a share of the side, in each direction.
        shear: largest shear, in degrees either way.
        zoom: largest change of the sides that are seen, as a share of them.
        flip: which mirror images are drawn, each with probability 1/2: left to right, top to bottom, or both.
        brightness: largest share of white that is added or subtracted.
        contrast: largest change of contrast, as a share.
        fill_mode: what is shown beyond the border: the nearest pixel, the mirror image, or black.
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
"""Only the picture itself."""


@dataclass(frozen=True)
class Head:
    """The new layers that end in the classes.

    ``"linear"``: BatchNorm, Dropout, Dense, Softmax. ``"mlp"``: before these, one Dense with *activation* for each of
    *units*. BatchNorm is put before the last Dense, or before every Dense (*batch_norm_at*). *pooling* applies if the
    backbone ends in a map. Several ends are pooled and joined first.
    *file*: a ``.keras`` file with your own layers instead (in Python: the ``keras.Model``). Its input is the output of
    the backbones, its output are logits.
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
    """Settings that all phases share.

    Args:
        seed: the seed of initial values and of the order of pictures.
        hold_out: whether some of the training part becomes the validation part, if the data have none.
        hold_out_share: how much of the training part.
        hold_out_draw: which rows of it, see *draw* of `Data`.
        loss: cross-entropy over all classes, or over one logit if there are two classes.
        label_smoothing: the share of each label that is spread over all classes.
        class_weight: ``"balanced"``: every class has the same weight, however many pictures it has.
        sampling: ``"balanced"``: an epoch shows every class equally often; its number of pictures stays the same.
        drop_last: skip the last batch of an epoch if it is short.
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
"""Default learning rates of a phase: for the head alone, and for a head with layers of a backbone (docs/log.md)."""


@dataclass(frozen=True)
class Phase:
    """One stretch of training: what is frozen, for how long, how fast.

    Args:
        cut: where to cut, see `topwork.cut`; for instance ``"mobilenet_v2@block_12_add"``.
        epochs: passes over the training part at most.
        learning_rate: ``None``: 1e-3 if only the head trains, 1e-4 if layers of a backbone train as well.
        optimizer: the name of a Keras optimizer.
        momentum: for optimizers that have one.
        batch_size: rows per step.
        patience: epochs without a better validation loss before the phase stops; 0: it never stops early.
        batch_norm: ``"frozen"``: the backbone's batch-norm above the cut keeps its statistics; ``"train"``: it trains.
        schedule: how the learning rate changes: ``"constant"``; ``"cosine"``: down to 0 at the last step;
            ``"plateau"``: divided by ten after half the patience without a better validation loss.
        warmup_epochs: epochs in which the learning rate rises from 0.
        global_clipnorm: the largest norm of all gradients together; 0: no limit.
        weight_decay: the optimizer's weight decay; 0: none.
        precision: of the part that trains; ``"auto"``: mixed bfloat16 if the processor has it and a short measurement
            shows that it is faster (on a GPU mixed float16).
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
    """A description of a recipe, to help choose one; it has no effect on a run.

    Args:
        title: one line.
        article: the address or the title of the article that describes the system.
        does: what the system does.
        beyond: what the recipe does beyond the article.
        expect: the time and the score to expect, or what limits them.
    """

    title: str = ""
    article: str = ""
    does: str = ""
    beyond: str = ""
    expect: str = ""


@dataclass(frozen=True)
class Join:
    """Late fusion: finished runs joined at their probabilities; the runs are not trained again.

    Args:
        members: the folders of at least two runs.
        rule: ``"mean"``: the mean of the probabilities; ``"weighted"``: with the weights of the highest likelihood on
            the validation part; ``"stacked"``: a logistic regression on the members' log-probabilities, fitted on the
            validation part.
    """

    members: tuple[str, ...]
    rule: Rule = "mean"


@dataclass(frozen=True)
class Options:
    """How a run is carried out, apart from its recipe.

    Args:
        out: the run folder to make; ``None``: a new one in ``runs``, named after data and time.
        callbacks: Keras callbacks of the user.
        strict: whether a picture that cannot be read is an error.
        jobs: processors to use; ``None``: all that this process may use.
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
"""Key -> its smallest and its largest value, in every table that has the key."""
