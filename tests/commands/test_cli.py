"""Each command succeeds: results go to stdout, messages to stderr, and ``--json`` prints one JSON object."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import topwork as tw
from tests import colours as small
from tests import shared, shelf
from tests.command import POOL, SMALL, Ran, in_a_new_process, start, topwork
from tests.conftest import make_folder
from tests.tiny import SIDE, file
from topwork.runs import registry
from topwork.system.messages import size
from topwork.training.run import Run
from topwork.version import VERSION

COMMANDS = (
    "train",
    "read",
    "audit",
    "extract",
    "evaluate",
    "report",
    "compare",
    "export",
    "check",
    "predict",
    "serve",
    "backbones",
    "choose",
)
COMMANDS += ("curve", "recipes", "sample", "doctor", "weights", "store")
VERBS = (("weights", "ls"), ("weights", "fetch"), ("weights", "verify"))
VERBS += (("store", "ls"), ("store", "verify"), ("store", "prune"))
STRATIFIED = ("--set", 'data.draw="stratified"')


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, Ran]:
    """Return a run of three epochs on pictures that no other test stores, and the command's output."""
    pictures = make_folder(tmp_path_factory.mktemp("own") / "colours", first=300)
    out = tmp_path_factory.mktemp("runs") / "colours"
    network = ("--set", f"backbones.tiny.model={file()}", "--set", f"backbones.tiny.size={SIDE}")
    words = ("--cut", "tiny@pool", *network, "--epochs", 3, "--learning-rate", 1e-2, *STRATIFIED)
    return out, topwork("train", pictures, *words, "--out", out)


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory) -> tuple[Path, Ran]:
    """Return that run's exported file, and the command's output."""
    file = tmp_path_factory.mktemp("files") / "colours.onnx"
    return file, topwork("export", trained[0], file, "--json")


def test_version():
    assert topwork("--version") == Ran(0, f"topwork {VERSION}\n", "")


def test_topwork_alone_prints_help():
    ran = in_a_new_process()
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("Usage: ")
    assert re.findall(r"^  ([a-z]+)  ", ran.err, re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS), *VERBS])
