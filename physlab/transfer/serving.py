"""A lab's files over HTTP, by their SHA-256 and in no other way; ready to stand behind a cache or a CDN.

A path that is a digest says the same for ever, so whoever has the bytes need not ask again. Without `public` a file is
served only to a link that this lab made and that is not over.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from physlab.store import Store
from physlab.transfer.links import Links
from physlab.transfer.ranges import read_ranges

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

MayServe = Callable[[str], str | None]
"""Takes the digest of a file; returns the reason why it may not be served, or None."""
PIECE = 1 << 18
FOR_EVER = "public, max-age=31536000, immutable"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TAG = re.compile(r'\s*(?:W/)?"([^"]*)"\s*(?:,|$)')


def blob_app(store: Store, links: Links, *, public: bool = False, may_serve: MayServe | None = None) -> Starlette:
    """Return an application that answers GET and HEAD of `/blobs/<64 hexadecimal digits>` and nothing else.

    Args:
        store: The lab's.
        links: Checks links that end.
        public: Whoever knows a digest gets the file.
        may_serve: Says why a file may not be served; such a file is as if it were not there.
    """
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    def absent() -> Response:
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return PlainTextResponse("There is no such file.\n", 404, headers)

    def answer(request: Request) -> Response:
        digest = request.path_params["digest"]
        if not _DIGEST.fullmatch(digest):
            return absent()
        given = request.query_params
        allowed = public or links.opens(digest, given.get("expires", ""), given.get("code", ""))
        if not allowed or (may_serve is not None and may_serve(digest) is not None):
            return absent()
        if not store.check_blobs([digest]):  # every byte before the first time; then by its time of change
            return absent()
        return file_answer(request, store.blobs.path(digest), digest, public=public)

    return Starlette(routes=[Route("/blobs/{digest}", answer, methods=["GET"])])  # HEAD comes with GET


def file_answer(
    request: Request, path: Path, digest: str, *, public: bool = False, name: str | None = None
) -> Response:
    """Return the answer that sends a file, or the parts of it that are asked for.

    Args:
        request: What was asked.
        path: The file.
        digest: SHA-256 of its bytes.
        public: Whether caches on the way may keep it.
        name: What it is saved as; its digest when unset. Of letters, digits and a few signs alone.
    """
    from starlette.responses import Response, StreamingResponse

    size, tag = path.stat().st_size, f'"{digest}"'
    headers = {
        "ETag": tag,
        "Cache-Control": FOR_EVER if public else "private, no-cache",
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Content-Disposition": f'attachment; filename="{name or digest[:16]}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Referrer-Policy": "no-referrer",
    }
    if _matches(request.headers.get("if-none-match"), digest):
        return Response(status_code=304, headers=headers)
    kind = "application/octet-stream"
    asked = request.headers.get("range")
    fresh = request.headers.get("if-range", tag).strip() == tag  # a date, or another file: send the whole
    ranges = read_ranges(asked, size) if asked and fresh and request.method == "GET" else None
    if ranges == []:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    if ranges is None:
        told = {**headers, "Content-Length": str(size), "Content-Type": kind}
        if request.method == "HEAD":
            return Response(headers=told)
        return StreamingResponse(_pieces(path, [(b"", 0, size)]), headers=told)
    if len(ranges) == 1:
        [(start, end)] = ranges
        told = {"Content-Range": f"bytes {start}-{end - 1}/{size}", "Content-Length": str(end - start)}
        parts = [(b"", start, end)]
        return StreamingResponse(_pieces(path, parts), 206, {**headers, **told, "Content-Type": kind})
    line = secrets.token_hex(16)
    parts = [
        (f"\r\n--{line}\r\nContent-Type: {kind}\r\nContent-Range: bytes {start}-{end - 1}/{size}\r\n\r\n".encode(),
         start, end) for start, end in ranges
    ]  # fmt: skip
    parts.append((f"\r\n--{line}--\r\n".encode(), 0, 0))
    length = sum(len(head) + end - start for head, start, end in parts)
    told = {"Content-Length": str(length), "Content-Type": f"multipart/byteranges; boundary={line}"}
    return StreamingResponse(_pieces(path, parts), 206, {**headers, **told})


def _matches(header: str | None, digest: str) -> bool:
    if header is None:
        return False
    return header.strip() == "*" or digest in _TAG.findall(header)


async def _pieces(path: Path, parts: list[tuple[bytes, int, int]]) -> AsyncIterator[bytes]:
    import anyio

    async with await anyio.open_file(path, "rb") as stream:
        for head, start, end in parts:
            if head:
                yield head
            await stream.seek(start)
            left = end - start
            while left:
                data = await stream.read(min(PIECE, left))
                if not data:
                    raise OSError(f"{path} ended early")
                left -= len(data)
                yield data
