"""The benchmarks' parts: folds, drawn pictures, statistics, processes, tables; complete runs are ``full`` tests."""

import json
import math
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks import article_tables, articles, choices, digits, frozen, report, search, solver, swap
from benchmarks.commands import Outcome
from benchmarks.draw import CLASSES, draw
from benchmarks.folds import deal, lay_out, splits
from benchmarks.machine import measured_on
from benchmarks.process import CommandError, run
from benchmarks.stats import Spread, accuracy, difference
from tests import PROJECT
from tests.pages import chromium, runtime_folder
from topwork.data.dataset import Dataset, Row
from topwork.data.readers import read
from topwork.recipes import library
from topwork.runs.scores import Rate


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Return a folder with 30 drawn pictures, of which the first is there twice."""
    folder = draw(tmp_path_factory.mktemp("drawn"), 30)
    shutil.copy(folder / "amber" / "00000.jpg", folder / "amber" / "copy.JPG")
    return folder


def left(folder):
    """Return what a benchmark left in its TMPDIR, without the files that TensorFlow and ONNX Runtime leave there."""
    return [one for one in folder.iterdir() if one.name != ".ses" and "__autograph_generated_file" not in one.name]


def test_drawn_pictures_are_seeded_photo_sized_jpegs_in_even_classes(drawn, tmp_path):
    again = draw(tmp_path, 5)
    for file in again.glob("*/*"):
        assert file.read_bytes() == (drawn / file.relative_to(again)).read_bytes()
    with Image.open(drawn / "fern" / "00002.jpg") as picture:
        assert picture.format == "JPEG"
        assert min(picture.size) > 300
    assert {label: len(list((drawn / label).glob("0*"))) for label in CLASSES} == dict.fromkeys(CLASSES, 6)
    assert 20_000 < np.median([file.stat().st_size for file in drawn.glob("*/*")]) < 150_000


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(2, 30), min_size=2, max_size=4), st.integers(2, 10), st.integers(0, 5))
def test_deal_is_even_in_each_class_and_seeded(sizes, count, seed):
    rows = [Row(f"{c}-{i}.jpg", f"{c:02}{i:02}", f"class {c}") for c, size in enumerate(sizes) for i in range(size)]
    hands = deal(rows, count, seed)
    assert hands == deal(rows[::-1], count, seed)
    for c in range(len(sizes)):
        held = Counter(hands[row.digest] for row in rows if row.label == f"class {c}")
        assert max(held.values()) - min(held.get(hand, 0) for hand in range(count)) <= 1


def test_every_picture_is_tested_once_a_seed_and_equal_contents_together(drawn, tmp_path):
    found = splits(read(drawn), seeds=2, folds=3, scratch=tmp_path)
    assert [(split.seed, split.fold) for split in found] == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]
    for seed in range(2):
        tested = [row.path for split in found if split.seed == seed for row in split.data.part("test")]
        assert len(tested) == len(set(tested)) == 31
    assert found[0].data.rows != found[1].data.rows
    for split in found:
        parts = {}
        for row in split.data.rows:
            assert parts.setdefault(row.digest, row.split) == row.split


def test_topwork_reads_from_the_csv_the_parts_that_keras_finds_in_the_folders(drawn, tmp_path):
    split = splits(read(drawn), seeds=1, folds=3, scratch=tmp_path)[0]
    read_again = read(split.csv)
    assert read_again.rows == split.data.rows
    assert all(note.startswith("Found more than once") for note in read_again.notes)
    assert read_again.part("val")
    in_folders = {str(path.relative_to(split.folder)) for path in split.folder.glob("*/*/*")}
    assert in_folders == {row.path for row in split.data.rows}
    assert all((split.folder / part / label).is_dir() for part in ("train", "val", "test") for label in CLASSES)
    sources = {path.resolve() for path in split.folder.glob("*/*/*")}
    assert sources == {path.resolve() for path in drawn.glob("*/*")}


def test_a_picture_that_keras_would_skip_is_refused(tmp_path):
    data = Dataset(str(tmp_path), (Row("x/a.webp", "00", "x"), Row("y/b.png", "01", "y")))
    with pytest.raises(ValueError, match="webp") as e:
        splits(data, 1, 2, tmp_path / "splits")
    assert str(e.value) == (
        "'x/a.webp': Keras' image_dataset_from_directory reads .bmp, .gif, .jpeg, .jpg, .png alone."
    )


def test_spread_is_median_and_range_of_what_is_known():
    assert f"{Spread.of([4.0, math.nan, 1.0, 2.0]):.1f}" == "2.0 (1.0–4.0)"
    assert f"{Spread.of([math.nan]):.1f}" == "–"
    assert f"{Spread.of([]):.0f}" == "–"


def test_accuracy_counts_pictures_not_answers_as_trials():
    once = {str(i): i % 4 > 0 for i in range(100)}
    assert accuracy([once]) == accuracy([once, once, once])
    assert accuracy([once]).value == 0.75
    two_folds = [{k: v for k, v in once.items() if int(k) < 50}, {k: v for k, v in once.items() if int(k) >= 50}]
    assert accuracy(two_folds) == accuracy([once])


def test_difference_is_paired():
    right = np.random.default_rng(0).random(400) < 0.8
    ours = {str(i): bool(answer) for i, answer in enumerate(right)}
    theirs = ours | {"0": not ours["0"], "1": not ours["1"]}
    same = difference([ours], [ours])
    near = difference([ours], [theirs])
    assert same == Rate(0.0, 0.0, 0.0)
    assert near.high - near.low < 0.02  # two independent accuracies on 400 pictures would differ by about 0.11


def test_difference_is_of_the_first_less_the_second_and_covers_it():
    random = np.random.default_rng(1)
    ours = {str(i): bool(random.random() < 0.9) for i in range(300)}
    theirs = {str(i): bool(random.random() < 0.6) for i in range(300)}
    found = difference([ours], [theirs])
    assert found.value == pytest.approx(accuracy([ours]).value - accuracy([theirs]).value)
    assert 0.15 < found.low < found.value < found.high < 0.45


def test_difference_is_no_surer_for_seeds_that_say_the_same_again():
    random = np.random.default_rng(2)
    ours, theirs = ({str(i): bool(random.random() < 0.7) for i in range(100)} for _ in range(2))
    once, thrice = difference([ours], [theirs]), difference([ours] * 3, [theirs] * 3)
    assert thrice == pytest.approx(once)


def test_difference_refuses_other_pictures():
    with pytest.raises(ValueError, match="different") as e:
        difference([{"a": True, "b": True}], [{"a": True, "c": True}])
    assert str(e.value) == "two runs tested different pictures: ['b', 'c']"


def test_run_gives_wall_time_memory_and_output():
    child = "import time; x = b'1' * 150_000_000; time.sleep(0.8)"
    code = f"import os, subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); print(os.environ['WORD'])"
    found = run([sys.executable, "-c", code], WORD="heard")
    assert found.output == "heard\n"
    assert found.seconds > 0.8
    assert found.largest > 150_000_000  # the memory of a child of the process that was started
    if Path("/proc/self/stat").exists():
        assert found.together > 150_000_000


def test_a_script_runs_without_the_onednn_that_topwork_switched_on():
    code = (
        "import sys\nfrom benchmarks.process import run\nfrom topwork.system import keras_backend\n"
        "keras_backend.onednn()\n"
        "child = [sys.executable, '-c', 'import os; print(os.environ.get(\"TF_ENABLE_ONEDNN_OPTS\"))']\n"
        "print(run(child).output, run(child, TF_ENABLE_ONEDNN_OPTS='1').output)"
    )
    found = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    for said in (None, "0"):
        env = found if said is None else found | {"TF_ENABLE_ONEDNN_OPTS": said}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        assert done.stdout.split() == [str(said), "1"]


def test_a_command_that_fails_is_told_with_what_it_said():
    with pytest.raises(CommandError) as e:
        run([sys.executable, "-c", "raise SystemExit('no such luck')"])
    assert str(e.value) == f"{sys.executable} -c raise SystemExit('no such luck') ended with status 1:\nno such luck\n"


def outcome(whole, seconds, answers):
    return Outcome(whole, seconds, int(500e6), int(600e6), answers)


def test_the_table_of_the_frozen_phase_holds_the_ratios():
    answers = {str(i): i % 5 > 0 for i in range(50)}
    spent = {"convert": 1.0, "compile": 1.0, "extract": 1.0, "head": 2.0, "total": 8.0}
    each = {
        frozen.PLAIN: outcome(80.0, {"fit": 60.0, "total": 80.0}, answers),
        frozen.FIRST: outcome(10.0, spent, answers),
        frozen.CACHED: outcome(60.0, {"fit": 40.0}, answers),
        frozen.CONVERTED: outcome(8.0, spent, answers),
        frozen.BY_HAND: outcome(20.0, {"predict": 6.0, "fit": 4.0}, answers),
        frozen.FILLED: outcome(5.0, {"head": 2.0}, answers),
        frozen.IMPORT: outcome(10.0, {}, {}),
        frozen.ITERATED: outcome(8.0, {"head": 5.0}, answers),
    }
    runs = {
        side: {(0, 0): answers}
        for side in (frozen.TOPWORK, frozen.ITERATED, frozen.PLAIN, frozen.CACHED, frozen.BY_HAND)
    }
    data = Dataset("", (Row("a", "0", "x"), Row("b", "1", "y")))
    told = report.frozen_table(frozen.Comparison(frozen.Plan(), data, [each], runs), "python -m benchmarks")
    assert "| **frozen phase**: `fit` of (a) / extraction + head | 20.0 (20.0–20.0) |" in told
    assert "| frozen phase, compilation counted | 15.0 (15.0–15.0) |" in told
    assert "| frozen phase, compilation and the trunk's conversion counted | 12.0 (12.0–12.0) |" in told
    assert "| whole command: (a) / topwork, very first run | 8.0 (8.0–8.0) |" in told
    assert "| whole command: (c) / topwork, store filled | 4.0 (4.0–4.0) |" in told
    assert '| whole command: topwork, store filled / `python -c "import keras"` | 0.50 (0.50–0.50) |' in told
    assert "| (c) by hand, `predict` once | 20.0 (20.0–20.0) | predict 6.0, fit 4.0 | 500 (500–500) | 600" in told
    assert "| (a) plain | 1 | 0.800 (0.670–0.888) | +0.000 (+0.000 to +0.000) |" in told


def test_both_sides_get_the_recipes_own_sizes_epochs_and_batches():
    recipe = articles.recipe_of("inception_v3_two_phase", articles.Plan(weights="imagenet"))
    assert [(phase.epochs, phase.batch_size, phase.patience) for phase in recipe.phases] == [(30, 32, 0), (10, 32, 0)]
    assert recipe.backbones["inception_v3"].size == 299
    short = articles.recipe_of("fusion_single_input", articles.Plan(weights="imagenet", epochs=3, size=96))
    assert [phase.epochs for phase in short.phases] == [3]
    assert {backbone.size for backbone in short.backbones.values()} == {96}
    assert articles.ARTICLES.keys() <= set(library.names())


def test_a_network_in_place_of_a_recipes_own_is_opened_where_it_is_said():
    swapped = swap.swapped(library.recipe("inception_v3_mnist"), "mobilenet_025", "conv_pw_1_relu")
    assert [phase.cut for phase in swapped.phases] == ["mobilenet_025@conv_pw_1_relu"]
    with pytest.raises(ValueError, match="opens layers") as e:
        swap.swapped(library.recipe("inception_v3_mnist"), "mobilenet_025", "")
    assert str(e.value) == (
        "'inception_v3@64' opens layers: say above which of the other network, as in mobilenet_025@PLACE."
    )


def test_each_of_the_networks_that_a_recipe_fuses_gets_another():
    fused = library.recipe("fusion_single_input")
    both = swap.swapped(fused, "mobilenet_v2_035 + mobilenet_025", "")
    assert [phase.cut for phase in both.phases] == ["mobilenet_v2_035@pool + mobilenet_025@pool"]
    with pytest.raises(ValueError, match="networks") as e:
        swap.swapped(fused, "mobilenet_025", "")
    assert str(e.value) == ("'inception_v3@pool + resnet50@pool' joins 2 networks, and 'mobilenet_025' names 1.")


def test_mnists_own_parts_are_kept_and_the_last_fifth_validates(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (70, 28, 28), np.uint8)
    labels = np.arange(70, dtype=np.uint8) % 10
    for word, rows in (("train", slice(0, 60)), ("t10k", slice(60, 70))):
        for kind, array, axes in (("images", pixels[rows], 3), ("labels", labels[rows], 1)):
            head = bytes((0, 0, 8, axes)) + b"".join(side.to_bytes(4, "big") for side in array.shape)
            (tmp_path / f"{word}-{kind}-idx{axes}-ubyte").write_bytes(head + array.tobytes())
    found = np.load(digits.write(tmp_path / "all.npz", 70, tmp_path))
    assert [len(found[f"x_{part}"]) for part in ("train", "val", "test")] == [48, 12, 10]
    np.testing.assert_array_equal(found["x_val"], pixels[48:60])
    np.testing.assert_array_equal(found["y_test"], labels[60:])
    few = np.load(digits.write(tmp_path / "few.npz", 35, tmp_path))
    assert [len(few[f"x_{part}"]) for part in ("train", "val", "test")] == [24, 6, 5]


def test_the_tables_of_the_articles_hold_ratios_and_shares_of_the_bound():
    answers = {str(i): i % 5 > 0 for i in range(50)}
    plain = articles.Side(outcome(100.0, {"fit": 90.0}, answers | {"more": True}), [900.0, 1200.0])
    spent = {"convert": 1.0, "compile": 2.0, "extract": 5.0, "head": 4.0}
    ours = articles.Side(outcome(20.0, spent, answers), [1.0, 500.0])
    name = "inception_v3_two_phase"
    one = articles.Measured(name, library.recipe(name), plain, ours, [0.9, 450.0], ["float32", "bfloat16"])
    told = article_tables.articles_table([one], articles.Plan(), "python -m benchmarks articles")
    assert f"| `{name}` | 30 + 10 | 90.0 | 9.0 | **10.0** | 7.5 | 100.0 | 20.0 | 5.0 |" in told
    assert f"| `{name}` | 50 | 0.800 (0.670–0.888) | 0.800 (0.670–0.888) | +0.000 (+0.000 to +0.000) |" in told
    assert f"| `{name}`: `inception_v3@pool` | float32 | 900.00 | 1.00 | 0.90 | 900.00 | 1000.00 | **0.90** |" in told
    assert f"| `{name}`: `inception_v3@249` | bfloat16 | 1200.00 | 500.00 | 450.00 | 2.40 | 2.67 | **0.90** |" in told


def test_the_table_of_choices_holds_each_against_the_first():
    right, wrong = {str(i): True for i in range(50)}, {str(i): i >= 25 for i in range(50)}
    found = {"pixels": {"own": choices.Found([right], [0.9]), "unit": choices.Found([wrong], [0.7])}}
    told = article_tables.choices_table(choices.Plan(), found, "python -m benchmarks choices")
    assert "| pixels | own | 1 | 1.000 (0.929–1.000) |  | 0.900 |" in told
    assert "| pixels | unit | 1 | 0.500 (0.366–0.634) | -0.500 (-0.640 to -0.360) | 0.700 |" in told


def test_what_was_measured_on_is_stated():
    told = measured_on("python -m benchmarks frozen")
    assert told.startswith("Measured on 20")
    assert "float" in told.split("topwork's trunk in ")[1].split(",")[0]
    assert told.endswith(": `python -m benchmarks frozen`.")


@pytest.mark.full
def test_frozen_end_to_end(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "frozen", "--quick"]
    told = run(command, TMPDIR=str(tmp_path), PYTHONPATH=str(PROJECT)).output
    assert "–" not in [cell.strip() for line in told.splitlines() for cell in line.split("|")]
    assert sum(line.startswith("| whole command") for line in told.splitlines()) == 13
    assert left(tmp_path) == []


@pytest.mark.full
def test_frozen_with_a_network_that_keras_does_not_have(tmp_path):
    """The scripts load this network from a file that topwork writes."""
    command = [sys.executable, "-m", "benchmarks", "frozen", "--quick", "--backbone", "efficientnet_lite0"]
    told = run(command, TMPDIR=str(tmp_path), PYTHONPATH=str(PROJECT)).output
    assert "`efficientnet_lite0@pool`, random weights" in told
    assert sum(line.startswith("| whole command") for line in told.splitlines()) == 13


@pytest.mark.full
def test_extraction_end_to_end(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "extraction", "--quick"]
    told = run(command, TMPDIR=str(tmp_path), PYTHONPATH=str(PROJECT)).output
    assert "| **share of the bound** 1 / (decoding + engine) | **0." in told or "| **1." in told
    assert left(tmp_path) == []


def test_the_solver_is_measured_beside_scikit_learn():
    told = report.solver_table(plan := solver.Plan().quick(), solver.measure(plan), "python -m benchmarks")
    assert sum(line.startswith(("| 60 x 80 x 3", "| 90 x 40 x 4")) for line in told.splitlines()) == 2
    assert all(one.accuracy > 0.5 < one.their_accuracy for one in solver.measure(plan))


@pytest.mark.full
@pytest.mark.parametrize("words", ["efficientnet_b0_house", "xception_mnist --swap mobilenet_v2_035@block_12_add"])
def test_articles_end_to_end(words, tmp_path):
    """One recipe reads photos, the other arrays. ``python -m benchmarks articles --quick`` runs all recipes."""
    command = [sys.executable, "-m", "benchmarks", "articles", *words.split(), "--quick"]
    # TensorFlow writes the functions that it converts into TMPDIR and imports them: no bytecode, or it stays there.
    told = run(command, TMPDIR=str(tmp_path), PYTHONPATH=str(PROJECT), PYTHONDONTWRITEBYTECODE="1").output
    assert sum(line.startswith("| `") for line in told.splitlines()) == 3
    assert not {"–", "nan"} & {cell.strip("* ") for line in told.splitlines() for cell in line.split("|")}
    assert left(tmp_path) == []


@pytest.mark.full
def test_choices_end_to_end(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "choices", "--quick"]
    told = run(command, TMPDIR=str(tmp_path), PYTHONPATH=str(PROJECT)).output
    assert sum(line.startswith(("| pixels", "| batch-norm")) for line in told.splitlines()) == 10


@pytest.mark.full
def test_solved_heads_end_to_end(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "solved", "--quick"]
    told = run(command, TMPDIR=str(tmp_path), PYTHONPATH=str(PROJECT)).output
    assert sum(line.startswith("| mobilenet") for line in told.splitlines()) == 16


@pytest.mark.full
def test_a_search_is_measured_end_to_end(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "search", "--quick"]
    told = run(command, TMPDIR=str(tmp_path), PYTHONPATH=str(PROJECT)).output
    assert sum(line.startswith(("| digits", "| pictures")) for line in told.splitlines()) == 5  # one is the heading
    assert told.count("| 1 of 1 |") == 2


@pytest.mark.full
@pytest.mark.parametrize("way", ["two phases", "all opened"])
def test_a_fixed_recipe_answers(tmp_path, way):
    data = read(draw(tmp_path / "drawn", 60), decode=True)
    split = lay_out(data, [str(row.split) for row in data.rows], tmp_path / "split")
    plan = search.Plan(weights="random", fixed=True)
    command = search.ways(plan, 0.2, 32, split, tmp_path)[way]
    done = run([sys.executable, *command], PYTHONPATH=str(PROJECT), TOPWORK_HOME=str(tmp_path / "home"))
    right = json.loads(done.output.splitlines()[-1])["right"]
    assert right.keys() == {row.path for row in split.data.part("test")}


@pytest.mark.full
def test_a_search_is_timed_beside_other_work(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "search-times", "--quick"]
    told = run(command, TMPDIR=str(tmp_path), PYTHONPATH=str(PROJECT)).output
    assert told.count("| 1 of 1 |") == 2


@pytest.mark.full
def test_a_search_is_killed_and_compared(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "search-killed", "--kills", "2"]
    told = run(command, TMPDIR=str(tmp_path), PYTHONPATH=str(PROJECT)).output
    assert "the same tries and the same bits" in told


@pytest.mark.full
def test_recipes_end_to_end(tmp_path):
    names = ("fusion_single_input",)
    command = [sys.executable, "-m", "benchmarks", "recipes", *names, "--quick", "--seeds", "2"]
    told = run(command, TMPDIR=str(tmp_path), PYTHONPATH=str(PROJECT)).output
    assert sum(line.startswith("| `") for line in told.splitlines()) == len(names)
    assert left(tmp_path) == []


@pytest.mark.full
def test_reading_is_measured_against_hashing(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "reading", "--quick"]
    told = run(command, TMPDIR=str(tmp_path), PYTHONPATH=str(PROJECT)).output
    assert sum(line.startswith("| ") for line in told.splitlines()) == 6
    assert left(tmp_path) == []


@pytest.mark.full
def test_exported_files(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "exported", "--quick"]
    told = run(command, TMPDIR=str(tmp_path), PYTHONPATH=str(PROJECT)).output
    names = [f"`model{mark}`" for mark in ("", ".onnx", "-int8.onnx", ".xml", ".pb", "-float16.tflite", ".keras")]
    assert all(f"| {name} |" in told for name in names)
    assert "times faster than `import keras` in the same round" in told
    assert told.count("| `mobilenet_") == 2
    assert left(tmp_path) == []


@pytest.mark.full
def test_pages(tmp_path):
    runtime = runtime_folder()
    with chromium():  # the test is skipped without a browser
        pass
    command = [sys.executable, "-m", "benchmarks", "page", "--quick", "--runtime", str(runtime)]
    told = run(command, TMPDIR=str(tmp_path), PYTHONPATH=str(PROJECT)).output
    assert "| `mobilenet_v2_035@pool` |" in told
    assert "| 4 of 4 |" in told


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        *(("default", 3), ("views", 4), ("crossval", 5), ("added", 4), ("fusion", 3), ("memory", 3), ("deep", 4)),
        *(("audited", 3), ("reported", 2), ("calibrated", 2), ("served", 1), ("strangers", 10), ("predicted", 1)),
    ],
)
def test_tables_of_training_in_depth(name, rows, tmp_path):
    command = [sys.executable, "-m", "benchmarks", name, "--quick"]
    told = run(command, TMPDIR=str(tmp_path), PYTHONPATH=str(PROJECT)).output
    lines = [line for line in told.splitlines() if line.startswith("| ")]
    assert len(lines) == rows + 2
    assert not {"–", "nan"} & {cell.strip() for line in lines for cell in line.split("|")}
    assert left(tmp_path) == []
