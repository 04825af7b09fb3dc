"""Every error that topwork raises, as one tree.

    TopworkError                    exit status 1: the data or the model fails a check
    ├── DatasetError                no pictures, one class, bad CSV, clashing labels
    │   └── PictureError            one picture cannot be read (named, then skipped)
    ├── UsageError                  exit status 2: a word that topwork does not know
    │   ├── UnknownBackbone         a backbone's name
    │   ├── CutError                a cut that cannot be parsed, resolved or trained
    │   └── RecipeError             a recipe's key or value
    ├── BackboneError               a network that cannot be cut
    ├── RunError                    a run folder that exists, or is none
    ├── ExportError                 an exported file that answers otherwise, or is none
    ├── MissingExtra                a package that is not installed
    └── MachineError                exit status 3: disk, memory, network
        ├── StoreError              a store that is damaged or of another version
        └── WeightsError            weights that are not at hand and cannot be fetched

A message says what happened to which value, what was expected, and how to mend it.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


class TopworkError(Exception):
    """Root of the tree; ``exit_status`` is what the command line returns."""

    exit_status = 1


class DatasetError(TopworkError):
    """The data as a whole cannot be used.

    Args:
        message: what happened.
        unlabelled: there are pictures, and nothing says of which class they are.
    """

    def __init__(self, message: str, unlabelled: bool = False) -> None:
        super().__init__(message)
        self.unlabelled = unlabelled


class PictureError(DatasetError):
    """One picture cannot be read; its message is the reason alone."""


class UsageError(TopworkError):
    """A word that topwork does not know, or words that do not go together.

    Args:
        message: what happened.
        key: which key of a recipe the word stands at, as in ``"phase.2.learning_rate"``, where it is known.
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
    """A recipe's key or value is wrong."""


class BackboneError(TopworkError):
    """A network that cannot be cut, with the reason."""


class RunError(TopworkError):
    """A run folder that exists already, or a folder that is no run."""


class ExportError(TopworkError):
    """An exported file that answers otherwise than the model, or is none of ours."""


class MissingExtra(TopworkError):
    """A package that is needed is not installed."""


class MachineError(TopworkError):
    """Disk, memory or network: what the machine cannot give."""

    exit_status = 3


class StoreError(MachineError):
    """A store that is damaged, full, or of another version."""


class WeightsError(MachineError):
    """Weights that are not at hand and cannot be fetched."""


def of_machine(error: OSError | MemoryError) -> MachineError:
    """What the machine itself refused, in our words.

    >>> str(of_machine(FileNotFoundError(2, "No such file or directory", "runs/x.csv")))
    "cannot use 'runs/x.csv': No such file or directory."
    """
    if isinstance(error, MemoryError):
        return MachineError("there is not enough memory. Close other programs, or use smaller pictures or batches.")
    what = f"cannot use {str(error.filename)!r}: " if error.filename else ""
    return MachineError(f"{what}{error.strerror or ' '.join(str(error).split())}.")


def of_text(error: UnicodeEncodeError) -> TopworkError:
    """The error for text that cannot be written as UTF-8, such as a file's name with bytes in another encoding.

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
    """Let errors say at which key of a recipe a word stands; what they know of it already goes behind.

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
