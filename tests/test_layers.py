"""Who imports whom: from one's own level or a lower one, in no circle; and nothing heavy before it is needed."""

import ast
import shlex
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import topwork

ROOT = Path(topwork.__file__).parent
LEVELS = (
    "errors version talk printing backend lean gpu home machine keras_settings text threads",
    "cut lines strict graph numbered labels dataset parts splits folds metrics settings recipe logme probe join gap"
    " gallery hashes confusion intervals hints journal chance",
    "hold registry book own tables store tree listing arrays idx frames readers pictures views weights folder exam"
    " kept part sample checkpoints trainable resumable members efficientnet_lite0 efficientnet_lite0_weights"
    " torch_checkpoint facts near origin",
    "backbones fingerprints official replay untrained pretrained lock halves heads network joined callbacks feed"
    " stream depthwise live optimizers precision phase trunk runtimes runtimes.pixels runtimes.keras runtimes.layout"
    " runtimes.openvino names idle",
    "fill extract gather plan contents needs inventory prune sound verify doctor worker finished evaluate compare"
    " plots draw writer export shipped predict asked inherit joining course run train crossvalidate activations"
    " candidates choice choose phases trial moved",
    "show arguments",
    "commands commands.options commands.train commands.read commands.extract commands.evaluate commands.compare"
    " commands.export commands.predict commands.backbones commands.recipes commands.sample commands.choose"
    " commands.store commands.doctor commands.weights",
    "cli __main__ __init__",
)
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names.split()}
HEAVY = {"keras", "tensorflow", "sklearn", "scipy", "matplotlib", "openvino", "onnx", "onnxruntime", "lmdb", "PIL"}
HEAVY |= {"pandas", "pyarrow", "pydantic"}


def name_of(path):
    """The module's name below topwork: ``runtimes.keras``; ``__init__`` is the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imported(source):
    """The modules of topwork that a source imports, at its top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {known(name) for name in found if name.split(".")[0] == "topwork"}


def known(name):
    """``topwork.cut.Cut`` is in the module ``cut``; what stands in no module is in the package itself."""
    parts = name.split(".")[1:]
    while parts and ".".join(parts) not in MODULES:
        parts.pop()
    return ".".join(parts) or "__init__"


IMPORTS = {name: imported(path.read_text()) for name, path in MODULES.items()}


def test_what_is_imported_is_found():
    within = "def f():\n  from topwork.runtimes.keras import Keras"
    source = f"import topwork.cut\nfrom topwork import backbones as b, Run\n{within}"
    assert imported(source) == {"cut", "backbones", "__init__", "runtimes.keras"}
    assert {"cut", "errors"} <= IMPORTS["graph"]


def test_every_module_has_a_level():
    assert MODULES.keys() == LEVEL.keys()


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_from_its_own_level_or_lower(name):
    above = {other for other in IMPORTS[name] if LEVEL[other] > LEVEL[name]}
    assert not above, f"{name} (level {LEVEL[name]}) imports {above}"


def test_no_imports_go_in_a_circle():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("words", ["-c 'import topwork'", "-m topwork --help", "-m topwork train --help"])
def test_nothing_heavy_is_loaded_before_it_is_needed(words):
    command = [sys.executable, "-X", "importtime", *shlex.split(words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "topwork.version" in loaded
    assert not loaded & HEAVY
