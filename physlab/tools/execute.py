"""Running one piece of work where the store can be reached: values in by digest, values out by digest."""

from __future__ import annotations

import contextlib
import io
import math
import os
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from physlab.device import machine
from physlab.errors import ComputationError, PhyslabError, StoreError
from physlab.model import Artifact, StoredArray, StoredFile, Work, WorkResult, is_stored_array, is_stored_file
from physlab.model.stored import is_marker
from physlab.store.blobs import Blobs
from physlab.tools import load_tools
from physlab.tools.call import call_method
from physlab.tools.context import Context
from physlab.tools.types import File, array_to_json

INLINE_VALUES = 256  # arrays up to this many numbers stay in the record
EXACT = 2**53  # whole numbers from here on are not exact in JSON


def execute(work: Work, office: Callable[[str, Mapping[str, Any]], dict[str, Any]] | None = None) -> WorkResult:
    """Run one node's work and put what it makes into the store.

    Args:
        work: What to do.
        office: Answers the lab's own methods, where the lab is.

    Raises:
        PhyslabError: The work failed; `details["log"]` names its log in the store when there is one.
    """
    root = Path(work.store)
    blobs = Blobs(root)
    method = load_tools().find(work.tool, work.method)
    with _scratch(root) as scratch:
        context = Context(
            scratch=scratch,
            visuals=work.visuals,
            seed=work.seed,
            device=work.device,
            cap_values=work.caps,
            web=work.web,
            home=root.parent,
            time_limit_s=work.time_limit_s,
            cpu=work.resources.cpu,
            attempt=work.attempt,
            checkpoint={name: blobs.path(digest) for name, digest in work.checkpoint.items()},
            share=work.share,
            parts=restore(list(work.parts), blobs),
            office=office,
        )
        started = time.perf_counter()
        try:
            fields = call_method(method, restore(work.params, blobs), context)
        except PhyslabError as error:
            saved = error.details.pop("checkpoint_paths", {})
            if saved:
                error.details["checkpoint"] = {name: blobs.put(Path(path))[0] for name, path in saved.items()}
            log = error.details.pop("log_path", None)
            if log is not None and Path(log).is_file():
                error.details["log"] = "sha256:" + blobs.put(Path(log))[0]
            raise
        duration_ms = (time.perf_counter() - started) * 1e3
        return _result(fields, context, blobs, duration_ms)


def _result(fields: Mapping[str, Any], context: Context, blobs: Blobs, duration_ms: float) -> WorkResult:
    digests: dict[Path, tuple[str, int]] = {}

    def put(file: File) -> tuple[str, int]:
        if file.path not in digests:
            digests[file.path] = blobs.put(file.path)
        return digests[file.path]

    def store_value(value: Any, place: str) -> Any:
        if isinstance(value, File):
            sha256, size = put(file := value)
            shown: Any = {"sha256": sha256, "name": file.name, "media_type": file.media_type, "size": size}
            return {"$file": StoredFile(**shown, show=file.show).model_dump(exclude_none=True)}
        if isinstance(value, np.ndarray):
            return _store_array(value, blobs)
        if isinstance(value, Mapping):
            if is_marker(value):
                raise ComputationError(f"The result '{place}' has the key '{next(iter(value))}', which is taken.")
            return {str(key): store_value(item, f"{place}.{key}") for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [store_value(item, f"{place}.{index}") for index, item in enumerate(value)]
        return _scalar(value, place)

    stored = {name: store_value(value, name) for name, value in fields.items()}
    artifacts = []
    log = None
    for item in context.written:
        sha256, size = put(item.file)
        if item.role == "log":
            log = sha256
        artifacts.append(
            Artifact(
                sha256=sha256,
                name=item.file.name,
                media_type=item.file.media_type,
                size=size,
                role=item.role,
                caption=item.caption,
                field=item.field,
            )
        )
    meta = {"device": context.device, "machine": machine(), "dtype": "float64", "duration_ms": duration_ms,
            **context.meta}  # fmt: skip
    meta = {name: store_value(value, f"meta.{name}") for name, value in meta.items()}
    return WorkResult(
        fields=stored, artifacts=tuple(artifacts), meta=meta, warnings=tuple(context.warnings), log=log
    )  # fmt: skip


def _store_array(array: np.ndarray[Any, Any], blobs: Blobs) -> Any:
    if array.dtype.kind not in "biufc":
        raise ComputationError(f"An array of type {array.dtype} cannot be stored.", hint="Return numbers or booleans.")
    if array.size <= INLINE_VALUES and _fits_json(array):
        return array.tolist()
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array, order="C"), allow_pickle=False)
    sha256, _ = blobs.put(buffer.getvalue())
    return {"$array": StoredArray(sha256=sha256, shape=array.shape, dtype=str(array.dtype)).model_dump(mode="json")}


