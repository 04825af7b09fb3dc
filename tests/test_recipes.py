"""The articles' recipes: each says what its article says, names cuts that exist, and runs end to end."""

import csv
import gzip
import re
import struct
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import topwork as tw
from tests.command import topwork
from tests.conftest import make_folder
from tests.tiny import file
from topwork.cut import Cut
from topwork.networks.backbones import catalogue
from topwork.networks.places import graph_of
from topwork.recipes import library
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Backbone

SMALLEST = {"inception_v3": 75, "xception": 71, "resnet50": 32, "efficientnet_b0": 32}

BASIC = {
    "head.kind": "mlp",
    "head.units": [1024],
    "head.activation": "relu",
    "head.batch_norm": False,
    "head.dropout": 0.0,
    "phase.1.optimizer": "rmsprop",
    "phase.1.learning_rate": 1e-3,
}
TUNED = BASIC | {
    "phase.1.learning_rate": 1e-4,
    "phase.1.epochs": 30,
    "phase.2.optimizer": "sgd",
    "phase.2.learning_rate": 1e-4,
    "phase.2.momentum": 0.9,
    "phase.2.batch_norm": "train",
}
LAST_LAYER = {"head.kind": "linear", "head.batch_norm": False, "head.dropout": 0.0, "phase.1.cut": "inception_v3@pool"}
FLOWERS = {
    "views.rotation": 40.0,
    "views.shift": 0.4,
    "views.shear": 0.2,
    "views.zoom": 0.3,
    "views.flip": "horizontal",
    "views.fill_mode": "nearest",
    "head.units": [2048, 1024],
    "head.activation": "relu",
    "head.kernel_initializer": "he_normal",
    "head.batch_norm": True,
    "head.batch_norm_at": "every",
    "head.dropout": 0.0,
    "data.seed": 42,
    "training.seed": 42,
    "backbones.resnet50.scale": "own",
    "phase.1.optimizer": "adam",
    "phase.1.epochs": 30,
    "phase.1.batch_size": 32,
    "phase.1.patience": 0,
}


def mnist(name, layers):
    return {
        f"backbones.{name}.size": 84,
        f"backbones.{name}.scale": "unit",
        f"backbones.{name}.resample": "nearest",
        "head.kind": "mlp",
        "head.units": [1024],
        "head.activation": "relu",
        "head.batch_norm": False,
        "head.dropout": 0.5,
        "training.hold_out_share": 0.2,
        "training.hold_out_draw": "last",
        "data.draw": "last",
        "phase.1.cut": f"{name}@{layers}",
        "phase.1.optimizer": "adam",
        "phase.1.learning_rate": 1e-3,
        "phase.1.epochs": 5,
        "phase.1.batch_size": 64,
        "phase.1.patience": 0,
        "phase.1.batch_norm": "train",
    }


SAYS = {
    "inception_v3_two_phase": TUNED | {"phase.1.cut": "inception_v3@pool", "phase.2.cut": "inception_v3@249"},
    "inception_v3_partial": TUNED
    | {
        "backbones.inception_v3.size": 224,
        "phase.1.cut": "inception_v3@mixed7..mixed7",
        "phase.2.cut": "inception_v3@mixed5..mixed7",
        "head.batch_norm": True,  # topwork's own addition: the middle's averages are small
        "head.batch_norm_at": "every",
        "phase.1.epochs": 50,
        "phase.1.learning_rate": 1e-4,
    },
    "fusion_single_input": BASIC | {"phase.1.cut": "inception_v3@pool + resnet50@pool"},
    "fusion_multi_input": BASIC | {"phase.1.cut": "inception_v3@pool[front] + resnet50@pool[side]"},
    "efficientnet_b0_house": {
        "data.split": [0.763, 0.135, 0.102],
        "head.kind": "linear",
        "head.batch_norm": True,
        "head.dropout": 0.5,
        "training.drop_last": True,
        "phase.1.cut": "efficientnet_b0@pool",
        "phase.1.optimizer": "adam",
        "phase.1.learning_rate": 1e-3,
        "phase.1.epochs": 25,
        "phase.1.patience": 10,
    },
    "fusion_late": {"join.rule": "mean"},
    "inception_v3_retrain": LAST_LAYER,
    "inception_v3_retrain_all": LAST_LAYER | {"phase.2.cut": "inception_v3@input", "phase.2.batch_norm": "train"},
    "resnet50_flowers": FLOWERS
    | {
        "head.pooling": "flatten",
        "phase.1.cut": "resnet50@conv5_block3_out..conv5_block3_out",
        "phase.1.learning_rate": 1e-4,
    },
    "resnet50_flowers_pooled": FLOWERS | {"phase.1.cut": "resnet50@pool", "phase.1.learning_rate": 1e-4},
    "inception_v3_mnist": mnist("inception_v3", 64),
    "xception_mnist": mnist("xception", 36),
}


