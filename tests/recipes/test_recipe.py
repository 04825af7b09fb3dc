"""Recipes are read strictly, and written in the form in which they are read."""

import tomllib
from dataclasses import fields
from math import nan
from typing import Literal, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topwork.cut import Cut, Term
from topwork.errors import CutError, RecipeError, UsageError
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import About, Backbone, Data, Head, Join, Phase, Training

DATA_KEYS = "split, draw, seed, parts, max_megapixels, near_copies"

PHASE = {"cut": "mobilenet_v2@pool"}


def refused(table):
    with pytest.raises(RecipeError) as error:
        Recipe.from_mapping(table)
    return str(error.value)


def test_a_recipe_is_a_cut_and_defaults():
    recipe = Recipe.from_mapping({"phase": [PHASE]})
    assert recipe == Recipe((Phase("mobilenet_v2@pool"),), backbones={"mobilenet_v2": Backbone("mobilenet_v2")})
    (phase,) = recipe.phases
    assert (phase.optimizer, phase.l2, phase.batch_norm, phase.iterated_by) == ("auto", "auto", "frozen", [])
    assert (phase.iteration.optimizer, phase.iteration.epochs, phase.iteration.learning_rate) == ("adam", 25, 1e-3)
    assert (phase.iteration.batch_size, phase.iteration.patience) == (32, 10)
    assert (recipe.head.kind, recipe.head.dropout, recipe.data.split) == ("linear", 0.2, (0.8, 0.1, 0.1))


def test_a_file_is_read(tmp_path):
    (tmp_path / "two.toml").write_text(
        """
        [data]
        split = [0.6, 0.2, 0.2]
        draw = "stratified"
        [backbones.resnet50]
        size = 128
        fit = "pad"
        [head]
        kind = "mlp"
        units = [64, 32]
        [[phase]]
        cut = "resnet50@pool"
        [[phase]]
        cut = "resnet50@conv4_block6_out"
        learning_rate = 1
        """
    )
    recipe = Recipe.load(tmp_path / "two.toml")
    assert recipe.data == Data((0.6, 0.2, 0.2), "stratified")
    assert recipe.backbones == {"resnet50": Backbone("resnet50", size=128, fit="pad")}
    assert recipe.head == Head("mlp", units=(64, 32))
    assert recipe.phases == (Phase("resnet50@pool"), Phase("resnet50@conv4_block6_out", learning_rate=1.0))
    assert isinstance(recipe.phases[1].learning_rate, float)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(RecipeError) as error:
        Recipe.load(tmp_path / "none.toml")
    assert str(error.value) == f"cannot read the recipe '{tmp_path / 'none.toml'}': No such file or directory."


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[data]\nsed = 1", 2, f"unknown key 'sed' in data; did you mean 'seed'? Known keys: {DATA_KEYS}."),
        ("\n[dta]", 2, "unknown key 'dta' in recipe; did you mean 'data'? Known keys: about, data, views, head, "
         "training, backbones, phase, join, search."),
        ("[head]\nkind = 'linaer'", 2, "head.kind = 'linaer': expected 'linear' or 'mlp'; did you mean 'linear'?"),
        ("[head]\nunits = [\n  8,\n  0,\n]", 2, "head.units = 0: expected at least 1."),
        ("[[phase]]\nepochs = 1", 1, 'phase.2 has no cut: expected one, as in cut = "mobilenet_v2@pool".'),
        ("[[phase]]\ncut = 'vgg19@pool'", 2, "all phases of a run must share the same backbones and ends, but these do "
         "not: 'vgg16@pool', 'vgg19@pool'. Name the same in each phase's cut."),
        ("[[phase]]\ncut = 'vgg16'", 2, "cannot read 'vgg16' in the cut 'vgg16': expected BACKBONE@PLACE or "
         "BACKBONE@PLACE..END, as in 'vgg16@pool' or 'resnet50@conv4_block6_out'."),
        ("[backbones]\nvgg19.size = 3", 2, "unknown key 'vgg19' in backbones; did you mean 'vgg16'? "
         "Known keys: vgg16."),
        ("[backbones.vgg16]\nsize = 0", 2, "backbones.vgg16.size = 0: expected at least 1."),
        ("[about]\ntitle = 3", 2, "about.title = 3: expected a text."),
    ],
)  # fmt: skip
def test_a_wrong_word_of_a_file_is_told_with_its_line(tmp_path, text, line, message):
    (tmp_path / "bad.toml").write_text(f"[[phase]]\ncut = 'vgg16@pool'\n{text}\n")
    with pytest.raises(UsageError) as error:
        Recipe.load(tmp_path / "bad.toml")
    file = str(tmp_path / "bad.toml")
    assert str(error.value) == f"{file!r}, line {line + 2}: {message}"


