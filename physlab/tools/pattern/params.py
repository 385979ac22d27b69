"""The parameters of `pattern_recognition_infer`."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from physlab.errors import ValidationError, nearest
from physlab.model.stored import is_stored_file
from physlab.tools.types import File, VisualParams

CLASSICAL = {"classical": "", "default": "", "log": "detect", "dog": "detect", "watershed": "segment",
             "otsu": "segment"}  # fmt: skip
MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"BM", b"SIMPLE  =", b"RIFF")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{64,}={0,2}\s*")
MODEL_FILES = (".onnx", ".pt", ".pth", ".ts", ".torchscript")


def _to_images(value: Any) -> Any:
    """Return images one by one: paths become files; texts in base64, arrays and files stay what they are."""
    if isinstance(value, np.ndarray):
        return _from_array(value)
    if isinstance(value, str | File) or is_stored_file(value):
        value = [value]
    if not isinstance(value, list | tuple) or not len(value):
        raise ValueError("a list of paths, base64 texts or arrays is needed, at least one")
    if isinstance(value[0], list) and value[0] and isinstance(value[0][0], int | float):
        value = [value]  # one image, as rows of numbers
    return [_to_image(item) for item in value]


def _to_image(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.startswith("data:") else File(path=Path(value), name=PurePath(value).name)
    if isinstance(value, File | list | np.ndarray) or is_stored_file(value):
        return value
    raise ValueError(f"an image is a path, a base64 text or rows of numbers, not a {type(value).__name__}")


def _from_array(value: Any) -> list[Any]:
    if value.ndim == 2 or (value.ndim == 3 and value.shape[-1] in (3, 4)):
        return [value]
    if value.ndim in (3, 4):
        return list(value)
    raise ValueError(f"the array has the shape {value.shape}; an image is (rows, columns) or (rows, columns, 3)")


def _to_model(value: Any) -> Any:
    if not isinstance(value, str) or value.lower() in CLASSICAL:
        return value.lower() if isinstance(value, str) else value
    if not PurePath(value).suffix and "/" not in value:
        raise ValidationError(
            f"model = '{value}' is neither a file nor a classical method.",
            hint=f"Give a file ({', '.join(MODEL_FILES[:2])}) or: {nearest(value, CLASSICAL)}",
        )
    return File(path=Path(value), name=PurePath(value).name)


_ARRAYS: Any = {"format": "path", "type": "array", "items": {}}
Images = Annotated[list[Any], BeforeValidator(_to_images), Field(json_schema_extra=_ARRAYS)]
Model = Annotated[Any, BeforeValidator(_to_model), Field(json_schema_extra={"format": "path"})]


def expand(raw: dict[str, Any], base_dir: Path) -> dict[str, Any]:
    """Mark texts in base64 as such, before paths and references are looked for."""
    return dict(respell(raw))


def respell(raw: Any) -> Any:
    """Read `image_data` as `images`, `model_type` as `model`, and bare base64 as a `data:` text.

    Raises:
        ValidationError: Two names of one parameter are given.
    """
    if not isinstance(raw, Mapping):
        return raw
    data = dict(raw)
    for other, name in (("image_data", "images"), ("model_type", "model")):
        if other in data:
            if name in data:
                raise ValidationError(f"'{other}' and '{name}' mean the same.", hint="Give one of them.")
            data[name] = data.pop(other)
    images = data.get("images")
    if isinstance(images, str):
        data["images"] = _mark(images)
    elif isinstance(images, list):
        data["images"] = [_mark(item) if isinstance(item, str) else item for item in images]
    return data


def _mark(text: str) -> str:
    if text.startswith(("data:", "from:")) or not _BASE64.fullmatch(text):
        return text
    try:
        found = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return text
    return f"data:;base64,{text}" if found.startswith(MAGIC) else text


class PatternParams(VisualParams):
    """Images, and what to find in them."""

    task: Literal["detect", "segment", "classify"] = Field(
        description="detect: objects and their places; segment: regions; classify: one label an image."
    )
    images: Images = Field(
        description="Paths (PNG, TIFF, JPEG, FITS, …), base64 texts, arrays (rows, columns[, 3]) or from:node.field; "
        "`image_data` means the same."
    )
    model: Model = Field(
        "classical",
        description="An ONNX or TorchScript file, or `classical`: `log`, `dog` (blobs) to detect, `watershed` to "
        "segment; `model_type` means the same.",
    )
    threshold: float = Field(
        0.25, ge=0, le=1, validation_alias=AliasChoices("threshold", "confidence_threshold"),
        description="Least confidence of what is reported.",
    )  # fmt: skip
    labels: list[str] = Field([], description="Names of the model's classes, in their order.")
    truth: list[Any] | None = Field(
        None,
        description="What is right, one item an image: a label (classify); [[x, y], …] or [[x1, y1, x2, y2], …] "
        "(detect); rows of class numbers (segment).",
    )
    match_px: float = Field(2.0, gt=0, description="A found place this near to a true one is right [pixel].")
    polarity: Literal["bright", "dark"] = Field("bright", description="Objects are brighter or darker than the ground.")
    min_sigma: float = Field(1.0, gt=0, le=500, description="Least width of a blob, standard deviation [pixel].")
    max_sigma: float = Field(6.0, gt=0, le=500, description="Greatest width of a blob [pixel].")
    min_snr: float = Field(5.0, ge=0, description="Least height of a blob over the noise, in standard deviations.")
    min_area: int = Field(16, ge=1, description="Least area of a region [pixel].")
    min_distance: int = Field(5, ge=1, description="Least distance of the centres of touching regions [pixel].")
    box_format: Literal["xyxy", "xywh", "cxcywh"] = Field(
        "xyxy", description="The model's boxes: corners; corner and size; centre and size."
    )
    box_units: Literal["pixel", "fraction"] = Field("pixel", description="Of the model's input, or fractions of it.")
    box_layout: Literal["score_class", "class_scores"] = Field(
        "score_class",
        description="Rows of a single output: 4 numbers, score, class; or 4 numbers and one score a class.",
    )
    iou: float = Field(0.45, gt=0, le=1, description="Boxes of one class that overlap more are one object.")
    input_shape: list[int] | None = Field(
        None, min_length=3, max_length=3, description="[channels, rows, columns] of a TorchScript model's input."
    )
    pixel_scale: float | None = Field(
        None,
        gt=0,
        description="What pixel values are divided by for a model; default: the greatest of an integer type.",
    )
    mean: list[float] = Field([], description="Subtracted from each channel, after pixel_scale.")
    std: list[Annotated[float, Field(gt=0)]] = Field([], description="Each channel is divided by it, after the mean.")

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, data: Any) -> Any:
        return respell(data)

    @model_validator(mode="after")
    def _fits(self) -> PatternParams:
        if isinstance(self.model, str):
            self._check_classical(CLASSICAL[self.model])
        if self.max_sigma < self.min_sigma:
            raise ValueError(f"max_sigma = {self.max_sigma:g} is below min_sigma = {self.min_sigma:g}")
        if self.truth is not None and len(self.truth) != len(self.images):
            raise ValidationError(
                f"truth has {len(self.truth)} items for {len(self.images)} images.", hint="Give one for each image."
            )
        return self

    def _check_classical(self, serves: str) -> None:
        if self.task == "classify":
            raise ValidationError(
                "There is no classical method that classifies images.", hint="Give model: an ONNX or TorchScript file."
            )
        if serves and serves != self.task:
            raise ValidationError(
                f"model = '{self.model}' is there to {serves}, not to {self.task}.", hint="Use classical, or a file."
            )
        if len(self.labels) > 1:
            raise ValidationError(
                f"{len(self.labels)} labels are given, and the classical methods know one class.",
                hint="Give one label, or a model.",
            )
