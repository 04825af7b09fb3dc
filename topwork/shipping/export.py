"""Export a run as a file from uint8 pixels to probabilities, in one of several formats.

If the answers of the file differ from those of the trained model, no file is kept (law 5).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from importlib import import_module
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from topwork.data.dataset import Dataset, Row
from topwork.data.pictures import load
from topwork.errors import DatasetError, ExportError, MissingExtra, PictureError
from topwork.networks.backbones import catalogue
from topwork.networks.fusion import Joined
from topwork.networks.model import Network
from topwork.runs.folder import Folder
from topwork.runs.moved_pictures import placed
from topwork.runs.restore import restore
from topwork.scoring.answers import checked
from topwork.shipping import exported, gate, metadata, self_check
from topwork.shipping.formats import known, onnx
from topwork.shipping.formats.failing import told
from topwork.shipping.formats.how import How
from topwork.shipping.formats.known import Format, Precision
from topwork.shipping.gate import Parity
from topwork.shipping.metadata import Input
from topwork.shipping.predictor import Predictor
from topwork.system import gpu, keras_settings
from topwork.system.advice import either
from topwork.system.files import unusable, written_whole
from topwork.system.keras_settings import generators_kept
from topwork.system.messages import Bar, say
from topwork.system.records import Record
from topwork.version import FILE_FORMAT, VERSION

if TYPE_CHECKING:
    import keras

TIMED = 30
"""The number of pictures on which a file is timed."""

EXAMPLES = 100
"""The number of training pictures that show an ``int8`` file which values occur."""


@dataclass(frozen=True)
class Material:
    """What a file is checked on: pictures of the run.

    Args:
        pixels: one array for each input, uint8 ``[n, height, width, 3]``.
        sources: the same pictures as files or arrays, in the form that `Predictor` takes.
        rows: their rows.
    """

    pixels: list[np.ndarray]
    sources: list[Any]
    rows: list[Row]


@dataclass(frozen=True)
class Ready:
    """The model of a run, with what its files are checked on.

    Args:
        folder: the run.
        model: the flat model.
        about: the metadata that all formats have.
        material: the pictures.
        said: the model's probabilities for them, float ``[pictures, classes]``.
        examples: for ``int8``, the pixels of training pictures.
    """

    folder: Folder
    model: "keras.Model"
    about: dict[str, Any]
    material: Material
    said: np.ndarray
    examples: Sequence[np.ndarray]

    @classmethod
    def of(cls, folder: Folder, data: Any, needs_examples: bool) -> "Ready":
        """Restore the model of a run, and read the pictures.

        Raises:
            DatasetError: no picture of the run is where it was.
        """
        rows = _existing(placed(folder, data), folder.sample())
        keras_settings.import_keras()
        network = restore(folder)
        model = network.flat()
        inputs = inputs_of(folder, network)
        material = _material(folder, rows, checked(rows), inputs)
        examples = _material(folder, rows, _examples(rows), inputs).pixels if needs_examples else ()
        with gpu.exact():
            said = model.predict(_single(material.pixels), verbose=0)
        return cls(folder, model, about(folder, inputs), material, said, examples)

    def write(self, chosen: Format, path: Path, precision: Precision, force: bool = False) -> Parity:
        """Write a file, compare it with the model, and record it in the run.

        Raises:
            ExportError: the model cannot be written, or the answers of the file differ.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as aside:
            made = aside.with_name(f"model{chosen.suffix}")  # every backend's exporter accepts this name
            how = How(precision, self.examples)
            with told(chosen.name, made):
                import_module(f"topwork.shipping.formats.{chosen.name}").write(self.model, made, how)
            entries = self.about | {"kind": chosen.name, "precision": precision}
            metadata.attach(chosen, made, entries)
            predictor = Predictor(made, inf)
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
            metadata.attach(chosen, made, entries)
            for source, target in zip(chosen.further(made), chosen.further(path)):
                source.replace(target)
            made.replace(aside)
        exported.note(self.folder.path, path, chosen, precision, parity)
        return parity

    def _parity(self, predictor: Predictor, precision: Precision) -> Parity:
        labels = list(self.about["labels"])
        found = answered(predictor, self.material.sources, labels)
        truth = [labels.index(row.label) if row.split == "test" else None for row in self.material.rows]
        return gate.compared(self.said, found, truth, precision)


