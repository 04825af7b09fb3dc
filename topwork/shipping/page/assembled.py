"""Put the page together: one HTML document with its styles and scripts, and for a file with the model inside."""

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from topwork.shipping.page.contents import escaped, packed
from topwork.shipping.page.runtime import LICENCE, VERSION, Runtime

_ALWAYS = "default-src 'none'; style-src 'unsafe-inline'; img-src blob: data:; base-uri 'none'; form-action 'none'"

POLICY_SERVED = f"{_ALWAYS}; script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'"
"""The Content-Security-Policy of the served page, which the server sends as a header: it reaches this server alone."""

POLICY_INSIDE = f"{_ALWAYS}; script-src 'unsafe-inline' 'wasm-unsafe-eval' blob:; connect-src 'none'"
"""The Content-Security-Policy of a page with the model inside, which is in the page: it reaches nothing."""


@cache
def served() -> str:
    """Return the page that asks the server which it comes from."""
    return _page(["served.js", "page.js"], is_inside=False)


def with_model(model: bytes, about: dict[str, Any], runtime: Runtime) -> str:
    """Return the page with a model inside, which needs neither a server nor a network.

    Args:
        model: the content of an ONNX file.
        about: the metadata (`topwork.shipping.metadata`).
        runtime: runs the model in the browser.
    """
    return _page(
        ["resize.js", "inside.js", "page.js"],
        is_inside=True,
        policy=POLICY_INSIDE,
        about=escaped(json.dumps(about)),
        model=packed(model),
        module=packed(runtime.module),
        wasm=packed(runtime.wasm),
        licence=LICENCE,
        version=VERSION,
    )


def _page(scripts: Sequence[str], **values: Any) -> str:
    from jinja2 import Environment

    folder = files("topwork.shipping.page")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    template = environment.from_string((folder / "page.html").read_text(encoding="utf-8"))
    css, *code = ((folder / name).read_text(encoding="utf-8") for name in ["page.css", *scripts])
    return template.render(css=css, script="\n".join(code), **values)
