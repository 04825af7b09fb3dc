"""Text for streams and files that cannot hold every character: no error is raised, and most text stays readable.

Terminals may support only latin-1 or ASCII. File names may contain bytes that are not text; Python keeps such bytes as
single surrogates (PEP 383).
"""

import codecs
import json
import re
from typing import Any

HANDLER = "topwork"
"""The error handler's name, for ``errors=``. Lines and arrows become ASCII, other characters their escape codes."""

_PLAIN = {"─": "-", "━": "-", "…": "...", "→": "->", "–": "-", "—": "-", "×": "x", "’": "'", "“": '"', "”": '"'}


def fitting(text: str, encoding: str | None) -> str:
    """Return the text with the characters that *encoding* cannot hold replaced.

    >>> fitting("a → b: 花", "ascii"), fitting("é", "latin-1"), fitting("花", "utf-8")
    ('a -> b: \\\\u82b1', 'é', '花')
    """
    encoding = encoding or "utf-8"
    text = re.sub("[\ud800-\udfff]", lambda found: found[0].encode("ascii", "backslashreplace").decode(), text)
    return text.encode(encoding, HANDLER).decode(encoding)


def as_json(value: Any, encoding: str | None = "utf-8", **options: Any) -> str:
    r"""Return a value as JSON that *encoding* can hold, without loss: unescaped if possible, else escaped.

    >>> as_json("花"), as_json("花", "latin-1")
    ('"花"', '"\\u82b1"')
    """
    text = json.dumps(value, ensure_ascii=False, **options)
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, **options)
    return text


def _shown(error: UnicodeError) -> tuple[bytes, int]:
    """Return the replacement for characters that cannot be encoded; bytes of a file name are returned unchanged."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    shown = b""
    for char in error.object[error.start : error.end]:
        if "\udc80" <= char <= "\udcff":
            shown += char.encode("ascii", "surrogateescape")
        else:
            shown += _PLAIN.get(char, char).encode("ascii", "backslashreplace")
    return shown, error.end


codecs.register_error(HANDLER, _shown)
