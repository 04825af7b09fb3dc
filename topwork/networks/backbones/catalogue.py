"""The backbones: each functional network of ``keras.applications``, and EfficientNet-Lite0. Keras is not imported."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from topwork.errors import BackboneError, UnknownBackbone, nearest
from topwork.networks.backbones import efficientnet_lite0
from topwork.networks.weights import efficientnet_lite0 as packaged
from topwork.recipes.settings import Backbone
from topwork.system.advice import either


@dataclass(frozen=True, slots=True)
class Record:
    """One network of ``keras.applications``, or one that topwork builds.

    Args:
        name: topwork's name for the network; it never changes.
        builder: the name of the function in ``keras.applications``; empty if topwork builds the network.
        module: the module of ``keras.applications`` that has the network's ``preprocess_input``.
        size: the default side of the input, in pixels.
        scale: the scale of the pixels: ``"tf"`` (-1 to 1), ``"caffe"`` (BGR, minus the mean), ``"torch"``
            (standardised), ``"none"`` (the network scales them itself), ``"lite"`` (-127/128 to 1).
        file: the official ImageNet file without classifier, below ``$KERAS_HOME/models``; ``{side}`` stands for the
            side in pixels. Empty if the weights come in a Python package
            (`topwork.networks.weights.efficientnet_lite0`).
        paper: the paper that describes the network.
        alpha: the width multiplier, for MobileNets.
        sides: the sides that have separate files; for other sides the file for 224 is used, as in Keras.
    """

    name: str
    builder: str
    module: str
    size: int
    scale: str
    file: str
    paper: str
    alpha: float | None = None
    sides: tuple[int, ...] = ()

    @property
    def is_packaged(self) -> bool:
        """Whether its ImageNet weights come in a Python package."""
        return not self.file

    @property
    def build(self) -> int:
        """The version of topwork's code that builds the network; 0 if Keras builds it."""
        return 0 if self.builder else efficientnet_lite0.BUILD

    def path(self, folder: Path, side: int) -> Path:
        """Return the path of the official file for pictures of that side; a package's file is not in *folder*."""
        if self.is_packaged:
            return packaged.path()
        return folder / self.file.format(side=side if side in self.sides else 224)

    def paths(self, folder: Path) -> list[Path]:
        """Return the paths for all sides that have a file, the default side first."""
        return list(dict.fromkeys(self.path(folder, side) for side in (self.size, *self.sides)))

    @property
    def licence(self) -> str:
        """The licence of the weights: the authors' if it is in `_LICENCES`, else Apache-2.0, Keras' licence for all."""
        return _LICENCES.get(self.module, "Apache-2.0")

    @property
    def licence_note(self) -> str:
        """Where the licence is stated, if that is not obvious; else empty."""
        return packaged.LICENCE_NOTE if self.is_packaged else ""


_LICENCES = {"vgg16": "CC-BY-4.0", "vgg19": "CC-BY-4.0", "resnet": "MIT", "densenet": "BSD-3-Clause", "convnext": "MIT"}

_TF = "_weights_tf_dim_ordering_tf_kernels"


