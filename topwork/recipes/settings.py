"""The settings of a recipe: one frozen dataclass per table of the recipe file. Each field is a key with its default."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from math import log2
from pathlib import Path
from typing import Any, Literal

from topwork.cut import Cut, Term
from topwork.system.records import brief

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
Schedule = Literal["constant", "cosine", "restarts", "plateau"]
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
        split: the shares of the parts train, val and test.
        draw: how rows are assigned to the parts; see `topwork.data.splits.draw`.
        seed: the seed for the draw.
        parts: part -> folder, if the folders' names do not show the parts; see `topwork.data.reading.parts`.
        max_megapixels: the size of the largest picture that is read, in millions of pixels. Larger pictures are
            skipped.
        near_copies: whether near-copies of a picture go into the same part; see `topwork.data.quality.near_copies`.
    """

    split: tuple[float, ...] = (0.8, 0.1, 0.1)
    draw: Draw = "auto"
    seed: int = 0
    parts: Mapping[str, str] = field(default_factory=dict)
    max_megapixels: float = 179.0
    near_copies: NearCopies = "together"

    __repr__ = brief


WORDS = ("imagenet", "random")
"""The possible values of a backbone's *weights*, apart from the path of a file."""


@dataclass(frozen=True)
class Backbone:
    """How a run uses a pretrained network.

    Args:
        name: the name of the network in cuts.
        weights: ``"imagenet"``, ``"random"`` (seeded), or the path of a weights file.
        size: the side, in pixels, of the square that pictures are resized to. ``None``: the network's default.
        scale: how pixels are scaled. ``"own"``: as the network requires; ``"unit"``: divided by 255; ``"bgr_unit"``:
            divided by 255, in the order blue, green, red.
        fit: how a picture is fitted to the square.
        resample: the filter for resizing.
        model: the path of your own network (``.keras`` or ``.h5``). In Python, also a ``keras.Model``. ``None``: a
            network of ``keras.applications``.
        runtime: what executes the trunk (the layers below the cut). ``"auto"``: OpenVINO on a CPU, Keras on a GPU.
        precision: the precision of the trunk. ``"auto"``: bfloat16 if the processor supports it and 16 of the pictures
            have nearly the same activations in float32; else float32.
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

    __repr__ = brief


@dataclass(frozen=True)
class Views:
    """Augmentation: how many views (random variants) of each training picture are made, and how they vary.

    Args:
        count: the number of views of a picture, including the picture itself (view 0). 1: no augmentation.
        mode: ``"stored"``: each view goes through the trunk (the layers below the cut) once. ``"live"``: the trunk is
            part of the model that is trained, and new views are drawn in every epoch.
        rotation: the largest rotation in either direction, in degrees.
        shift: the largest shift in each direction, as a share of the width or the height.
        shear: the largest shear in either direction, in degrees.
        zoom: the largest change in the width and the height of the visible area, as a share.
        flip: the directions in which pictures are mirrored: left to right, top to bottom, or both. Each direction has
            probability 1/2.
        brightness: the largest share of white that is added or subtracted.
        contrast: the largest change of contrast, as a share.
        fill_mode: what fills the area beyond the border of the picture: the nearest pixel, the mirror image, or black.
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

    __repr__ = brief


NO_VIEWS = Views()
"""No augmentation: only the picture itself."""


