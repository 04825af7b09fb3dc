"""Export a run as a file from uint8 pixels to probabilities, in one of several formats.

If the answers of the file differ from those of the trained model, no file is kept (law 5).
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from topwork.data.dataset import Dataset
from topwork.errors import ExportError, MissingExtra, TopworkError, UsageError, of_machine
from topwork.networks.outputs.complete import complete
from topwork.networks.outputs.names import DISTANCE
from topwork.runs.folder import Folder
from topwork.runs.restore import restore
from topwork.shipping import exported, metadata
from topwork.shipping.checking import gate, self_check
from topwork.shipping.checking.gate import Parity
from topwork.shipping.checking.material import Material, existing, to_calibrate, to_check
from topwork.shipping.described import about, inputs_of
from topwork.shipping.formats import known, onnx
from topwork.shipping.formats.failing import told
from topwork.shipping.formats.how import How
from topwork.shipping.formats.known import Format, Precision
from topwork.shipping.page.runtime import kept, obtain
from topwork.shipping.predictor import Predictor
from topwork.system import gpu, keras_settings
from topwork.system.advice import either
from topwork.system.files import unusable, written_whole
from topwork.system.keras_settings import generators_kept
from topwork.system.messages import Bar, counted, named, say, size, some
from topwork.system.records import Record

if TYPE_CHECKING:
    import keras

TIMED = 30
"""The number of pictures on which a file is timed."""


@dataclass(frozen=True)
class Ready:
    """The model of a run, with what its files are checked on.

    Args:
        folder: the run.
        model: the flat model.
        about: the metadata that all formats have.
        material: the pictures.
        said: the model's outputs for them, by name.
        examples: the pixels of the training pictures that ``int8`` is calibrated on, in the form of `How`. Empty if
            they are not needed, or if no training picture is left.
    """

    folder: Folder
    model: "keras.Model"
    about: dict[str, Any]
    material: Material
    said: Mapping[str, np.ndarray]
    examples: Sequence[np.ndarray]

    @classmethod
    def of(cls, folder: Folder, data: Any, needs_examples: bool) -> "Ready":
        """Restore the model of a run, and read the pictures.

        Raises:
            DatasetError: no picture of the run is where it was.
        """
        keras_settings.import_keras()
        network = restore(folder)
        model = complete(network, folder.distance())
        inputs = inputs_of(folder, network)
        rows = existing(folder, data)
        material = to_check(folder, rows, inputs)
        examples = to_calibrate(folder, rows, inputs) if needs_examples else ()
        with gpu.exact():
            pixels = material.pixels
            said = model.predict(pixels if len(pixels) > 1 else pixels[0], verbose=0)
        return cls(folder, model, about(folder, inputs), material, said, examples)

    def write(self, chosen: Format, path: Path, precision: Precision, force: bool = False) -> Parity:
        """Write a file, compare it with the model, and record it in the run.

        Raises:
            ExportError: the model cannot be written, or the answers of the file differ.
        """
        if precision == "int8" and not self.examples:
            raise ExportError(
                "int8 is calibrated on training pictures, and no training picture of the run is where it was."
            )
        columns = {one["picture"] for one in self.about["inputs"]}
        if chosen is known.PAGE and len(columns) > 1:
            raise ExportError(
                f"the model takes {counted(len(columns), 'picture')} per row ({named(sorted(columns))}), and a page "
                "takes one: export another format."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        with _put(chosen, path) as made:
            with told(chosen.name, made):
                how = How(precision, self.examples)
                import_module(f"topwork.shipping.formats.{chosen.name}").write(self.model, made, how)
            entries = self.about | {"kind": chosen.name, "precision": precision}
            metadata.attach(chosen, made, entries)
            predictor = Predictor(made, inf)
            with gpu.exact():
                entries |= self_check.described(predictor)
                parity = self._parity(predictor, precision)
            if parity.problem and not force:
                raise ExportError(
                    f"the exported file does not answer as the model does and was not kept: {parity.problem}. Please "
                    f"report this with the backbone's name. {either('force=True', '--force')} keeps and marks it."
                )
            if parity.problem:
                say(f"Kept, although {parity.problem}: the file is marked.")
                entries |= {"forced": parity.problem}
            metadata.attach(chosen, made, entries | {"parity": parity.as_json()})
        exported.note(self.folder.path, path, chosen, precision, parity)
        return parity

    def _parity(self, predictor: Predictor, precision: Precision) -> Parity:
        labels = list(self.about["labels"])
        found = answered(predictor, self.material.sources, labels)
        threshold = self.about.get(DISTANCE, {}).get("threshold")
        truth = [labels.index(row.label) if row.split == "test" else None for row in self.material.rows]
        return gate.compared(self.said, found, truth, precision, threshold)


@generators_kept()
def export(
    folder: Folder,
    path: Path,
    data: "str | Path | tuple | Dataset | None" = None,
    kind: str | None = None,
    precision: Precision = "float32",
    force: bool = False,
    runtime: Path | None = None,
) -> Predictor:
    """Write the model of a finished run as a file, and compare the file with the model on real picture files.

    Up to `topwork.scoring.answers.CHECKED` existing pictures are used, first from the test part, then from the others.

    Args:
        folder: the run.
        path: the file to write, which must not exist.
        data: where the run's pictures are now, if they were moved. They are found by content; the run does not
            record the new place.
        kind: the name of the format (`topwork.shipping.formats.known`); by default, that of the suffix.
        precision: of the weights. ``int8`` is calibrated on training pictures.
        force: whether to keep a file whose answers differ; it is then marked.
        runtime: for a page, the folder with ONNX Runtime for browsers. By default, npm fetches it once.

    Returns:
        A predictor that has opened the file.

    Raises:
        ExportError: *path* exists or cannot be written, the model cannot be written, or the answers of the file differ.
        UsageError: there is no such format, the suffix is that of another, or the format lacks the precision or needs
            no runtime.
        MachineError: npm cannot fetch the runtime of a page.
        MissingExtra: a package that the format needs is not installed.
        DatasetError: no picture of the run is where it was.
    """
    chosen = known.chosen(path, kind)
    _refuse(chosen, path, precision, runtime)
    if chosen is known.PAGE:
        obtain(runtime)
    with Bar("writing and checking the file"):
        parity = Ready.of(folder, data, precision == "int8").write(chosen, path, precision, force)
    same, pictures = round(parity.agreement * parity.pictures), counted(parity.pictures, "picture")
    say(
        f"{size(_size(chosen, path))}; the same answer as the model on {same} of {pictures}, probabilities within "
        f"{parity.largest_difference:.1e}."
    )
    if further := chosen.further(path):
        say(f"Keep together: {some([path.name, *(one.name for one in further)])}.")
    return Predictor(path)


@dataclass(frozen=True)
class Made(Record):
    """One of the files that `export_all` writes.

    Args:
        path: the file.
        kind, precision: its format.
        size: of the file and those that belong to it, in bytes; 0 if it was not written.
        seconds: to classify one picture that is decoded already, alone; the median of several.
        parity: how its answers agree with those of the model; ``None`` if it was not written.
        problem: why it was not written; empty if it was.
    """

    path: str
    kind: str
    precision: Precision
    size: int = 0
    seconds: float = 0.0
    parity: Parity | None = None
    problem: str = ""


@generators_kept()
def export_all(folder: Folder, place: Path, data: "str | Path | tuple | Dataset | None" = None) -> list[Made]:
    """Write the model of a finished run in all formats and precisions; pages only if their runtime was fetched before.

    A file that cannot be written is in the list with the reason; the others are written.

    Args:
        folder: the run.
        place: the folder to write to, which must not exist.
        data: where the run's pictures are now, if they were moved.

    Raises:
        ExportError: *place* exists or cannot be written.
        DatasetError: no picture of the run is where it was.
    """
    _refuse_path(place)
    formats = [one for one in known.FORMATS if one is not known.PAGE or kept()]  # nothing is fetched unasked
    for chosen in formats:
        try:
            _refuse_lacking(chosen)
        except MissingExtra as error:
            say(f"{chosen.name} will be missing: {error}")
    ready = Ready.of(folder, data, needs_examples=True)
    found = []
    for chosen in formats:
        for precision in chosen.precisions:
            mark = "" if precision == "float32" else f"-{precision}"
            path = place / f"model{mark}{chosen.suffix}"
            with Bar(f"writing and checking {path.name}"):
                found.append(_one(ready, chosen, path, precision))
    if not any(one.parity for one in found):
        place.rmdir()
    return found


def _one(ready: Ready, chosen: Format, path: Path, precision: Precision) -> Made:
    try:
        _refuse_lacking(chosen)
        parity = ready.write(chosen, path, precision)
        return Made(str(path), chosen.name, precision, _size(chosen, path), _seconds(ready, path), parity)
    except TopworkError as error:
        return Made(str(path), chosen.name, precision, problem=str(error))
    except (OSError, MemoryError) as error:
        return Made(str(path), chosen.name, precision, problem=str(of_machine(error)))


def _size(chosen: Format, path: Path) -> int:
    files = [one for file in (path, *chosen.further(path)) for one in ([file] if file.is_file() else file.rglob("*"))]
    return sum(one.stat().st_size for one in files if one.is_file())


def _seconds(ready: Ready, path: Path) -> float:
    """Return the median time of one picture, alone, after the first."""
    predictor = Predictor(path)
    spent = []
    for n in range(min(TIMED, len(ready.material.rows))):
        start = time.perf_counter()
        predictor.probabilities(*(pixels[n : n + 1] for pixels in ready.material.pixels))
        spent.append(time.perf_counter() - start)
    return float(np.median(spent))


def answered(
    predictor: Predictor, sources: Sequence[Any], labels: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Return the outputs of a file by name, with *pictures* rows. Pictures are decoded and resized.

    Args:
        predictor: has opened the file.
        sources: pictures, in the form that `Predictor` takes.
        labels: the order of the classes; by default, that of the file.
    """
    each = [answer.outputs for answer in predictor.answers(sources)]
    found = {name: np.stack([one[name] for one in each]) for name in each[0]}
    order = [predictor.labels.index(label) for label in labels or predictor.labels]
    return {name: values if name == DISTANCE else values[..., order] for name, values in found.items()}


