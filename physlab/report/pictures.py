"""Pictures as `data:` addresses of moderate size; nothing is ever fetched."""

from __future__ import annotations

import base64
import io
import warnings

from physlab.errors import StoreError
from physlab.report.contents import Item
from physlab.store import Store

WIDTH = 1400  # pixels across the page: about 210 per inch
PIXELS = 50_000_000  # a picture above this is a bomb or a mistake


def data_uri(data: bytes, media_type: str) -> str:
    """Return bytes as an address that holds them."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def embed(item: Item, store: Store) -> str | None:
    """Return a picture for the page, made smaller when it has more pixels than a page can show.

    Returns:
        A `data:` address; None for a format that a page cannot show (PDF, video).

    Raises:
        StoreError: The bytes are missing, damaged or no picture.
    """
    data = store.blobs.read(item.artifact.sha256)
    if item.artifact.media_type == "image/svg+xml":
        return data_uri(data, "image/svg+xml")
    if not item.artifact.media_type.startswith("image/"):
        return None
    return _raster(data, item)


def _raster(data: bytes, item: Item) -> str:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as picture:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            if picture.width * picture.height > PIXELS:
                raise ValueError(f"{picture.width} × {picture.height} pixels are too many")
            if picture.format == "PNG" and picture.width <= WIDTH:
                picture.load()
                return data_uri(data, "image/png")
            height = max(1, round(picture.height * min(1.0, WIDTH / picture.width)))
            small = picture.convert("RGBA").resize((min(WIDTH, picture.width), height), Image.Resampling.LANCZOS)
            target = io.BytesIO()
            small.save(target, "PNG")
            return data_uri(target.getvalue(), "image/png")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise StoreError(
            f"The figure {item.path} of node '{item.node_id}' cannot be shown: {error}.",
            hint="The tool that wrote it must write a valid PNG, JPEG, WebP, GIF or SVG of at most 50 megapixels.",
        ) from error
