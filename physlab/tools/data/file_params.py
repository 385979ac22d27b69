"""The parameters of scientific files: HDF5, FITS, ROOT."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from physlab.errors import ValidationError
from physlab.tools.types import Array, InputFile, Params, VisualParams


def merge_file(data: Any) -> Any:
    """Read the documented `file` as `file_path`."""
    if not isinstance(data, Mapping) or "file" not in data:
        return data
    if "file_path" in data:
        raise ValidationError("'file' and 'file_path' mean the same.", hint="Give one of them.")
    return {"file_path" if key == "file" else key: value for key, value in data.items()}


def expand(raw: dict[str, Any], base_dir: Path) -> dict[str, Any]:
    """Give the file its one name before references are looked for."""
    return dict(merge_file(raw))


def _file_name(path: str) -> str:
    name = PurePath(path.replace("\\", "/")).name
    if not name or not path.isprintable() or name.startswith("."):
        raise ValueError("a file name such as 'result.h5' is needed")
    return path


OutputName = Annotated[str, AfterValidator(_file_name)]


class ImportParams(VisualParams):
    """A file to read."""

    file_path: InputFile = Field(description="Path, or from:node.field of a file; `file` means the same.")

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, data: Any) -> Any:
        return merge_file(data)


class ImportHdf5Params(ImportParams):
    """An HDF5 file and the dataset to read."""

    dataset_path: str | None = Field(
        None, min_length=1, description="Path inside the file, such as /run/energy; default: the largest dataset."
    )


class ImportFitsParams(ImportParams):
    """A FITS file and the HDU to read."""

    hdu_index: int | str = Field(0, description="Number of the HDU, 0 is the primary one; or its EXTNAME.")


class ImportRootParams(ImportParams):
    """A ROOT file and the branches to read."""

    tree_name: str | None = Field(None, min_length=1, description="Name of the TTree; default: the only one.")
    branches: list[str] | None = Field(None, min_length=1, description="Branches; default: the first 10 readable.")
    max_entries: int = Field(10_000, ge=1, description="Read at most so many entries from the first on.")


class ExportParams(Params):
    """Where the written file goes: into the store, under its name."""

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, data: Any) -> Any:
        return merge_file(data)


class ExportHdf5Params(ExportParams):
    """Values to write as datasets."""

    data: dict[str, Any] = Field(
        min_length=1, description="Name → array, number, text or list of texts; an object becomes a group."
    )
    file_path: OutputName = Field("data.h5", description="Name of the file; it lies in the store, not in a folder.")
    compression: Literal["gzip", "lzf", "szip", "none"] = Field(
        "gzip", description="Of datasets above 100 elements; all are lossless."
    )
    metadata: dict[str, Any] = Field({}, description="Attributes of the file: texts, numbers, lists of them.")
    units: dict[str, str] = Field({}, description="Name in data → unit, written as the attribute `units`.")


class ExportFitsParams(ExportParams):
    """An image, or the columns of a table."""

    data: Array | dict[str, Any] = Field(
        union_mode="left_to_right",
        description="An array becomes the primary image; an object name → column becomes a binary table.",
    )
    file_path: OutputName = Field("data.fits", description="Name of the file; it lies in the store, not in a folder.")
    header: dict[str, Any] = Field({}, description="Keywords; those that describe the form of the data are left out.")
    units: dict[str, str] = Field({}, description="Column → unit (TUNIT); for an image `{BUNIT: unit}`.")
