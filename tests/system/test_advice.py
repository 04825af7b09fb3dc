"""Advice uses its reader's words: those of Python for a caller, those of the command line for a user of a command."""

import pytest

import topwork as tw
from tests.command import SMALL, Ran, topwork
from topwork.errors import CutError, UsageError
from topwork.system.advice import at_command_line, either, is_command, resuming


def test_a_command_is_under_way_until_it_ends_whatever_ends_it():
    assert not is_command()
    with at_command_line():
        assert is_command()
        with at_command_line(False):
            assert either("out", "--out") == "out"
        assert either("out", "--out") == "--out"
    with pytest.raises(KeyError), at_command_line():
        raise KeyError
    assert not is_command()
    assert topwork("recipes", "none").status == 2
    assert not is_command()


def test_how_to_go_on():
    assert resuming("r", "Folds", "NEWPLACE") == "topwork.Folds('r').resume(NEWPLACE)"
    with at_command_line():
        assert resuming("r", "Folds", "NEWPLACE") == "topwork train --resume r --data NEWPLACE"


def test_what_the_process_beside_says_is_in_those_words_too(pictures, own_home):
    """No graph is known here, so the worker opens the network and refuses the place."""
    backbone = tw.Backbone("mobilenet_025", "random", 32)
    with pytest.raises(CutError, match=r" topwork\.cuts\('mobilenet_025'\) lists its places\.$"):
        tw.activations(pictures, "mobilenet_025@block", backbone=backbone)


@pytest.mark.full
def test_a_command_gets_them_as_a_command(pictures, own_home):
    ran = topwork("extract", pictures, "mobilenet_v2_035@block", *SMALL)
    assert ran.status == 2
    assert ran.err.endswith(" 'topwork backbones mobilenet_v2_035' lists its places.\n")


def test_a_folder_that_is_there_is_named_by_parameter_or_by_option(pictures, tmp_path):
    told = f"'{tmp_path}' exists already, and a run is never overwritten. Choose another "
    with pytest.raises(tw.TopworkError) as error:
        tw.train(
            pictures,
            phases=[tw.Phase("mobilenet_v2_035@pool")],
            backbones=[tw.Backbone("mobilenet_v2_035", "random", 32)],
            out=tmp_path,
        )
    assert str(error.value) == f"{told}out, or remove it."
    ran = topwork("train", pictures, "--cut", "mobilenet_v2_035@pool", *SMALL, "--out", tmp_path)
    assert ran == Ran(1, "", f"RunError: {told}--out, or remove it.\n")


def test_folds_and_a_parent_go_by_what_they_are_called(pictures, tmp_path):
    with pytest.raises(UsageError, match=r"^a cross-validation tests every picture once, and parent keeps"):
        tw.cross_validate(pictures, 3, parent="run")
    (tmp_path / "run").mkdir()
    ran = topwork("train", pictures, "--recipe", "resnet50_flowers", "--folds", 3, "--from", tmp_path / "run")
    assert ran.err.startswith("UsageError: --folds tests every picture once, and --from keeps")
