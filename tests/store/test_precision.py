"""The precision of a trunk: decided by a few pictures, the same by every command, once."""

from dataclasses import replace

import numpy as np
import pytest

import topwork as tw
from tests import shelf
from tests.tiny import NAME, tiny
from topwork.cut import Cut
from topwork.data.dataset import Row
from topwork.networks import trunk
from topwork.store import extract as extract_module
from topwork.store import precision
from topwork.store.engines.local import Extraction
from topwork.store.precision import MOST, SAMPLE, independent, settled, shift
from topwork.system.machine import has_bfloat16
from topwork.training import trainer

ROWS = 40
SPREAD = np.random.default_rng(0).normal(size=(ROWS, 8)).astype(np.float32)


def silent(event, **about):
    pass


def planted(by, cut="pool", values=SPREAD, broken=0):
    """Return an undecided request whose trial is in the store: in bfloat16, the values are shifted by *by*.

    The first *broken* pictures of the trial cannot be read.
    """
    ask = shelf.request(cut, rows=ROWS, precision="auto")
    trunk.keep_graph(ask.backbone, shelf.GRAPH)
    at = {row.content: place for place, row in enumerate(ask.data.rows)}
    for one, moved in zip(precision._trial(ask), (by, 0)):
        keys, rows = list(one.by_key), [at[shot.content] for shot in one.by_key.values()]
        with one.store() as store:
            for key in keys[:broken]:
                store.fail(key, "broken")
            *map_sides, width = store.tensors[0].shape
            flat = (values[rows[broken:]] + moved).reshape(-1, *(1 for _ in map_sides), width)
            store.write(keys[broken:], [np.broadcast_to(flat, (len(flat), *map_sides, width))])
    return ask


@pytest.mark.parametrize("cut", ["pool", "other"])
@pytest.mark.parametrize(("by", "chosen"), [(0.0, "bfloat16"), (0.1, "bfloat16"), (0.6, "float32")])
def test_bfloat16_runs_where_it_shifts_the_activations_little(own_home, cut, by, chosen):
    (one,) = settled([planted(by, cut)], silent)
    assert one.backbone.precision == chosen
    found = shift(*precision._trial(planted(by, cut)))
    assert found == pytest.approx(by, rel=0.25, abs=0.01), "the rows deviate by about 1"
    assert (found > MOST) == (chosen == "float32")


def test_the_shift_is_a_share_of_the_deviation(own_home):
    assert settled([planted(0.1, values=SPREAD / 10)], silent)[0].backbone.precision == "float32"


def test_the_first_request_of_a_backbone_decides_for_all(own_home):
    deep, early = planted(0.6), planted(0.0, "other")
    other = replace(deep, backbone=replace(deep.backbone, weights="own.h5", precision="float32"))
    assert [one.backbone.precision for one in settled([deep, early, other], silent)] == ["float32"] * 3
    assert [one.backbone.precision for one in settled([early, deep, other], silent)] == ["bfloat16"] * 2 + ["float32"]


def test_what_was_asked_for_stays_and_nothing_is_computed(own_home):
    asked = [shelf.request("pool", rows=ROWS, precision=one) for one in ("bfloat16", "float32")]
    assert settled(asked, silent) == asked
    assert not own_home.exists()


def test_equal_activations_and_a_single_picture_decide_nothing(own_home):
    assert shift(*precision._trial(planted(0.5, values=np.zeros_like(SPREAD)))) == 0
    ask = planted(0.6)
    single = replace(ask, data=replace(ask.data, rows=ask.data.rows[:1]))
    assert settled([single], silent)[0].backbone.precision == "bfloat16"


def test_the_trial_takes_the_same_pictures_whatever_their_order_part_and_views():
    ask = shelf.request("pool", rows=ROWS, precision="auto")
    rows = tuple(replace(row, split="train", label="other") for row in ask.data.rows[::-1])
    again = replace(ask, data=replace(ask.data, rows=rows + rows[:3]), views=tw.Views(3))
    fast, exact = precision._trial(ask)
    assert len(fast.shots) == SAMPLE < ROWS
    assert set(fast.by_key) == set(exact.by_key) == {k for one in precision._trial(again) for k in one.by_key}
    more = replace(ask, data=replace(ask.data, rows=(*ask.data.rows, Row("new.png", "f" * 64, "x"))))
    assert set(precision._trial(more)[0].by_key) == set(fast.by_key)


