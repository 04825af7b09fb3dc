"""Write a flat model as a page: one HTML file with the model and its runtime inside, for any browser."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from topwork.shipping.formats import onnx
from topwork.shipping.formats.how import How
from topwork.shipping.page import contents
from topwork.shipping.page.assembled import with_model
from topwork.shipping.page.runtime import obtain

if TYPE_CHECKING:
    import keras


def write(model: "keras.Model", path: Path, how: How) -> None:
    """Write the page with the model's ONNX file inside, so that both formats compute the same.

    Raises:
        ExportError, MissingExtra: see `topwork.shipping.formats.onnx.write`.
        MachineError: the runtime cannot be fetched; see `topwork.shipping.page.runtime.obtain`.
    """
    runtime = obtain()
    with TemporaryDirectory(dir=path.parent) as folder:
        file = Path(folder, "model.onnx")
        onnx.write(model, file, how)
        page = with_model(file.read_bytes(), {}, runtime)
    path.write_text(page, encoding="utf-8")


def describe(path: Path, text: str) -> None:
    """Write metadata into a page, in place of those that it has."""
    path.write_bytes(contents.described(path.read_bytes(), text))
