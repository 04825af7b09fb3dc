"""How the code is cut into functions: ``python -m tests.shape`` prints median length, and how many have one caller.

A body's lines are counted without its docstring; a function that has only a docstring has no body. A function serves
only its module if no other module of topwork names it. Its callers are the functions that call it; all statements
outside functions count as one caller. Passing a function on as a value is not a call.
"""

import ast
from pathlib import Path
from statistics import median

import topwork


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
    """Return all functions and methods, inner ones too."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def lines(function: ast.FunctionDef) -> int:
    """Return the number of lines in a function's body, without the docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def named(node: ast.AST) -> set[str]:
    """Return every name, attribute and import below a node."""
    fields = {ast.Name: "id", ast.Attribute: "attr", ast.alias: "name"}
    return {getattr(one, fields[type(one)]) for one in ast.walk(node) if type(one) in fields}


def called(node: ast.AST) -> set[str]:
    """Return the names of all functions called below a node, and all attributes, because some are properties."""
    calls = {getattr(one.func, "id", "") for one in ast.walk(node) if isinstance(one, ast.Call)}
    return calls | {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}


def callers(function: ast.FunctionDef, tree: ast.Module) -> int:
    """Return how many functions of a module call one function; the rest of the module counts as one more."""
    rest = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    inside = [function.name in called(one) for one in functions(tree) if one is not function]
    return sum(inside) + any(function.name in called(node) for node in rest)


def measure() -> tuple[float, list[int]]:
    """Return the functions' median length, and the number of callers of each that serves only its module."""
    paths = sorted(Path(topwork.__file__).parent.rglob("*.py"))
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
    names = [(tree, named(tree)) for tree in trees]
    counts = []
    for tree in trees:
        elsewhere = set().union(*(some for other, some in names if other is not tree))
        counts += [callers(one, tree) for one in functions(tree) if one.name not in elsewhere]
    return median(filter(None, (lines(one) for tree in trees for one in functions(tree)))), counts


if __name__ == "__main__":
    length, counts = measure()
    share = 100 * counts.count(1) / len(counts)
    print(f"median body: {length:g} lines")
    print(f"functions that no other module names: {len(counts)}, with one caller: {counts.count(1)} ({share:.0f} %)")
