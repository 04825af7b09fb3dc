"""Find out which network a weights file is for: by its name if it is that of an official file, else by its content."""

from math import prod
from pathlib import Path

from topwork.errors import UsageError, nearest
from topwork.networks.backbones import builder
from topwork.networks.weights import files, torch_checkpoint
from topwork.recipes.settings import WORDS

SMALL = 3
"""Arrays of at most this many numbers are not counted: in some files Keras saves pixel scales as weights."""

NUMBERS = {
    "xception": 20_861_480,
    "vgg16": 14_714_688,
    "vgg19": 20_024_384,
    "resnet50": 23_587_712,
    "resnet101": 42_658_176,
    "resnet152": 58_370_944,
    "resnet50_v2": 23_564_800,
    "resnet101_v2": 42_626_560,
    "resnet152_v2": 58_331_648,
    "inception_v3": 21_802_784,
    "inception_resnet_v2": 54_336_736,
    "mobilenet": 3_228_864,
    "mobilenet_025": 218_544,
    "mobilenet_050": 829_536,
    "mobilenet_075": 1_832_976,
    "mobilenet_v2": 2_257_984,
    "mobilenet_v2_035": 410_208,
    "mobilenet_v2_050": 706_224,
    "mobilenet_v2_075": 1_382_064,
    "mobilenet_v2_130": 3_766_048,
    "mobilenet_v2_140": 4_363_712,
    "mobilenet_v3_small": 939_120,
    "mobilenet_v3_large": 2_996_352,
    "densenet121": 7_037_504,
    "densenet169": 12_642_880,
    "densenet201": 18_321_984,
    "nasnet_mobile": 4_269_716,
    "nasnet_large": 84_916_818,
    "efficientnet_lite0": 3_413_024,
    "efficientnet_b0": 4_049_564,
    "efficientnet_b1": 6_575_232,
    "efficientnet_b2": 7_768_562,
    "efficientnet_b3": 10_783_528,
    "efficientnet_b4": 17_673_816,
    "efficientnet_b5": 28_513_520,
    "efficientnet_b6": 40_960_136,
    "efficientnet_b7": 64_097_680,
    "efficientnet_v2_b0": 5_919_312,
    "efficientnet_v2_b1": 6_931_124,
    "efficientnet_v2_b2": 8_769_374,
    "efficientnet_v2_b3": 12_930_622,
    "efficientnet_v2_s": 20_331_360,
    "efficientnet_v2_m": 53_150_388,
    "efficientnet_v2_l": 117_746_848,
    "convnext_tiny": 27_820_128,
    "convnext_small": 49_454_688,
    "convnext_base": 87_566_464,
    "convnext_large": 196_230_336,
    "convnext_xlarge": 348_147_968,
}
"""How many numbers the weights of each network have, without the classifier and without arrays up to size `SMALL`.

The numbers were counted in the networks that Keras 3.15 and topwork build; a test counts them again.
"""


def network_of(file: Path) -> str | None:
    """Return the backbone that a weights file is for, or ``None`` if neither its name nor its content shows it.

    Args:
        file: ``.h5``, ``.weights.h5`` or ``.pth``.
    """
    named = builder.owner_by_name(file)
    if named:
        return named

    import h5py

    shapes: list[tuple[int, ...]] = []

    def look(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
            shapes.append(item.shape or ())

    try:
        if file.suffix == ".pth":
            read = torch_checkpoint.read(file)
            shapes += [array.shape for name, array in read.items() if not name.startswith("_fc.")]
        else:
            with h5py.File(file) as opened:
                opened.visititems(look)
    except (OSError, ValueError, RuntimeError, KeyError):  # it is damaged, or in another format
        return None
    count = sum(prod(shape) for shape in shapes if prod(shape) > SMALL)
    return next((name for name, numbers in NUMBERS.items() if numbers == count), None)


def owner(weights: str, example: str) -> str:
    """Return the backbone that a weights file is for; called if the user names no backbone.

    Args:
        weights: the path of the file.
        example: an example of options that name the network, for the message.

    Raises:
        UsageError: the file does not exist, or neither its name nor its content shows the network.
    """
    if not Path(weights).is_file():
        raise UsageError(
            f"{files.weights_option(weights)}: no such file; expected 'imagenet', 'random', or the path of a file"
            f"{nearest(weights, WORDS) or '.'}"
        )
    name = network_of(Path(weights))
    if name is None:
        raise UsageError(
            f"{files.weights_option(weights)}: neither the file's name nor its content shows which network it is for. "
            f"Name the network: {example} (topwork backbones lists them)."
        )
    return name
