"""How functions are cut: ``python -m tests.shape`` prints their median length, and how many serve one caller alone.

A body's lines are counted without its docstring. A function is used outside its module if another module of topwork
names it; callers are the functions of its own module that name it, and the module's own statements count as one.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import topwork

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> list[Function]:
    """Every function and method, inner ones too."""
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def lines(function: Function) -> int:
    """How many lines its body has, less the docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def named(node: ast.AST) -> Iterator[str]:
    """Every name and attribute that is read below a node."""
    for one in ast.walk(node):
        if isinstance(one, ast.Name | ast.Attribute):
            yield one.id if isinstance(one, ast.Name) else one.attr
        elif isinstance(one, ast.alias):
            yield one.name


def callers(function: Function, tree: ast.Module) -> int:
    """How many functions of a module, and whether the rest of it, name one."""
    others = [set(named(one)) for one in functions(tree) if one is not function]
    inside = sum(function.name in names for names in others)
    outer = [node for node in tree.body if not isinstance(node, Function | ast.ClassDef)]
    return inside + any(function.name in set(named(node)) for node in outer)


def measure() -> tuple[float, int, int]:
    """The median length; how many functions serve their own module alone; how many of these have one caller."""
    folder = Path(topwork.__file__).parent
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.py"))}
    names = {path: set(named(tree)) for path, tree in trees.items()}
    own = [
        (function, tree)
        for path, tree in trees.items()
        for function in functions(tree)
        if not any(function.name in used for other, used in names.items() if other != path)
    ]
    counts = [callers(function, tree) for function, tree in own]
    called = [count for count in counts if count]  # the others are called by Python, Keras or a user
    return median(lines(one) for tree in trees.values() for one in functions(tree)), len(called), called.count(1)


if __name__ == "__main__":
    length, alone, single = measure()
    print(f"median body: {length:g} lines")
    print(f"functions that no other module uses: {alone}, with one caller: {single} ({100 * single / alone:.0f} %)")