def test_a_recipe_without_a_phase_has_no_line_to_tell(tmp_path):
    (tmp_path / "none.toml").write_text("[data]\nseed = 1\n")
    with pytest.raises(RecipeError, match=r"^the recipe has no phase: "):
        Recipe.load(tmp_path / "none.toml")


def test_a_recipe_may_say_what_it_is():
    about = {"title": "Mine", "does": "What I want."}
    recipe = Recipe.from_mapping({"about": about, "phase": [PHASE]})
    assert recipe.about == About("Mine", does="What I want.")
    assert recipe.as_mapping()["about"] == about
    assert "about" not in Recipe.from_mapping({"phase": [PHASE]}).as_mapping()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"cut = ", "Invalid value (at end of document)"),
        (b"\xff", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
    ],
)
def test_a_file_that_is_no_toml(tmp_path, text, reason):
    (tmp_path / "bad.toml").write_bytes(text)
    with pytest.raises(RecipeError) as error:
        Recipe.load(tmp_path / "bad.toml")
    assert str(error.value) == f"the recipe '{tmp_path / 'bad.toml'}' is not TOML: {reason}."


UNKNOWN = {
    "unknown key 'dta' in recipe; did you mean 'data'? Known keys: about, data, views, head, training, backbones, "
    "phase, join, search.": {
        "dta": {},
        "phase": [PHASE],
    },
    f"unknown key 'sed' in data; did you mean 'seed'? Known keys: {DATA_KEYS}.": {
        "data": {"sed": 1},
        "phase": [PHASE],
    },
    f"unknown key 'name' in data. Known keys: {DATA_KEYS}.": {"data": {"name": "x"}, "phase": [PHASE]},
    "unknown key 'name' in backbones.mobilenet_v2. Known keys: weights, size, scale, fit, resample, model, runtime, "
    "precision.": {"backbones": {"mobilenet_v2": {"name": "x"}}, "phase": [PHASE]},
    "unknown key 'lr' in phase.1. Known keys: cut, epochs, learning_rate, optimizer, momentum, batch_size, patience, "
    "batch_norm, schedule, warmup_epochs, global_clipnorm, weight_decay, cycle_epochs, precision, l2, refit.": {
        "phase": [{**PHASE, "lr": 1e-3}]
    },
    "unknown key 'rate' in phase.1: it is called 'learning_rate' now. Known keys: cut, epochs, learning_rate, "
    "optimizer, momentum, batch_size, patience, batch_norm, schedule, warmup_epochs, global_clipnorm, weight_decay, "
    "cycle_epochs, precision, l2, refit.": {"phase": [{**PHASE, "rate": 1e-3}]},
    "unknown key 'mobilnet_v2' in backbones; did you mean 'mobilenet_v2'? Known keys: mobilenet_v2.": {
        "backbones": {"mobilnet_v2": {"size": 96}},
        "phase": [PHASE],
    },
}


@pytest.mark.parametrize("message", UNKNOWN)
def test_unknown_keys(message):
    assert refused(UNKNOWN[message]) == message