@contextmanager
def _put(chosen: Format, path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to. At the end, the file and those that belong to it are moved to *path*.

    If one of them is there by now, or cannot be moved, none stays.

    Raises:
        ExportError: one of them is there by now.
    """
    moved: list[Path] = []
    with written_whole(path) as aside:
        made = aside.with_name(f"model{chosen.suffix}")  # every backend's exporter accepts this name
        yield made
        _refuse_path(path, *chosen.further(path))
        try:
            for source, target in zip(chosen.further(made), chosen.further(path)):
                source.replace(target)
                moved.append(target)
            made.replace(aside)
        except BaseException:
            for target in moved:
                target.unlink(missing_ok=True)
            raise


def _refuse(chosen: Format, path: Path, precision: Precision, runtime: Path | None) -> None:
    """Refuse what cannot be written, before anything is computed."""
    if runtime and chosen is not known.PAGE:
        raise UsageError(f"{either('runtime=', '--runtime')} is for pages (.html): {chosen.name} has none inside.")
    if precision not in chosen.precisions:
        has = [one.name for one in known.FORMATS if precision in one.precisions]
        raise UsageError(
            f"{chosen.name} has no {precision}: expected {' or '.join(chosen.precisions)}"
            + (f"; it is in {', '.join(has)}." if has else ".")
        )
    _refuse_path(path, *chosen.further(path))
    _refuse_lacking(chosen)


def _refuse_lacking(chosen: Format) -> None:
    if chosen.name in ("onnx", "openvino", "page"):  # which package writes them depends on Keras' backend
        onnx.refuse_lacking()
    known.refuse_lacking(chosen)


def _refuse_path(path: Path, *further: Path) -> None:
    for there in (path, *further):
        if os.path.lexists(there):
            raise ExportError(
                f"{str(there)!r} exists already and is not overwritten. Choose another name, or remove it."
            )
    if wrong := unusable(path.parent):
        raise ExportError(f"cannot write {str(path)!r}: {wrong[0]}: {wrong[1]}. Choose another place.")
