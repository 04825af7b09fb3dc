"""The recipes that are part of topwork, by name: the systems of five articles, as one TOML file per recipe."""

from pathlib import Path

from topwork.errors import UsageError, nearest
from topwork.recipes.recipe import Recipe

FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """Return the names of the recipes, sorted.

    >>> "inception_v3_two_phase" in names()
    True
    """
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def file(word: str | Path) -> Path:
    """Return the path of a recipe's file.

    Args:
        word: a path, or a name from `names`. An existing file is preferred to a recipe of the same name.

    Raises:
        UsageError: no recipe has that name.
    """
    path = Path(word)
    if path.is_file() or path.name != str(word) or path.suffix == ".toml":
        return path
    if str(word) not in names():
        raise UsageError(
            f"no recipe {str(word)!r}{nearest(str(word), names()) or '.'} 'topwork recipes' lists them all; "
            "a file of your own ends in .toml."
        )
    return FOLDER / f"{word}.toml"


def recipe(name: str) -> Recipe:
    """Return the recipe with this name.

    Raises:
        UsageError: no recipe has that name.

    Example:
        >>> [phase.cut for phase in recipe("inception_v3_two_phase").phases]
        ['inception_v3@pool', 'inception_v3@249']
    """
    return Recipe.load(file(name))