@generators_kept()
def export(
    folder: Folder,
    path: Path,
    data: "str | Path | tuple | Dataset | None" = None,
    kind: str | None = None,
    precision: Precision = "float32",
    force: bool = False,
) -> Predictor:
    """Write the model of a finished run as a file, and compare the file with the model on real picture files.

    Up to `CHECKED` existing pictures are used, first from the test part, then from the other parts.

    Args:
        folder: the run.
        path: the file to write, which must not exist.
        data: where the run's pictures are now, if they were moved. They are found by content; the run does not
            record the new place.
        kind: the name of the format (`topwork.shipping.formats.known`); by default, that of the suffix.
        precision: of the weights. ``int8`` is calibrated on training pictures.
        force: whether to keep a file whose answers differ; it is then marked.

    Returns:
        A predictor that has opened the file.

    Raises:
        ExportError: *path* exists or cannot be written, the format does not have the precision, the model cannot be
            written, or the answers of the file differ.
        MissingExtra: a package that the format needs is not installed.
    """
    chosen = known.chosen(path, kind)
    _refuse(chosen, path, precision)
    with Bar("writing and checking the file"):
        Ready.of(folder, data, precision == "int8").write(chosen, path, precision, force)
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
    """Write the model of a finished run in all formats and precisions.

    Args:
        folder: the run.
        place: the folder to write to, which must not exist.
        data: where the run's pictures are now, if they were moved.

    Raises:
        ExportError: *place* exists or cannot be written.
    """
    _refuse_path(place)
    ready = Ready.of(folder, data, needs_examples=True)
    found = []
    for chosen in known.FORMATS:
        for precision in chosen.precisions:
            mark = "" if precision == "float32" else f"-{precision}"
            path = place / f"model{mark}{chosen.suffix}"
            with Bar(f"writing and checking {path.name}"):
                found.append(_one(ready, chosen, path, precision))
    return found


def _one(ready: Ready, chosen: Format, path: Path, precision: Precision) -> Made:
    try:
        _refuse_lacking(chosen)
        parity = ready.write(chosen, path, precision)
    except (ExportError, MissingExtra) as error:
        return Made(str(path), chosen.name, precision, problem=str(error))
    files = [path, *chosen.further(path)]
    size = sum(one.stat().st_size for file in files for one in (file.rglob("*") if file.is_dir() else [file]))
    predictor = Predictor(path)
    spent = []
    for n in range(min(TIMED, len(ready.said))):
        start = time.perf_counter()
        predictor.probabilities(*(pixels[n : n + 1] for pixels in ready.material.pixels))
        spent.append(time.perf_counter() - start)
    return Made(str(path), chosen.name, precision, size, float(np.median(spent)), parity)


def answered(predictor: Predictor, sources: Sequence[Any], labels: Sequence[str] | None = None) -> np.ndarray:
    """Return the probabilities that a file gives, float ``[pictures, classes]``, with decoding and resizing.

    Args:
        predictor: has opened the file.
        sources: pictures, in the form that `Predictor` takes.
        labels: the order of the classes; by default, that of the file.
    """
    order = labels or predictor.labels
    return np.array([[guess.probabilities[label] for label in order] for guess in predictor(sources)])


def _refuse(chosen: Format, path: Path, precision: Precision) -> None:
    """Refuse what cannot be written, before anything is computed."""
    if precision not in chosen.precisions:
        has = [one.name for one in known.FORMATS if precision in one.precisions]
        raise ExportError(
            f"{chosen.name} has no {precision}: expected {' or '.join(chosen.precisions)}"
            + (f"; {' and '.join(has)} have it." if has else ".")
        )
    _refuse_path(path, *chosen.further(path))
    _refuse_lacking(chosen)


def _refuse_lacking(chosen: Format) -> None:
    if chosen.name in ("onnx", "openvino"):  # which package writes them depends on Keras' backend
        onnx.refuse_lacking()
    known.refuse_lacking(chosen, (*chosen.writes, *chosen.reads), "writing")


