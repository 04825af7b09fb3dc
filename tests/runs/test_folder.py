import json
from dataclasses import replace

import numpy as np
import pytest

from topwork.data.dataset import Dataset, LeftOut, Row
from topwork.errors import RunError
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Phase
from topwork.runs import registry
from topwork.runs.creation import create, fresh
from topwork.runs.folder import Folder
from topwork.runs.journal import Epoch
from topwork.runs.scores import Results

RECIPE = Recipe.from_mapping({"phase": [{"cut": "vgg16@pool"}]})
DATA = Dataset(
    "/d", (Row("a.png", "0" * 64, "x", "train", "g"), Row("b.png", "1" * 64, "y", "test")), (LeftOut("c", "why"),)
)


def test_what_is_written_is_read_again(tmp_path):
    folder = create(tmp_path / "run", RECIPE, DATA)
    assert folder.recipe == RECIPE
    assert folder.data() == DATA
    values = {"a": [np.eye(2), np.zeros(3)], "b/c": [np.ones(1)]}
    folder.keep_weights(values)
    found = folder.weights()
    assert found.keys() == values.keys()
    assert all(np.array_equal(x, y) for name in values for x, y in zip(found[name], values[name], strict=True))
    lines = [Epoch(phase=1, cut="vgg16@pool", epoch=0, val_loss=0.5), Epoch(phase=1, cut="vgg16@pool", epoch=1)]
    for line in lines:
        folder.journal.note(line)
    assert folder.journal.epochs() == lines
    folder.keep_results(Results(accuracy=None))
    assert folder.results == Results(accuracy=None)


def test_the_other_columns_of_a_table_are_written_and_read_again(tmp_path):
    rows = tuple(replace(row, extra={"camera": f"ä, {row.label}"}) for row in DATA.rows)
    folder = create(tmp_path / "run", RECIPE, replace(DATA, rows=rows))
    assert [row.extra for row in folder.data().rows] == [{"camera": "ä, x"}, {"camera": "ä, y"}]
    assert Folder(folder.path).data().rows == rows


@pytest.mark.parametrize("cell", ["{", "[]", "7", '{"a": 1}'])
def test_damaged_cells_of_the_other_columns_are_named(tmp_path, cell):
    rows = tuple(replace(row, extra={"camera": "CELL"}) for row in DATA.rows)
    path = create(tmp_path / "run", RECIPE, replace(DATA, rows=rows)).path
    text, quoted = (path / "pictures.csv").read_text(), cell.replace('"', '""')
    (path / "pictures.csv").write_text(text.replace('{""camera"": ""CELL""}', quoted))
    with pytest.raises(RunError, match=r"pictures.csv' is damaged \("):
        Folder(path).data()


def test_the_order_of_classes_and_the_notes_are_written_into_the_run(tmp_path):
    rows = tuple(Row(f"{i}.png", "0" * 64, str(i), "train") for i in range(12))
    create(tmp_path / "run", Recipe((Phase("vgg16@pool"),)), Dataset("/d", rows, notes=("one was moved.",)))
    data = Folder(tmp_path / "run").data()
    assert data.classes == tuple(map(str, range(12)))
    assert data.notes == ("one was moved.",)


def test_a_damaged_line_of_the_journal_is_named(tmp_path):
    folder = create(tmp_path / "run", RECIPE, DATA)
    folder.journal.note(line := Epoch(phase=1, cut="vgg16@pool", epoch=1))
    path = folder.path / "journal.jsonl"
    path.write_text(path.read_text() + "junk\n" + '{"phase": 1, "ep')
    told = f"line 2 of {str(path)!r} is damaged: expected an epoch as JSON. Restore the file, or train again."
    for read in (folder.journal.epochs, lambda: folder.journal.cut(1, 1)):
        with pytest.raises(RunError) as error:
            read()
        assert str(error.value) == told
    path.write_text(path.read_text().replace("junk\n", ""))
    folder.journal.cut(1, 1)
    assert folder.journal.epochs() == [line]


def test_a_run_is_noted_and_one_that_is_abandoned_forgotten(own_home, tmp_path):
    folder = create(tmp_path / "run", RECIPE, DATA)
    assert registry.runs() == [tmp_path / "run"]
    folder.abandon()
    assert registry.runs() == []


def test_an_existing_path_is_left_alone(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="exists already, and a run is never overwritten"):
        create(tmp_path / "run", RECIPE, DATA)
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "mine.txt"]


def test_an_unfinished_run_is_gone_on_with(tmp_path):
    folder = create(tmp_path / "run", RECIPE, DATA)
    with pytest.raises(RunError) as error:
        create(folder.path, RECIPE, DATA)
    assert str(error.value) == (
        f"{str(folder.path)!r} exists already, and a run is never overwritten. Continue it ("
        f"topwork.Run({str(folder.path)!r}).resume()), choose another out, or remove it."
    )


def test_what_is_no_run(tmp_path):
    with pytest.raises(RunError) as error:
        Folder(tmp_path)
    assert (
        str(error.value) == f"{str(tmp_path)!r} is not a run folder: expected recipe.toml and environment.json in it."
    )


def test_no_folder_at_all():
    with pytest.raises(RunError) as error:
        Folder("nowhere")
    assert str(error.value) == "there is no folder 'nowhere': expected a run, as topwork.train makes it."


def test_a_cross_validation_without_a_final_model_is_no_run(tmp_path):
    (tmp_path / "fold-1").mkdir()
    with pytest.raises(RunError) as error:
        Folder(tmp_path)
    assert str(error.value) == (
        f"the cross-validation {str(tmp_path)!r} has no model that learned from all pictures. To train it: "
        f"topwork.Folds({str(tmp_path)!r}).resume(final=True)"
    )


def test_a_newer_format(tmp_path):
    folder = create(tmp_path / "run", RECIPE, DATA)
    about = folder.environment | {"format": 99}
    (folder.path / "environment.json").write_text(json.dumps(about))
    with pytest.raises(RunError) as error:
        Folder(folder.path)
    assert (
        str(error.value) == f"the run {str(folder.path)!r} has format 99; this topwork reads up to 2. Update topwork."
    )


def test_a_run_that_has_not_finished(tmp_path):
    folder = create(tmp_path / "run", RECIPE, DATA)
    go_on = f"Continue it: topwork.Run({str(folder.path)!r}).resume()"
    with pytest.raises(RunError) as error:
        _ = folder.results
    assert str(error.value) == f"the run {str(folder.path)!r} has not finished: it has no results.json. {go_on}"
    with pytest.raises(RunError) as error:
        folder.weights()
    assert str(error.value) == f"the run {str(folder.path)!r} has not finished: it has no weights. {go_on}"


def test_a_fresh_name_is_free(tmp_path):
    first = fresh(tmp_path, "flowers")
    first.mkdir()
    second = fresh(tmp_path, "flowers")
    assert first.name.startswith("flowers-20")
    assert not second.exists()