WRONG = {
    'the recipe has no phase: expected at least one [[phase]] with a cut, as in cut = "mobilenet_v2@pool".': {},
    'phase.1 has no cut: expected one, as in cut = "mobilenet_v2@pool".': {"phase": [{"epochs": 3}]},
    "phase = {'cut': 'mobilenet_v2@pool'}: expected one or more [[phase]].": {"phase": PHASE},
    "phase.1 = 'mobilenet_v2@pool': expected a table.": {"phase": ["mobilenet_v2@pool"]},
    "backbones = 'mobilenet_v2': expected a table for each backbone.": {
        "backbones": "mobilenet_v2",
        "phase": [PHASE],
    },
    "backbones.mobilenet_v2 = 224: expected a table.": {"backbones": {"mobilenet_v2": 224}, "phase": [PHASE]},
    "head = 'linear': expected a table.": {"head": "linear", "phase": [PHASE]},
    "phase.2.epochs = 2.5: expected a whole number.": {"phase": [PHASE, {**PHASE, "epochs": 2.5}]},
    "phase.1.epochs = True: expected a whole number.": {"phase": [{**PHASE, "epochs": True}]},
    "phase.1.learning_rate = '1e-3': expected a number.": {"phase": [{**PHASE, "learning_rate": "1e-3"}]},
    "phase.1.cut = 3: expected a text.": {"phase": [{"cut": 3}]},
    "head.batch_norm = 1: expected true or false.": {"head": {"batch_norm": 1}, "phase": [PHASE]},
    "backbones.mobilenet_v2.size = '96': expected a whole number.": {
        "backbones": {"mobilenet_v2": {"size": "96"}},
        "phase": [PHASE],
    },
    "data.split = 0.8: expected a list of numbers.": {"data": {"split": 0.8}, "phase": [PHASE]},
    "data.split = 'most': expected a number.": {"data": {"split": ["most"]}, "phase": [PHASE]},
    "head.units = 256: expected a list of whole numbers.": {"head": {"units": 256}, "phase": [PHASE]},
    "head.kind = 'linaer': expected 'linear' or 'mlp'; did you mean 'linear'?": {
        "head": {"kind": "linaer"},
        "phase": [PHASE],
    },
    "data.draw = 3: expected 'auto' or 'hash' or 'stratified' or 'last'.": {"data": {"draw": 3}, "phase": [PHASE]},
    "phase.1.epochs = 0: expected at least 1.": {"phase": [{**PHASE, "epochs": 0}]},
    "phase.1.learning_rate = -0.1: expected more than 0.": {"phase": [{**PHASE, "learning_rate": -0.1}]},
    "phase.1.learning_rate = 0.0: expected more than 0.": {"phase": [{**PHASE, "learning_rate": 0}]},
    "phase.1.learning_rate = nan: expected more than 0.": {"phase": [{**PHASE, "learning_rate": nan}]},
    "phase.1.batch_size = 0: expected at least 1.": {"phase": [{**PHASE, "batch_size": 0}]},
    "phase.1.patience = -1: expected at least 0.": {"phase": [{**PHASE, "patience": -1}]},
    "phase.1.momentum = 1.5: expected between 0 and 1.": {"phase": [{**PHASE, "momentum": 1.5}]},
    "head.dropout = 2.0: expected between 0 and 1.": {"head": {"dropout": 2}, "phase": [PHASE]},
    "head.units = 0: expected at least 1.": {"head": {"units": [8, 0]}, "phase": [PHASE]},
    "training.seed = -1: expected between 0 and 4294967295.": {"training": {"seed": -1}, "phase": [PHASE]},
    "backbones.mobilenet_v2.size = 0: expected at least 1.": {
        "backbones": {"mobilenet_v2": {"size": 0}},
        "phase": [PHASE],
    },
    **{
        f"views.{key} = {value!r}: expected between {least}.": {"views": {key: value}, "phase": [PHASE]}
        for key, value, least in (
            ("count", 0, "1 and 100"),
            ("count", 101, "1 and 100"),
            ("rotation", 181.0, "0 and 180"),
            ("shift", 1.5, "0 and 1"),
            ("shear", -1.0, "0 and 45"),
            ("zoom", 0.95, "0 and 0.9"),
            ("brightness", 2.0, "0 and 1"),
            ("contrast", nan, "0 and 1"),
        )
    },
    "all phases of a run must share the same backbones and ends, but these do not: 'vgg16@pool', 'vgg19@pool'. Name the same in each phase's cut.": {  # noqa: E501
        "phase": [{"cut": "vgg16@pool"}, {"cut": "vgg19@pool"}]
    },
    "all phases of a run must share the same backbones and ends, but these do not: 'vgg16@pool', 'vgg16@input..block4_pool'. Name the same in each phase's cut.": {  # noqa: E501
        "phase": [{"cut": "vgg16@pool"}, {"cut": "vgg16@input..block4_pool"}]
    },
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_values(message):
    assert refused(WRONG[message]) == message


JOIN = {"members": ["runs/a", "runs/b"]}
BOTH = (
    "the recipe has {!r} beside 'join': a recipe either trains in phases or joins runs that are already trained. "
    "Beside 'join', only 'data' is allowed: remove one of the two."
)
WRONG_JOINS = {
    'join has no members: expected the folders of runs, as in members = ["runs/a", "runs/b"].': {"rule": "mean"},
    "join = 'runs/a': expected a table.": "runs/a",
    "join.members = 'runs/a': expected a list of texts.": {"members": "runs/a"},
    "join.members = 1: expected a text.": {"members": [1, 2]},
    "join.members = ['runs/a']: expected two runs or more.": {"members": ["runs/a"]},
    "join.members names 'runs/../runs/a' twice: expected different runs.": {"members": ["runs/a", "runs/../runs/a"]},
    "join.rule = 'weigthed': expected 'mean' or 'weighted' or 'stacked'; did you mean 'weighted'?": {
        **JOIN,
        "rule": "weigthed",
    },
    "unknown key 'member' in join; did you mean 'members'? Known keys: members, rule.": {**JOIN, "member": []},
}


@pytest.mark.parametrize("message", WRONG_JOINS)
def test_wrong_joins(message):
    assert refused({"join": WRONG_JOINS[message]}) == message


@pytest.mark.parametrize("key", ["phase", "head", "views", "training", "backbones"])
def test_a_recipe_has_phases_or_a_join(key):
    assert refused({"join": JOIN, key: [PHASE] if key == "phase" else {}}) == BOTH.format(key)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[join]\nrule = 'mean'", 1, 'join has no members: expected the folders of runs, as in members = ["runs/a", '
         '"runs/b"].'),
        ("[join]\nmembers = ['runs/a']", 2, "join.members = ['runs/a']: expected two runs or more."),
        ("[join]\nmembers = ['a', 'a']", 2, "join.members names 'a' twice: expected different runs."),
        ("[join]\nmembers = ['a', 'b']\n[head]", 3, BOTH.format("head")),
    ],
)  # fmt: skip
def test_a_wrong_join_of_a_file_is_told_with_its_line(tmp_path, text, line, message):
    (tmp_path / "join.toml").write_text(text)
    with pytest.raises(RecipeError) as error:
        Recipe.load(tmp_path / "join.toml")
    assert str(error.value) == f"{str(tmp_path / 'join.toml')!r}, line {line}: {message}"


