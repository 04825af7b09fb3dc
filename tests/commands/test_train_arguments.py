"""The arguments of ``topwork train`` become a recipe."""

import pytest

from tests import checkpoint
from topwork.commands.train_arguments import Words
from topwork.errors import RecipeError, UsageError, WeightsError
from topwork.networks.weights import official
from topwork.recipes import library
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import About, Backbone, Data, Head, Join, Phase
from topwork.system.advice import at_command_line
from topwork.system.messages import counted


@pytest.fixture(autouse=True)
def as_a_command():
    with at_command_line():
        yield


TWO = ["vgg16@pool", "vgg16@block5_conv1"]


def worded(
    file=None,
    cuts=(),
    epochs=(),
    rates=(),
    head=None,
    views=None,
    weights=None,
    size=None,
    settings=(),
    **more,
):
    return Words(file, list(cuts), list(epochs), list(rates), head, views, weights, size, list(settings), **more)


def made(*args, **words):
    return worded(*args, **words).recipe()


@pytest.fixture
def file(tmp_path):
    table = {
        "head": {"kind": "mlp"},
        "backbones": {"resnet50": {"size": 96}},
        "phase": [{"cut": "resnet50@pool", "epochs": 3}, {"cut": "resnet50@conv4_block6_out", "epochs": 4}],
    }
    (tmp_path / "some.toml").write_text(Recipe.from_mapping(table).dumps())
    return tmp_path / "some.toml"


def test_one_cut_a_phase():
    assert made(cuts=TWO) == Recipe((Phase(TWO[0]), Phase(TWO[1])), backbones={"vgg16": Backbone("vgg16")})


def test_the_kth_value_belongs_to_the_kth_cut():
    phases = made(cuts=TWO, epochs=[5, 10], rates=[1e-3, 1e-5]).phases
    assert [(phase.epochs, phase.learning_rate) for phase in phases] == [(5, 1e-3), (10, 1e-5)]


def test_one_value_serves_all():
    phases = made(cuts=TWO, epochs=[7], rates=[0.5]).phases
    assert [(phase.epochs, phase.learning_rate) for phase in phases] == [(7, 0.5), (7, 0.5)]


def test_epochs_on_the_command_line_replace_a_solution_in_the_file(tmp_path):
    file = tmp_path / "solved.toml"
    file.write_text(f'[[phase]]\ncut = "{TWO[0]}"\noptimizer = "lbfgs"\n')
    assert made(file).phases[0].optimizer == "lbfgs"
    for words in ({"epochs": [2]}, {"rates": [1e-4]}):
        (phase,) = made(file, **words).phases
        assert (phase.optimizer, phase.is_solved) == ("auto", False)
    file.write_text(f'[[phase]]\ncut = "{TWO[0]}"\noptimizer = "sgd"\n')
    assert made(file, epochs=[2]).phases[0].optimizer == "sgd"


@pytest.mark.parametrize(("cuts", "epochs"), [(TWO, [1, 2, 3]), (TWO[:1], [1, 2]), ([*TWO, TWO[1]], [1, 2])])
def test_values_that_fit_no_cuts(cuts, epochs):
    with pytest.raises(UsageError) as error:
        made(cuts=cuts, epochs=epochs)
    assert str(error.value) == (
        f"{len(epochs)} values of --epochs for {counted(len(cuts), 'phase')}: expected one, or one for each --cut."
    )


def test_a_file_alone_is_the_recipe(file):
    assert made(file) == Recipe.load(file)


def test_values_without_cuts_change_the_phases_of_the_file(file):
    phases = made(file, rates=[0.1, 0.2]).phases
    assert [(phase.epochs, phase.learning_rate) for phase in phases] == [(3, 0.1), (4, 0.2)]


def test_cuts_replace_all_phases_of_the_file(file):
    changed = made(file, cuts=["resnet50@pool"])
    assert changed.phases == (Phase("resnet50@pool"),)
    assert (changed.backbones["resnet50"].size, changed.head.kind) == (96, "mlp")


