"""topwork: transfer learning with a pretrained network that is cut anywhere.

The layers below the cut run once per picture; the layers above it are trained.

Example:
    >>> import topwork as tw
    >>> run = tw.train("flowers/", phases=[tw.Phase("mobilenet_v2@pool", epochs=25)])  # doctest: +SKIP
    >>> predictor = run.export("flowers.onnx")  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from topwork.version import VERSION as __version__  # noqa: N811

if TYPE_CHECKING:
    from topwork.cut import Cut
    from topwork.data.dataset import Dataset, Row
    from topwork.data.quality.findings import Finding
    from topwork.data.readers import read
    from topwork.errors import TopworkError
    from topwork.networks.halves import halves
    from topwork.networks.places import cuts
    from topwork.recipes.recipe import Recipe
    from topwork.recipes.settings import Backbone, Data, Head, Join, Phase, Training, Views
    from topwork.runs.journal import Epoch
    from topwork.runs.scores import Rate, Results, Scores
    from topwork.scoring.audit.audit import AuditResult, audit
    from topwork.scoring.choosing.choice import Candidate, Choice
    from topwork.scoring.choosing.choose import choose
    from topwork.scoring.compare import Comparison, compare
    from topwork.scoring.curve import Curve, curve
    from topwork.scoring.evaluate import Evaluation
    from topwork.shipping.predictor import Guess, Predictor
    from topwork.store.activations import Activations, activations
    from topwork.training.cross_validate import Folds, cross_validate
    from topwork.training.run import Run
    from topwork.training.train import join, train

_WHERE = {
    "store.activations": ("Activations", "activations"),
    "data.quality.findings": ("Finding",),
    "scoring.audit.audit": ("AuditResult", "audit"),
    "scoring.choosing.choice": ("Candidate", "Choice"),
    "scoring.choosing.choose": ("choose",),
    "scoring.compare": ("Comparison", "compare"),
    "scoring.curve": ("Curve", "curve"),
    "scoring.evaluate": ("Evaluation",),
    "runs.journal": ("Epoch",),
    "runs.scores": ("Rate", "Results", "Scores"),
    "training.cross_validate": ("Folds", "cross_validate"),
    "cut": ("Cut",),
    "data.dataset": ("Dataset", "Row"),
    "errors": ("TopworkError",),
    "networks.halves": ("halves",),
    "networks.places": ("cuts",),
    "shipping.predictor": ("Guess", "Predictor"),
    "data.readers": ("read",),
    "recipes.recipe": ("Recipe",),
    "training.run": ("Run",),
    "recipes.settings": ("Backbone", "Data", "Head", "Join", "Phase", "Training", "Views"),
    "training.train": ("join", "train"),
}
_MODULES = {name: module for module, names in _WHERE.items() for name in names}

__all__ = ["Activations", "AuditResult", "Backbone", "Candidate", "Choice", "Comparison", "Curve", "Cut", "Data"]
__all__ += ["Dataset", "Epoch", "Evaluation", "Finding", "Folds", "Guess", "Head", "Join", "Phase", "Predictor", "Rate"]
__all__ += ["Recipe", "Results", "Row"]
__all__ += ["Run", "Scores", "TopworkError", "Training", "Views", "__version__"]
__all__ += ["activations", "audit", "choose", "compare", "cross_validate", "curve", "cuts", "halves", "join"]
__all__ += ["read", "train"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import topwork`` does not load Keras."""
    if name not in _MODULES:
        raise AttributeError(f"module 'topwork' has no attribute {name!r}")
    value = getattr(import_module(f"topwork.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
