"""The official ImageNet files: which file a backbone needs, which exist here, and whether they have the right hashes.

The default network depends on the files on this machine. Keras is needed only to download a file.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from topwork.errors import WeightsError
from topwork.networks.backbones import builder, catalogue
from topwork.networks.backbones.catalogue import TABLE
from topwork.networks.weights import efficientnet_lite0
from topwork.networks.weights.files import digest, download, folder, sha256
from topwork.recipes.settings import Backbone
from topwork.system.advice import either

State = Literal["missing", "ok", "wrong", "no published hash"]


@dataclass(frozen=True)
class Official:
    """One official file, whether it exists on this machine or not.

    Args:
        backbone: the network that needs the file.
        path: where the file is, or where a download saves it.
    """

    backbone: str
    path: Path

    @property
    def is_there(self) -> bool:
        """Whether the file exists."""
        return self.path.is_file()

    @property
    def is_packaged(self) -> bool:
        """Whether the file comes in a Python package, not from Keras' address."""
        return catalogue.record(self.backbone).is_packaged

    @property
    def published(self) -> str | None:
        """The hash that Keras publishes, MD5 or SHA-256 in hex; for a package's file, the hash in topwork's code."""
        return efficientnet_lite0.SHA256 if self.is_packaged else PUBLISHED.get(self.path.name)

    @property
    def found(self) -> str | None:
        """The hash of the file by the algorithm of `published`; ``None`` if there is no file or no published hash."""
        if self.published is None or not self.is_there:
            return None
        return digest(self.path, algorithm(self.published))

    @property
    def state(self) -> State:
        """Whether the file is missing, ok or wrong (by the published hash), or whether no hash is published."""
        if not self.is_there:
            return "missing"
        if self.published is None:
            return "no published hash"
        return "ok" if self.found == self.published else "wrong"

    def as_json(self) -> dict[str, Any]:
        """Return a JSON object; the key of a published hash is the name of its algorithm."""
        return {
            "backbone": self.backbone,
            "file": self.path.name,
            "path": str(self.path),
            "package": efficientnet_lite0.PACKAGE if self.is_packaged else None,
            "at_hand": self.is_there,
            "bytes": self.path.stat().st_size if self.is_there else None,
            "sha256": sha256(self.path) if self.is_there else None,
            "published": {algorithm(self.published): self.published} if self.published else None,
            "state": self.state,
        }


def wanted(place: Path, names: Iterable[str] = TABLE) -> list[Official]:
    """Return the file of each named backbone at its default size.

    Raises:
        UnknownBackbone: no backbone has that name.
    """
    entries = [catalogue.record(name) for name in names]
    return [Official(entry.name, entry.path(place, entry.size)) for entry in entries]


def at_hand(inside: Path | None = None) -> list[Official]:
    """Return the official files on this machine, for all sizes; with *inside*, only the files in that folder."""
    place = inside or folder()
    every = [Official(entry.name, path) for entry in TABLE.values() for path in entry.paths(place)]
    return [one for one in every if one.is_there and not (inside and one.is_packaged)]


def fetch(one: Official) -> bool:
    """Download a file if it is missing or its hash is wrong.

    Returns:
        Whether it was downloaded.

    Raises:
        WeightsError: the download failed, or the file comes in a package that is missing or damaged. Then an existing
            file does not change.
    """
    if one.is_packaged:
        efficientnet_lite0.check(one.path)
    if one.state not in ("missing", "wrong"):
        return False
    entry = catalogue.record(one.backbone)
    download(one.path, lambda: builder.source(entry, entry.size), one.backbone)
    return True


DEFAULT = "efficientnet_lite0"
"""The backbone that is used if a recipe names none."""


def default(size: int | None = None) -> tuple[Backbone, str]:
    """Return the backbone that is used if a recipe names none, and a message about it; nothing is downloaded.

    It is the first of these that is on this machine:

    - `DEFAULT`, if its package is installed
    - the widest MobileNetV2
    - the largest ImageNet file

    Args:
        size: the side of the pictures in pixels; the file must be for this side. The default is each network's default
            side.

    Raises:
        WeightsError: no weights are on this machine, or the package is damaged.
    """
    if efficientnet_lite0.is_installed():
        efficientnet_lite0.check(efficientnet_lite0.path())  # damage must be repaired, not ignored
        return Backbone(DEFAULT), f"Backbone: {DEFAULT} with ImageNet weights, the default."
    install = efficientnet_lite0.INSTALL
    files = [(entry.name, entry.path(folder(), size or entry.size)) for entry in TABLE.values()]
    found = [("mobilenet_v2" in name, path.stat().st_size, name) for name, path in files if path.is_file()]
    if not found:
        random = either("topwork.Backbone(NAME, weights='random')", "--weights random")
        raise WeightsError(
            f"no ImageNet weights are at hand. Three ways to continue: install the default network, {install}; put an "
            f"official file into {folder()} (with a network: topwork weights fetch mobilenet_v2); or ask for random "
            f"weights, which score poorly: {random}."
        )
    is_mobilenet_v2, _, name = max(found)
    why = "the widest MobileNetV2" if is_mobilenet_v2 else "the largest network"
    return Backbone(name), (
        f"For the default network, {DEFAULT}: {install}\nBackbone: {name}, {why} whose ImageNet file is at hand."
    )