@pytest.mark.parametrize(("broken", "chosen"), [(3, "float32"), (SAMPLE - 1, "bfloat16")])
def test_pictures_that_cannot_be_read_are_no_part_of_the_trial(own_home, broken, chosen):
    assert settled([planted(0.6, broken=broken)], silent)[0].backbone.precision == chosen


def test_activations_of_a_picture_do_not_depend_on_others(own_home):
    ask = planted(0.6)
    (one,) = independent([ask])
    assert one.backbone.precision == "bfloat16"
    exact = replace(ask, backbone=replace(ask.backbone, precision="float32"))
    assert independent([exact]) == [exact]


@pytest.fixture
def never(monkeypatch):
    """Let bfloat16 be refused whatever the trial finds, on every processor."""
    monkeypatch.setattr(precision, "MOST", -1.0)


def counted(monkeypatch):
    """Return the list of the fills that are asked for, as (number of missing shots, precision, exact)."""
    fills = []

    class Counted(Extraction):
        def __enter__(self):
            found = super().__enter__()
            fills.extend((len(one.missing()), one.backbone.precision, one.exact) for one in self._requests)
            return found

    for module in (precision, extract_module, trainer):
        monkeypatch.setattr(module, "Extraction", Counted)
    return fills


SAID = f"{NAME} runs in float32: on 16 pictures bfloat16 shifts activations by "


def test_a_run_keeps_the_precision_and_says_why_the_first_time(pictures, own_store, tmp_path, never, bfloat16, capsys):
    words = {"backbones": [tiny(precision="auto")], "phases": [tw.Phase(f"{NAME}@pool")]}
    run = tw.train(pictures, out=tmp_path / "run", **words)
    assert run.recipe.backbones[NAME].precision == "float32"
    said = capsys.readouterr().err
    assert SAID in said
    assert f"{NAME}@pool: 60 pictures to compute" in said, "none of them is in the store in float32"
    again = tw.train(pictures, out=tmp_path / "again", **words)
    assert again.recipe.backbones == run.recipe.backbones
    assert capsys.readouterr().err.count("to compute") == 0


def test_extract_and_train_decide_alike_and_compute_once(pictures, own_store, tmp_path, bfloat16, monkeypatch):
    monkeypatch.setattr(precision, "MOST", 1e9)
    request = extract_module.extract(tw.read(pictures), f"{NAME}@pool", tiny(precision="auto"))
    assert request.backbone.precision == "bfloat16"
    fills = counted(monkeypatch)
    run = tw.train(
        pictures, backbones=[tiny(precision="auto")], phases=[tw.Phase(f"{NAME}@pool")], out=tmp_path / "run"
    )
    assert run.recipe.backbones[NAME].precision == "bfloat16"
    assert {missing for missing, _, exact in fills if not exact} == {0}


def test_a_run_that_ended_before_the_decision_decides_when_it_goes_on(
    pictures, own_store, tmp_path, never, bfloat16, monkeypatch
):
    words = {"backbones": [tiny(precision="auto")], "phases": [tw.Phase(f"{NAME}@pool")]}

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "settled", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tw.train(pictures, out=tmp_path / "run", **words)
    run = tw.Run(tmp_path / "run")
    assert run.recipe.backbones[NAME].precision == "auto"
    whole = tw.train(pictures, out=tmp_path / "whole", **words)
    run.resume()
    assert tw.Run(run.path).recipe == whole.recipe
    assert tw.Run(run.path).results.accuracy == whole.results.accuracy


def test_pixels_have_no_precision(pictures, own_store, bfloat16, monkeypatch):
    fills = counted(monkeypatch)
    request = extract_module.extract(tw.read(pictures), f"{NAME}@input", tiny(precision="auto"))
    assert request.backbone.precision == "float32"
    assert [missing for missing, _, _ in fills] == [60]


@pytest.mark.full
@pytest.mark.skipif(not has_bfloat16(), reason="this processor has no bfloat16")
@pytest.mark.parametrize(("data", "chosen"), [("flowers5", "bfloat16"), ("mnist", "float32")])
def test_photos_run_in_bfloat16_and_digits_in_float32(real, own_home, data, chosen):
    rows = tw.read(real / data, near_copies="ignore")
    some = replace(rows, rows=rows.rows[:200])
    weights = str(real / "weights" / "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5")
    network = tw.Backbone("mobilenet_v2_035", weights)
    (one,) = settled(extract_module.requested(some, Cut.parse("mobilenet_v2_035@pool"), [network]), silent)
    assert one.backbone.precision == chosen
