"""The phases that a run trains: those that were asked for with their rates, and one for the head before them."""

from collections.abc import Sequence
from dataclasses import replace

from topwork.cut import Cut
from topwork.networks.weights import pretrained
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import HEAD_RATE, OPEN_RATE, Phase
from topwork.store.plan import Step, steps
from topwork.store.runtimes import base
from topwork.system.messages import counted, say


def completed(recipe: Recipe, head_first: bool) -> Recipe:
    """The recipe as a run keeps it: the backbones' files found, their runtimes chosen, each phase with a rate.

    Args:
        recipe: as it was asked for.
        head_first: whether a phase for the head alone may go first. It does where the first phase would train layers of
            a pretrained network under one of topwork's own heads: the gradients of a head that knows nothing yet spoil
            them. That is said.

    Raises:
        UsageError: words that do nothing or do not exist. The phases in its message are counted as they were asked for.
    """
    recipe.refuse_idle()
    found = {name: base.resolved(pretrained.on_disk(one)) for name, one in recipe.backbones.items()}
    recipe = replace(recipe, backbones=found)
    planned = steps(recipe)
    phases = tuple(_rated(step) for step in planned)
    if not head_first or not planned[0].opens or recipe.head.file or _is_random(recipe):
        return replace(recipe, phases=phases)
    first = _head_alone(planned[0])
    _tell(first, phases)
    return replace(recipe, phases=(first, *phases))


def _rated(step: Step) -> Phase:
    if step.phase.rate is not None:
        return step.phase
    return replace(step.phase, rate=OPEN_RATE if step.opens else HEAD_RATE)


def _head_alone(step: Step) -> Phase:
    """A phase of defaults that freezes each term of a step to its end."""
    frozen = Cut(tuple(replace(term, place=term.end) for term in step.terms))
    return Phase(str(frozen), rate=HEAD_RATE)


def _is_random(recipe: Recipe) -> bool:
    """Whether nothing is pretrained, so that there is nothing to spoil."""
    return all(backbone.weights == "random" for backbone in recipe.backbones.values())


def _tell(first: Phase, others: Sequence[Phase]) -> None:
    follow = "phase 2 is" if len(others) == 1 else f"phases 2 to {len(others) + 1} are"
    say(
        f"phase 1 trains the head alone ({first.cut}, up to {counted(first.epochs, 'epoch')}), so that a new head does "
        f"not spoil pretrained layers; {follow} as you asked. --no-head-first (Python: head_first=False) leaves it out."
    )
