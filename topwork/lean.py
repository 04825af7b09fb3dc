"""Import Keras without what it imports for others: for processes that are topwork's own (command line and worker).

Keras 3.15 imports scikit-learn for ``keras.wrappers`` and pyplot for ``keras.visualization`` wherever they are
installed, and its OpenVINO backend imports ``scipy.signal`` for one function, ``stft``. Hidden meanwhile, they leave
the import of Keras at 2.4 s instead of 3.4 with TensorFlow and at 0.45 s instead of 1.9 with OpenVINO (docs/log.md,
2026-11-23).
"""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from topwork import backend, keras_settings

DRAWING = {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}
"""What lets matplotlib draw into files, and without settings of the user's, in processes that are topwork's own."""

_HIDDEN = ("sklearn", "matplotlib", "pandas")

own_process = False
"""Whether nobody else's code runs in this process; set by the command line and the worker."""


def import_keras() -> None:
    """Import Keras, in a process of our own without the rest; what was hidden can be imported as ever afterwards.

    Within `topwork.keras_settings.ours`, which looked whether it can be imported, it then has our settings.
    """
    if "keras" not in sys.modules:
        backend.onednn()
        _import_keras(backend.name())
    keras_settings.take_over()


def _import_keras(wanted: str) -> None:
    if not own_process:
        import keras

        return
    hidden = [name for name in _HIDDEN if name not in sys.modules]
    stubs: dict[str, ModuleType | None] = dict.fromkeys(hidden)
    if "scipy.signal" not in sys.modules and wanted == "openvino":
        stubs["scipy.signal"] = ModuleType("scipy.signal")
    sys.modules.update(stubs)  # type: ignore[arg-type]  # None makes an import fail, as if not installed
    try:
        with _muted():
            import keras  # noqa: F401
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # each fold of a cross-validation traces anew
    finally:
        for name in stubs:
            sys.modules.pop(name, None)


@contextmanager
def _muted() -> Iterator[None]:
    """Keep TensorFlow's C++ greetings off stderr (no setting does); they come out if the import fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    kept = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            aside.seek(0)
            os.write(kept, aside.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
