"""Many thumbnails on few pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from typing import Any

from physlab.notebook.thumbnails.image import encode, insist
from physlab.notebook.thumbnails.thumbnail import Thumbnail, short

GAP, LABEL = 12, 34


def contact_sheets(
    shown: Sequence[tuple[str, Thumbnail]], rows: int = 3, columns: int = 4, width_px: int = 384
) -> list[bytes]:
    """Return thumbnails with their names on sheets, as PNG.

    Args:
        shown: The name of each file, and what is shown of it.
        rows: Rows of a sheet.
        columns: Columns of a sheet.
        width_px: Width of a thumbnail [px].
    """
    each = rows * columns
    return [_sheet(shown[start : start + each], columns, width_px) for start in range(0, len(shown), each)]


def _sheet(shown: Sequence[tuple[str, Thumbnail]], columns: int, width_px: int) -> bytes:
    from PIL import Image, ImageDraw

    high = round(width_px * 0.75)
    lines, columns = -(-len(shown) // columns), min(columns, len(shown))
    size = columns * (width_px + GAP) + GAP, lines * (high + LABEL + GAP) + GAP
    sheet = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(sheet), _font()
    for number, (name, thumbnail) in enumerate(shown):
        left, top = GAP + number % columns * (width_px + GAP), GAP + number // columns * (high + LABEL + GAP)
        pen.rectangle((left, top, left + width_px - 1, top + high - 1), fill="#f4f6f8", outline="#d5dade")
        if thumbnail.png is not None:
            picture = _fitted(thumbnail.png, width_px - 2, high - 2)
            sheet.paste(picture, (left + (width_px - picture.width) // 2, top + (high - picture.height) // 2))
        elif thumbnail.rows:
            _write_rows(pen, thumbnail.rows, (left + 8, top + 8, left + width_px - 8, top + high - 8))
        else:
            pen.text((left + width_px / 2, top + high / 2), thumbnail.kind, fill="#57606a", font=font, anchor="mm")
        pen.text((left, top + high + 5), _label(name, width_px, font), fill="#16191d", font=font)
    return encode(sheet)


def _write_rows(pen: Any, rows: Sequence[Sequence[str]], box: tuple[int, int, int, int]) -> None:
    """Write the first rows of a table into a box: as many columns, and as much of each, as there is room for."""
    left, top, right, bottom = box
    font, place = _font(12), left
    for column in zip_longest(*rows, fillvalue=""):
        wide = min(max(font.getlength(text) for text in column), (right - left - 12) / 2)
        if place + wide > right:
            return
        for number, text in enumerate(column):
            if top + 17 * (number + 1) <= bottom:
                ink = "#57606a" if number == 0 else "#16191d"
                pen.text((place, top + 17 * number), _label(text, round(wide), font), fill=ink, font=font)
        place += round(wide) + 12


def _fitted(png: bytes, wide: int, high: int) -> Any:
    from PIL import Image

    with Image.open(io.BytesIO(png), formats=("PNG",)) as picture:
        insist(*picture.size)
        scale = min(1.0, wide / picture.width, high / picture.height)
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def _label(name: str, width_px: int, font: Any) -> str:
    text = short(name, 80)
    while font.getlength(text) > width_px and len(text) > 2:
        text = f"{text[:-2]}…"
    return text


def _font(size_px: int = 18) -> Any:
    from PIL import ImageFont

    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return ImageFont.load_default(size_px)
    return ImageFont.truetype(Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf", size_px)
