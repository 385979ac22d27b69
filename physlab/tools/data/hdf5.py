"""HDF5 files: reading one dataset with its attributes, and writing values so that they are read back bit for bit."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from physlab.errors import ConfigurationError, ValidationError, nearest
from physlab.tools.context import Context
from physlab.tools.data.file_params import ExportHdf5Params, ImportHdf5Params
from physlab.tools.data.filefigures import show
from physlab.tools.data.filevalues import BROKEN, attribute, clean, file_of, jagged, megabytes, native, reading, texts
from physlab.tools.extras import require
from physlab.tools.registry import Port
from physlab.tools.types import Array

PURPOSE = "HDF5"
LISTED = 1000
COMPRESSED_FROM = 100  # elements; smaller ones grow
MOST_LINKS = 32

IMPORT_PORTS = (
    Port("data", "any", None, "array; text or list of texts; name → column for a compound; null for an empty dataset"),
    Port("dataset_path", "text", None, "path of the dataset inside the file"),
    Port("metadata", "object", None, "attributes of the dataset"),
    Port("file_metadata", "object", None, "attributes of the file's root group"),
    Port("datasets", "list", None, f"{{path, shape, dtype}} of each dataset, the first {LISTED} by path"),
    Port("shape", "list", None, "shape of the dataset; null when it is empty"),
    Port("dtype", "text", None, "its type as the file has it"),
    Port("size_mb", "number", "MB", "size of the dataset in memory"),
)
EXPORT_PORTS = (
    Port("file_path", "file", None, "the file"),
    Port("file_size_mb", "number", "MB", "its size"),
    Port("compression", "text", None, "how datasets above 100 elements are compressed"),
    Port("datasets", "list", None, "paths of what was written"),
    Port("success", "boolean", None, "true; a failure is an error"),
)


def import_hdf5(params: ImportHdf5Params, context: Context) -> dict[str, Any]:
    """Read one dataset of an HDF5 file, with its attributes.

    Args:
        params: The file and the dataset.
        context: The surroundings of the call.

    Returns:
        The data in their own type; numbers are never rescaled.

    Raises:
        ValidationError: The file is damaged, or the dataset is missing, lies elsewhere (external link, virtual
            dataset, external storage), has a type without counterpart, or is above the cap.
    """
    h5py = require("h5py", PURPOSE)
    path = file_of(params.file_path)
    with reading(params.file_path, PURPOSE):
        if not h5py.is_hdf5(path):
            raise ValidationError(
                f"'{params.file_path.name}' is not an HDF5 file.",
                hint="Check the path; tables of text are read by import_csv.",
            )
        with h5py.File(path, "r", locking=False) as file:
            found = _datasets(file, h5py)
            chosen = params.dataset_path or _largest(found, params.file_path.name)
            dataset = _open(file, chosen, found, h5py)
            fields = _content(dataset, context, h5py)
            fields |= {
                "metadata": _attributes(dataset, context, h5py),
                "file_metadata": _attributes(file, context, h5py),
                "datasets": [_listing(name, item) for name, item in found[:LISTED]],
            }
    if len(found) > LISTED:
        context.warn(f"The file has {len(found)} datasets; 'datasets' lists the first {LISTED}.")
    context.meta.update(file_size_mb=megabytes(path), format="HDF5", readable=True)
    caption = f"Dataset {fields['dataset_path']} of {params.file_path.name}."
    return fields | show(fields["data"], context, "hdf5", caption)


def _datasets(file: Any, h5py: Any) -> list[tuple[str, Any]]:
    """Return every dataset that lies in the file itself, by path."""
    found: list[tuple[str, Any]] = []

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found.append((f"/{name}", item))

    file.visititems(note)
    return sorted(found, key=lambda pair: pair[0])


def _bytes(dataset: Any) -> int:
    try:
        return int(dataset.nbytes or 0)
    except TypeError:  # a type that NumPy does not have
        return 0


def _largest(found: list[tuple[str, Any]], name: str) -> str:
    if not found:
        raise ValidationError(f"'{name}' holds no dataset.", hint="Links to other files are not followed.")
    return max(found, key=lambda pair: (_bytes(pair[1]), [-ord(sign) for sign in pair[0]]))[0]


def _listing(name: str, dataset: Any) -> dict[str, Any]:
    try:
        dtype = str(dataset.dtype)
    except TypeError:
        dtype = "unsupported"
    return {"path": clean(name), "shape": list(dataset.shape) if dataset.shape is not None else None, "dtype": dtype}


def _open(file: Any, wanted: str, found: list[tuple[str, Any]], h5py: Any) -> Any:
    """Return a dataset, following links inside the file only."""
    parts, place, links = [part for part in wanted.split("/") if part], file, 0
    while parts:
        part = parts.pop(0)
        link = place.get(part, getlink=True) if isinstance(place, h5py.Group) and part in place.keys() else None  # noqa: SIM118
        if isinstance(link, h5py.SoftLink):
            links += 1
            if links > MOST_LINKS:
                raise ValidationError(f"'{wanted}' is a link that leads back to itself.", hint=_known(wanted, found))
            place = file if link.path.startswith("/") else place
            parts = [step for step in link.path.split("/") if step not in ("", ".")] + parts
        elif isinstance(link, h5py.HardLink):
            place = place[part]
        elif link is None:
            raise ValidationError(f"The file has no dataset '{wanted}'.", hint=_known(wanted, found))
        else:
            raise ValidationError(
                f"'{wanted}' is a link to another file, which is not followed.",
                hint="Read that file itself, so that its content is part of the node's identity.",
            )
    if not isinstance(place, h5py.Dataset):
        raise ValidationError(f"'{wanted}' is a group, not a dataset.", hint=_known(wanted, found))
    return place


def _known(wanted: str, found: list[tuple[str, Any]]) -> str:
    return nearest(wanted, [clean(name) for name, _ in found])


def _content(dataset: Any, context: Context, h5py: Any) -> dict[str, Any]:
    name = clean(dataset.name)
    if dataset.is_virtual or dataset.external:
        kind = "a virtual dataset" if dataset.is_virtual else "stored outside its file"
        raise ValidationError(
            f"'{name}' is {kind}: its values lie in other files, which are not followed.",
            hint="Copy it into one file first (h5repack), so that its content is part of the node's identity.",
        )
    fields: dict[str, Any] = {
        "dataset_path": name,
        "dtype": str(dataset.dtype),
        "size_mb": _bytes(dataset) / 1e6,
        "shape": None if dataset.shape is None else list(dataset.shape),
    }
    if dataset.shape is None:
        context.warn(f"'{name}' is an empty dataset (null dataspace).")
        return fields | {"data": None}
    context.enforce("values", dataset.size * _width(dataset.dtype), f"the size of '{name}', {dataset.shape},")
    context.meta["dtype"] = fields["dtype"]
    return fields | {"data": _value(dataset[...], dataset.dtype, name, context, h5py)}


def _width(dtype: Any) -> int:
    """Return how many values one element has."""
    if dtype.subdtype is not None:
        return int(np.prod(dtype.subdtype[1])) * _width(dtype.subdtype[0])
    if dtype.names:
        return sum(_width(dtype.fields[name][0]) for name in dtype.names)
    return 1


def _value(array: Array, dtype: Any, name: str, context: Context, h5py: Any) -> Any:
    base = dtype.subdtype[0] if dtype.subdtype is not None else dtype
    if base.names is not None:
        return {
            clean(field): _value(array[field], base.fields[field][0], f"{name}.{clean(field)}", context, h5py)
            for field in base.names
        }
    if h5py.check_string_dtype(base) is not None or base.kind in "SU":
        return texts(array)
    if (within := h5py.check_vlen_dtype(base)) is not None and np.dtype(within).kind in "biufc":
        rows = array.ravel().tolist() if array.ndim else [array[()]]
        return jagged(rows, array.shape, context, name)
    if base.kind in "biufc":
        if names := h5py.check_enum_dtype(base):
            context.meta.setdefault("enums", {})[name] = {clean(key): int(value) for key, value in names.items()}
        return native(array, context, name)
    kind = "references to objects" if h5py.check_ref_dtype(base) else f"elements of the type {base}"
    raise ValidationError(
        f"'{name}' has {kind}, which have no counterpart here.",
        hint="Numbers, texts, compounds of them, and rows of numbers of different lengths can be read.",
    )


def _attributes(item: Any, context: Context, h5py: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in item.attrs:
        try:
            value = item.attrs[key]
        except BROKEN as error:
            context.warn(f"The attribute '{clean(key)}' cannot be read: {clean(str(error))[:120]}.")
            continue
        found[clean(key)] = None if isinstance(value, h5py.Empty) else attribute(value)
    return found


def export_hdf5(params: ExportHdf5Params, context: Context) -> dict[str, Any]:
    """Write values as an HDF5 file whose bytes depend on the values alone.

    Args:
        params: The values, and the file's name.
        context: The surroundings of the call.

    Returns:
        The file; import_hdf5 reads every array back bit for bit, in its own type.

    Raises:
        ValidationError: A value or a name cannot be written.
        ConfigurationError: The compression is not part of this installation.
    """
    h5py = require("h5py", PURPOSE)
    values = dict(_leaves(params.data, ""))
    context.enforce("values", sum(value.size for value in values.values()), "the number of values in 'data'")
    strangers = sorted({key.strip("/") for key in params.units} - {key.strip("/") for key in values})
    if strangers:
        raise ValidationError(f"There is a unit for '{strangers[0]}', and no such dataset.", hint=nearest(
            strangers[0], values))  # fmt: skip
    name, buffer = _artifact_name(params.file_path, context), io.BytesIO()
    options = _compression(params.compression, h5py)
    units = {key.strip("/"): unit for key, unit in params.units.items()}
    with h5py.File(buffer, "w", libver=("earliest", "v110"), track_order=False) as file:
        for path, value in values.items():
            large = value.size > COMPRESSED_FROM
            try:
                dataset = file.create_dataset(
                    path, data=value, dtype=h5py.string_dtype() if value.dtype.kind == "O" else value.dtype,
                    track_times=False, **(options if large else {}),
                )  # fmt: skip
            except BROKEN as error:
                raise ValidationError(
                    f"'{path}' cannot be written: {error}.", hint="Two names collide, or a name is not possible."
                ) from error
            if path.strip("/") in units:
                dataset.attrs["units"] = units[path.strip("/")]
        for key, entry in params.metadata.items():
            _write_attribute(file, key, entry, h5py)
    listed = ", ".join(list(values)[:6]) + (" …" if len(values) > 6 else "")
    saved = context.save(
        buffer.getvalue(), name, role="data", media_type="application/x-hdf5", field="file_path",
        caption=f"HDF5 file with {listed}.",
    )  # fmt: skip
    context.meta.update(format="HDF5", values=int(sum(value.size for value in values.values())))
    return {
        "file_path": saved,
        "file_size_mb": megabytes(saved.path),
        "compression": params.compression,
        "datasets": [f"/{path}" for path in values],
        "success": True,
    }


def _artifact_name(path: str, context: Context) -> str:
    name = PurePath(path.replace("\\", "/")).name
    if name != path:
        context.warn(f"The file lies in the store as '{name}'; nothing is written to '{path}'.")
    return name


def _leaves(data: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Array]]:
    """Yield path and array of each value, groups opened."""
    for key, value in data.items():
        steps = [step for step in str(key).split("/") if step]
        if not steps or "." in steps or ".." in steps or "\0" in key:
            raise ValidationError(f"'{key}' is no name of a dataset.", hint="Use letters, digits and '/' for groups.")
        path = "/".join([prefix, *steps] if prefix else steps)
        if isinstance(value, Mapping) and set(value) != {"real", "imag"}:
            if not value:
                raise ValidationError(f"The group '{path}' is empty.", hint="Leave it out.")
            yield from _leaves(value, path)
        else:
            yield path, _as_array(value, path)


def _as_array(value: Any, path: str) -> Array:
    if isinstance(value, Mapping):
        value = np.asarray(value["real"]) + 1j * np.asarray(value["imag"])
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValidationError(
            f"'{path}' is not rectangular.", hint="Write rows of different lengths as 'values' and 'counts'."
        ) from error
    if array.dtype.kind == "U" and _all_texts(value):
        return np.array(array, dtype=object)
    if array.dtype.kind not in "biufc":
        raise ValidationError(
            f"'{path}' is {'null' if value is None else f'of the type {array.dtype}'}, which cannot be written.",
            hint="Give numbers, texts, lists of one kind, or an object of them.",
        )
    return array


def _all_texts(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_all_texts, value))
    return isinstance(value, str) or (isinstance(value, np.ndarray) and value.dtype.kind == "U")


def _compression(name: str, h5py: Any) -> dict[str, Any]:
    if name == "none":
        return {}
    if name == "szip":
        able = h5py.h5z.filter_avail(h5py.h5z.FILTER_SZIP) and (
            h5py.h5z.get_filter_info(h5py.h5z.FILTER_SZIP) & h5py.h5z.FILTER_CONFIG_ENCODE_ENABLED
        )
        if not able:
            raise ConfigurationError(
                "This installation of HDF5 cannot compress with szip.", hint="Use compression: gzip, lzf or none."
            )
    return {"compression": name}


def _write_attribute(file: Any, key: str, value: Any, h5py: Any) -> None:
    if isinstance(value, Mapping):
        raise ValidationError(f"metadata.{key} is an object.", hint="Attributes are texts, numbers and lists of them.")
    try:
        if value is None:
            file.attrs[key] = h5py.Empty("f8")
        elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            file.attrs.create(key, np.array(value, dtype=object), dtype=h5py.string_dtype())
        else:
            file.attrs[key] = value
    except BROKEN as error:
        raise ValidationError(
            f"metadata.{key} cannot be written as an attribute: {error}.",
            hint="Attributes hold texts, numbers and lists of one kind, up to 64 KB; put more into 'data'.",
        ) from error
