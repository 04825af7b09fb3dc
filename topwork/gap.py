"""Why a validation loss lies below the training loss, told from the journal.

``fit`` reports the training loss as the optimizer saw it: dropout on, averaged over weights that moved meanwhile. The
journal has the loss of training pictures in inference mode beside it, measured as validation is. What lies between the
two is training mode; what lies between the second and the validation loss is the pictures.
"""

from collections.abc import Sequence

from topwork.recipes.recipe import Recipe
from topwork.runs.journal import Line, kept_epochs


def gap(journal: Sequence[Line], recipe: Recipe, pictures: int) -> str | None:
    """One sentence on the epoch that was kept; ``None`` where its validation loss is not below its training loss.

    Args:
        journal: one dict an epoch, with ``loss`` (as the optimizer saw it), ``train_loss`` and ``val_loss``
            (in inference mode), in nats, where they were measured.
        recipe: of the run: what it does in training alone is named.
        pictures: how many validate.

    Example:
        >>> line = {"phase": 1, "epoch": 3, "loss": 0.5, "train_loss": 0.2, "val_loss": 0.3}
        >>> recipe = Recipe.from_mapping({"phase": [{"cut": "vgg16@pool"}]})
        >>> print(gap([line], recipe, 61))
        In phase 1, epoch 3, the validation loss (0.300) lies below the training loss that the optimizer saw (0.500), \
for that is taken in training mode (dropout, weights that move within the epoch): in inference mode, as validation \
is, the training pictures come to 0.200.
    """
    trained = [line for line in kept_epochs(journal) if line["epoch"]]  # epoch 0 is what the phase before kept
    made = trained[-1] if trained else None
    if made is None or not _is_whole(made) or made["val_loss"] >= made["loss"]:
        return None
    return _told(made, _in_training(recipe), f"the validation pictures ({pictures:,}) happen to be easier")


def _is_whole(line: Line) -> bool:
    return all(line.get(name) is not None for name in ("loss", "train_loss", "val_loss"))


def _told(line: Line, mode: str, easier: str) -> str:
    seen, same, val = (line[name] for name in ("loss", "train_loss", "val_loss"))
    start = (
        f"In phase {line['phase']}, epoch {line['epoch']}, the validation loss ({val:.3f}) lies below the training "
        f"loss that the optimizer saw ({seen:.3f})"
    )
    measured = f"in inference mode, as validation is, the training pictures come to {same:.3f}"
    if same <= val:
        return f"{start}, for that is taken in training mode ({mode}): {measured}."
    if same >= seen:
        return f"{start}, for {easier}: {measured}."
    return (
        f"{start}: {measured}, so that {seen - same:.3f} of the difference is training mode ({mode}), and "
        f"{same - val:.3f} that {easier}."
    )


def _in_training(recipe: Recipe) -> str:
    """What raises the loss in training mode alone."""
    head, training = recipe.head, recipe.training
    named = {
        "dropout": head.dropout > 0 and not head.file,
        "augmented views": recipe.views.count > 1,
        "label smoothing": training.label_smoothing > 0,
        "class weights": training.class_weight != "none",
        "balanced sampling": training.sampling != "none",
    }
    return ", ".join([*(name for name, so in named.items() if so), "weights that move within the epoch"])