def test_a_recipe_with_other_cuts_or_another_network_is_another_system(capsys):
    assert made("inception_v3_two_phase", epochs=[2]).about.title
    swap = ["phase.1.cut=vgg16@pool", "phase.2.cut=vgg16@block5_conv1"]
    assert made("inception_v3_two_phase", settings=swap).about == About()
    assert capsys.readouterr().err == ""
    assert made("inception_v3_two_phase", cuts=["inception_v3@pool"]).about == About()
    assert capsys.readouterr().err == (
        "--cut replaces the 2 phases of 'inception_v3_two_phase' with all settings. To keep their other "
        "settings, use --set phase.1.cut=CUT, and the same for each phase.\n"
    )


def test_the_head_goes_first_before_cuts_alone(file):
    assert worded(cuts=TWO).head_first and worded(file, cuts=["resnet50@input"]).head_first
    assert not worded(cuts=TWO, no_head_first=True).head_first
    assert not worded(file).head_first and not worded().head_first
    assert not worded(file, settings=["phase.1.cut=resnet50@input"]).head_first


def test_cuts_of_another_backbone_leave_that_of_the_file(file):
    changed = made(file, cuts=TWO[:1], size=64)
    assert changed.backbones == {"vgg16": Backbone("vgg16", size=64)}
    assert changed.head == Head("mlp")


def test_weights_and_size_are_those_of_the_backbone(file):
    assert made(file, weights="random", size=64).backbones == {
        "resnet50": Backbone("resnet50", weights="random", size=64)
    }


def test_weights_for_two_backbones():
    with pytest.raises(UsageError) as error:
        made(cuts=["vgg16@pool + vgg19@pool"], weights="random")
    assert str(error.value) == (
        "--weights and --size apply to one backbone, but the cuts name 2: use a recipe, "
        "or --set backbones.NAME.weights=random."
    )


SWAP = ["phase.1.cut=vgg16@pool", "phase.2.cut=vgg16@block5_conv1"]


def test_weights_and_size_are_those_of_the_network_swapped_in(file):
    changed = made(file, weights="random", size=64, settings=[*SWAP, "backbones.vgg16.fit=pad"])
    assert changed.backbones == {"vgg16": Backbone("vgg16", weights="random", size=64, fit="pad")}
    assert [(phase.cut, phase.epochs) for phase in changed.phases] == [("vgg16@pool", 3), ("vgg16@block5_conv1", 4)]
    assert changed.head == Head("mlp")


def test_a_setting_is_stronger_than_a_word(file):
    changed = made(file, weights="random", settings=["backbones.resnet50.weights=imagenet"])
    assert changed.backbones["resnet50"].weights == "imagenet"


def test_a_recipe_by_name():
    assert made("inception_v3_two_phase") == library.recipe("inception_v3_two_phase")
    changed = made("inception_v3_two_phase", cuts=["inception_v3@mixed7"], size=150)
    assert changed.phases == (Phase("inception_v3@mixed7"),)
    assert (changed.backbones["inception_v3"].size, changed.head.units) == (150, (1024,))


def test_a_name_of_no_recipe():
    with pytest.raises(UsageError, match=r"^no recipe 'two_phase'"):
        made("two_phase")


def test_a_head_is_named(file):
    assert made(file, head="linear").head == Head("linear")
    with pytest.raises(RecipeError) as error:
        made(file, head="linaer")
    assert str(error.value) == "head.kind = 'linaer': expected 'linear' or 'mlp'; did you mean 'linear'?"


def test_weights_without_a_cut_are_those_of_the_default():
    changed = made(weights="random", size=96, epochs=[2])
    assert changed.phases == (Phase("efficientnet_lite0@pool", epochs=2),)
    assert changed.backbones == {"efficientnet_lite0": Backbone("efficientnet_lite0", weights="random", size=96)}


def test_nothing_at_all_is_the_default_network_and_says_so(capsys, tmp_path, monkeypatch):
    checkpoint.package(tmp_path, monkeypatch, {})
    changed = made()
    assert changed.phases == (Phase("efficientnet_lite0@pool"),)
    assert changed.backbones["efficientnet_lite0"].weights == "imagenet"
    assert capsys.readouterr().err == "Backbone: efficientnet_lite0 with ImageNet weights, the default.\n"


def test_random_weights_are_taken_only_where_they_are_asked_for(no_package, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="Three ways to continue"):
        made()
    with pytest.raises(WeightsError, match="Three ways to continue"):
        made(weights="imagenet")