def test_help_fits_a_terminal_of_80_columns(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    ran = topwork(*command, "--help")
    assert (ran.status, ran.err) == (0, "")
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "..." not in ran.out.replace("]...", "").replace("}...", "")  # no sentence is cut off


def test_help_loads_no_keras():
    ran = in_a_new_process("train", "--help", PYTHONPROFILEIMPORTTIME="1")
    assert "typer" in ran.err
    assert not re.search(r"\b(keras|tensorflow|openvino|sklearn|matplotlib|lmdb)\b", ran.err)


def test_train_prints_the_run_and_tells_the_rest(trained):
    out, ran = trained
    assert (ran.status, ran.out) == (0, f"{out}\n")
    expected = [
        r"60 pictures in 3 classes of '.*' \(48 train, 6 val, 6 test\)\.",
        r"tiny@pool: 60 pictures to compute, \d+\.\d KB on disk",
        r"phase 1, tiny@pool: kept (epoch \d of 3|the weights it started with) "
        r"\(validation loss \d+\.\d{3}\), \d+(\.\d)? s",
        r"tiny@pool: 6 pictures to compute in float32, for the test scores, \d+\.\d KB on disk",
        r"Test accuracy [01]\.\d{3} on 6 pictures \(95 % interval 0\.\d{3} to [01]\.\d{3}\); "
        r"store, training and test took (\d+ min )?\d+(\.\d)? s\.",
    ]
    said = [line for line in ran.err.splitlines() if "did not improve" not in line]
    after = [line for line in said if line.startswith(("Look: ", "Page: ", "Use: ", "Better: "))]
    assert said[-len(after) :] == after
    *lines, last = said[: -len(after)]
    assert last == "So few test pictures make the score uncertain: --folds 5 tests each of the 60 pictures once."
    more = ("For speed the frozen part ran in bfloat16 while training", "As far as 6 pictures tell")
    assert all(line.startswith(more) for line in lines[5:]), lines
    for line, pattern in zip(lines[:5], expected, strict=True):
        assert re.fullmatch(pattern, line), line


def test_train_as_json_names_its_run_after_data_and_time(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("recipe.toml").write_text(
        '[[phase]]\ncut = "mobilenet_v2_035@pool"\nlearning_rate = 1\n[data]\ndraw = "stratified"\n'
    )
    words = ("--recipe", "recipe.toml", *SMALL, "--epochs", 1, "--set", "phase.1.learning_rate=0.01")
    found = topwork("train", pictures, *words, "--json").json
    assert re.fullmatch(r"runs/colours-\d{4}-\d\d-\d\d-\d{4}", found["run"])
    assert found["accuracy"].keys() == {"value", "low", "high"}
    assert (found["test"]["pictures"], found["left_out"]) == (6, 0)
    run = Run(found.pop("run"))
    assert found == run.results.as_json()
    assert (run.recipe.phases[0].epochs, run.recipe.phases[0].learning_rate) == (1, 0.01)


def test_a_run_folder_that_exists_is_left_as_it_is(trained, pictures):
    out, _ = trained
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert topwork("train", pictures, *POOL, "--out", out) == Ran(
        1,
        "",
        f"RunError: '{out}' exists already, and a run is never overwritten. Choose another --out, or remove it.\n",
    )
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_data_is_asked_for_before_any_weights_are_looked_for():
    ran = topwork("train")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == "UsageError: expected DATA, a folder of pictures or a file, or --resume RUN.\n"


def test_read_tells_what_is_there(pictures, tmp_path):
    ran = topwork("read", pictures, "--csv", tmp_path / "table.csv", "--preview", tmp_path / "grid.png")
    assert (ran.status, ran.err) == (0, "")
    assert re.search(r"^green( +\d+){3} +20$", ran.out, re.MULTILINE)
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["blue"] * 20 + ["green"] * 20 + ["red"] * 20
    assert topwork("read", tmp_path / "table.csv").status == 0
    with Image.open(tmp_path / "grid.png") as image:
        assert min(image.size) > 300


def test_read_draws_as_a_recipe_does(pictures, tmp_path):
    table, grid = tmp_path / "table.csv", tmp_path / "grid.png"
    ran = topwork("read", pictures, "--recipe", "resnet50_flowers", "--csv", table, "--preview", grid)
    assert (ran.status, ran.err) == (0, "")
    with table.open(newline="") as file:
        drawn = {row["sha256"]: row["split"] for row in csv.DictReader(file)}
    expected = {row.digest: row.split for row in tw.read(pictures, seed=42, draw="hash").rows}
    assert drawn == expected != {row.digest: row.split for row in tw.read(pictures).rows}
    with Image.open(grid) as image:
        assert image.size == (4 * 204, 6 * 240)  # four views of six pictures


def test_views_are_shown_in_a_preview_alone(pictures, tmp_path):
    assert topwork("read", pictures, "--preview", tmp_path / "grid.png", "--views", "2").status == 0
    with Image.open(tmp_path / "grid.png") as image:
        assert image.height > image.width  # two columns, six rows
    assert topwork("read", pictures, "--views", "4") == Ran(
        2,
        "",
        "UsageError: --views 4 needs a preview to be shown in: add --preview PNG.\n",
    )


def test_a_preview_is_a_png(pictures, tmp_path):
    assert topwork("read", pictures, "--preview", tmp_path / "grid.jpg") == Ran(
        2,
        "",
        f"UsageError: --preview {str(tmp_path / 'grid.jpg')!r} does not end in '.png': a preview is "
        "a PNG file, so give it such a name.\n",
    )


def test_read_as_json(pictures):
    found = topwork("read", pictures, "--json").json
    assert found.keys() == {"pictures", "classes", "notes", "left_out"}
    assert (found["pictures"], found["left_out"]) == (60, {})
    assert {label: sum(parts.values()) for label, parts in found["classes"].items()} == dict.fromkeys(
        ("blue", "green", "red"), 20
    )


def test_extract_runs_the_trunk_once(tmp_path):
    words = ("extract", make_folder(tmp_path, each=4, side=36), "mobilenet_v2_035@block_9_add", *SMALL)
    first = topwork(*words)
    assert re.fullmatch(r"mobilenet_v2_035@block_9_add: 12 pictures to compute, \d\.\d KB on disk\n", first.err)
    assert re.fullmatch(
        "12 pictures at mobilenet_v2_035@block_9_add: 2x2x24 float16 each, in /.*/mobilenet_v2_035-[0-9a-f]{16}\n",
        first.out,
    )
    assert topwork(*words) == Ran(0, first.out, "")
    found = topwork(*words, "--json").json
    assert first.out.endswith(f" in {found.pop('folder')}\n")
    assert found == {
        "cut": "mobilenet_v2_035@block_9_add",
        "pictures": 12,
        "tensors": [{"shape": [2, 2, 24], "dtype": "float16"}],
        "left_out": {},
    }


def test_evaluate_says_what_training_said(trained):
    out, _ = trained
    ran = topwork("evaluate", out)
    assert (ran.status, ran.err) == (0, "")
    found = topwork("evaluate", out, "--json").json
    assert found["accuracy"] == Run(out).results.accuracy.as_json()
    assert f"\naccuracy         {found['accuracy']['value']:.3f}" in ran.out


def test_evaluate_other_pictures(trained, pictures):
    found = topwork("evaluate", trained[0], pictures, "--json").json
    assert (found["part"], found["pictures"], found["sample"], found["left_out"]) == ("data", 60, None, {})
    assert found["trained_on"] == 0


def test_evaluate_says_when_pictures_were_trained_on(trained):
    run = Run(trained[0])
    ran = topwork("evaluate", trained[0], run.data.root, "--json")
    count = len(run.data.part("train"))
    assert ran.json["trained_on"] == count > 0
    assert ran.err.endswith(
        f"The run was trained on {count} of the 60 pictures measured, so these scores are optimistic. "
        "To measure its test part only: topwork evaluate RUN\n"
    )


def test_compare(trained, tmp_path):
    out, _ = trained
    copy = shutil.copytree(out, tmp_path / "copy")
    ran = topwork("compare", out, copy)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith(f"first   {out}\nsecond  {copy}\n\n")
    assert ran.out.endswith(
        "\nThe difference in accuracy is not significant (McNemar's exact test, p =\n"
        "  1.000): on these 6 test pictures a difference of less than 1.000 could be\n"
        "  chance.\n"
        "The difference in loss is not significant.\n"
        "The difference in AUC is not significant.\n"
        "So it cannot be told which run answers more pictures right, but cross-\n"
        "  validations of both ('topwork train --folds') would test more pictures.\n"
    )
    found = topwork("compare", out, copy, "--json").json
    assert (found["p"], found["pictures"], found["better"]) == (1.0, 6, {"accuracy": None, "loss": None, "auc": None})
    assert found["scores"]["first"]["accuracy"] == Run(out).results.accuracy.value
    told = f"UsageError: cannot compare {str(out)!r} with itself: name two different runs.\n"
    assert topwork("compare", out, out) == Ran(2, "", told)


def test_export_as_json(exported):
    file, ran = exported
    assert "; the same answer as the model on 60 of 60 pictures, probabilities within " in ran.err
    found = ran.json
    assert (found["file"], found["labels"]) == (str(file), ["blue", "green", "red"])
    assert [(one["name"], one["picture"], one["size"]) for one in found["inputs"]] == [("pixels", None, [32, 32])]
    assert file.stat().st_size > 10_000


def test_an_exported_file_is_never_overwritten(exported, trained):
    file, _ = exported
    before = file.read_bytes()
    assert topwork("export", trained[0], file) == Ran(
        1, "", f"ExportError: '{file}' exists already and is not overwritten. Choose another name, or remove it.\n"
    )
    assert file.read_bytes() == before


def test_predict_a_line_each(exported, pictures):
    file, _ = exported
    ran = topwork("predict", file, pictures / "red", pictures / "blue" / "000.png")
    assert (ran.status, ran.err) == (0, "")
    lines = [line.split("\t", 1) for line in ran.out.splitlines()]
    assert [path for path, _ in lines] == [
        *(str(pictures / "red" / f"{i:03}.png") for i in range(20)),
        str(pictures / "blue" / "000.png"),
    ]
    known, unknown = r"(blue|green|red)\t[01]\.\d{3}", r"unknown \(nearest: (blue|green|red) [01]\.\d\d\)"
    assert all(re.fullmatch(f"{known}|{unknown}", answer) for _, answer in lines)
    assert sum(bool(re.fullmatch(known, answer)) for _, answer in lines) > len(lines) / 2


def test_predict_as_json_and_as_csv(exported, pictures, tmp_path):
    file, _ = exported
    ran = topwork("predict", file, pictures / "red", "--json")
    guesses = [json.loads(line) for line in ran.out.splitlines()]
    assert len(guesses) == 20
    for guess in guesses:
        assert list(guess) == ["path", "label", "probability", "probabilities", "known", "distance"]
        assert guess["probabilities"][guess["label"]] == guess["probability"] == max(guess["probabilities"].values())
    assert topwork("predict", file, pictures / "red", "--csv", tmp_path / "a.csv") == Ran(
        0, "", f"20 answers saved in '{tmp_path}/a.csv'.\n"
    )
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))
    assert [float(row["probability"]) for row in rows] == [guess["probability"] for guess in guesses]
    assert list(rows[0]) == ["path", "label", "probability", "known", "distance", "blue", "green", "red", "error"]


