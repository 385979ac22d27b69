"""HTML → PDF/A-3 with files in it; runs in a child of limited means, sealed from disk and network."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

PAGE, SHEET, PAPER = "page.html", "style.css", "paper.pdf"
HOLDS = "data:file;sha256="
"""How an address begins that names a file which the paper holds."""
VARIANT = "pdf/a-3b"
LACKS = ".notdef glyph rendered"
_KIND = re.compile(r"[a-z]+/[A-Za-z0-9.+-]{1,80}")


def work(order: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Print `page.html` to `paper.pdf`.

    Args:
        order: `sheet`: name of the style sheet, beside this module; `files`: by SHA-256 each file that a link of the
            page may hold: its `path` and `media_type`; `records`: files that it holds anyway: their `path` and `name`;
            `at`: the time that all these get.
        folder: Where both are.

    Returns:
        `pages`: how many it has; `missing`: characters that no font of this machine has.
    """
    from weasyprint import Attachment
    from weasyprint.urls import URLFetcherResponse

    from physlab.report.printing import Sealed, print_page

    held, pages = dict(order["files"]), [0]

    class Holding(Sealed):
        """A fetcher that also knows the files of this paper."""

        def fetch(self, url: str, headers: dict[str, str] | None = None) -> URLFetcherResponse:
            """Return what an address holds; a file of the paper goes by its digest."""
            file = held.get(url.removeprefix(HOLDS).partition(",")[0]) if url.startswith(HOLDS) else None
            if file is None:
                return super().fetch(url, headers)
            kind = file["media_type"] if _KIND.fullmatch(file["media_type"]) else "application/octet-stream"
            return URLFetcherResponse(url, Path(file["path"]).read_bytes(), {"Content-Type": kind})

    def finish(document: Any, pdf: Any) -> None:
        pages[0] = len(document.pages)
        _tidy(pdf, order["at"])

    page = (folder / PAGE).read_text(encoding="utf-8")
    sheet = files("physlab.notebook.paper").joinpath(order.get("sheet", SHEET)).read_text(encoding="utf-8")
    records = [
        Attachment(filename=file["path"], name=file["name"], relationship="Source")
        for file in sorted(order["records"], key=lambda file: str(file["name"]))
    ]
    with _listening() as missing:
        made = print_page(
            page, {}, sheet=sheet, fetcher=Holding(), variant=VARIANT, attachments=records, finish=finish
        )  # fmt: skip
    (folder / PAPER).write_bytes(made)
    return {"pages": pages[0], "missing": "".join(sorted(missing))}


@contextmanager
def _listening() -> Iterator[set[str]]:
    """Give the characters that WeasyPrint prints an empty box for; it only logs that."""
    from weasyprint.logger import LOGGER

    heard: set[str] = set()

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if str(record.msg).startswith(LACKS) and isinstance(record.args, tuple):
                heard.add(str(record.args[0]))

    ear = Ear(logging.WARNING)
    LOGGER.addHandler(ear)
    try:
        yield heard
    finally:
        LOGGER.removeHandler(ear)


def address(sha256: str) -> str:
    """Return the address by which a page holds a file: the target of `<a rel=attachment>`."""
    return f"{HOLDS}{sha256},"


def _tidy(pdf: Any, at: str) -> None:
    """Give the files of a PDF the time of the paper instead of that of printing."""
    import pydyf  # type: ignore[import-untyped]

    moment = pydyf.String(datetime.fromisoformat(at).strftime("D:%Y%m%d%H%M%SZ"))
    for item in pdf.objects:
        if getattr(item, "extra", {}).get("Type") == "/EmbeddedFile":
            item.extra["Params"].update(CreationDate=moment, ModDate=moment)