def idle(table):
    with pytest.raises(RecipeError) as error:
        Recipe.from_mapping(table).refuse_idle()
    return str(error.value)


def test_live_views_of_one():
    assert idle({"phase": [PHASE], "views": {"mode": "live"}}) == (
        "views.mode = 'live' with views.count = 1 is no augmentation: set views.count to 2 or more (live views are "
        "drawn afresh in every epoch, whatever the count), or omit views.mode."
    )
    Recipe.from_mapping({"phase": [PHASE], "views": {"mode": "live", "count": 2}}).refuse_idle()


def test_pooling_where_there_is_no_map():
    assert idle({"phase": [PHASE], "head": {"pooling": "max"}}) == (
        "head.pooling = 'max': all cuts end in pool, which averages. End one in a map, as in "
        "resnet50@conv5_block3_out..conv5_block3_out, or set head.pooling = 'avg'."
    )
    map_too = {"cut": "vgg16@block5_pool..block5_pool + vgg19@pool"}
    Recipe.from_mapping({"phase": [map_too], "head": {"pooling": "max"}}).refuse_idle()
    Recipe.from_mapping({"phase": [PHASE], "head": {"pooling": "max", "file": "mine.keras"}}).refuse_idle()


@pytest.mark.parametrize(("table", "key"), [("head", "dropout"), ("training", "label_smoothing")])
def test_shares_that_leave_nothing(table, key):
    assert (
        idle({"phase": [PHASE], table: {key: 1.0}}) == f"{table}.{key} = 1 leaves nothing to learn from: expected less."
    )


def test_an_mlp_without_layers():
    assert idle({"phase": [PHASE], "head": {"kind": "mlp", "units": []}}) == (
        "head.units = [] leaves 'mlp' without layers: give the units of one or more, as in [256], or set "
        "head.kind = 'linear'."
    )
    Recipe.from_mapping({"phase": [PHASE], "head": {"kind": "linear", "units": []}}).refuse_idle()


