"""Bad input leads to one clear message and the right exit status; nothing is lost, and there is never a traceback."""

import csv
import json
import os
import re
import shutil
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.command import POOL, SMALL, Ran, topwork
from tests.conftest import make_folder
from topwork.data.readers import read
from topwork.errors import DatasetError, RunError
from topwork.recipes.settings import Backbone
from topwork.store.activations import activations
from topwork.store.tables import Tables
from topwork.training.run import Run

NO_PICTURE = "not a picture: no JPEG, PNG, WebP, BMP, GIF or TIFF"


@pytest.fixture
def folder(tmp_path) -> Path:
    """Make three classes of four pictures, which the tests damage."""
    return make_folder(tmp_path / "data", each=4, side=30)


def png(path: Path, width: int, height: int) -> None:
    """Write a grey PNG whose header gives any size, and which has no pixels."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    )
    data = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(data))


def refused(status: int, message: str, *words: object) -> None:
    """Check that a command ends with one message on stderr and nothing on stdout."""
    assert topwork(*words) == Ran(status, "", f"{message}\n")


def refused_with(status: int, kind: str, facts: Sequence[str], *words: object) -> None:
    """Check that a command prints one error of a kind that has these facts; unit tests check its sentence.

    Before it, ``train`` may have said which pictures it read.
    """
    ran = topwork(*words)
    *read, error = ran.err.splitlines()
    assert (ran.status, ran.out) == (status, ""), ran.err
    assert len(read) <= (words[0] == "train"), ran.err
    assert not [line for line in read if not re.match(r"\d+ pictures in \d+ classes of ", line)]
    assert error.startswith(f"{kind}: ")
    assert not [fact for fact in facts if fact not in error], ran.err


@pytest.mark.parametrize("command", [("read",), ("train", *POOL)])
def test_no_pictures(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    message = f"DatasetError: no picture in '{tmp_path}/data': expected a folder for each class, with pictures in it."
    refused(1, message, command[0], "data", *command[1:])
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_no_data(tmp_path):
    expected = "a folder of pictures, or a file (.csv, .tsv, .parquet, .npz)"
    message = f"no file or folder '{tmp_path}/data': expected {expected}."
    refused(1, f"DatasetError: {message}", "read", tmp_path / "data")


def test_one_class(folder):
    shutil.rmtree(folder / "red")
    shutil.rmtree(folder / "green")
    refused(1, f"DatasetError: only one class in '{folder}', 'blue': expected at least two.", "train", folder, *POOL)


def test_a_class_with_one_picture(folder, tmp_path):
    for path in sorted((folder / "red").iterdir())[1:]:
        path.unlink()
    stratified = (*POOL, "--epochs", 1, "--set", "data.draw=stratified", "--out", tmp_path / "run")
    facts = ("class 'red' has one picture", "--set data.draw=hash.")
    refused_with(1, "DatasetError", facts, "train", folder, *stratified)
    parts = {part_of_red(folder, seed): seed for seed in range(100)}
    facts = ("no training picture of 'red'", "--set data.draw=stratified ", "--set data.seed=1")
    seeded = (*POOL, "--epochs", 1, "--out", tmp_path / "run")
    refused_with(1, "DatasetError", facts, "train", folder, *seeded, "--set", f"data.seed={parts['test']}")
    assert not (tmp_path / "run").exists()
    assert topwork("train", folder, *seeded, "--set", f"data.seed={parts['train']}").status == 0


def part_of_red(folder: Path, seed: int) -> str | None:
    return next(row.split for row in read(folder, seed=seed).rows if row.label == "red")


def test_a_picture_that_cannot_be_read_is_named_left_out_and_counted(folder, tmp_path):
    (folder / "red" / "bad.jpg").write_text("no picture")
    (folder / "red" / "empty.jpg").touch()
    ran = topwork("train", folder, *POOL, "--epochs", 1, "--set", "data.draw=stratified", "--out", tmp_path / "run")
    assert ran.status == 0
    for line in (f"Skipped: red/bad.jpg: {NO_PICTURE}", "Skipped: red/empty.jpg: the file is empty"):
        assert line in ran.err.splitlines()
    assert json.loads((tmp_path / "run" / "results.json").read_text())["left_out"] == 2
    with (tmp_path / "run" / "pictures.csv").open(newline="") as file:
        reasons = {row["path"]: row["reason"] for row in csv.DictReader(file) if row["reason"]}
    assert reasons == {"red/bad.jpg": NO_PICTURE, "red/empty.jpg": "the file is empty"}
    assert topwork("evaluate", tmp_path / "run", folder, "--json").json["left_out"] == reasons
    ran = topwork("extract", folder, "mobilenet_v2_035@pool", *SMALL)
    assert ran.out.startswith(
        f"Skipped: red/empty.jpg: the file is empty\nSkipped: red/bad.jpg: {NO_PICTURE}\n12 pictures at "
    )


@pytest.mark.parametrize("command", [("read",), ("train", *POOL)])
def test_strict_makes_it_an_error(command, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (folder / "red" / "bad.jpg").write_text("no picture")
    message = (
        f"DatasetError: 1 picture cannot be used: 'red/bad.jpg' ({NO_PICTURE}). "
        "Repair or remove them, or omit --strict."
    )
    refused(1, message, command[0], "data", *command[1:], "--strict")
    assert not Path("runs").exists()


def test_no_picture_that_can_be_read(folder, tmp_path):
    for path in folder.rglob("*.png"):
        path.write_text(f"no picture {path}")
    ran = topwork("train", folder, *POOL, "--out", tmp_path / "run")
    assert ran.status == 1
    first = ", ".join(str(path.relative_to(folder)) for path in sorted(folder.rglob("*.png"))[:3])
    assert ran.err.splitlines()[-3:] == [
        f"Skipped: 12 pictures: {NO_PICTURE}: {first} and 9 more",
        "'topwork read' names all 12 that are skipped.",
        "DatasetError: the training part is empty: give pictures the split 'train', "
        "or draw splits with a larger share.",
    ]
    assert not (tmp_path / "run").exists()


def test_the_same_picture_under_two_labels(folder):
    shutil.copy(folder / "red" / "000.png", folder / "blue" / "x.png")
    found = topwork("read", folder, "--json").json
    assert found["left_out"] == {
        "blue/x.png": "the same picture is labelled 'blue' and 'red', see 'red/000.png'",
        "red/000.png": "the same picture is labelled 'blue' and 'red', see 'blue/x.png'",
    }
    lines = topwork("read", folder).out.splitlines()
    assert "2 pictures skipped:" in lines
    assert "  blue/x.png: the same picture is labelled 'blue' and 'red', see 'red/000.png'" in lines


@pytest.mark.parametrize("name", ["Red", "re d"])
def test_labels_that_look_alike(folder, name):
    shutil.copytree(folder / "red", folder / name)
    first, second = sorted((name, "red"))
    message = (
        f"DatasetError: labels {first!r} and {second!r} differ only in case, blanks or invisible characters: "
        "make them one label, or choose names that differ in letters."
    )
    refused(1, message, "read", folder)


@pytest.mark.parametrize(
    ("words", "kind", "facts"),
    [
        (("--cut", "resnet55@pool"), "UnknownBackbone", ("'resnet55'", "'resnet50'", "'topwork backbones'")),
        (
            ("--cut", "mobilenet_v2_035@blok_9_add", *SMALL),
            "CutError",
            ("'blok_9_add'", "'block_9_add'", "'topwork backbones mobilenet_v2_035'"),
        ),
        (("--cut", "mobilenet_v2_035", *SMALL), "CutError", ("'mobilenet_v2_035'", "'mobilenet_v2_035@pool'")),
        ((*POOL, "--head", "liner"), "RecipeError", ("head.kind = 'liner'", "did you mean 'linear'?")),
        ((*POOL, "--set", "data.draw=hush"), "RecipeError", ("data.draw = 'hush'", "did you mean 'hash'?")),
        ((*POOL, "--set", "data.split=[0.5, 0.6, 0.1]"), "RecipeError", ("(0.5, 0.6, 0.1)", "(0.8, 0.1, 0.1)")),
        ((*POOL, "--set", "data.splt=1"), "RecipeError", ("'splt' in data", "did you mean 'split'?", "draw, seed")),
        ((*POOL, "--set", "seed"), "UsageError", ("--set 'seed'", "KEY=VALUE")),
        ((*POOL, "--epochs", 1, "--epochs", 2), "UsageError", ("2 values of --epochs for 1 phase", "--cut")),
        (("--recipe", "nowhere.toml"), "RecipeError", ("'nowhere.toml'", "No such file or directory")),
    ],
)
def test_unknown_words(pictures, tmp_path, words, kind, facts):
    refused_with(2, kind, facts, "train", pictures, *words, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_words_are_looked_at_before_the_data(tmp_path):
    assert topwork("train", tmp_path, "--cut", "resnet55@pool").status == 2


def test_csv_files(folder):
    table = folder / "table.csv"
    table.write_text("path,label\nred/000.png,red\nred/9.png,red\nblue/9.png,blue\n")
    missing = f"2 of the 3 files that '{table}' names are not there: 'red/9.png', 'blue/9.png'."
    refused(1, f"DatasetError: {missing} Paths are relative to '{folder}'.", "read", table)
    table.write_text("file,class\nred/000.png,red\n")
    columns = f"'{table}' has the columns 'file', 'class': expected at least 'path' and 'label', separated by commas."
    refused(1, f"DatasetError: {columns}", "train", table, *POOL)
    table.write_text("path,label,split\nred/000.png,red,tset\n")
    split = f"'{table}', line 2: split 'tset', expected 'train', 'val' or 'test'; did you mean 'test'?"
    refused(1, f"DatasetError: {split}", "read", table)


def test_pictures_of_no_or_one_pixel_and_bombs(folder):
    Image.new("RGB", (1, 1)).save(folder / "red" / "one.png")
    png(folder / "red" / "none.png", 0, 7)
    png(folder / "red" / "bomb.png", 60_000, 60_000)
    found = topwork("read", folder, "--json").json
    assert found["left_out"] == {
        "red/bomb.png": "3,600 megapixels, above the limit of 179; to read it anyway, set max_megapixels "
        "(option --max-megapixels) to 3600",
        "red/none.png": "a side of 0 pixels",
        "red/one.png": "a single pixel",
    }
    assert found["pictures"] == 12


def test_the_folder_of_a_run_that_is_none(tmp_path):
    message = f"RunError: '{tmp_path}' is not a run folder: expected recipe.toml and environment.json in it."
    refused(1, message, "evaluate", tmp_path)
    refused(1, message, "export", tmp_path, tmp_path / "a.onnx")


def test_a_file_that_cannot_be_written(folder, tmp_path):
    place = f"--csv '{tmp_path}/none/a.csv': there is no folder '{tmp_path}/none'"
    message = f"UsageError: {place}. Make it, or name another."
    refused(2, message, "read", folder, "--csv", tmp_path / "none" / "a.csv")


@pytest.fixture
def filled(folder) -> Path:
    """Return the folder of a store that only this test uses: these pictures as pixels, at an odd size."""
    assert topwork("backbones", "mobilenet_025", "--size", 33).status == 0  # the pixels then need no Keras in a worker
    words = ("mobilenet_025@input", "--weights", "random", "--size", 33, "--json")
    return Path(topwork("extract", folder, *words).json["folder"])


def spoil(folder: Path, name: str, old: str, new: str) -> None:
    tables = Tables(folder)
    text = tables.run(lambda txn: tables.get(txn, name)) or ""
    assert old in text
    tables.run(lambda txn: tables.put(txn, name, text.replace(old, new)), write=True)
    tables.close()


def test_a_store_of_another_format(filled, folder):
    spoil(filled, "header", '"format": 1', '"format": 2')
    message = (
        f"StoreError: the store {filled} has format 2; this topwork reads format 1. "
        "Use the topwork that wrote it, or remove the folder: only its activations are computed again."
    )
    words = ("extract", folder, "mobilenet_025@input", "--weights", "random", "--size", 33)
    refused(3, message, *words)
    shutil.rmtree(filled)
    assert topwork(*words).err.startswith("mobilenet_025@input: 12 pictures to compute, ")


def test_a_damaged_store(filled, folder):
    data = filled / "data.mdb"
    data.write_bytes(np.random.default_rng(0).bytes(data.stat().st_size))
    ran = topwork("extract", folder, "mobilenet_025@input", "--weights", "random", "--size", 33)
    assert (ran.status, ran.out) == (3, "")
    start, end = (
        f"StoreError: the store {filled} is damaged: ",
        ". Remove the folder: only its activations are computed again.\n",
    )
    assert ran.err.startswith(start)
    assert ran.err.endswith(end)


@pytest.mark.parametrize("command", [("extract", "data", "vgg16@pool"), ("train", "data", "--cut", "vgg16@pool")])
def test_no_weights_and_no_network(command, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file, folder = "'vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5'", f"'{os.environ['KERAS_HOME']}/models'"
    facts = (file, folder, "TOPWORK_OFFLINE", "'topwork weights fetch vgg16'", "--weights random.")
    refused_with(3, "WeightsError", facts, *command)
    assert list(Path("runs").glob("*")) == []


def test_pictures_that_are_gone_since_they_were_read_are_not_held_for_broken(tmp_path):
    folder = make_folder(tmp_path / "data", each=4, side=24)
    words = (folder, *POOL, "--epochs", 1, "--set", 'data.draw="stratified"', "--set", "data.split=[0.5, 0.25, 0.25]")
    assert topwork("train", *words, "--out", tmp_path / "run").status == 0
    run = Run(tmp_path / "run")
    gone = ", ".join(repr(row.path) for row in run.data.part("val"))
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(RunError) as error:
        run.evaluate("val")
    assert str(error.value) == (
        f"pictures of '{run.path}' changed or disappeared since it started: {gone}, in '{folder}'. "
        f"Put them back there as they were, or say where they are: run.evaluate(data=NEWPLACE)"
    )
    (tmp_path / "elsewhere").rename(folder)
    assert run.evaluate("val").left_out == {}


def test_pictures_that_changed_since_they_were_read_are_not_stored_as_what_they_were(tmp_path):
    folder = make_folder(tmp_path / "data", each=4, side=24, first=700)
    data = read(folder)
    row = data.rows[0]
    Path(folder, row.path).write_bytes(Path(folder, data.rows[-1].path).read_bytes())
    with pytest.raises(DatasetError) as error:
        activations(data, POOL[1], backbone=Backbone("mobilenet_v2_035", "random", 32))
    assert str(error.value) == (
        f"'{folder}/{row.path}' changed after the data was read. Try again: what is in the store stays."
    )


def test_a_table_written_elsewhere_can_be_read_again(tmp_path):
    folder = make_folder(tmp_path / "data", each=4, side=24)
    (tmp_path / "lists").mkdir()
    assert topwork("read", folder, "--csv", tmp_path / "lists" / "all.csv").status == 0
    again = read(tmp_path / "lists" / "all.csv")
    assert [row.digest for row in again.rows] == [row.digest for row in read(folder).rows]