def test_predict_names_what_it_cannot_read(exported, pictures, tmp_path):
    file, _ = exported
    (tmp_path / "bad.png").write_text("no picture")
    reason = "not a picture: no JPEG, PNG, WebP, BMP, GIF or TIFF"
    some = topwork("predict", file, tmp_path / "bad.png", pictures / "red" / "000.png")
    assert (some.status, some.err) == (0, f"{tmp_path}/bad.png: {reason}\n1 of 2 pictures could not be read.\n")
    assert some.out.startswith(f"{pictures}/red/000.png\t")
    assert topwork("predict", file, tmp_path) == Ran(1, "", f"{tmp_path}/bad.png: {reason}\n")
    found = json.loads(topwork("predict", file, tmp_path, "--json").out)
    assert found == {
        "path": f"{tmp_path}/bad.png", "label": None, "probability": None, "known": None, "distance": None,
        "probabilities": {}, "error": reason,
    }  # fmt: skip


def test_predict_refuses_two_outputs_with_one_name(tmp_path):
    (tmp_path / "sub").mkdir()
    words = ["--csv", tmp_path / "a", "--parquet", f"{tmp_path}/sub/../a"]
    assert topwork("predict", "m.onnx", "a.png", *words) == Ran(
        2, "", "UsageError: two of --csv, --parquet, --copy-to and --heat have the same name: give each its own.\n"
    )


