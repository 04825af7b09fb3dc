"""topwork's texts for users, as text files that a reviewer can compare before and after a rewording.

A file for each folder of topwork holds the texts in its source, in source order: errors, lines of progress, options,
tables and notes; ``{expression}`` marks a value that a sentence fills in. ``help.txt`` holds ``--help``.
``python -m tests.wordings --write`` writes the files again.
"""

import ast
import re
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

from typer.main import get_command
from typer.testing import CliRunner

import topwork
from tests import PROJECT
from topwork import errors
from topwork.commands.cli import app

ROOT, KEPT = Path(topwork.__file__).parent, PROJECT / "tests" / "wordings"
AREAS = ("top", "system", "recipes", "data", "networks", "store", "runs", "scoring", "shipping", "training", "commands")
SPOKEN = {name for name in vars(errors) if isinstance(getattr(errors, name), type)} | {"say", "help"}
"""The names that take texts for users, even single words; elsewhere only a string with a space is a text."""
NO_TEXTS = {"execute", "compile", "sub", "startswith"}
"""The names that take SQL or patterns."""


class Texts(ast.NodeVisitor):
    """Collects a source's texts, each after the name that takes or makes it: ``RunError: no folder {path!r}.``"""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.name = ""

    def visit_under(self, name: str, *nodes: ast.AST) -> None:
        """Visit nodes that belong to a name."""
        before, self.name = self.name, name
        for node in nodes:
            self.visit(node)
        self.name = before

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # not a docstring
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.visit_under(node.name, *node.decorator_list, node.args, *node.body)  # not the return type

    def visit_arg(self, node: ast.arg) -> None:
        if not isinstance(node.annotation, ast.Constant):  # a type in quotes
            self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit_under(ast.unparse(node.targets[0]), node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit_under(ast.unparse(node.target), node.value)

    def visit_Call(self, node: ast.Call) -> None:
        self.visit(node.func)
        name = ast.unparse(node.func).rpartition(".")[2]
        if name == "either":
            self.found.append(f"{self.name}: {' | '.join(shown(one) or written(one) for one in node.args)}")
        elif name not in NO_TEXTS:
            self.visit_under(name, *node.args[:1])
            self.visit_under(f"{name},", *node.args[1:], *node.keywords)

    def visit_keyword(self, node: ast.keyword) -> None:
        self.visit_under(node.arg or self.name, node.value)

    def visit_text(self, node: ast.expr) -> None:
        """Record the text that a complete expression makes; if it makes none, visit the expressions within it."""
        said = shown(node)
        if said is None:
            return self.generic_visit(node)
        words = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if any(re.search("[a-z]", word) and (" " in word or self.name in SPOKEN) for word in words):
            self.found.append(f"{self.name}: {said}")

    visit_Constant = visit_JoinedStr = visit_BinOp = visit_IfExp = visit_text  # noqa: N815


class Shown(ast.NodeTransformer):
    """Rewrites the f-strings within an expression, so that every Python version prints them alike."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.Name:
        return ast.Name(f'"{shown(node)}"')


def shown(node: ast.expr) -> str | None:
    """Return an expression's text, with ``{expression}`` for each value filled in, or `None` if it makes no text."""
    match node:
        case ast.Constant(value=str(text)):
            return text.replace("\n", "\\n")
        case ast.JoinedStr(values=parts):
            return "".join(str(shown(part)) for part in parts)
        case ast.FormattedValue(value=value, conversion=how, format_spec=spec):
            kind = f"!{chr(how)}" if how > 0 else ""
            return f"{{{written(value)}{kind}{f':{shown(spec)}' if spec else ''}}}"
        case ast.BinOp(left=left, op=ast.Add(), right=right) if shown(left) is not None or shown(right) is not None:
            return "".join(f"{{{written(side)}}}" if (text := shown(side)) is None else text for side in (left, right))
        case ast.IfExp(body=body, orelse=other) if shown(body) is not None and shown(other) is not None:
            return f"{{{written(node)}}}"
    return None


def written(node: ast.expr) -> str:
    """Return an expression as one line of source."""
    return ast.unparse(Shown().visit(deepcopy(node)))


def texts(area: str) -> Iterator[str]:
    """Yield the lines of an area's file."""
    for path in sorted(ROOT.glob("*.py") if area == "top" else (ROOT / area).rglob("*.py")):
        visitor = Texts()
        visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
        if visitor.found:
            yield from (f"# {path.relative_to(ROOT)}", *visitor.found, "")


def helps() -> Iterator[str]:
    """Yield ``--help`` of topwork, of each command and of the commands below it, 80 columns wide."""
    waiting = [((), get_command(app))]
    while waiting:
        words, command = waiting.pop(0)
        told = CliRunner().invoke(app, [*words, "--help"], prog_name="topwork", terminal_width=80)
        yield from (f"$ {' '.join(('topwork', *words))} --help", *told.stdout.splitlines(), "")
        waiting = [((*words, name), below) for name, below in getattr(command, "commands", {}).items()] + waiting


def wordings() -> dict[str, str]:
    """Return the content that each file must have."""
    found = {area: texts(area) for area in AREAS} | {"help": helps()}
    return {f"{name}.txt": "\n".join(lines) for name, lines in found.items()}


if __name__ == "__main__":
    assert sys.argv[1:] == ["--write"], "python -m tests.wordings --write"
    KEPT.mkdir(exist_ok=True)
    for name, text in wordings().items():
        (KEPT / name).write_text(text, encoding="utf-8")