def _refuse_path(path: Path, *further: Path) -> None:
    for there in (path, *further):
        if there.exists():
            raise ExportError(
                f"{str(there)!r} exists already and is not overwritten. Choose another name, or remove it."
            )
    if wrong := unusable(path.parent):
        raise ExportError(f"cannot write {str(path)!r}: {wrong[0]}: {wrong[1]}. Choose another place.")


def _existing(data: Dataset, kept: Mapping[str, np.ndarray]) -> Dataset:
    """Return the dataset with those rows whose pictures are files that exist, in the arrays, or *kept* by the run."""

    def is_there(path: str) -> bool:
        return path in kept or data.pixels is not None or (bool(data.root) and Path(data.root, path).is_file())

    return replace(data, rows=tuple(row for row in data.rows if all(is_there(path) for path, _ in row.pictures)))


def _source(data: Dataset, path: str) -> Path | np.ndarray:
    found = data.picture(path)
    return Path(found) if isinstance(found, str) else found


def _single(arrays: Sequence[np.ndarray]) -> Any:
    return list(arrays) if len(arrays) > 1 else arrays[0]


def _examples(data: Dataset) -> Sequence[Row]:
    """Return training pictures of all classes, never test pictures."""
    train = sorted(data.part("train"), key=lambda row: sha256(row.content.encode()).digest())
    return train[:EXAMPLES]


def _material(folder: Folder, data: Dataset, rows: Sequence[Row], inputs: Sequence[Input]) -> Material:
    """Return those of the pictures that exist."""
    kept = folder.sample()
    pixels, sources, used = [], [], []
    for row in rows:
        files = [kept[path] if path in kept else _source(data, path) for path, _ in row.pictures]
        named = dict(zip(data.columns, files))
        wanted = [named[entry.picture] if entry.picture else files[0] for entry in inputs]
        try:
            pixels.append([load(picture, entry.fit, inf) for picture, entry in zip(wanted, inputs)])
        except PictureError:
            continue
        sources.append(named if inputs[0].picture else files[0])
        used.append(row)
    if not sources:
        raise DatasetError(
            f"no picture of the run is where it was ({data.root or 'arrays'}): the file is checked on real pictures "
            "before it is written. Put them back, or say where they are: "
            + either("run.export(FILE, data=NEWPLACE)", f"topwork export {folder.path} FILE --data NEWPLACE")
        )
    return Material([np.stack(some) for some in zip(*pixels)], sources, used)


def inputs_of(folder: Folder, network: Network | Joined) -> list[Input]:
    """Return the inputs of the model of a run."""
    wanted = network.inputs
    names = [f"pixels_{number}" for number in range(1, len(wanted) + 1)] if len(wanted) > 1 else ["pixels"]
    # if any term of the cut names a picture, terms that name none take the first column
    unnamed = folder.data().columns[0] if any(picture for picture, _ in wanted) else None
    return [Input(name, picture or unnamed, fit) for name, (picture, fit) in zip(names, wanted)]


def about(folder: Folder, inputs: Sequence[Input]) -> dict[str, Any]:
    """Return the metadata of the model of a run; see `topwork.shipping.metadata`."""
    accuracy = folder.results.accuracy if folder.is_finished else None
    folds = folder.results.folds if folder.is_finished else None
    join = folder.recipe.join
    learned = sorted(row.content for row in folder.learned)
    networks = []
    for each in folder.members if join else [folder]:
        recipe = each.recipe
        backbones = {}
        for name, one in recipe.backbones.items():
            if one.model:
                licence = "your own"
            else:
                entry = catalogue.record(one.name)
                licence = f"{entry.licence} ({entry.licence_note})" if entry.licence_note else entry.licence
            backbones[name] = asdict(one) | {"licence": licence}
        networks.append({"cut": recipe.phases[-1].cut, "backbones": backbones})

    return {
        "format": FILE_FORMAT,
        "labels": list(folder.data().classes),
        "inputs": [one.as_json() for one in inputs],
        **({"join": join.rule, "members": networks} if join else networks[0]),
        "training": {"pictures": len(learned), "sha256": sha256(" ".join(learned).encode()).hexdigest()},
        "scores": {"accuracy": accuracy and accuracy.as_json()} | ({"folds": folds} if folds else {}),
        "versions": {"topwork": VERSION, **folder.environment["packages"]},
    }