@dataclass(frozen=True)
class Head:
    """The new last layers, from the output of the backbones to the classes.

    ``"linear"``: BatchNorm, Dropout, Dense, Softmax. ``"mlp"``: the same layers, after one Dense layer for each number
    in *units*, with *activation*. *batch_norm_at* puts BatchNorm before the last Dense layer or before every Dense
    layer. *pooling* applies to a backbone that ends in a map. If the head has several inputs, the inputs are pooled and
    joined first. *file* replaces all of these layers by layers of your own: a ``.keras`` file (in Python, also a
    ``keras.Model``). Its input is the output of the backbones, and its outputs are logits.
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

    __repr__ = brief


@dataclass(frozen=True)
class Training:
    """Settings that all phases share.

    Args:
        seed: the seed for initial values and for the order of pictures.
        hold_out: whether some rows of the training part become the validation part, if the data has no validation part.
        hold_out_share: the share of the training part that is held out.
        hold_out_draw: how the rows that are held out are chosen; see *draw* in `Data`.
        loss: ``"categorical"``: cross-entropy over all classes. ``"binary"``: cross-entropy of one logit (two classes).
        label_smoothing: the share of each label that is spread over all classes.
        class_weight: ``"balanced"``: every class has the same weight, however many pictures it has.
        sampling: ``"balanced"``: every class occurs equally often in an epoch. The number of pictures in an epoch stays
            the same.
        drop_last: whether the last batch of an epoch is skipped if it is not full.
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

    __repr__ = brief


SOLVER = "lbfgs"
"""The *optimizer* of a phase that is solved, instead of being trained epoch by epoch."""


@dataclass(frozen=True)
class Iteration:
    """The settings of a phase that is trained epoch by epoch. The fields are described in `Phase`."""

    optimizer: str = "adam"
    epochs: int = 25
    learning_rate: float = 1e-3
    momentum: float = 0.0
    batch_size: int = 32
    patience: int = 10
    schedule: Schedule = "constant"
    warmup_epochs: float = 0.0
    global_clipnorm: float = 0.0
    weight_decay: float = 0.0
    cycle_epochs: int = 2

    def is_scored(self, epoch: int) -> bool:
        """Return whether an epoch is scored: all are, but with cycles only their ends and the last epoch.

        Within a cycle the learning rate is high, and the model is not finished. The best of all epochs on few
        validation pictures is then mostly a lucky one (docs/log.md, 2026-11-29).

        >>> [epoch for epoch in range(13) if Iteration(schedule="restarts", epochs=12).is_scored(epoch)]
        [0, 2, 6, 12]
        """
        cycles = log2(epoch / self.cycle_epochs + 1)
        return self.schedule != "restarts" or epoch == self.epochs or cycles.is_integer()


OPENED = Iteration(learning_rate=3e-4, schedule="cosine", warmup_epochs=1.0)
"""The settings of a phase that trains layers of a backbone, where none are given (docs/decisions.md)."""


