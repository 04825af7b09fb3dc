"""What a page with a model has inside: the metadata as JSON; model and runtime as base64 of gzip."""

import base64
import gzip
import zlib

ABOUT = b'<script type="application/json" id="about">'
MODEL = b'<script type="text/plain" id="model">'
END = b"</script>"


def packed(content: bytes) -> str:
    """Return base64 of gzip; the same content always gives the same text."""
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


def escaped(text: str) -> str:
    r"""Return JSON in which no text can end the element of the page that it is in.

    >>> escaped('["</script>"]')
    '["\\u003c/script>"]'
    """
    return text.replace("<", r"\u003c")


def described(page: bytes, text: str) -> bytes:
    """Return a page with other metadata.

    Args:
        page: the content of the file.
        text: JSON.
    """
    before, _, after = _parts(page, ABOUT)
    return before + escaped(text).encode() + after


def without_metadata(page: bytes) -> bytes:
    """Return a page with empty metadata."""
    before, _, after = _parts(page, ABOUT)
    return before + after


def about(page: bytes) -> str:
    """Return the metadata of a page, as JSON.

    Raises:
        ValueError: the page has none.
    """
    return _parts(page, ABOUT)[1].decode()


def model(page: bytes) -> bytes:
    """Return the model of a page: the content of an ONNX file.

    Raises:
        ValueError: the page has none, or it is damaged.
    """
    try:
        return gzip.decompress(base64.b64decode(_parts(page, MODEL)[1]))
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"its model is damaged: {error}") from None


def _parts(page: bytes, start: bytes) -> tuple[bytes, bytes, bytes]:
    """Return what precedes the text of an element, the text, and the rest."""
    first = page.find(start) + len(start)
    last = page.find(END, first)
    if first < len(start) or last < 0:
        raise ValueError("it is a page without a model")
    return page[:first], page[first:last], page[last:]
