"""The examples at the end of each ``--help`` are commands that exist, with options that exist."""

import shlex

import pytest
import typer.main

from tests.command import topwork
from topwork.commands.cli import app
from topwork.commands.examples import EXAMPLES

GROUP = typer.main.get_command(app)


def test_every_command_has_two():
    assert EXAMPLES.keys() == set(GROUP.commands)
    assert {len(lines) for lines in EXAMPLES.values()} == {2}


@pytest.mark.parametrize("line", sorted({line for lines in EXAMPLES.values() for line in lines}))
def test_it_can_be_parsed(line):
    name, *words = shlex.split(line)
    assert name == "topwork"
    command = GROUP
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    context = command.context_class(command, info_name="topwork")
    left, unknown, _ = command.make_parser(context).parse_args(words)
    required = [one for one in command.params if one.param_type_name == "argument" and one.required]
    assert all(left.get(one.name) for one in required)
    assert not unknown


@pytest.mark.parametrize("name", EXAMPLES)
def test_help_ends_with_them(name):
    assert topwork(name, "--help").out.splitlines()[-2:] == [f"    {line}" for line in EXAMPLES[name]]
