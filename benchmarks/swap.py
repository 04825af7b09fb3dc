"""Replace the networks of a recipe, if only other networks have weights on this machine."""

from topwork.cut import INPUT, POOL, Cut, Term
from topwork.networks.places import cuts
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Backbone


def swapped(recipe: Recipe, names: str, place: str) -> Recipe:
    """Return a recipe with its networks replaced.

    Phases that train no layer of the backbone, or all layers, stay as they are; the others are frozen up to *place*. If
    the old network ended in a map, the new one ends in its last map.

    Args:
        recipe: any recipe with phases.
        names: the name of one network; or, for a fusion, as many as the recipe has, as in
            ``"mobilenet_025 + mobilenet_v2_035"``.
        place: the place above which layers are trained; empty if no phase needs it.

    Raises:
        ValueError: a phase needs *place*, which is empty; or there are more or fewer names than networks.

    Example:
        >>> from topwork.recipes import library
        >>> two = swapped(library.recipe("inception_v3_two_phase"), "mobilenet_025", "conv_pw_11_relu")
        >>> [phase.cut for phase in two.phases]
        ['mobilenet_025@pool', 'mobilenet_025@conv_pw_11_relu']
    """
    others = [name.strip() for name in names.split("+")]
    cuts = {f"phase.{n}.cut": _cut(phase.cut, others, place) for n, phase in enumerate(recipe.phases, 1)}
    return recipe.with_settings(cuts)


def _cut(cut: str, names: list[str], place: str) -> str:
    terms = Cut.parse(cut).terms
    if len(terms) != len(names):
        raise ValueError(f"{cut!r} joins {len(terms)} networks, and {' + '.join(names)!r} names {len(names)}.")
    return " + ".join(_term(term, name, place) for term, name in zip(terms, names, strict=True))


def _term(term: Term, name: str, place: str) -> str:
    ends = "" if term.end == POOL else f"..{_last_map(name)}"
    if term.place in (POOL, INPUT):
        return f"{name}@{term.place}{ends}"
    if term.place == term.end:
        return f"{name}@{_last_map(name)}{ends}"
    if not place:
        raise ValueError(f"{str(term)!r} opens layers: say above which of the other network, as in {name}@PLACE.")
    return f"{name}@{place}{ends}"


def _last_map(name: str) -> str:
    return [price.name for price in cuts(name, backbone=Backbone(name, "random")) if len(price.shape) == 3][-1]
