"""``topwork serve``."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from topwork.errors import MissingExtra, UsageError

NEEDED = {"starlette": "starlette", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}
NEEDED |= {"prometheus_client": "prometheus-client"}
"""The modules of the extra ``serve``, and the names under which they are installed."""

TOKEN = "TOPWORK_TOKEN"

UNITS = {"": 1, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000}


def amount(text: str) -> int:
    """Return a number that may have a unit.

    >>> amount("20MB"), amount("50M"), amount("1500")
    (20000000, 50000000, 1500)

    Raises:
        UsageError: it is no such number.
    """
    digits = text.upper().removesuffix("B")
    unit = digits[-1:] if digits[-1:] in "KMG" else ""
    try:
        return int(float(digits.removesuffix(unit)) * UNITS[unit])
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r}: expected a number, as 1500, 50M or 20MB.") from None


def serve(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Files that 'topwork export' wrote, or runs that were exported."),
    ],
    host: Annotated[str, typer.Option(metavar="HOST", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="PORT", min=0, max=65535, help="0 takes any that is free.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            envvar=TOKEN,
            show_envvar=False,
            help="What every request must send as 'Authorization: Bearer TOKEN'. In the variable "
            f"{TOKEN}, other users of the machine do not see it.",
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Let other machines use the server without a token.")] = False,
    max_bytes: Annotated[str, typer.Option(metavar="SIZE", help="The largest request.")] = "20MB",
    max_pixels: Annotated[str, typer.Option(metavar="N", help="Larger pictures are not decoded.")] = "50M",
    max_pictures: Annotated[int, typer.Option(metavar="N", min=1, help="The most pictures in a request.")] = 32,
    max_waiting: Annotated[
        int, typer.Option(metavar="N", min=0, help="With more requests waiting, further ones get the answer 503.")
    ] = 64,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="The longest that a request may take.")] = 30.0,
) -> None:
    """Serve exported models over HTTP, with a page to try them.

    POST /predict takes the bytes of a picture, or a form with several, and answers with what 'topwork predict --json'
    prints, as a JSON array. If several models are served, ?model=NAME says which: the name of its file without suffix.
    ?heat=1 adds heat maps. GET /openapi.json describes all addresses.
    """
    lacking = [package for module, package in NEEDED.items() if not find_spec(module)]
    if lacking:
        raise MissingExtra(
            f"'topwork serve' needs {' and '.join(lacking)}. "
            'Install what is missing with: pip install "topwork[serve]".'
        )
    from topwork.shipping.server.serving import serve as run
    from topwork.shipping.server.settings import Settings

    settings = Settings(
        host=host,
        port=port,
        token=token,
        is_open=open_,
        max_bytes=amount(max_bytes),
        max_pixels=amount(max_pixels),
        max_pictures=max_pictures,
        max_waiting=max_waiting,
        timeout=timeout,
    )
    run(files, settings)
