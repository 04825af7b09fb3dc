"""Another network in place of a recipe's: where weights are at hand for that alone."""

from topwork.cut import INPUT, POOL, Cut
from topwork.network import cuts
from topwork.recipe import Recipe
from topwork.settings import Backbone


def swapped(recipe: Recipe, name: str, place: str) -> Recipe:
    """A recipe with its only network replaced: frozen to its end as before, or where layers are opened up to *place*.

    A network that ended in a map ends in the last map of the other.

    Raises:
        ValueError: layers are opened, and *place* is empty.

    Example:
        >>> from topwork import book
        >>> two = swapped(book.recipe("inception_v3_two_phase"), "mobilenet_025", "conv_pw_11_relu")
        >>> [phase.cut for phase in two.phases]
        ['mobilenet_025@pool', 'mobilenet_025@conv_pw_11_relu']
    """
    cuts = {f"phase.{n}.cut": _cut(phase.cut, name, place) for n, phase in enumerate(recipe.phases, 1)}
    return recipe.with_settings(cuts)


def _cut(cut: str, name: str, place: str) -> str:
    term = Cut.parse(cut).only
    ends = "" if term.end == POOL else f"..{_last_map(name)}"
    if term.place in (POOL, INPUT):
        return f"{name}@{term.place}{ends}"
    if term.place == term.end:
        return f"{name}@{_last_map(name)}{ends}"
    if not place:
        raise ValueError(f"{cut!r} opens layers: say above which of the other network, as in {name}@PLACE.")
    return f"{name}@{place}{ends}"


def _last_map(name: str) -> str:
    return [price.name for price in cuts(name, backbone=Backbone(name, "random")) if len(price.shape) == 3][-1]
