"""The formats of exported files: what each is called, which precisions it has, and what it needs."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

from topwork.errors import MissingExtra, UsageError, nearest
from topwork.system.advice import either

Precision = Literal["float32", "float16", "int8"]
KEY = "topwork"
"""The metadata key of an ONNX file."""

PACKAGES = {"ai_edge_litert": "ai-edge-litert"}
"""The names under which modules are installed, if they differ."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True)
class Format:
    """A format of exported files.

    Args:
        name: as in ``--format``.
        suffix: of the file; empty for a folder.
        needs: the modules that writing and reading need, beside what Keras' backend needs for ONNX
            (`topwork.shipping.formats.onnx.refuse_lacking`).
        reads: those that reading needs.
        extra: the extra of topwork that has them; empty if topwork itself has them.
        precisions: of the weights.
        is_described: whether the metadata are in the file; otherwise they are in a JSON file beside it.
        beside: the suffixes of further files that belong to it.
    """

    name: str
    suffix: str
    needs: tuple[str, ...]
    reads: tuple[str, ...]
    extra: str = ""
    precisions: tuple[Precision, ...] = ("float32",)
    is_described: bool = False
    beside: tuple[str, ...] = ()

    def about(self, path: Path) -> Path:
        """Return the JSON file with the metadata of a file, if they are not in the file."""
        return path / "topwork.json" if not self.suffix else path.with_name(f"{path.name}.json")

    def further(self, path: Path) -> list[Path]:
        """Return the other files that belong to *path*."""
        own = [] if self.is_described or not self.suffix else [self.about(path)]
        return [*(path.with_suffix(suffix) for suffix in self.beside), *own]


FORMATS = (
    Format("onnx", ".onnx", ("onnxruntime",), ("onnxruntime",), precisions=PRECISIONS, is_described=True),
    Format("openvino", ".xml", ("openvino",), ("openvino",), precisions=("float32", "float16"), beside=(".bin",)),
    Format("savedmodel", "", ("tensorflow",), ("tensorflow",), "savedmodel"),
    Format("graphdef", ".pb", ("tensorflow",), ("tensorflow",), "graphdef"),
    Format("litert", ".tflite", ("tensorflow", "ai_edge_litert"), ("ai_edge_litert",), "litert", PRECISIONS),
    Format("keras", ".keras", ("keras",), ("keras",)),
    Format("page", ".html", ("onnxruntime",), ("onnxruntime",), precisions=PRECISIONS, is_described=True),
)
"""The formats. If a run was exported to several, the first one represents it (`topwork.shipping.exported.best`)."""

ONNX, PAGE = FORMATS[0], FORMATS[-1]


def precise(name: str) -> Precision:
    """Return the precision of that name.

    Raises:
        UsageError: no precision has that name.
    """
    for one in PRECISIONS:
        if one == name:
            return one
    expected = ", ".join(PRECISIONS)
    raise UsageError(f"there is no precision {name!r}: expected {expected}{nearest(name, PRECISIONS) or '.'}")


def named(name: str) -> Format:
    """Return the format of that name.

    Raises:
        UsageError: no format has that name.
    """
    names = [one.name for one in FORMATS]
    if name not in names:
        raise UsageError(f"there is no format {name!r}: expected {', '.join(names)}{nearest(name, names) or '.'}")
    return FORMATS[names.index(name)]


def of_path(path: Path) -> Format | None:
    """Return the format of a file by its suffix, or of a folder that holds a SavedModel; ``None`` if it has none.

    >>> of_path(Path("flowers.tflite")).name
    'litert'
    """
    if (path / "saved_model.pb").is_file():
        return named("savedmodel")
    return next((one for one in FORMATS if one.suffix and one.suffix == path.suffix.lower()), None)


def chosen(path: Path, name: str | None) -> Format:
    """Return the format to write: the one of that name, else that of the suffix of *path*.

    Raises:
        UsageError: there is no such format, or the suffix is that of another.
    """
    by_suffix = of_path(path) or (named("savedmodel") if not path.suffix else None)
    if name is None and by_suffix:
        name = by_suffix.name
    option = either("format=", "--format")
    if name is None:
        known = ", ".join(f"{one.suffix or 'no suffix'} ({one.name})" for one in FORMATS)
        hint = nearest(path.suffix, [one.suffix for one in FORMATS if one.suffix]) or "."
        raise UsageError(f"{str(path)!r} has no suffix of a known format: expected {known}; or {option}{hint}")
    found = named(name)
    if found.suffix and path.suffix != found.suffix:
        raise UsageError(f"{str(path)!r} is to be written as {name}: give it a name that ends in {found.suffix!r}.")
    if not found.suffix and by_suffix is not found:
        raise UsageError(f"{str(path)!r} is to be written as {name}, a folder: give it a name without a suffix.")
    return found


def refuse_lacking(found: Format, to_read: bool = False) -> None:
    """Refuse a format that needs a package which is not installed.

    Args:
        found: the format.
        to_read: whether a file is to be read; otherwise one is to be written, and read back.

    Raises:
        MissingExtra: a package is missing.
    """
    lacking = [name for name in (found.reads if to_read else found.needs) if not find_spec(name)]
    if not lacking:
        return
    packages = " ".join(PACKAGES.get(name, name) for name in lacking)
    install = packages if to_read or not found.extra else f'"topwork[{found.extra}]"'
    raise MissingExtra(
        f"{'reading' if to_read else 'writing'} {found.name} needs {' and '.join(lacking)}, which is not installed. "
        f"Install it with: pip install {install}."
    )
