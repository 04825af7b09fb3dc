"""A run completes its phases: it adds missing learning rates, and a phase for the head before an opened network."""

from dataclasses import asdict, replace

import pytest

from tests.tiny import tiny
from topwork.errors import CutError, UsageError
from topwork.networks.places import graph_of
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import OPENED, Head, Iteration, Phase, Views
from topwork.training.prepare import completed

OPEN = "tiny@block_2_add"
BOTH = {"tiny": tiny(), "tiny_48": tiny(48)}


@pytest.fixture(scope="module", autouse=True)
def graphs(home):
    """Store the graphs beforehand, so that no test starts a process to find them."""
    for backbone in BOTH.values():
        graph_of(backbone)


def made(*phases, head_first=True, **parts):
    found = tuple(Phase(one) if isinstance(one, str) else one for one in phases)
    named = {name: one for name, one in BOTH.items() if any(f"{name}@" in phase.cut for phase in found)}
    return completed(Recipe(found, **{"backbones": named, **parts}).checked(), head_first).phases


def cuts(*phases, **parts):
    return [phase.cut for phase in made(*phases, **parts)]


@pytest.mark.parametrize(
    ("phase", "opens"),
    [
        (Phase("tiny@pool"), False),
        (Phase("tiny@block_2_add..block_2_add"), False),
        (Phase("tiny@pool + tiny_48@pool"), False),
        (Phase("tiny@Conv_1_relu"), False),  # only the pooling is above
        (Phase("tiny@Conv_1"), False),  # only the pooling and a frozen batch-norm are above
        (Phase("tiny@Conv_1", batch_norm="train"), True),
        (Phase("tiny@46"), False),
        (Phase("tiny@10"), True),
        (Phase("tiny@input"), True),
        (Phase(OPEN), True),
        (Phase("tiny@block_1_project..block_2_add"), True),
        (Phase("tiny@pool + tiny_48@block_2_add"), True),
    ],
)
def test_a_schedule_that_was_not_given_follows_what_trains(phase, opens):
    def explicit(usual, **given):
        return (replace(phase, **asdict(replace(usual, **given))),)

    usual = OPENED if opens else Iteration()
    assert made(replace(phase, epochs=25), head_first=False) == explicit(usual)
    assert made(replace(phase, learning_rate=0.25), head_first=False) == explicit(usual, learning_rate=0.25)
    constant = replace(phase, schedule="constant", epochs=9)
    assert made(constant, head_first=False) == explicit(Iteration(learning_rate=usual.learning_rate), epochs=9)
    solved = (replace(phase, optimizer="lbfgs"),)
    assert made(phase, head_first=False) == (explicit(usual) if opens else solved)


@pytest.mark.parametrize(("given", "warm_up"), [({"epochs": 2}, 0.5), ({"epochs": 2, "warmup_epochs": 2.0}, 2.0)])
def test_a_short_phase_has_a_short_warm_up_unless_one_was_given(given, warm_up):
    (phase,) = made(Phase(OPEN, **given), head_first=False)
    assert (phase.schedule, phase.warmup_epochs) == ("cosine", warm_up)


@pytest.mark.parametrize(
    ("cut", "head"),
    [
        (OPEN, "tiny@pool"),
        ("tiny@block_1_project..block_2_add", "tiny@block_2_add..block_2_add"),
        ("tiny@10", "tiny@pool"),
        ("tiny@4..7", "tiny@7..7"),
        ("tiny@input", "tiny@pool"),
        ("tiny@pool + tiny_48@block_2_add", "tiny@pool + tiny_48@pool"),
        ("tiny@block_1_project..block_2_add + tiny@block_1_project", "tiny@block_2_add..block_2_add + tiny@pool"),
        ("tiny@block_2_add[front] + tiny@pool[side]", "tiny@pool[front] + tiny@pool[side]"),
    ],
)
def test_the_head_trains_alone_before_an_opened_network(cut, head, capsys):
    first, second = made(Phase(cut, epochs=3, learning_rate=0.5, optimizer="sgd"))
    assert first == Phase(head, optimizer="lbfgs")
    settings = replace(OPENED, epochs=3, learning_rate=0.5, optimizer="sgd", warmup_epochs=0.75)
    assert second == Phase(cut, **asdict(settings))
    assert capsys.readouterr().err == (
        f"phase 1 trains the head alone ({head}), so that a new head does not damage pretrained "
        "layers; phase 2 is as you asked. head_first=False omits this phase.\n"
    )


def test_all_phases_that_were_asked_for_follow(capsys):
    assert cuts(OPEN, "tiny@input") == ["tiny@pool", OPEN, "tiny@input"]
    assert "; phases 2 to 3 are as you asked. " in capsys.readouterr().err


def test_live_views_do_not_change_that():
    assert cuts(OPEN, views=Views(2, "live")) == ["tiny@pool", OPEN]


@pytest.mark.parametrize(
    ("phases", "parts"),
    [
        ([OPEN], {"head_first": False}),
        (["tiny@pool", OPEN], {}),
        (["tiny@Conv_1_relu"], {}),
        ([OPEN], {"head": Head(file="mine.keras")}),
        (["mobilenet_025@input"], {"backbones": {}}),
    ],
    ids=["not wanted", "head alone already", "nothing opened", "own head", "random weights"],
)
def test_where_it_is_not_put(phases, parts, capsys):
    if "mobilenet_025@input" in phases:
        parts = {"backbones": Recipe.from_mapping(RANDOM).backbones}
    assert cuts(*phases, **parts) == phases
    assert capsys.readouterr().err == ""


RANDOM = {
    "phase": [{"cut": "mobilenet_025@input"}],
    "backbones": {"mobilenet_025": {"weights": "random", "size": 32}},
}


def test_errors_count_the_phases_that_were_asked_for():
    with pytest.raises(CutError) as error:
        made(OPEN, "tiny@block_7_expand")
    assert str(error.value).startswith(f"phase 2 (tiny@block_7_expand) freezes what phase 1 ({OPEN}) may have trained")
    assert error.value.key == "phase.2.cut"
    with pytest.raises(CutError) as error:
        made("tiny@blok_2_add")
    assert error.value.key == "phase.1.cut"


def test_words_that_do_nothing_are_refused():
    with pytest.raises(UsageError, match="is no augmentation"):
        made(OPEN, views=Views(1, "live"))