def test_predict_rows_of_several_pictures(tmp_path):
    file = small.export(tmp_path / "pairs.onnx", small.TWO)
    paths = {name: small.picture(tmp_path / f"{name}.png", name) for name in ("red", "blue")}
    rows = tmp_path / "rows.csv"
    rows.write_text("note,side,front\na,red.png,blue.png\nb,missing.png,blue.png\nc,red.png,red.png\n")
    reason = f"the picture 'side' ('{tmp_path}/missing.png'): cannot be opened: no such file or directory"
    ran = topwork("predict", file, rows)
    told = f"{paths['blue']}: {reason}\n1 of 3 pictures could not be read.\n"
    assert (ran.status, ran.err) == (0, told)
    assert [line.split("\t")[:2] for line in ran.out.splitlines()] == [[paths["blue"], "blue"], [paths["red"], "red"]]
    found = [json.loads(line) for line in topwork("predict", file, rows, "--json").out.splitlines()]
    assert [(guess["path"], guess["label"]) for guess in found] == [
        (paths["blue"], "blue"), (paths["blue"], None), (paths["red"], "red"),
    ]  # fmt: skip
    ran = topwork("predict", file, rows, "--csv", tmp_path / "a.csv")
    saved = f"3 answers saved in '{tmp_path}/a.csv'.\n"
    assert ran == Ran(0, "", told.replace("1 of 3", f"{saved}1 of 3"))
    written = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))
    assert [(row["path"], row["label"], row["error"]) for row in written] == [
        (paths["blue"], "blue", ""), (paths["blue"], "", reason), (paths["red"], "red", ""),
    ]  # fmt: skip
    assert topwork("predict", file, paths["red"], paths["blue"]) == Ran(
        2,
        "",
        f"UsageError: '{paths['red']}' is not a CSV file: the model takes the pictures 'front' and 'side' per row. "
        "Give a CSV file with these columns.\n",
    )


