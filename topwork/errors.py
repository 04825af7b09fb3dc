"""All errors that topwork raises, as one tree of classes.

    TopworkError                    exit status 1: the data or the model fails a check
    ├── DatasetError                no pictures, one class, bad CSV, clashing labels
    │   └── PictureError            one picture cannot be read (named, then skipped)
    ├── UsageError                  exit status 2: a wrong argument, option or name
    │   ├── UnknownBackbone         no backbone has this name
    │   ├── CutError                a cut that cannot be parsed, resolved or trained
    │   └── RecipeError             a wrong key or value in a recipe
    ├── BackboneError               a network that cannot be cut
    ├── RunError                    a run folder that exists already, or a folder that is not a run
    ├── ExportError                 an exported file whose answers differ, or a file that is not an export
    ├── MissingExtra                a package that is needed is not installed
    └── MachineError                exit status 3: disk, memory, network
        ├── StoreError              a store that is damaged, full, or of another version
        └── WeightsError            weights that are not on this machine and cannot be fetched

A message says what happened, which value caused it, what was expected, and how to fix it.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


class TopworkError(Exception):
    """The base class of all errors of topwork. ``exit_status`` is the exit status of the command line."""

    exit_status = 1


class DatasetError(TopworkError):
    """The dataset cannot be used.

    Args:
        message: what happened.
        unlabelled: whether the reason is that the pictures have no labels.
    """

    def __init__(self, message: str, unlabelled: bool = False) -> None:
        super().__init__(message)
        self.unlabelled = unlabelled


class PictureError(DatasetError):
    """One picture cannot be read. The message contains only the reason, not the path."""


class UsageError(TopworkError):
    """A wrong argument, option or name, or several that cannot be combined.

    Args:
        message: what happened.
        key: the key of the recipe that has the wrong value, as in ``"phase.2.learning_rate"``; empty if not known.
    """

    exit_status = 2

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class UnknownBackbone(UsageError):
    """No backbone has that name."""


class CutError(UsageError):
    """A cut that cannot be parsed, resolved or trained."""


class RecipeError(UsageError):
    """A key or a value in a recipe is wrong."""


class BackboneError(TopworkError):
    """A network cannot be cut. The message has the reason."""


class RunError(TopworkError):
    """A run folder exists already, or a folder is not a run."""


class ExportError(TopworkError):
    """The answers of an exported file differ from those of the model, or topwork did not export the file."""


class MissingExtra(TopworkError):
    """A package that is needed is not installed."""


class MachineError(TopworkError):
    """The machine lacks something: disk, memory or network."""

    exit_status = 3


class StoreError(MachineError):
    """A store is damaged, full, or of another version."""


class WeightsError(MachineError):
    """Weights are not on this machine and cannot be fetched."""


def of_machine(error: OSError | MemoryError) -> MachineError:
    """Turn an error of the operating system or of memory into an error of topwork.

    >>> str(of_machine(FileNotFoundError(2, "No such file or directory", "runs/x.csv")))
    "cannot use 'runs/x.csv': No such file or directory."
    """
    if isinstance(error, MemoryError):
        return MachineError("there is not enough memory. Close other programs, or use smaller pictures or batches.")
    what = f"cannot use {str(error.filename)!r}: " if error.filename else ""
    return MachineError(f"{what}{error.strerror or ' '.join(str(error).split())}.")


def of_text(error: UnicodeEncodeError) -> TopworkError:
    """Return the error for text that cannot be encoded as UTF-8, such as a file name in another encoding.

    >>> try:
    ...     "photos/caf\\udce9.jpg".encode()
    ... except UnicodeEncodeError as error:
    ...     print(str(of_text(error))[:60])
    'photos/caf\\udce9.jpg' holds bytes that are no text in UTF-8
    """
    start, end = max(0, error.start - 40), error.end + 20
    return TopworkError(
        f"{error.object[start:end]!a} holds bytes that are no text in UTF-8. Rename the file or folder that is "
        "called so."
    )


@contextmanager
def at(key: str) -> Iterator[None]:
    """Add the key of a recipe to the errors that are raised inside the ``with`` block.

    If the error has a key already, *key* is put in front of it, separated by a dot.

    >>> try:
    ...     with at("phase.2"):
    ...         raise RecipeError("no optimizer 'adm'.", "optimizer")
    ... except RecipeError as error:
    ...     print(error.key)
    phase.2.optimizer
    """
    try:
        yield
    except UsageError as error:
        error.key = f"{key}.{error.key}" if error.key else key
        raise


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the choice nearest to *word*, else ``""``.

    >>> nearest("resnet55", ["resnet50", "vgg16"])
    "; did you mean 'resnet50'?"
    """
    close = get_close_matches(word, list(choices), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