@dataclass(frozen=True)
class Phase:
    """One phase of training: which layers are frozen, and how the other layers are trained.

    A phase is either solved or iterated. It is solved if it trains only a linear head and has none of the settings from
    *epochs* to *weight_decay*, which describe an iteration. See *optimizer*.

    Args:
        cut: where to cut, for instance ``"mobilenet_v2@block_12_add"``; see `topwork.cut`.
        optimizer: ``"auto"``: the phase is solved if possible; otherwise it is iterated with Adam. ``"lbfgs"``: the
            phase is solved (see `topwork.scoring.solver`). Or the name of a Keras optimizer: the phase is iterated.
        l2: for a phase that is solved, the strength of the L2 term, or ``"auto"``: it is chosen by validation loss.
        refit: for the last phase, if it is solved: whether the head is solved again on the training and the validation
            part together, with the strength that was chosen.
        epochs: the largest number of passes over the training part; 25 if not given.
        learning_rate: the learning rate. If not given, 1e-3 if only the head trains, and 3e-4 if layers of a backbone
            train too.
        momentum: the momentum, for optimizers that have one; 0 if not given.
        batch_size: rows per step; 32 if not given.
        patience: the number of epochs without a better validation loss after which the phase stops; 10 if not given.
            0: the phase never stops early.
        schedule: how the learning rate changes. ``"constant"``: not at all. ``"cosine"``: it falls to 0 at the last
            step. ``"restarts"``: it falls to 0 in cycles; each is twice as long as the one before, with its rate
            divided by the root of 2, and only the ends of cycles and the last epoch are scored. ``"plateau"``: it is
            divided by ten after half of *patience* without a better validation loss. If not given, it is constant if
            only the head trains; if layers of a backbone train too, it is a cosine with a warm-up of one epoch (at most
            a quarter of the epochs).
        warmup_epochs: the number of epochs at the start in which the learning rate rises from 0. If not given, 0; but
            see *schedule*.
        cycle_epochs: the number of epochs of the first cycle of the schedule ``"restarts"``; each further cycle is
            twice as long as the one before. 2 if not given.
        global_clipnorm: the largest allowed norm of all gradients together. 0, or not given: no limit.
        weight_decay: the optimizer's weight decay. 0, or not given: none.
        batch_norm: what the backbone's batch-norm layers above the cut do. ``"frozen"``: they keep their statistics.
            ``"train"``: they train.
        precision: the precision of the layers that train, if the phase is iterated. ``"auto"``: mixed bfloat16 (on a
            GPU, mixed float16). It is used only if the processor supports it and a short measurement shows that it is
            faster.
    """

    cut: str
    epochs: int | None = None
    learning_rate: float | None = None
    optimizer: str = "auto"
    momentum: float | None = None
    batch_size: int | None = None
    patience: int | None = None
    batch_norm: BatchNorm = "frozen"
    schedule: Schedule | None = None
    warmup_epochs: float | None = None
    global_clipnorm: float | None = None
    weight_decay: float | None = None
    cycle_epochs: int | None = None
    precision: TopPrecision = "auto"
    l2: float | Literal["auto"] = "auto"
    refit: bool = False

    __repr__ = brief

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """The terms of the phase's cut.

        Raises:
            CutError: the cut cannot be read.
        """
        return Cut.parse(self.cut).terms

    @property
    def iterated_by(self) -> list[str]:
        """The names of the settings that describe an iteration and were given."""
        names = [one.name for one in fields(Iteration) if one.name != "optimizer"]
        return [name for name in names if getattr(self, name) is not None]

    @property
    def is_solved(self) -> bool:
        """Whether the phase is solved; only after ``"auto"`` was resolved, as in the recipe of a run."""
        return self.optimizer == SOLVER

    @property
    def iteration(self) -> Iteration:
        """The settings of a phase that is iterated, with the defaults of those that were not given."""
        given = {one.name: getattr(self, one.name) for one in fields(Iteration)}
        given["optimizer"] = None if self.optimizer == "auto" else self.optimizer
        return Iteration(**{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True)
class About:
    """A description that helps to choose a recipe. It has no effect on a run.

    Args:
        title: one line.
        article: the address or the title of the article that describes the system.
        does: what the system does.
        beyond: what the recipe does in addition to the article.
        expect: the expected time and score, or what limits the time and the score.
    """

    title: str = ""
    article: str = ""
    does: str = ""
    beyond: str = ""
    expect: str = ""


@dataclass(frozen=True)
class Join:
    """Late fusion: combine the probabilities of finished runs. The runs are not trained again.

    Args:
        members: the folders of two or more runs.
        rule: how the probabilities are combined. ``"mean"``: the mean of the probabilities. ``"weighted"``: a weighted
            mean, with the weights that maximise the likelihood on the validation part. ``"stacked"``: a logistic
            regression on the members' log-probabilities, fitted on the validation part.
    """

    members: tuple[str, ...]
    rule: Rule = "mean"


@dataclass(frozen=True)
class Search:
    """A search for the network, the cut and the settings of the opened layers, within a stated time.

    The run that a search leaves has the recipe of the winner, without this table.

    Args:
        minutes: how long the whole run may take, from reading the pictures to the test.
        cuts: the cuts that are compared. Empty: all networks whose weights are on this machine, and a few places of the
            best of them.
    """

    minutes: float
    cuts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    """How a run is carried out, apart from its recipe.

    Args:
        out: the run folder to create. ``None``: a new folder in ``runs``, named after the data and the time.
        callbacks: the user's Keras callbacks.
        strict: whether a picture that cannot be read is an error.
        jobs: the number of processors to use. ``None``: all that this process may use.
        report: whether to write the short report.
    """

    out: str | Path | None = None
    callbacks: Sequence[Any] = ()
    strict: bool = False
    jobs: int | None = None
    report: bool = False
