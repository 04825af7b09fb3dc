"""A search leaves a run like any other, and continues after an interruption with the same tries and the same bits."""

from dataclasses import replace

import numpy as np
import pytest

import topwork as tw
from tests.conftest import make_folder
from tests.tiny import NAME, tiny
from topwork.errors import DatasetError, RecipeError, UsageError
from topwork.recipes.recipe import Recipe
from topwork.runs.journal import Journal
from topwork.runs.needs import need
from topwork.runs.search import tried
from topwork.training.search import costs, openings, outcome, plan

PLACE = "block_7_project"
CUTS = [tw.Phase(f"{NAME}@pool"), tw.Phase(f"{NAME}@{PLACE}")]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = make_folder(tmp_path_factory.mktemp("search") / "colours", each=15, first=90_000)
    return tw.read(folder, split=(0.6, 0.2, 0.2), draw="stratified")


@pytest.fixture(scope="module")
def short():
    """Let tries be short, and let a search expect that they start at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "CYCLES", 2)
        patch.setattr(plan, "SETTINGS", plan.SETTINGS[:2])
        patch.setattr(costs, "START", 0.0)
        patch.setattr(costs, "CLOSING", 0.0)
        patch.setattr(openings, "GAIN", 0.0)
        patch.setattr(openings, "MANY", 2)
        patch.setattr(openings, "FIRST", 0.0)
        patch.setattr(outcome, "ENOUGH", 2)
        yield


def search(pictures, out, minutes=10.0, **options):
    return tw.train(pictures, minutes=minutes, phases=CUTS, backbones=[tiny()], out=out, **options)


@pytest.fixture(scope="module")
def found(pictures, short, tmp_path_factory):
    return search(pictures, tmp_path_factory.mktemp("runs") / "found")


def test_every_way_is_tried_and_listed(found):
    rows = tried.read(found.path)
    assert [one.number for one in rows] == [1, 2, 3, 4, 5]
    assert sum(one.kept for one in rows) == 1
    opened = [one for one in rows if not one.solved]
    assert [one.views for one in rows if one.solved] == [1, 4]
    assert [one.views for one in opened] == [1, 1, 4] and opened[2].epochs > 0
    assert {(one.batch_norm, one.learning_rate) for one in opened[:2]} == set(plan.SETTINGS)
    assert all(one.accuracy.low <= one.accuracy.value <= one.accuracy.high for one in rows)
    assert (found.path / "search.png").exists()


def test_the_run_is_like_any_other(found, tmp_path):
    assert found.recipe.search is None
    assert found.results.test.pictures == 9
    assert any("The search compared 5 models" in note for note in found.results.notes)
    assert found.model().output_shape == (None, 3)
    assert not [*found.path.glob("search/*/checkpoints")]
    assert found.results.cost["total"] > sum(one.seconds for one in tried.read(found.path))


def test_its_recipe_repeats_it_without_a_search(found, pictures, tmp_path):
    again = tw.train(pictures, recipe=found.recipe, out=tmp_path / "again")
    same(found, again)


def same(run, other):
    assert run.recipe.phases == other.recipe.phases
    for name, arrays in run.folder.weights().items():
        for one, two in zip(arrays, other.folder.weights()[name], strict=True):
            np.testing.assert_array_equal(one, two)
    for one, two in zip(run.journal, other.journal, strict=True):
        assert (one.epoch, one.val_loss, one.kept) == (two.epoch, two.val_loss, two.kept)


def told(run):
    hidden = {"seconds": 0.0}
    return [one.as_json() | hidden for one in tried.read(run.path)]


class Killed(BaseException):
    """Stands for the end of the process."""


def interrupt(monkeypatch, epochs, error):
    """Let a number of epochs of opened layers be trained in all, and raise an error in place of the next step."""
    note, count = Journal.note, 0

    def stop(self, line):
        nonlocal count
        note(self, line)
        count += line.l2 is None and line.epoch > 0
        if count == epochs:
            count += 1  # only once: the conclusion writes the journal again
            raise error

    monkeypatch.setattr(Journal, "note", stop)


@pytest.mark.parametrize("epoch", [3, *(pytest.param(epoch, marks=pytest.mark.full) for epoch in (1, 2, 4, 5, 6, 7))])
def test_a_search_that_was_killed_continues_with_the_same_tries_and_bits(found, pictures, tmp_path, monkeypatch, epoch):
    interrupt(monkeypatch, epoch, Killed)
    with pytest.raises(Killed):
        search(pictures, tmp_path / "run")
    monkeypatch.undo()
    run = tw.Run(tmp_path / "run").resume()
    assert told(run) == told(found)
    same(run, found)


def test_a_search_that_was_killed_at_its_end_only_ends(found, pictures, tmp_path, monkeypatch):
    def kill(*_):
        raise Killed

    monkeypatch.setattr("topwork.training.trainer.Course.carry_out", kill)
    with pytest.raises(Killed):
        search(pictures, tmp_path / "run")
    monkeypatch.undo()
    monkeypatch.setattr("keras.Model.fit", None)
    run = tw.Run(tmp_path / "run").resume()
    same(run, found)


def interrupted_early(pictures, out, monkeypatch):
    """Search, and press Ctrl-C before the first head is solved."""

    def press(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("topwork.training.search.searching.SolvedPhase.run", press)
    with pytest.raises(KeyboardInterrupt):
        search(pictures, out)


def test_an_unfinished_search_needs_all_that_its_networks_have(pictures, short, tmp_path, monkeypatch):
    interrupted_early(pictures, tmp_path / "run", monkeypatch)
    found = need(tmp_path / "run")
    assert not found.everything
    assert found.backbones == {NAME, "pixels"}


def test_ctrl_c_keeps_the_best_so_far_as_a_finished_run(pictures, short, tmp_path, monkeypatch):
    interrupt(monkeypatch, 3, KeyboardInterrupt)
    run = search(pictures, tmp_path / "run")
    rows = tried.read(run.path)
    assert run.results.accuracy and sum(one.kept for one in rows) == 1
    assert sum(one.epochs or 0 for one in rows) == 3
    assert rows[-1].ended == "not tried: Ctrl-C"


@pytest.mark.full
def test_ctrl_c_before_the_first_head_leaves_a_search_that_continues(found, pictures, tmp_path, monkeypatch):
    interrupted_early(pictures, tmp_path / "run", monkeypatch)
    monkeypatch.undo()
    same(tw.Run(tmp_path / "run").resume(), found)


def test_a_try_whose_loss_is_no_number_ends_and_is_listed(pictures, short, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "SETTINGS", (("frozen", 1e30), ("frozen", 1e-3)))
    run = search(pictures, tmp_path / "run")
    rows = {one.learning_rate: one for one in tried.read(run.path) if not one.solved and one.views == 1}
    assert rows[1e30].ended == "its loss was not finite"
    assert not rows[1e30].kept
    assert np.isfinite(run.results.test.loss.value)


def test_when_the_time_is_over_within_an_epoch_the_run_is_finished(pictures, short, tmp_path, monkeypatch):
    batches = 0

    def left(self):
        nonlocal batches
        batches += 1
        return 600.0 if batches < 8 else -1.0

    monkeypatch.setattr("topwork.training.search.clock.Clock.left", property(left))
    run = search(pictures, tmp_path / "run")
    rows = tried.read(run.path)
    assert "the time was used" in {one.ended for one in rows} | {one.ended.removeprefix("not tried: ") for one in rows}
    assert run.folder.is_finished


def test_a_time_that_is_too_short_for_one_run_of_the_network_is_refused(tmp_path):
    pictures = tw.read(make_folder(tmp_path / "colours", each=12, first=96_000))
    with pytest.raises(UsageError, match=r"one run of tiny@pool on all pictures takes about .* Use at least minutes="):
        tw.train(pictures, minutes=1e-7, phases=CUTS, backbones=[tiny()], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_one_cut_at_the_end_only_solves_the_head(pictures, short, tmp_path):
    run = tw.train(pictures, minutes=10, phases=CUTS[:1], backbones=[tiny()], out=tmp_path / "run")
    assert [one.ended for one in tried.read(run.path)] == ["solved"]
    assert run.recipe.phases[0].is_solved


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"minutes": 0}, RecipeError, "search.minutes = 0.0: expected more than 0"),
        ({"minutes": "5"}, RecipeError, "search.minutes = '5': expected a number"),
        ({"head": "mlp"}, RecipeError, "these are linear"),
        ({"views": tw.Views(3, mode="live")}, RecipeError, "a search needs stored views"),
        ({"callbacks": [object()]}, UsageError, "omit the callbacks"),
        ({"phases": [tw.Phase(f"{NAME}@pool", epochs=3)]}, UsageError, "give only their cuts"),
    ],
)
def test_what_a_search_does_not_take(pictures, tmp_path, options, error, message):
    words = {"minutes": 1.0, "phases": CUTS, "backbones": [tiny()], "out": tmp_path / "run", **options}
    with pytest.raises(error, match=message):
        tw.train(pictures, **words)
    assert not (tmp_path / "run").exists()


def test_without_a_validation_part_nothing_can_choose(pictures, tmp_path):
    rows = tuple(replace(row, split="train" if row.split == "val" else row.split) for row in pictures.rows)
    recipe = Recipe.from_mapping(
        {
            "search": {"minutes": 1.0, "cuts": [f"{NAME}@pool"]},
            "backbones": {NAME: {"model": tiny().model, "size": 32}},
            "training": {"hold_out": False},
        }
    )
    with pytest.raises(DatasetError, match="the data has no validation part"):
        tw.train(replace(pictures, rows=rows), recipe=recipe, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.full
def test_a_class_with_three_pictures_is_searched(short, tmp_path):
    folder = make_folder(tmp_path / "colours", each=12, first=95_000)
    for path in sorted((folder / "green").iterdir())[3:]:
        path.unlink()
    data = tw.read(folder)
    run = tw.train(data, minutes=10, phases=CUTS, backbones=[tiny()], out=tmp_path / "run")
    green = run.results.pictures["green"]
    assert sum(green.values()) == 3 and green["train"]
    assert run.folder.is_finished


@pytest.mark.full
def test_folds_search_within_each_fold(pictures, short, tmp_path):
    with pytest.raises(UsageError, match="give at least minutes=1"):
        tw.cross_validate(pictures, 2, minutes=0.9, phases=CUTS, backbones=[tiny()], out=tmp_path / "folds")
    found = tw.cross_validate(pictures, 2, minutes=20, phases=CUTS, backbones=[tiny()], out=tmp_path / "folds")
    assert found.results.test.pictures == 45
    assert all(tried.read(run.path) and run.recipe.search is None for run in found.runs)


def test_a_try_that_was_stopped_within_an_epoch_ends_if_nothing_wrote_that_the_search_ended(
    pictures, short, tmp_path, monkeypatch
):
    """Two quick presses of Ctrl-C: the second comes while the end of the search is written."""

    def press(*_):
        raise KeyboardInterrupt

    interrupt(monkeypatch, 2, KeyboardInterrupt)
    monkeypatch.setattr("topwork.runs.search.decisions.Decisions.end", press)
    with pytest.raises(KeyboardInterrupt):
        search(pictures, tmp_path / "run")
    monkeypatch.undo()
    run = tw.Run(tmp_path / "run").resume()
    rows = tried.read(run.path)
    assert [one.ended for one in rows].count("it was interrupted") == 1
    assert sum(one.epochs or 0 for one in rows) > 2
