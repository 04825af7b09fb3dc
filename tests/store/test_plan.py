"""Plans: which terms a cut may combine, which phases may follow each other, and what training reads."""

import pytest

from topwork.data.dataset import Dataset, Row
from topwork.errors import CutError, UnknownBackbone
from topwork.networks.places import graph_of
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Backbone
from topwork.store.plan import steps

NAME, OTHER = "mobilenet_025", "mobilenet_050"
PAIR = ("front", "side")
ROWS = (
    Row("a.png", "aa", "x", "train", further=(("b.png", "bb"),)),
    Row("c.png", "cc", "y", "test", further=(("d.png", "dd"),)),
)


@pytest.fixture(scope="module", autouse=True)
def graphs(home):
    """Store the graphs beforehand, so that no plan starts a process to find them."""
    for name in (NAME, OTHER):
        graph_of(Backbone(name, "random", 32))


def planned(*cuts, **views):
    named = {name: {"weights": "random", "size": 32} for name in (NAME, OTHER) if f"{name}@" in " ".join(cuts)}
    return steps(Recipe.from_mapping({"phase": [{"cut": cut} for cut in cuts], "backbones": named, "views": views}))


def refused(*cuts):
    with pytest.raises(CutError) as error:
        planned(*cuts)
    return str(error.value)


def test_terms_that_share_layers_freeze_the_same_of_them():
    assert refused(f"{NAME}@conv_pw_1..conv_pw_2 + {NAME}@conv_pw_3..conv_pw_4") == (
        f"'{NAME}@conv_pw_1..conv_pw_2' and '{NAME}@conv_pw_3..conv_pw_4' share layers of {NAME}, and one freezes what "
        "the other trains. Freeze both up to the same place, or up to their ends."
    )


@pytest.mark.parametrize(
    "cut",
    [
        f"{NAME}@conv_pw_1..conv_pw_1 + {NAME}@conv_pw_3..conv_pw_3",
        f"{NAME}@conv_pw_1..conv_pw_2 + {NAME}@conv_pw_1..conv_pw_4",
        f"{NAME}@conv_pw_1..conv_pw_2[front] + {NAME}@conv_pw_3..conv_pw_4[side]",
        f"{NAME}@conv_pw_1..conv_pw_2 + {OTHER}@conv_pw_3..conv_pw_4",
    ],
)
def test_terms_that_go_together(cut):
    assert [str(term) for term in planned(cut)[0].terms] == cut.split(" + ")


def test_phases_move_towards_the_input_in_every_term():
    first = f"{NAME}@conv_pw_3..conv_pw_4 + {OTHER}@conv_pw_1..conv_pw_4"
    second = f"{NAME}@conv_pw_1..conv_pw_4 + {OTHER}@conv_pw_3..conv_pw_4"
    assert refused(first, second) == (
        f"phase 2 ({second}) freezes what phase 1 ({first}) may have trained: "
        "cuts must move towards the input. Swap the two phases."
    )
    both = f"{NAME}@conv_pw_1..conv_pw_4 + {OTHER}@conv_pw_1..conv_pw_4"
    assert len(planned(first, first, both)) == 3


def test_a_later_phase_is_compared_with_the_one_before_it():
    cuts = [f"{NAME}@{place}" for place in ("pool", "conv_pw_3", "conv_pw_5")]
    assert refused(*cuts) == (
        f"phase 3 ({NAME}@conv_pw_5) freezes what phase 2 ({NAME}@conv_pw_3) may have trained: "
        "cuts must move towards the input. Swap the two phases."
    )


def test_a_picture_that_the_data_lacks():
    (step,) = planned(f"{NAME}@pool[front] + {NAME}@pool[sid]")
    with pytest.raises(CutError) as error:
        step.of(Dataset("/d", ROWS, columns=PAIR))
    assert str(error.value) == (
        f"'{NAME}@pool[sid]' names the picture 'sid': the data's pictures are 'front', 'side'; did you mean 'side'?"
    )


def test_words_that_nothing_is_called():
    with pytest.raises(UnknownBackbone) as error:
        planned("resnet55@pool + mobilenet_025@pool")
    assert str(error.value) == ("no backbone 'resnet55'; did you mean 'resnet50'? 'topwork backbones' lists them all.")
    assert refused(f"{NAME}@pool + {OTHER}@conv_pw_33") == (
        f"no place 'conv_pw_33' in {OTHER}; did you mean 'conv_pw_3'? topwork.cuts('{OTHER}') lists its places."
    )


def test_each_term_reads_its_own_picture_and_views_of_training_rows_alone():
    (step,) = planned(f"{NAME}@conv_pw_1[side] + {NAME}@pool[front]", count=3)
    side, front = step.of(Dataset("/d", ROWS, columns=PAIR)).requests
    assert [tuple(shot) for shot in side.shots] == [
        ("b.png", "bb", 0),
        ("b.png", "bb", 1),
        ("b.png", "bb", 2),
        ("d.png", "dd", 0),
    ]
    assert {shot.path for shot in front.shots} == {"a.png", "c.png"}
    exact = step.exact(Dataset("/d", ROWS, columns=PAIR))
    assert [(one.exact, [shot.path for shot in one.shots]) for one in exact] == [
        (True, ["b.png", "d.png"]),
        (True, ["a.png", "c.png"]),
    ]


def test_live_training_reads_pixels_and_still_freezes_up_to_the_cut():
    (step,) = planned(f"{NAME}@conv_pw_1", count=3, mode="live")
    (request,) = step.of(Dataset("/d", ROWS, columns=PAIR)).requests
    assert [tuple(shot) for shot in request.shots] == [("a.png", "aa", 0), ("c.png", "cc", 0)]
    assert request.trunk.is_pixels
    assert [str(step.terms[0]), step.trunks()[0].tensors[0].shape] == [f"{NAME}@conv_pw_1", (16, 16, 16)]
    (exact,) = step.exact(Dataset("/d", ROWS, columns=PAIR))
    assert str(exact.term) == f"{NAME}@conv_pw_1"