def value(table, key):
    for word in key.split("."):
        table = table[int(word) - 1] if isinstance(table, list) else table[word]
    return list(table) if isinstance(table, tuple) else table


SIDES = {"inception_v3": 299, "resnet50": 224, "efficientnet_b0": 224, "xception": 84}
"""The size of the articles' pictures, except for the recipes in `SMALLER`."""
SMALLER = {"inception_v3_partial": 224, "inception_v3_mnist": 84}


@pytest.mark.parametrize("name", SAYS)
def test_pictures_have_the_articles_size(name):
    for backbone in library.recipe(name).backbones.values():
        assert catalogue.size(backbone) == SMALLER.get(name, SIDES[backbone.name])


@pytest.mark.parametrize("place", ["block5c_add", "block6d_add", "block7a_project_bn"])
def test_the_places_that_the_house_recipe_proposes_open_layers_that_train(place):
    text = library.file("efficientnet_b0_house").read_text()
    assert place in text
    graph = graph_of(Backbone("efficientnet_b0", "random", 32))
    found = graph.resolve(place, "pool")
    above = graph.ancestors[graph.index("pool")] & ~found.below
    opened = [node for i, node in enumerate(graph.nodes) if above >> i & 1 and node.parameters]
    assert len(found.tensors) == 1
    assert any(not node.name.endswith("_bn") for node in opened)


def test_every_recipe_is_tested():
    assert set(SAYS) == set(library.names())


@pytest.mark.parametrize("name", SAYS)
def test_it_says_what_its_article_says(name):
    table = library.recipe(name).as_mapping()
    assert {key: value(table, key) for key in SAYS[name]} == SAYS[name]
    assert all(row["weights"] == "imagenet" for row in table.get("backbones", {}).values())


@pytest.mark.parametrize("name", SAYS)
def test_it_tells_what_it_is_and_fits_80_columns(name):
    about = library.recipe(name).about
    assert all((about.title, about.article, about.does, about.beyond, about.expect))
    text = library.file(name).read_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "  " not in about.does + about.beyond + about.expect


def test_the_address_of_the_licensed_article_is_cited():
    assert (
        library.recipe("xception_mnist").about.article == "https://blog.csdn.net/hgnuxc_1993/article/details/116020911"
    )
    assert "CC BY-SA" in library.recipe("inception_v3_mnist").about.does


@pytest.mark.parametrize("name", SAYS)
def test_its_cuts_exist(name):
    recipe = library.recipe(name)
    for term in (term for phase in recipe.phases for term in Cut.parse(phase.cut).terms):
        graph = graph_of(Backbone(term.backbone, "random", SMALLEST[term.backbone]))
        assert len(graph.resolve(term.place, term.end).tensors) == 1


def test_451_houses_are_344_and_61_and_46():
    split = library.recipe("efficientnet_b0_house").data.split
    pixels = np.arange(451 * 12, dtype=np.uint32).view(np.uint8).reshape(451, 4, 4, 3)
    data = tw.read((pixels, ["old"] * 200 + ["modern"] * 251), split=split, draw="stratified")
    assert [len(data.part(part)) for part in ("train", "val", "test")] == [344, 61, 46]


def parameters(features, units, classes):
    """Return the parameters of batch-norm and Dense layers in turn: four values per feature, a kernel and a bias."""
    widths = [features, *units, classes]
    return sum(4 * a + a * b + b for a, b in pairwise(widths))