def test_a_backbone_that_takes_the_place_of_another_takes_its_options():
    table = {
        "backbones": {"vgg16": {"size": 84, "resample": "nearest", "scale": "unit", "weights": "some.h5"}},
        "about": {"title": "of vgg16"},
        "phase": [{"cut": "vgg16@pool"}],
    }
    recipe = Recipe.from_mapping(table)
    changed = recipe.with_settings({"phase.1.cut": "vgg19@pool", "backbones.vgg19.scale": "own"})
    assert changed.backbones == {"vgg19": Backbone("vgg19", size=84, resample="nearest")}
    assert changed.about == About()
    both = recipe.with_settings({"phase.1.cut": "vgg16@pool + vgg19@pool"})
    assert both.backbones == {"vgg16": recipe.backbones["vgg16"], "vgg19": Backbone("vgg19")}
    assert both.about.title == "of vgg16"
    two = recipe.with_settings({"phase.1.cut": "resnet50@pool + vgg19@pool"})
    assert two.backbones == {"resnet50": Backbone("resnet50"), "vgg19": Backbone("vgg19")}


def test_phases_and_a_join_in_python():
    with pytest.raises(RecipeError) as error:
        Recipe((Phase("vgg16@pool"),), join=Join(("a", "b"))).checked()
    assert str(error.value) == BOTH.format("phase")


@pytest.mark.parametrize("rule", ["mean", "weighted", "stacked"])
def test_a_join_is_read_and_written(rule):
    recipe = Recipe(data=Data(seed=3), join=Join(("runs/a", "runs/b"), rule))
    assert Recipe.from_mapping({"data": {"seed": 3}, "join": {**JOIN, "rule": rule}}) == recipe
    assert Recipe.from_mapping(tomllib.loads(recipe.dumps())) == recipe
    assert Recipe.from_mapping({"join": JOIN}).join.rule == "mean"
    assert recipe.with_settings({"join.rule": "mean"}).join == Join(("runs/a", "runs/b"))


