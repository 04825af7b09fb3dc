"""The outcome of a search: which try the run keeps, and the list of all tries."""

from collections.abc import Callable, Sequence
from math import inf

import numpy as np

from topwork.runs.scores import Rate
from topwork.runs.search.tried import Tried
from topwork.scoring.intervals import wilson
from topwork.training.search.plan import Opening
from topwork.training.search.tries import Try, without_views
from topwork.training.solved_phase import ENOUGH

LEVEL = 0.05
"""With few validation pictures, the probability that a gain which is only chance is accepted."""


def supports(head: np.ndarray, opened: np.ndarray, tries: int) -> bool:
    """Return whether opened layers are better than the head, by a paired test on the validation pictures.

    From `ENOUGH` pictures on, the mean gain must exceed its standard error, so that the simpler model wins if both are
    about as good. With fewer pictures, the best of many tries is often only lucky: Student's test must be significant
    at `LEVEL`, divided by the number of tries (Bonferroni).

    Args:
        head, opened: the loss of each validation picture, float ``[n]``.
        tries: the number of opened tries.

    >>> gain = np.array([0.1, 0.3] * 20)
    >>> supports(1 + gain, np.ones(40), 5), supports(1 - gain, np.ones(40), 5), supports(np.ones(40), np.ones(40), 5)
    (True, False, False)
    """
    from scipy.special import stdtrit

    gains, n = head - opened, len(head)
    if n < 2:
        return False
    error = float(gains.std(ddof=1)) / n**0.5
    needed = 1.0 if n >= ENOUGH else float(stdtrit(n - 1, 1 - LEVEL / max(1, tries)))
    return float(gains.mean()) > needed * error


def held_out(loss: float | None, fold_loss: float | None, val: int, train: int) -> float:
    """Return the mean loss of all pictures that a head did not learn from, by which heads are compared.

    Args:
        loss: on the validation part.
        fold_loss: in folds of the training part; ``None``: there were enough validation pictures.
        val, train: the numbers of pictures.

    >>> held_out(0.7, 0.4, 50, 400), held_out(0.7, None, 500, 4000)
    (0.43333333333333335, 0.7)
    """
    if loss is None or fold_loss is None:
        return inf if loss is None else loss
    return (val * loss + train * fold_loss) / (val + train)


def regular(best: Try, opened: Sequence[Try], losses: Callable[[Try], np.ndarray]) -> Try:
    """Return the try with the settings of the best and with views, unless it is worse beyond chance.

    Views prevent overfitting, also to the validation part, whose luckiest epoch is kept: of five splits of digits, the
    test loss was lower with views in four, the validation loss in one (docs/log.md, 2026-11-29).

    Args:
        best: the try with the lowest loss.
        opened: the tries that opened layers.
        losses: returns the loss of each validation picture, float ``[n]``.
    """
    for one in opened:
        has_views = best in without_views(one, opened) and one.epochs >= best.epochs
        if has_views and not supports(losses(one), losses(best), 1):
            return one
    return best


def listed(
    tries: Sequence[Try], untried: Sequence[Opening], pictures: int, kept: Try | None = None, why: str = ""
) -> list[Tried]:
    """Return a row per try, in their order, and one per way that was not tried.

    Args:
        tries: the tries.
        untried: what did not begin.
        pictures: the number of validation pictures.
        kept: the try whose weights the run has.
        why: why the search ended.
    """
    found = []
    for one in sorted(tries, key=lambda one: one.number):
        line = one.kept if one.lines else None
        accuracy = line.val_accuracy if line else None
        folds = [each for each in one.lines if line and each.l2 == line.l2 and each.fold_loss is not None]
        is_complete = one.epochs >= one.phase.iteration.epochs
        ended = one.ended or ("trained to the end" if is_complete else "others were better")
        found.append(
            Tried(
                number=one.number,
                cut=one.phase.cut,
                solved=not one.is_opened,
                batch_norm=one.phase.batch_norm if one.is_opened else None,
                learning_rate=one.phase.learning_rate,
                views=one.views,
                epochs=one.epochs if one.is_opened else None,
                best=line.epoch if line and one.is_opened else None,
                seconds=round(sum(each.seconds for each in one.lines), 1),
                pictures=pictures,
                loss=line.val_loss if line else None,
                accuracy=None if accuracy is None else Rate(accuracy, *wilson(accuracy, pictures)),
                fold_loss=folds[0].fold_loss if folds else None,
                fold_accuracy=folds[0].fold_accuracy if folds else None,
                ended=ended if one.is_opened else "solved",
                kept=one is kept,
            )
        )
    for number, way in enumerate(untried, len(found) + 1):
        found.append(
            Tried(
                number=number,
                cut=way.cut,
                solved=False,
                batch_norm=way.batch_norm,
                learning_rate=way.learning_rate,
                views=way.views,
                ended=f"not tried: {why}",
            )
        )
    return found


def table(tries: Sequence[Tried]) -> str:
    """Return the tries as a table for people, the best first, at most 80 columns wide."""
    scored = [(one.accuracy.value, one) for one in tries if one.accuracy is not None]
    scored.sort(key=lambda pair: (not pair[1].kept, -pair[0], pair[1].number))
    lines = [f"{'':2} {'cut':34} {'batch-norm':10} {'rate':>6} {'views':>5} {'epoch':>8} {'accuracy':>8}"]
    for accuracy, one in scored:
        rate = "" if one.learning_rate is None else f"{one.learning_rate:g}"
        epoch = "solved" if one.solved else f"{one.best}/{one.epochs}"
        mark = "*" if one.kept else ""
        shown = one.cut if len(one.cut) <= 34 else f"{one.cut[:16]}...{one.cut[-15:]}"
        how = f"{one.batch_norm or '':10} {rate:>6} {one.views:>5} {epoch:>8}"
        lines.append(f"{one.number:>2} {shown:34} {how} {accuracy:>8.3f}{mark}")
    lines.append("*: kept. Accuracy: on the validation part, at the best epoch (0: the head).")
    return "\n".join(lines)
