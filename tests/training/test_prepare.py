"""A run completes its phases: it adds missing learning rates, and a phase for the head before an opened network."""

from dataclasses import asdict, replace

import pytest

from tests.tiny import tiny
from topwork.errors import CutError, UsageError
from topwork.networks.places import graph_of
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import HEAD_RATE, OPEN_RATE, Head, Iteration, Phase, Views
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
    ("phase", "rate"),
    [
        (Phase("tiny@pool"), HEAD_RATE),
        (Phase("tiny@block_2_add..block_2_add"), HEAD_RATE),
        (Phase("tiny@pool + tiny_48@pool"), HEAD_RATE),
        (Phase("tiny@Conv_1_relu"), HEAD_RATE),  # only the pooling is above
        (Phase("tiny@Conv_1"), HEAD_RATE),  # only the pooling and a frozen batch-norm are above
        (Phase("tiny@Conv_1", batch_norm="train"), OPEN_RATE),
        (Phase("tiny@46"), HEAD_RATE),
        (Phase("tiny@10"), OPEN_RATE),
        (Phase("tiny@input"), OPEN_RATE),
        (Phase(OPEN), OPEN_RATE),
        (Phase("tiny@block_1_project..block_2_add"), OPEN_RATE),
        (Phase("tiny@pool + tiny_48@block_2_add"), OPEN_RATE),
    ],
)
def test_a_rate_that_was_not_given_follows_what_trains(phase, rate):
    def explicit(**given):
        return (replace(phase, **asdict(Iteration(**given))),)

    assert made(replace(phase, epochs=25), head_first=False) == explicit(learning_rate=rate)
    assert made(replace(phase, learning_rate=0.25), head_first=False) == explicit(learning_rate=0.25)
    solved = (replace(phase, optimizer="lbfgs"),)
    assert made(phase, head_first=False) == (solved if rate == HEAD_RATE else explicit(learning_rate=rate))


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
    assert second == Phase(cut, **asdict(Iteration(epochs=3, learning_rate=0.5, optimizer="sgd")))
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