def _fits_json(array: np.ndarray[Any, Any]) -> bool:
    """Say whether JSON holds these numbers as they are: real, finite, whole ones below 2^53."""
    if array.dtype.kind in "iu":
        return not array.size or -EXACT < int(array.min()) <= int(array.max()) < EXACT
    return array.dtype.kind == "b" or (array.dtype.kind == "f" and bool(np.isfinite(array).all()))


def _scalar(value: Any, place: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, complex):
        return {"real": _scalar(value.real, f"{place}.real"), "imag": _scalar(value.imag, f"{place}.imag")}
    if isinstance(value, float) and not math.isfinite(value):
        raise ComputationError(
            f"The result '{place}' is {value}.", hint="Check the parameters: the answer is not finite."
        )
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ComputationError(f"The result '{place}' is a {type(value).__name__}.", hint="Return JSON values or arrays.")


def restore(value: Any, blobs: Blobs) -> Any:
    """Return stored values as a tool gets them: arrays memory-mapped, files as paths into the store.

    Raises:
        StoreError: Bytes are missing or not an array.
    """
    if is_stored_array(value):
        stored = StoredArray.model_validate(value["$array"])
        try:
            return np.load(blobs.path(stored.sha256), mmap_mode="r" if math.prod(stored.shape) else None)
        except (OSError, ValueError) as error:
            raise StoreError(f"The array sha256:{stored.sha256} cannot be read: {error}.") from error
    if is_stored_file(value):
        file = StoredFile.model_validate(value["$file"])
        return File(Path(file.stays or blobs.path(file.sha256)), file.name, file.media_type, file.show, file.sha256)
    if isinstance(value, dict):
        if len(value) == 1 and "$scaled" in value:
            inner = restore(value["$scaled"]["value"], blobs)
            return np.asarray(inner) * value["$scaled"]["factor"] if isinstance(inner, list) else (
                inner * value["$scaled"]["factor"]
            )  # fmt: skip
        return {key: restore(item, blobs) for key, item in value.items()}
    if isinstance(value, list):
        return [restore(item, blobs) for item in value]
    return value


def show(value: Any, blobs: Blobs, *, inline_bytes: int = 1 << 20) -> Any:
    """Return a stored value as a reply shows it.

    Arrays up to `inline_bytes` become lists, with null where a number is not finite; larger ones stay references;
    files become base64, text or a path as their tool declared.
    """
    if is_stored_array(value):
        array = restore(value, blobs)
        return _listed(array) if array.nbytes <= inline_bytes else {**value["$array"], "uri": _uri(value)}
    if is_stored_file(value):
        import base64

        file = StoredFile.model_validate(value["$file"])
        if file.show == "base64":
            return base64.b64encode(blobs.read(file.sha256)).decode()
        if file.show == "text":
            return blobs.read(file.sha256).decode()
        return str(blobs.path(file.sha256))
    if isinstance(value, dict):
        return {key: show(item, blobs, inline_bytes=inline_bytes) for key, item in value.items()}
    if isinstance(value, list):
        return [show(item, blobs, inline_bytes=inline_bytes) for item in value]
    return value


def _listed(array: np.ndarray[Any, Any]) -> Any:
    if array.dtype.kind == "c":
        return {"real": _listed(array.real), "imag": _listed(array.imag)}
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        numbers: Any = array.astype(object)
        numbers[~np.isfinite(array)] = None
        return numbers.tolist()
    return array_to_json(array)


def _uri(value: Mapping[str, Any]) -> str:
    return f"sha256:{value['$array']['sha256']}"


@contextlib.contextmanager
def _scratch(root: Path) -> Iterator[Callable[[], Path]]:
    """Offer an empty private folder whose name tells the process, so that a later run can sweep a killed one's."""
    made: list[Path] = []

    def make() -> Path:
        folder = root / "scratch" / f"{os.getpid()}-{socket.gethostname()}-{uuid.uuid4().hex[:12]}"
        folder.mkdir(parents=True)
        made.append(folder)
        return folder

    try:
        yield make
    finally:
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)
