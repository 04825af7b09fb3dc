"""Import order: a folder imports only from those before it, without circles; heavy packages load when needed."""

import ast
import shlex
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import topwork

ROOT = Path(topwork.__file__).parent
ORDER = (
    "errors version",
    "cut system",
    "recipes",
    "data",
    "networks",
    "store",
    "runs",
    "scoring",
    "shipping",
    "training",
    "commands",
    "__init__ __main__",
)
PLACE = {folder: number for number, folders in enumerate(ORDER) for folder in folders.split()}
HEAVY = {"keras", "tensorflow", "sklearn", "scipy", "matplotlib", "openvino", "onnx", "onnxruntime", "lmdb", "PIL"}
HEAVY |= {"pandas", "pyarrow", "pydantic"}


def name_of(path):
    """Return the module's name below topwork: ``runtimes.keras``; ``__init__`` is the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imported(source):
    """Return the modules of topwork that a source imports, at its top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {known(name) for name in found if name.split(".")[0] == "topwork"}


def known(name):
    """Return a name's module: ``topwork.cut.Cut`` is in ``cut``; a name in no module is in the package itself."""
    parts = name.split(".")[1:]
    while parts and ".".join(parts) not in MODULES:
        parts.pop()
    return ".".join(parts) or "__init__"


def folder_of(name):
    return name.partition(".")[0]


IMPORTS = {name: imported(path.read_text()) for name, path in MODULES.items()}


def test_what_is_imported_is_found():
    within = "def f():\n  from topwork.store.runtimes.keras import Keras"
    source = (
        f"import topwork.cut\nfrom topwork.networks.backbones import catalogue as b; from topwork import Run\n{within}"
    )
    assert imported(source) == {"cut", "networks.backbones.catalogue", "__init__", "store.runtimes.keras"}
    assert {"cut", "errors"} <= IMPORTS["networks.graph"]


@pytest.mark.parametrize("name", [name for name in MODULES if folder_of(name) in PLACE])
def test_a_folder_imports_only_from_those_before_it(name):
    found = {other for other in IMPORTS[name] if folder_of(other) != folder_of(name)}
    after = {other for other in found if PLACE.get(folder_of(other), -1) >= PLACE[folder_of(name)]}
    assert not after


def test_no_imports_go_in_a_circle():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' <- '.join(error.args[1])}")


def test_nothing_is_mocked_but_in_tests():
    assert not [name for name, path in MODULES.items() if "unittest" in path.read_text()]


def test_each_folder_holds_few_modules():
    folders = {path.parent for path in MODULES.values()} - {ROOT, ROOT / "commands"}
    crowded = {str(folder): count for folder in folders if (count := len([*folder.glob("*.py")]) - 1) > 12}
    assert not crowded
    assert {path.stem for path in ROOT.glob("*.py")} == {"__init__", "__main__", "errors", "version", "cut"}


def test_each_folder_says_what_it_is_for():
    packages = [path for name, path in MODULES.items() if path.name == "__init__.py" and name != "__init__"]
    assert len(packages) > 10
    for path in packages:
        assert ast.get_docstring(ast.parse(path.read_text())), path


@pytest.mark.parametrize("words", ["-c 'import topwork'", "-m topwork --help", "-m topwork train --help"])
def test_nothing_heavy_is_loaded_before_it_is_needed(words):
    command = [sys.executable, "-X", "importtime", *shlex.split(words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "topwork.version" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize(
    "module",
    ["training.train", "training.cross_validate", "shipping.export", "scoring.evaluate", "store.activations"],
)
def test_words_can_be_checked_and_a_run_folder_made_before_keras_is_imported(module):
    code = f"import sys, topwork.{module}; print(sorted({{'keras', 'tensorflow'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