def test_a_weights_file_alone_names_its_network(tmp_path, capsys):
    named = tmp_path / "mobilenet_1_0_224_tf_no_top.h5"
    named.touch()
    other = checkpoint.write(tmp_path / "other.pth", checkpoint.lite0())
    for file, name in ((named, "mobilenet"), (other, "efficientnet_lite0")):
        changed = made(weights=str(file))
        assert changed.phases == (Phase(f"{name}@pool"),)
        assert changed.backbones == {name: Backbone(name, weights=str(file))}
        assert capsys.readouterr().err == f"Backbone: {name} with the weights of {file}.\n"


def test_a_weights_file_that_does_not_tell_its_network(tmp_path):
    (tmp_path / "mine.h5").write_bytes(b"abc")
    with pytest.raises(UsageError) as error:
        made(weights=str(tmp_path / "mine.h5"))
    assert str(error.value) == (
        f"--weights {tmp_path}/mine.h5: neither the file's name nor its content shows which network it is for. "
        f"Name the network: --cut mobilenet_v2@pool --weights {tmp_path}/mine.h5 (topwork backbones lists them)."
    )


def test_weights_that_are_no_file():
    with pytest.raises(UsageError) as error:
        made(weights="imagnet")
    assert str(error.value) == (
        "--weights imagnet: no such file; expected 'imagenet', 'random', or the path of a file; did you mean "
        "'imagenet'?"
    )


MEMBERS = 'join.members=["runs/a", "runs/b"]'


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        ("phase.1.epoch=1", "unknown key 'epoch' in phase.1; did you mean 'epochs'? Known keys: "),
        ("head.dropout=2", "head.dropout = 2.0: expected between 0 and 1."),
    ],
)
def test_a_wrong_setting_is_told_before_a_network_is_looked_for(setting, error, monkeypatch):
    monkeypatch.setattr(official, "default", lambda: pytest.fail("it was looked for"))
    with pytest.raises(RecipeError) as told:
        made(settings=[setting])
    assert str(told.value).startswith(error)


def test_a_join_needs_settings_alone(tmp_path):
    expected = Recipe(data=Data(seed=3), join=Join(("runs/a", "runs/b"), "weighted"))
    assert made(settings=[MEMBERS, "join.rule=weighted", "data.seed=3"]) == expected
    (tmp_path / "join.toml").write_text(expected.dumps())
    assert made(tmp_path / "join.toml") == expected
    assert made(tmp_path / "join.toml", settings=["join.rule=mean"]).join.rule == "mean"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("cut", {"cuts": TWO}),
        ("epochs", {"epochs": [3]}),
        ("learning-rate", {"rates": [0.1]}),
        ("head", {"head": "mlp"}),
        ("views", {"views": 2}),
        ("weights", {"weights": "random"}),
        ("size", {"size": 64}),
        ("no-head-first", {"no_head_first": True}),
    ],
)
def test_a_join_hears_nothing_of_training(option, words):
    with pytest.raises(UsageError) as error:
        made(settings=[MEMBERS], **words)
    assert str(error.value) == f"a join uses runs as they were trained: omit --{option}, or join.members."


def test_phases_of_a_file_and_a_join(file):
    with pytest.raises(RecipeError, match="the recipe has 'views' beside 'join'"):
        made(file, settings=[MEMBERS])


def test_settings_are_toml_or_text():
    words = ["data.split=[0.5, 0.25, 0.25]", "training.hold_out=false", "phase.2.learning_rate=1e-5", "head.kind=mlp"]
    changed = made(cuts=TWO, settings=[*words, "head.activation=", "backbones.vgg16.weights=a=b.h5"])
    assert changed.data.split == (0.5, 0.25, 0.25)
    assert changed.training.hold_out is False
    assert changed.phases[1].learning_rate == 1e-5
    assert (changed.head.kind, changed.head.activation) == ("mlp", "")
    assert changed.backbones["vgg16"].weights == "a=b.h5"


def test_a_setting_without_a_value():
    with pytest.raises(UsageError) as error:
        made(cuts=TWO, settings=["data.seed"])
    assert str(error.value) == "--set 'data.seed': expected KEY=VALUE, as in --set phase.1.learning_rate=1e-4."


def test_a_setting_of_nothing():
    with pytest.raises(RecipeError) as error:
        made(cuts=TWO, settings=["phase.3.learning_rate=1"])
    assert str(error.value) == "cannot set 'phase.3.learning_rate': the recipe has 2 phases, numbered from 1."
