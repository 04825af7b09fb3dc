"""How functions are cut: ``python -m tests.shape`` prints their median length, and how many serve one caller alone.

A body's lines are counted without its docstring; a function that is a docstring alone has no body. A function serves
its module alone where no other module of topwork names it. Its callers are the functions that call it; the statements
of the module itself count as one. To pass a function on as a value is not to call it.
"""

import ast
from pathlib import Path
from statistics import median

import topwork


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
    """Every function and method, inner ones too."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def lines(function: ast.FunctionDef) -> int:
    """How many lines its body has, less the docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def named(node: ast.AST) -> set[str]:
    """Every name, attribute and import below a node."""
    fields = {ast.Name: "id", ast.Attribute: "attr", ast.alias: "name"}
    return {getattr(one, fields[type(one)]) for one in ast.walk(node) if type(one) in fields}


def called(node: ast.AST) -> set[str]:
    """The name of each function that is called below a node, and every attribute, as properties are read so."""
    calls = {getattr(one.func, "id", "") for one in ast.walk(node) if isinstance(one, ast.Call)}
    return calls | {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}


def callers(function: ast.FunctionDef, tree: ast.Module) -> int:
    """How many functions of a module call one, the rest of the module counted as one more."""
    rest = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    inside = [function.name in called(one) for one in functions(tree) if one is not function]
    return sum(inside) + any(function.name in called(node) for node in rest)


def measure() -> tuple[float, list[int]]:
    """The median length of all, and the number of callers of each function that serves its module alone."""
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
