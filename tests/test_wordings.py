"""topwork's texts for users are those in tests/wordings, so that a diff shows each changed text before and after."""

import ast
from difflib import unified_diff
from importlib.metadata import version

import pytest

from tests import PROJECT
from tests.wordings import KEPT, Texts, wordings

NOW = wordings()


@pytest.mark.parametrize("name", NOW)
def test_what_is_said_is_what_was_reviewed(name):
    if name == "help.txt" and f"typer=={version('typer')}\n" not in (PROJECT / "constraints.txt").read_text():
        pytest.skip("another version of typer lays help out otherwise")
    kept = (KEPT / name).read_text(encoding="utf-8")
    changes = "\n".join(unified_diff(kept.splitlines(), NOW[name].splitlines(), "kept", "now", n=0, lineterm=""))
    assert kept == NOW[name], f"{changes}\nIf that is meant: python -m tests.wordings --write"


def test_no_file_is_left_from_an_area_that_is_gone():
    assert {path.name for path in KEPT.iterdir()} == set(NOW)


def texts(source):
    visitor = Texts()
    visitor.visit(ast.parse(source))
    return visitor.found


def test_texts_are_whole_sentences_with_what_fills_them_in():
    source = """
def f(path: "str | None", many: int) -> "str | None":
    '''A docstring.'''
    raise RunError(f"{path!r} has " + f"{many:,} of {', '.join(f'<{x} y>' for x in z)}.", "a.key")
"""
    assert texts(source) == ["RunError: {path!r} has {many:,} of {', '.join((\"<{x} y>\" for x in z))}."]


def test_texts_of_helpers_are_found_whatever_takes_them_and_choices_show_both_ways():
    source = """
MEND = "Do so."
def why(one):
    yield "the first"
    told = f"{one} is" if one else "None"
    return told + " wrong."
x = typer.Option(metavar="N", help="Words.")
run.execute("SELECT a FROM b"), re.compile("(a b)")
say("Stopped.")
flag = either("out", f"--{out}")
"""
    assert texts(source) == [
        "MEND: Do so.",
        "why: the first",
        "told: {\"{one} is\" if one else 'None'}",
        "why: {told} wrong.",
        "help: Words.",
        "say: Stopped.",
        "flag: out | --{out}",
    ]


def test_help_is_as_wide_as_80_columns_whatever_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert wordings()["help.txt"] == NOW["help.txt"]
    assert max(map(len, NOW["help.txt"].splitlines())) <= 80
