"""Reading images: files that Pillow reads, FITS, texts in base64, and other nodes' arrays."""

from __future__ import annotations

import base64
import binascii
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from physlab.errors import ValidationError
from physlab.tools.context import Context
from physlab.tools.data.filevalues import file_of, reading
from physlab.tools.extras import require
from physlab.tools.types import Array, File

FITS = b"SIMPLE  ="
LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


@dataclass(frozen=True)
class Image:
    """One image.

    Attributes:
        name: What people call it.
        pixels: Shape (rows, columns) or (rows, columns, 3); row 0 is the first of the file.
        full: The greatest value of its integer type; None for other numbers.
        is_fits: True when its first row is at the bottom, as FITS has it.
    """

    name: str
    pixels: Array
    full: float | None
    is_fits: bool = False

    @property
    def grey(self) -> Array:
        """Brightness, (rows, columns)."""
        return self.pixels if self.pixels.ndim == 2 else self.pixels @ LUMINANCE

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.pixels.shape[0]), int(self.pixels.shape[1])


def load(value: Any, number: int, context: Context) -> Image:
    """Return one image.

    Args:
        value: A file, a `data:` text in base64, or an array.
        number: Its place in the list, for names and messages.
        context: Enforces the cap on values; gets notes on blank pixels.

    Raises:
        ValidationError: It is no image, is empty, or is above the cap.
    """
    if isinstance(value, File):
        path = file_of(value)
        name, source = value.name, value
        content = path.read_bytes()
    elif isinstance(value, str):
        name = f"image {number + 1}"
        content = _decode(value, name)
        source = File(path=context.workdir / name, name=name)
    else:
        return _from_numbers(value, f"image {number + 1}", context)
    if content.startswith(FITS):
        return _from_fits(content, source, context)
    return _from_pillow(content, source, context)


def _decode(text: str, name: str) -> bytes:
    try:
        return base64.b64decode("".join(text.partition(",")[2].split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValidationError(f"The base64 text of {name} is damaged: {error}.", hint="Encode it again.") from error


def _from_numbers(value: Any, name: str, context: Context, *, is_fits: bool = False) -> Image:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValidationError(f"{name} has rows of different lengths.", hint="Give a rectangle of numbers.") from error
    if array.dtype.kind not in "biuf" or array.ndim not in (2, 3) or 0 in array.shape:
        raise ValidationError(
            f"{name} is an array of {array.dtype} with the shape {array.shape}.",
            hint="An image is (rows, columns) or (rows, columns, 3) of real numbers.",
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim == 3 and array.shape[2] not in (3, 4):
        raise ValidationError(f"{name} has {array.shape[2]} channels.", hint="One, three or four are read.")
    context.enforce("values", array.size, f"the pixels of {name}")
    full = float(np.iinfo(array.dtype).max) if array.dtype.kind in "iu" and array.dtype.itemsize <= 2 else None
    pixels = array[..., :3].astype(float) if array.ndim == 3 else array.astype(float)
    return Image(name, _without_blanks(pixels, name, context), full, is_fits)


def _without_blanks(pixels: Array, name: str, context: Context) -> Array:
    blank = ~np.isfinite(pixels)
    if not blank.any():
        return pixels
    if blank.all():
        raise ValidationError(f"{name} has no finite pixel.", hint="Check the file.")
    context.warn(f"{name}: {int(blank.sum())} pixels without a finite value were set to the median of the others.")
    return np.where(blank, np.median(pixels[~blank]), pixels)


def _from_fits(content: bytes, source: File, context: Context) -> Image:
    fits = require("astropy.io.fits", "FITS")
    with warnings.catch_warnings(), reading(source, "FITS", fits.VerifyError):
        warnings.simplefilter("ignore")
        with fits.open(io.BytesIO(content), memmap=False) as hdus:
            for hdu in hdus:
                if getattr(hdu, "is_image", False) and len(hdu.shape or ()) == 2:
                    context.enforce("values", float(np.prod(hdu.shape)), f"the pixels of {source.name}")
                    data = np.asarray(hdu.data)
                    plain = data.astype(data.dtype.newbyteorder("="))
                    return _from_numbers(plain, source.name, context, is_fits=True)
    raise ValidationError(
        f"'{source.name}' holds no image of two dimensions.", hint="Read a slice of it with data.import_fits."
    )


@contextmanager
def _whole_files_only() -> Iterator[None]:
    """Let Pillow refuse files that are cut off; libraries for PDF turn that off for the whole process."""
    from PIL import ImageFile

    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _from_pillow(content: bytes, source: File, context: Context) -> Image:
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    try:
        opened = Pillow.open(io.BytesIO(content))
    except UnidentifiedImageError as error:
        raise ValidationError(
            f"'{source.name}' is not an image that can be read.", hint="PNG, TIFF, JPEG, GIF, BMP, WebP and FITS are."
        ) from error
    except Pillow.DecompressionBombError as error:
        raise ValidationError(f"'{source.name}' is too large: {error}.", hint="Cut it into parts.") from error
    image: Any = opened
    with opened, _whole_files_only(), reading(source, "an image", SyntaxError):
        context.enforce("values", float(opened.width) * opened.height, f"the pixels of {source.name}")
        if getattr(image, "n_frames", 1) > 1:
            context.warn(f"{source.name} holds {image.n_frames} images; the first one is used.")
        mode = image.mode
        if mode in ("1", "LA"):
            image = image.convert("L")
        elif mode not in ("L", "RGB", "F", "I") and not mode.startswith("I;16"):
            image = image.convert("RGB")
        if mode in ("LA", "RGBA", "PA"):
            context.warn(f"{source.name}: its transparency was left out.")
        array = np.asarray(image)
        if mode == "I":  # 16-bit files of some kinds are opened as 32 bit
            array = array.astype(np.uint16) if array.min() >= 0 and array.max() < 2**16 else array.astype(float)
    return _from_numbers(array, source.name, context)
