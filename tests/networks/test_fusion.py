"""Several networks are joined into one, even networks with the same backbone, whose layers have the same names."""

import keras
import numpy as np
import pytest

from tests.inference import outputs
from tests.tiny import NAME, SIDE, file
from topwork.networks.fusion import Joined, Mixture, Stack
from topwork.networks.model import create
from topwork.networks.places import graph_of
from topwork.recipes.recipe import Recipe
from topwork.store.plan import steps

END = "block_2_add..block_2_add"
CLASSES = {"categorical": 3, "binary": 2}


def network(seed, loss, picture=""):
    """Return an untrained network; its last layer, which would start at zero, gets seeded values."""
    table = {"model": file(), "size": SIDE}
    cut = f"{NAME}@{END}{picture}"
    recipe = Recipe.from_mapping({"phase": [{"cut": cut}], "backbones": {NAME: table}, "training": {"loss": loss}})
    graph_of(recipe.backbones[NAME])
    made = create(recipe, steps(recipe)[-1].trunks(), CLASSES[loss])
    last, draw = made.head.layers[-1], np.random.default_rng(seed)
    last.set_weights([draw.normal(size=w.shape).astype("float32") for w in last.get_weights()])
    return made


def rules(classes):
    draw = np.random.default_rng(2)
    return Mixture(np.array([0.3, 0.7])), Stack(draw.normal(size=(2 * classes, classes)), draw.normal(size=classes))


def pictures(count=6):
    light = np.arange(1, count + 1)[:, None, None, None] / count
    return (light * np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3))).astype("uint8")


@pytest.mark.parametrize("loss", CLASSES)
def test_the_flat_model_is_the_rule_of_the_members(loss):
    members = [network(seed, loss) for seed in (0, 1)]
    each = np.array([outputs(member.flat(), pictures()) for member in members], float)
    assert each.std(1).max() > 1e-2 and np.abs(each[0] - each[1]).max() > 0.1
    joined = Joined(members, None, "path")
    for rule in rules(CLASSES[loss]):
        joined.rule = rule
        model = joined.flat()
        assert [one.name for one in model.inputs] == ["pixels"]  # both members read this input
        assert not any(isinstance(layer, keras.Model) for layer in model.layers)
        np.testing.assert_allclose(outputs(model, pictures()), rule(each), atol=1e-5)


def test_certainty_is_no_trouble():
    """The mixture is right even if a member gives a class a probability of exactly 0 in float32."""
    start = keras.Input((3,))
    model = keras.Model(start, keras.layers.Softmax()(Mixture(np.array([0.5, 0.5])).join([start, start])))
    found = outputs(model, np.array([[0.0, 500.0, -500.0]], "float32"))
    np.testing.assert_array_equal(found, [[0, 1, 0]])


@pytest.mark.parametrize(
    ("words", "expected"),
    [(("", ""), [None]), (("", "[front]"), ["front"]), (("[side]", ""), ["side", "front"])],
)
def test_a_member_that_names_no_picture_takes_the_first(words, expected):
    joined = Joined([network(seed, "categorical", word) for seed, word in enumerate(words)], rules(3)[0], "front")
    assert [picture for picture, _ in joined.inputs] == expected
    assert len(joined.flat().inputs) == len(expected)