def _table() -> Iterator[Record]:
    yield Record("xception", "Xception", "xception", 299, "tf", f"xception{_TF}_notop.h5", "arXiv:1610.02357")
    for n in (16, 19):
        yield Record(f"vgg{n}", f"VGG{n}", f"vgg{n}", 224, "caffe", f"vgg{n}{_TF}_notop.h5", "arXiv:1409.1556")
    for n in (50, 101, 152):
        yield Record(f"resnet{n}", f"ResNet{n}", "resnet", 224, "caffe", f"resnet{n}{_TF}_notop.h5", "arXiv:1512.03385")
    for n in (50, 101, 152):
        file = f"resnet{n}v2{_TF}_notop.h5"
        yield Record(f"resnet{n}_v2", f"ResNet{n}V2", "resnet_v2", 224, "tf", file, "arXiv:1603.05027")
    file = f"inception_v3{_TF}_notop.h5"
    yield Record("inception_v3", "InceptionV3", "inception_v3", 299, "tf", file, "arXiv:1512.00567")
    file = f"inception_resnet_v2{_TF}_notop.h5"
    yield Record("inception_resnet_v2", "InceptionResNetV2", "inception_resnet_v2", 299, "tf", file, "arXiv:1602.07261")
    sides: tuple[int, ...] = (128, 160, 192, 224)
    for alpha, text in ((1.0, "1_0"), (0.25, "2_5"), (0.5, "5_0"), (0.75, "7_5")):
        name = "mobilenet" if alpha == 1 else f"mobilenet_{round(alpha * 100):03d}"
        file = f"mobilenet_{text}_{{side}}_tf_no_top.h5"
        yield Record(name, "MobileNet", "mobilenet", 224, "tf", file, "arXiv:1704.04861", alpha, sides)
    sides = (96, *sides)
    for alpha in (1.0, 0.35, 0.5, 0.75, 1.3, 1.4):
        name = "mobilenet_v2" if alpha == 1 else f"mobilenet_v2_{round(alpha * 100):03d}"
        file = f"mobilenet_v2{_TF}_{alpha}_{{side}}_no_top.h5"
        yield Record(name, "MobileNetV2", "mobilenet_v2", 224, "tf", file, "arXiv:1801.04381", alpha, sides)
    for size in ("small", "large"):
        file = f"weights_mobilenet_v3_{size}_224_1.0_float_no_top_v2.h5"
        builder = f"MobileNetV3{size.capitalize()}"
        yield Record(f"mobilenet_v3_{size}", builder, "mobilenet_v3", 224, "none", file, "arXiv:1905.02244")
    for n in (121, 169, 201):
        file = f"densenet{n}{_TF}_notop.h5"
        yield Record(f"densenet{n}", f"DenseNet{n}", "densenet", 224, "torch", file, "arXiv:1608.06993")
    for size, side in (("mobile", 224), ("large", 331)):
        file = f"nasnet_{size}_no_top.h5"
        yield Record(f"nasnet_{size}", f"NASNet{size.capitalize()}", "nasnet", side, "tf", file, "arXiv:1707.07012")
    yield Record("efficientnet_lite0", "", "efficientnet_lite0", 224, "lite", "", "arXiv:1905.11946")
    for n, side in enumerate((224, 240, 260, 300, 380, 456, 528, 600)):
        file = f"efficientnetb{n}_notop.h5"
        yield Record(f"efficientnet_b{n}", f"EfficientNetB{n}", "efficientnet", side, "none", file, "arXiv:1905.11946")
    for name, side in (("B0", 224), ("B1", 240), ("B2", 260), ("B3", 300), ("S", 384), ("M", 480), ("L", 480)):
        file = f"efficientnetv2-{name.lower()}_notop.h5"
        builder = f"EfficientNetV2{name}"
        yield Record(
            f"efficientnet_v2_{name.lower()}", builder, "efficientnet_v2", side, "none", file, "arXiv:2104.00298"
        )
    for size in ("tiny", "small", "base", "large", "xlarge"):
        builder = "ConvNeXtXLarge" if size == "xlarge" else f"ConvNeXt{size.capitalize()}"
        yield Record(
            f"convnext_{size}", builder, "convnext", 224, "none", f"convnext_{size}_notop.h5", "arXiv:2201.03545"
        )


TABLE: dict[str, Record] = {record.name: record for record in _table()}
"""The records of all named backbones."""


def record(name: str) -> Record:
    """Return the record of a named backbone.

    Raises:
        UnknownBackbone: no backbone has that name.
    """
    if name not in TABLE:
        raise UnknownBackbone(f"no backbone {name!r}{nearest(name, TABLE) or '.'} 'topwork backbones' lists them all.")
    return TABLE[name]


def size(backbone: Backbone) -> int:
    """Return the side in pixels of the square to which pictures are resized.

    Raises:
        BackboneError: no size is set for your own network.
    """
    if backbone.size:
        return backbone.size
    if backbone.model:
        name = backbone.name
        way = either(f"Backbone({name!r}, ..., size=224)", f"--set backbones.{name}.size=224")
        raise BackboneError(f"no size is set for your own network {name!r}: give the side in pixels, as in {way}.")
    return record(backbone.name).size