def test_the_flattened_head_has_208_million_parameters_and_the_pooled_one_6():
    from topwork.networks import heads

    flat, pooled = (library.recipe(name).head for name in ("resnet50_flowers", "resnet50_flowers_pooled"))
    small = heads.build(flat, [(2, 2, 8)], 5, 0)
    assert [layer.name for layer in small.layers[1:]] == [
        "head_flatten",
        "head_batch_norm_1",
        "head_dense_1",
        "head_batch_norm_2",
        "head_dense_2",
        "head_batch_norm",
        "logits",
    ]
    assert small.count_params() == parameters(32, flat.units, 5)
    assert round(parameters(7 * 7 * 2048, flat.units, 5) / 1e6) == 208
    assert round(parameters(2048, pooled.units, 5) / 1e6) == 6


def digits(folder):
    """Write 28 x 28 grey pictures that resemble digits as MNIST's packed files: 50 to train on, 10 to test."""
    draw = np.random.default_rng(0)
    for word, count in (("train", 50), ("t10k", 10)):
        labels = np.arange(count, dtype=np.uint8) % 2
        pixels = draw.integers(0, 60, (count, 28, 28), dtype=np.uint8)
        pixels[labels == 1, 8:20, 12:16] = 250
        for kind, values in (("images-idx3", pixels), ("labels-idx1", labels)):
            head = struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
            (folder / f"{word}-{kind}-ubyte.gz").write_bytes(gzip.compress(head + values.tobytes()))
    return folder