PUBLISHED = {
    "xception_weights_tf_dim_ordering_tf_kernels_notop.h5": "b0042744bf5b25fce3cb969f33bebb97",
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5": "6d6bbae143d832006294945121d1f1fc",
    "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5": "253f8cb515780f3b799900260a226db6",
    "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5": "4d473c1dd8becc155b73f8504c6f6626",
    "resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5": "88cf7a10940856eca736dc7b7e228a21",
    "resnet152_weights_tf_dim_ordering_tf_kernels_notop.h5": "ee4c566cf9a93f14d82f913c2dc6dd0c",
    "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5": "fac2f116257151a9d068a22e544a4917",
    "resnet101v2_weights_tf_dim_ordering_tf_kernels_notop.h5": "c0ed64b8031c3730f411d2eb4eea35b5",
    "resnet152v2_weights_tf_dim_ordering_tf_kernels_notop.h5": "ed17cf2e0169df9d443503ef94b23b33",
    "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5": "bcbd6486424b2319ff4ef7d526e38f63",
    "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5": "d19885ff4a710c122648d3b5c3b684e4",
    "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5": "d3e8ec802a04aa4fc771ee12a9a9b836",
    "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5": "07fb09a5933dd0c8eaafa16978110389",
    "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5": "30ee3e1110167f948a6b9946edeeb738",
    "densenet169_weights_tf_dim_ordering_tf_kernels_notop.h5": "b8c4d4c20dd625c148057b9ff1c1176b",
    "densenet201_weights_tf_dim_ordering_tf_kernels_notop.h5": "c13680b51ded0fb44dff2d8f86ac8bb1",
    "nasnet_mobile_no_top.h5": "1ed92395b5b598bdda52abe5c0dbfd63",
    "nasnet_large_no_top.h5": "d81d89dc07e6e56530c4e77faddd61b5",
    "efficientnetb0_notop.h5": "50bc09e76180e00e4465e1a485ddc09d",
    "efficientnetb1_notop.h5": "74c4e6b3e1f6a1eea24c589628592432",
    "efficientnetb2_notop.h5": "111f8e2ac8aa800a7a99e3239f7bfb39",
    "efficientnetb3_notop.h5": "af6d107764bb5b1abb91932881670226",
    "efficientnetb4_notop.h5": "ebc24e6d6c33eaebbd558eafbeedf1ba",
    "efficientnetb5_notop.h5": "38879255a25d3c92d5e44e04ae6cec6f",
    "efficientnetb6_notop.h5": "9ecce42647a20130c1f39a5d4cb75743",
    "efficientnetb7_notop.h5": "cbcfe4450ddf6f3ad90b1b398090fe4a",
    "efficientnetv2-b0_notop.h5": "893217f2bb855e2983157299931e43ff",
    "efficientnetv2-b1_notop.h5": "0e80663031ca32d657f9caa404b6ec37",
    "efficientnetv2-b2_notop.h5": "1dfe2e7a5d45b6632553a8961ea609eb",
    "efficientnetv2-b3_notop.h5": "f6abf7b5849ac99a89b50dd3fd532856",
    "efficientnetv2-s_notop.h5": "af0682fb74e8c54910f2d4393339c070",
    "efficientnetv2-m_notop.h5": "1b8dc055df72dde80d614482840fe342",
    "efficientnetv2-l_notop.h5": "b0b66b5c863aef5b46e8608fe1711615",
    "convnext_tiny_notop.h5": "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    "convnext_small_notop.h5": "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
    "convnext_base_notop.h5": "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
    "convnext_large_notop.h5": "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
    "convnext_xlarge_notop.h5": "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
}
"""The published hashes, by file name."""


def algorithm(digest: str) -> str:
    """Return the algorithm of a published hash, by its name in `hashlib`.

    >>> algorithm("50bc09e76180e00e4465e1a485ddc09d")
    'md5'
    """
    return "sha256" if len(digest) == 64 else "md5"