def test_backbones(own_home):
    ran = topwork("backbones")
    assert (ran.status, ran.err) == (0, "")
    lines = [line for line in ran.out.splitlines() if not line.startswith("At hand:")]  # this line contains a path
    assert max(map(len, lines)) <= 80
    found = topwork("backbones", "--json").json
    vgg16 = {"name": "vgg16", "size": 224, "at_hand": False, "licence": "CC-BY-4.0", "licence_note": None}
    assert {**vgg16, "paper": "arXiv:1409.1556"} in found
    assert len(found) == len(lines) - 6


def test_the_price_list_of_a_backbone(own_home):
    ran = topwork("backbones", "mobilenet_v2_035", "--size", 64)
    assert (ran.status, ran.err) == (0, "")
    assert max(map(len, ran.out.splitlines())) <= 80
    found = topwork("backbones", "mobilenet_v2_035", "--size", 64, "--json").json
    assert [place["name"] for place in (found[0], found[-1])] == ["input", "pool"]
    for place in found:
        assert re.search(f"^{place['name']} .* {place['kilobytes']:.1f} ", ran.out, re.MULTILINE)


def test_the_layers_of_a_backbone(own_home):
    ran = topwork("backbones", "mobilenet_v2_035", "--layers", "--size", 32)
    assert (ran.status, ran.err) == (0, "")
    found = topwork("backbones", "mobilenet_v2_035", "--layers", "--size", 32, "--json").json
    assert len(found) == len(ran.out.splitlines()) - 6 == 154  # as in Keras
    assert topwork("backbones", "--layers") == Ran(
        2,
        "",
        "UsageError: --layers needs the name of one backbone, as in topwork backbones inception_v3 --layers.\n",
    )


def test_sample_digits(tmp_path):
    assert topwork("sample", "digits", tmp_path / "a") == Ran(0, f"{tmp_path}/a\n", "")
    assert topwork("sample", "digits", tmp_path / "b", "--json").json == {"folder": f"{tmp_path}/b"}
    assert len(list(tmp_path.rglob("*.png"))) == 2 * 1797


def test_exit_statuses_of_processes(tmp_path):
    assert in_a_new_process("--version") == Ran(0, f"topwork {VERSION}\n", "")
    assert in_a_new_process("read", tmp_path).status == 1
    assert in_a_new_process("train", tmp_path, "--cut", "resnet55@pool").status == in_a_new_process("trian").status == 2
    assert in_a_new_process("backbones", "resnet50", "--size", "many").status == 2


def test_a_reader_that_has_seen_enough_is_no_error(own_home):
    with start("backbones", stdin=subprocess.DEVNULL) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode in (0, 1)


RESUMED = "--resume uses the recipe and the data of that run: omit the other arguments."


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--resume", "run", "--strict"), RESUMED),
        (("data", "--resume", "run"), RESUMED),
        (("--resume", "run", "--folds", 3), RESUMED),
        (("data", "--other-versions"), "--other-versions can only be used with --resume RUN."),
        ((*POOL,), "expected DATA, a folder of pictures or a file, or --resume RUN."),
    ],
)
def test_words_of_train_that_do_not_go_together(words, message):
    assert topwork("train", *words) == Ran(2, "", f"UsageError: {message}\n")


