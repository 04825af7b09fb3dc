"""Write a flat model as OpenVINO's intermediate representation (IR): an ``.xml`` file with its ``.bin``."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from topwork.shipping.formats import onnx
from topwork.shipping.formats.failing import told
from topwork.shipping.formats.how import How

if TYPE_CHECKING:
    import keras


def write(model: "keras.Model", path: Path, how: How) -> None:
    """Write the IR from the model's ONNX file, so that both formats compute the same.

    Raises:
        ExportError, MissingExtra: see `topwork.shipping.formats.onnx.write`.
    """
    import openvino

    # an error must be told before the folder is removed: afterwards, a full disk has room
    with TemporaryDirectory(dir=path.parent) as folder, told("openvino", path):
        file = Path(folder, "model.onnx")
        onnx.write(model, file, How())
        openvino.save_model(openvino.convert_model(str(file)), str(path), compress_to_fp16=how.precision == "float16")