def pairs(folder):
    """Write a table whose rows have two pictures of one colour: front and side."""
    pictures = make_folder(folder / "pictures", each=8)
    with (folder / "rows.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["front", "side", "label"])
        for label in ("blue", "green", "red"):
            for i in range(0, 8, 2):
                table.writerow([pictures / label / f"{i:03}.png", pictures / label / f"{i + 1:03}.png", label])
    return folder / "rows.csv"


def words(recipe: Recipe):
    """Yield the settings that make a recipe small: the smallest sizes, random weights, one epoch."""
    yield from ("data.split=[0.5, 0.25, 0.25]", 'data.draw="stratified"')
    for name in recipe.backbones:
        yield from (f"backbones.{name}.size={SMALLEST[name]}", f"backbones.{name}.weights=random")
    for number in range(1, len(recipe.phases) + 1):
        yield f"phase.{number}.epochs=1"
    if recipe.views.count > 1:
        yield "views.count=2"


TRAINED = [name for name in SAYS if name != "fusion_late"]
"""Late fusion joins existing runs; ``test_joining.py`` tests it."""


@pytest.mark.full
@pytest.mark.parametrize("name", TRAINED)
def test_it_runs_end_to_end(name, tmp_path):
    of = {"fusion_multi_input": pairs, "inception_v3_mnist": digits, "xception_mnist": digits}
    data = of.get(name, lambda folder: make_folder(folder / "data", each=8))(tmp_path)
    settings = [word for text in words(library.recipe(name)) for word in ("--set", text)]
    ran = topwork("train", data, "--recipe", name, *settings, "--out", tmp_path / "run")
    assert ran.status == 0, ran.err
    run = tw.Run(tmp_path / "run")
    assert [line.epoch for line in run.journal] == [0, 1] * len(run.recipe.phases)
    assert run.recipe.about == library.recipe(name).about
    if name.endswith("_mnist"):
        parts = [row.split for row in run.data.rows]
        assert parts == ["train"] * 40 + ["val"] * 10 + ["test"] * 10, "the last fifth validates, the test part stays"
    exported = topwork("export", run.path, tmp_path / "model.onnx", "--json").json
    assert exported["labels"] == list(run.data.classes)


NAME = "mobilenet_v2_035"
SWAPPED = (
    *("--set", "phase.1.cut=tiny@block_2_add..block_2_add", "--set", f"backbones.tiny.model={file()}"),
    *("--set", "phase.2.cut=tiny@block_1_project_BN..block_2_add"),
    *("--size", 32, "--epochs", 4, "--learning-rate", 0.01, "--set", 'data.draw="stratified"'),
)


@pytest.mark.full
def test_a_run_s_own_recipe_repeats_it(pictures, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    ran = topwork("train", pictures, "--recipe", "inception_v3_two_phase", *SWAPPED, "--out", first)
    assert ran.status == 0, ran.err
    assert topwork("train", pictures, "--recipe", first / "recipe.toml", "--out", second).status == 0
    one, other = tw.Run(first), tw.Run(second)
    assert one.recipe == other.recipe
    assert (one.recipe.phases[1].optimizer, one.recipe.head.units) == ("sgd", (1024,))
    journals = [[replace(line, seconds=0) for line in run.journal] for run in (one, other)]
    assert len(journals[0]) == 10
    assert journals[0] == journals[1]
    weights = [run.folder.weights() for run in (one, other)]
    assert weights[0].keys() == weights[1].keys()
    assert all(np.array_equal(a, b) for key in weights[0] for a, b in zip(weights[0][key], weights[1][key]))
    assert any(np.ptp(array) > 0 for array in weights[0]["logits"]), "it learned something"


def test_a_word_that_proves_wrong_later_is_told_with_its_line(pictures, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        f'[backbones.{NAME}]\nweights = "random"\nsize = 32\n[data]\ndraw = "stratified"\n'
        f'[head]\nkind = "mlp"\nactivation = "rleu"\n[[phase]]\ncut = "{NAME}@pool"\nepochs = 1\noptimizer = "adm"\n'
    )
    words = ("train", pictures, "--recipe", file, "--out", tmp_path / "run")
    told = f"RecipeError: '{file}', line 12: no optimizer 'adm'; did you mean 'adam'? Expected 'auto', or one that "
    assert topwork(*words).err.startswith(told)
    assert topwork(*words, "--set", "phase.1.optimizer=sdg").err.startswith("RecipeError: no optimizer 'sdg'; ")
    told = f"RecipeError: '{file}', line 8: no activation 'rleu'; did you mean 'relu'? Keras has: "
    assert told in topwork(*words, "--set", "phase.1.optimizer=adam").err
    assert not (tmp_path / "run").exists()
    file.write_text(file.read_text().replace("adm", "adam"))
    cut = topwork(*words, "--set", "data.split=[0.5, 0.5, 0.5]")
    assert cut.err.startswith("RecipeError: split = (0.5, 0.5, 0.5): ")
    file.write_text(file.read_text().replace("@pool", "@block_11_expand_BN"))
    assert f"CutError: '{file}', line 10: cannot cut {NAME} at 'block_11_expand_BN'" in topwork(*words).err
    file.write_text(file.read_text().replace(NAME, "mobilenet_v2_036"))
    told = f"UnknownBackbone: '{file}', line 10: no backbone 'mobilenet_v2_036'; did you mean 'mobilenet_v2_035'?"
    assert topwork(*words).err.startswith(told)


def test_words_that_would_do_nothing_are_told_with_their_line_and_leave_no_run(pictures, tmp_path):
    words = ("train", pictures, "--recipe", "resnet50_flowers", "--cut", f"{NAME}@pool", "--weights", "random")
    words = (*words, "--size", 32, "--epochs", 1, "--out", tmp_path / "run")
    file = library.file("resnet50_flowers")
    line = 1 + file.read_text().splitlines().index('pooling = "flatten"')
    ran = topwork(*words)
    assert ran.status == 2
    assert f"\nRecipeError: '{file}', line {line}: head.pooling = 'flatten': all cuts end in pool" in ran.err
    assert not (tmp_path / "run").exists()


def test_the_list():
    from rich.cells import cell_len

    ran = topwork("recipes")
    assert (ran.status, ran.err) == (0, "")
    assert max(map(cell_len, ran.out.splitlines())) <= 80
    assert sorted(re.findall(r"^  (\w+) ", ran.out, re.MULTILINE)) == sorted(SAYS)
    found = topwork("recipes", "--json").json
    assert [one["name"] for one in found] == sorted(SAYS)
    assert all(list(one) == ["name", "title", "article", "does", "beyond", "expect"] for one in found)
    assert all(f"  {one['title']}\n" in ran.out and f"{one['article']}\n" in ran.out for one in found)


def test_one_is_printed_as_it_can_be_saved(tmp_path):
    ran = topwork("recipes", "xception_mnist")
    assert (ran.status, ran.err) == (0, "")
    (tmp_path / "mine.toml").write_text(ran.out)
    assert Recipe.load(tmp_path / "mine.toml") == library.recipe("xception_mnist")
    found = topwork("recipes", "xception_mnist", "--json").json
    assert found.pop("name") == "xception_mnist"
    assert Recipe.from_mapping(found) == library.recipe("xception_mnist")
    assert topwork("recipes", "xception").status == 2
