"""``topwork choose``."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from topwork.commands.options import AsJson, DataPath, MaxMegapixels, NearCopies, Parts, Size, Weights, data_options
from topwork.commands.output import print_json, print_table

if TYPE_CHECKING:
    from topwork.scoring.choosing.choice import Choice


def choose(
    data: DataPath,
    cut: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CUT",
            help="A cut to compare; repeat --cut for more. By default, topwork compares cuts of all backbones whose "
            "weights are on this machine. With --weights FILE, it compares cuts of the file's backbone.",
        ),
    ] = None,
    weights: Weights = None,
    size: Size = None,
    pictures: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Use at most N pictures; by default, 500 or 10 per class, whichever is more."
        ),
    ] = None,
    parts: Parts = None,
    max_megapixels: MaxMegapixels = None,
    near_copies: NearCopies = None,
    as_json: AsJson = False,
) -> None:
    """Find the backbone and the cut that suit your pictures.

    The score of each cut is the accuracy of a linear probe: a logistic regression on the network's output at the cut.
    The probe is cross-validated on a sample of the pictures. None of them is in the test part.
    """
    from topwork.data.readers import read as read_data
    from topwork.scoring.choosing.choose import choose as chosen

    rows = read_data(data, **data_options(parts, max_megapixels, near_copies))
    found = chosen(rows, cut or [], weights=weights or "imagenet", size=size, pictures=pictures)
    take = _take(data, found.proposed.cut, weights, size, parts, max_megapixels, near_copies)
    if as_json:
        print_json(_as_json(found, take))
    else:
        _print(found, take)


def _print(found: "Choice", take: str) -> None:
    """Print the scores and the costs of each candidate, and which one to use."""
    from textwrap import fill

    from topwork.cut import Cut
    from topwork.system.messages import counted, size

    scores, prices = [], []
    for number, one in enumerate(found.candidates, 1):
        places = []
        for term in Cut.parse(one.cut).terms:  # layer names are long: omit an end that equals the place
            end = "" if term.end == term.place else f"..{term.end}"
            places.append(f"{term.backbone}@{term.place}{end}")
        rate = one.accuracy
        scores.append([str(number), " + ".join(places), f"{rate.value:.3f}", f"{rate.low:.3f} to {rate.high:.3f}"])
        millions = f"{one.parameters / 1e6:.2f}", f"{one.macs / 1e6:.1f}"
        ms = "-" if one.milliseconds is None else f"{one.milliseconds:.1f}"
        costs = [*millions, f"{one.kilobytes:.1f}", ms, size(one.disk_bytes)]
        prices.append([str(number), "yes" if one.tied else "no", f"{one.logme:.3f}", *costs])
    print_table(["", "probed at", "probe", "95 % interval"], scores)
    print()
    print_table(["", "tied", "LogME", "params", "MACs", "KB", "ms", "disk"], prices)
    looked_at = counted(found.pictures, "picture")
    print(
        f"\nprobe: accuracy of a logistic regression, {found.folds} folds of {looked_at};"
        "\n  none is in the test part. Each network ends at the place that is named last."
        "\ntied: these pictures cannot tell it from the first (McNemar's exact test)."
        "\nLogME: log evidence of the labels, per picture; higher is better."
        "\nparams, MACs: millions of parameters, and of multiply-accumulates per picture,"
        "\n  up to there."
        "\nKB, disk: the activations of one picture, and the space for all pictures in the"
        "\n  store, which is larger because of its pages of 4 KB."
        "\nms: to decode a picture and run it, measured now; -: (nearly) all were stored.\n"
    )
    for gone in found.left_out:
        print(f"Skipped: {gone.path}: {gone.reason}")
    print(fill(found.text, 79))
    print(f"Take: {take}")


def _as_json(found: "Choice", take: str) -> dict[str, Any]:
    names = ["logme", "features", "parameters", "macs", "macs_above", "kilobytes", "disk_bytes"]
    names += ["milliseconds", "p", "tied"]
    each = [
        {"cut": one.cut, "accuracy": one.accuracy.as_json(), **{name: getattr(one, name) for name in names}}
        for one in found.candidates
    ]
    about = {"pictures": found.pictures, "folds": found.folds, "best": found.best.cut, "proposed": found.proposed.cut}
    left_out = {gone.path: gone.reason for gone in found.left_out}
    return {**about, "text": found.text, "take": take, "candidates": each, "left_out": left_out}


def _take(
    data: str,
    cut: str,
    weights: str | None,
    size: int | None,
    parts: str | None,
    max_megapixels: float | None,
    near_copies: str | None,
) -> str:
    """Return the ``topwork train`` command for a cut, with the options that the user gave to ``topwork choose``."""
    import shlex

    from topwork.cut import Cut

    words = ["topwork", "train", data, "--cut", cut]
    words += [] if parts is None else ["--parts", parts]
    words += [] if max_megapixels is None else ["--max-megapixels", f"{max_megapixels:g}"]
    words += [] if near_copies is None else ["--near-copies", near_copies]
    given = [(key, value) for key, value in (("weights", weights), ("size", size)) if value is not None]
    names = Cut.parse(cut).backbones
    if len(names) == 1:
        words += [word for key, value in given for word in (f"--{key}", str(value))]
    else:
        words += [
            word for name in names for key, value in given for word in ("--set", f"backbones.{name}.{key}={value}")
        ]
    return shlex.join(words)
