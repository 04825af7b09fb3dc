"""Read the body of a request: the bytes of a picture, or a form with several."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from topwork.shipping.server.models import Asked
from topwork.system.messages import counted, named, size

FORM = "multipart/form-data"

SLICE = 65536
"""A form is parsed in pieces of so many bytes."""


async def rows_in(request: Request, columns: Sequence[str], max_bytes: int, max_pictures: int) -> list[Asked]:
    """Return the rows of pictures in a request.

    Args:
        request: its body is one picture; or a form whose files are pictures. If a model takes several pictures per row,
            the k-th file under the name of each column belongs to row k.
        columns: the pictures of a row (`topwork.shipping.predictor.Predictor.columns`).
        max_bytes: of the whole body.
        max_pictures: of a form.

    Raises:
        HTTPException: 413 if the body is larger or has more pictures; 400 if the form is damaged, is not in UTF-8, has
            no picture, or lacks a column, or the client went away.
    """
    body = await _read(request, max_bytes)
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith(FORM):
        if len(columns) > 1:
            takes = named(columns)
            raise HTTPException(400, f"the model takes the pictures {takes} per row: send a form with these files.")
        if not body:
            raise HTTPException(400, "the body is empty: send the bytes of a picture, or a form with files.")
        return [Asked("picture", body)]

    files = await _files(request, body, max_pictures * max(1, len(columns)))
    if not files:
        raise HTTPException(400, "the form has no file: send the pictures as files.")
    if len(columns) < 2:
        return [Asked(name or "picture", content) for _, name, content in files]
    by_column = {column: [(name, content) for field, name, content in files if field == column] for column in columns}
    counts = {len(some) for some in by_column.values()}
    if len(counts) > 1 or sum(map(len, by_column.values())) < len(files):
        takes = named(columns)
        raise HTTPException(400, f"expected files under the names {takes}, equally many of each.")
    return [
        Asked(row[0][0] or "picture", dict(zip(columns, (content for _, content in row))))
        for row in zip(*by_column.values())
    ]


async def _read(request: Request, max_bytes: int) -> bytes:
    too_large = HTTPException(413, f"the request is larger than {size(max_bytes)}.")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise too_large
    blocks, total = [], 0
    try:
        async for block in request.stream():
            total += len(block)
            if total > max_bytes:
                raise too_large
            blocks.append(block)
    except ClientDisconnect:
        raise HTTPException(400, "the client went away before the request was complete.") from None
    return b"".join(blocks)


async def _files(request: Request, body: bytes, most: int) -> list[tuple[str, str, bytes]]:
    """Return the files of a form: the name of the field, the name of the file, and the bytes."""

    _, options = parse_options_header(request.headers["content-type"])
    charset = options.get(b"charset", b"utf-8").decode("ascii", "replace")
    if charset.lower() not in ("utf-8", "utf8"):  # decoding punycode is quadratic in the length, and a name may be long
        raise HTTPException(400, f"the form has the charset {charset!r}: expected UTF-8.")

    async def stream() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(body), SLICE):
            yield body[start : start + SLICE]
            await asyncio.sleep(0)  # others have their turn
        yield b""

    try:
        form = await MultiPartParser(request.headers, stream(), max_files=most, max_fields=most).parse()
    except MultiPartException as error:
        if "Too many files" in error.message:
            raise HTTPException(413, f"more than {counted(most, 'picture')} in one request.") from None
        raise HTTPException(400, f"the form is damaged ({error.message.rstrip('.')}).") from None
    except (OSError, MemoryError):
        raise
    except Exception as error:  # the parser raises other errors on damaged headers
        raise HTTPException(400, f"the form is damaged ({type(error).__name__}).") from None
    found = []
    for field, value in form.multi_items():
        if isinstance(value, UploadFile):
            found.append((field, value.filename or "", await value.read()))
            await value.close()
    return found