def test_store_from_training_to_pruning(pictures, own_home, tmp_path):
    shared.copy(POOL[1], tw.Backbone("mobilenet_v2_035", "random", 32, runtime="openvino", precision="float32"))
    out, unneeded = tmp_path / "run", shelf.fill("conv")
    assert topwork("train", pictures, *POOL, "--epochs", 1, *STRATIFIED, "--out", out).status == 0
    listed = topwork("store", "ls")
    assert (listed.status, listed.err) == (0, "")
    assert max(map(len, listed.out.splitlines()[:-2])) <= 80
    assert re.search(r"^mobilenet_v2_035@pool +32  random  .* 60 +[\d.]+ KB  today +1$", listed.out, re.MULTILINE)
    assert re.search(r"^trunk mobilenet_v2_035@pool +[\d.]+ MB  today +1$", listed.out, re.MULTILINE)
    found = topwork("store", "ls", "--json").json
    assert found["bytes"] == sum(item["bytes"] for item in found["items"])
    assert [item["path"] for item in found["items"] if not item["runs"] and item["stays"] != "recent"] == [
        str(unneeded)
    ]
    assert {run for item in found["items"] for run in item["runs"]} == {str(out)}
    count = len(found["items"])
    assert topwork("store", "verify") == Ran(0, f"{count} of {count} things are intact.\n", "")
    pruned = topwork("store", "prune")
    told = f"activations mobilenet_025@conv: {size(found['prunable'])}, {unneeded.name}\n"
    assert (pruned.status, pruned.out) == (0, f"{told}{size(found['prunable'])} freed.\n")
    assert not unneeded.exists()
    moved = [out.rename(tmp_path / "moved")]
    assert topwork("evaluate", moved[0]).err == ""  # the trunk computes nothing
    assert registry.runs() == [moved[0], out]
    moved.append(moved[0].rename(tmp_path / "again"))
    assert topwork("train", "--resume", moved[1]).status == 0
    assert registry.runs() == [moved[1], moved[0], out]


def test_store_verify_names_what_is_damaged(own_home):
    folder = shelf.fill("conv")
    (folder / "data.mdb").write_bytes(b"nothing" * 1000)
    problem = (
        f"the store {folder} is damaged: {folder}: MDB_INVALID: File is not an LMDB file. "
        "Remove the folder: only its activations are computed again."
    )
    told = f"activations mobilenet_025@conv: {problem}\n1 of 2 things is intact.\n"
    assert topwork("store", "verify") == Ran(1, told, "")
    ran = topwork("store", "verify", "mobilenet_025@conv", "--json")
    assert (ran.status, ran.err) == (1, "")
    assert json.loads(ran.out) == {"checked": 1, "damaged": [{"path": str(folder), "problem": problem}]}


def test_store_prune_says_what_stays(own_home):
    folder = shelf.fill("conv")
    with shelf.request("conv").store():
        ran = topwork("store", "prune")
    assert ran == Ran(
        0,
        "Nothing to delete: everything is needed or in use.\n",
        "activations mobilenet_025@conv stays: a process is using it.\n"
        "graph mobilenet_025 stays: it was used less than a day ago.\n",
    )
    ran = topwork("store", "prune", "--json")
    assert [gone["path"] for gone in ran.json["gone"]] == [str(folder)]
    assert [stayed["why"] for stayed in ran.json["stayed"]] == ["recent"]


def test_an_empty_store(own_home):
    assert topwork("store", "ls") == Ran(0, f"0 B in total, in {own_home}.\n", "")
    assert topwork("store", "verify") == Ran(0, "0 of 0 things are intact.\n", "")


def test_long_names_give_way(own_home, monkeypatch):
    monkeypatch.setattr(
        "topwork.store.upkeep.inventory._name",
        lambda backbone, tensors: "inception_resnet_v2@{" + "a_layer, " * 9 + "b}",
    )
    shelf.fill("conv")
    lines = topwork("store", "ls").out.splitlines()
    assert len(lines[2]) <= 80
    assert re.match(r"inception_\w+….*a_layer, b\}  ", lines[2])


def test_doctor(own_home):
    ran = topwork("doctor")
    assert (ran.status, ran.err) == (0, "")
    assert max(map(len, ran.out.splitlines())) <= 80
    found = topwork("doctor", "--json").json
    assert f"\nbackend     {found['backend']}\n" in ran.out
    assert (found["topwork"], found["offline"], found["usable"]) == (VERSION, True, True)


def test_doctor_where_topwork_cannot_be_used(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TOPWORK_HOME", str(tmp_path / "file"))
    ran = topwork("doctor")
    assert ran.status == 1
    assert f"Problem: topwork's home {tmp_path}/file cannot be used: " in " ".join(ran.out.split())
    found = json.loads(topwork("doctor", "--json").out)
    assert (found["usable"], found["problems"][0]["fatal"]) == (False, True)


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for name in [name for name in sys.modules if name.startswith("topwork.scoring.report")]:
        monkeypatch.delitem(sys.modules, name)
    ran = topwork("report", "runs/nowhere")
    assert ran.status == 1
    assert ran.err.startswith(
        "MissingExtra: topwork needs the package 'jinja2', which is not installed. 'topwork doctor'"
    )