def test_a_cut_that_cannot_be_read():
    with pytest.raises(CutError) as error:
        Recipe.from_mapping({"phase": [{"cut": "vgg16"}]})
    assert str(error.value).startswith("cannot read 'vgg16' in the cut 'vgg16': expected BACKBONE@PLACE")


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
PLACES = st.integers(0, 999) | NAMES
COUNTS = st.integers(1, 10_000)
SHARES = st.floats(0, 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def drawn(kind, **values):
    """Return a strategy for any valid value of a part: words come from their choices, *values* give the rest."""
    words = {f.name: st.sampled_from(get_args(f.type)) for f in fields(kind) if get_origin(f.type) is Literal}
    return st.builds(kind, **words, **values)


@st.composite
def recipes(draw):
    name, end = draw(NAMES), draw(PLACES)
    term = st.builds(Term, st.just(name), PLACES, st.just(end)).map(lambda term: str(Cut((term,))))
    phase = drawn(
        Phase,
        cut=term,
        epochs=COUNTS,
        learning_rate=st.floats(0, 1e3, exclude_min=True),
        optimizer=TEXTS,
        momentum=SHARES,
        batch_size=COUNTS,
        patience=COUNTS,
    )
    backbone = drawn(Backbone, name=st.just(name), weights=TEXTS, size=st.none() | COUNTS, model=st.none() | TEXTS)
    head = drawn(Head, dropout=SHARES, batch_norm=st.booleans(), units=st.lists(COUNTS).map(tuple), activation=TEXTS)
    return Recipe(
        phases=tuple(draw(st.lists(phase, min_size=1, max_size=3))),
        data=draw(drawn(Data, split=st.tuples(SHARES, SHARES, SHARES), seed=st.integers(0, 2**32 - 1))),
        backbones={name: draw(backbone)},
        head=draw(head),
        training=draw(drawn(Training, seed=st.integers(0, 2**32 - 1), hold_out=st.booleans())),
        about=draw(st.builds(About, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)),
    )


@settings(deadline=None)
@given(recipes())
def test_toml_gives_the_recipe_back(recipe):
    assert Recipe.from_mapping(tomllib.loads(recipe.dumps())) == recipe


@settings(deadline=None, max_examples=25)
@given(recipes(), st.integers(0, 2**32 - 1))
def test_a_setting_changes_its_key_alone(recipe, seed):
    changed = recipe.with_settings({"data.seed": seed})
    assert changed.data.seed == seed
    assert changed.with_settings({"data.seed": recipe.data.seed}) == recipe


def settled(settings):
    return Recipe.from_mapping({"phase": [PHASE, PHASE]}).with_settings(settings)


def test_settings_name_tables_phases_and_backbones():
    recipe = settled({"phase.2.learning_rate": 1e-5, "head.kind": "mlp", "backbones.mobilenet_v2.size": 96})
    assert [phase.learning_rate for phase in recipe.phases] == [None, 1e-5]
    assert recipe.head.kind == "mlp"
    assert recipe.backbones["mobilenet_v2"].size == 96


SETTINGS = {
    "cannot set 'phase.3.learning_rate': the recipe has 2 phases, numbered from 1.": "phase.3.learning_rate",
    "cannot set 'phase.0.learning_rate': the recipe has 2 phases, numbered from 1.": "phase.0.learning_rate",
    "cannot set 'phase.x.learning_rate': the recipe has 2 phases, numbered from 1.": "phase.x.learning_rate",
    "cannot set 'rate': expected a key such as 'data.seed' or 'phase.1.learning_rate'.": "rate",
    "cannot set 'phase.1': expected a key such as 'data.seed' or 'phase.1.learning_rate'.": "phase.1",
    "cannot set 'data.seed.x': expected a key such as 'data.seed' or 'phase.1.learning_rate'.": "data.seed.x",
    "cannot set 'data.seed.x.y': expected a key such as 'data.seed' or 'phase.1.learning_rate'.": "data.seed.x.y",
    f"unknown key 'sed' in data; did you mean 'seed'? Known keys: {DATA_KEYS}.": "data.sed",
    "unknown key 'vgg16' in backbones. Known keys: mobilenet_v2.": "backbones.vgg16.size",
}


@pytest.mark.parametrize("message", SETTINGS)
def test_settings_that_name_nothing(message):
    with pytest.raises(RecipeError) as error:
        settled({SETTINGS[message]: 1})
    assert str(error.value) == message


SWAPPED = {"phase.1.cut": "vgg16@pool", "phase.2.cut": "vgg16@block5_conv1"}


def test_a_network_is_swapped_and_all_else_of_a_phase_stays():
    first = {**PHASE, "epochs": 3, "optimizer": "rmsprop"}
    second = {**PHASE, "cut": "mobilenet_v2@block_12_add", "learning_rate": 1e-5, "batch_norm": "train"}
    options = {"mobilenet_v2": {"size": 96}}
    recipe = Recipe.from_mapping({"phase": [first, second], "backbones": options, "head": {"kind": "mlp"}})
    changed = recipe.with_settings(SWAPPED)
    assert changed.backbones == {"vgg16": Backbone("vgg16", size=96)}
    assert changed.phases == (
        Phase("vgg16@pool", epochs=3, optimizer="rmsprop"),
        Phase("vgg16@block5_conv1", learning_rate=1e-5, batch_norm="train"),
    )
    assert changed.head == recipe.head


def test_options_of_the_network_swapped_in_are_kept():
    recipe = Recipe.from_mapping({"phase": [PHASE, PHASE]})
    changed = recipe.with_settings({"backbones.vgg16.size": 64, **SWAPPED})
    assert changed.backbones == {"vgg16": Backbone("vgg16", size=64)}


def test_options_of_a_network_that_no_cut_names_are_refused_even_so():
    recipe = Recipe.from_mapping({"phase": [PHASE, PHASE]})
    with pytest.raises(RecipeError) as error:
        recipe.with_settings({"backbones.mobilenet_v2.size": 64, **SWAPPED})
    assert str(error.value) == "unknown key 'mobilenet_v2' in backbones. Known keys: vgg16."


def test_half_a_swap_is_refused():
    with pytest.raises(RecipeError, match=r"^all phases of a run must share the same backbones and ends"):
        settled({"phase.1.cut": "vgg16@pool"})


@pytest.mark.parametrize(("key", "value"), [("phase.1.cut", 3), ("backbones.mobilenet_v2", 3)])
def test_settings_of_another_kind_are_refused(key, value):
    with pytest.raises(RecipeError, match=rf"^{key} = 3: expected a t"):
        settled({key: value})
