"""The private working copy of user code: inputs and values go in, declared outputs come out."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from physlab.errors import ComputationError, ValidationError
from physlab.tools.context import Context
from physlab.tools.types import File, array_to_json

VALUES_FILE = "inputs.json"
ENV_BYTES = 32_768
LISTED_NUMBERS = 100_000
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_-]")
_WILD = re.compile(r"[*?\[]")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")

Role = Literal["static", "series", "animation", "data", "document"]
ROLE_OF: dict[str, Role] = {
    ".png": "static", ".svg": "static", ".jpg": "static", ".jpeg": "static",
    ".csv": "series", ".mp4": "animation", ".webm": "animation", ".gif": "animation", ".pdf": "document",
}  # fmt: skip


def check_relative(path: str) -> str:
    """Return a path or pattern that stays below the working folder.

    Raises:
        ValueError: It is empty, absolute, climbs with `..`, or holds a backslash or a control character.
    """
    parts = path.split("/")
    if not path.strip() or path.startswith(("/", "~")) or ".." in parts or "" in parts or "." in parts:
        raise ValueError(f"'{path}' does not name something inside the working folder; write it relative, without '..'")
    if "\\" in path or not path.isprintable():
        raise ValueError(f"{path!r} holds a backslash or a control character")
    return path


def place(source: File, folder: Path, name: str) -> Path:
    """Copy an input into the working folder; the command may change its copy, never the original.

    Raises:
        ValidationError: There is no such file, or two inputs have one name.
    """
    target = folder / name
    if not source.path.is_file():
        raise ValidationError(
            f"The input '{source.name}' is not a file: {source.path}.", hint="Check the path, relative to the graph."
        )
    if target.exists():
        raise ValidationError(f"Two inputs are called '{name}'.", hint="Give one of them another name.")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source.path, target)
    return target


@dataclass
class Values:
    """Values as a program sees them.

    Attributes:
        document: What `inputs.json` says.
        texts: Each value as one word, for the environment and for `{name}` in arguments.
        numeric: Names whose value is a number.
        files: The files that were written for it.
    """

    document: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    numeric: set[str] = field(default_factory=set)
    files: list[str] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """Return `PHYSLAB_<NAME>` for every value short enough for an environment."""
        return {f"PHYSLAB_{name.upper()}": text for name, text in self.texts.items() if len(text.encode()) <= ENV_BYTES}


def write_values(values: Mapping[str, Any], folder: Path) -> Values:
    """Write values for a program: `inputs.json`, arrays as `.npy` and `.csv`, files under their names.

    A list of numbers is an array, as small arrays of other nodes arrive as lists. `inputs.json` holds arrays of up to
    100,000 numbers as lists (null where not finite), larger ones as `{npy, shape, dtype}`.

    Raises:
        ValidationError: A value is none of number, text, list, mapping, array and file, or two files have one name.
    """
    found = Values()
    for name, value in values.items():
        array = as_array(value)
        if array is not None:
            found.document[name] = _write_array(name, array, folder, found.files)
            found.texts[name] = f"{name}.npy"
        elif isinstance(value, File):
            own = PurePosixPath(value.name).name
            place(value, folder, own)
            found.files.append(own)
            found.document[name] = found.texts[name] = own
        else:
            plain = found.document[name] = to_json(value, name)
            found.texts[name] = _word(plain, name)
            if isinstance(plain, int | float) and not isinstance(plain, bool):
                found.numeric.add(name)
    if values:
        text = json.dumps(found.document, indent=1, ensure_ascii=False) + "\n"
        _free(folder, VALUES_FILE).write_text(text, encoding="utf-8")
        found.files.append(VALUES_FILE)
    return found


def as_array(value: Any) -> np.ndarray[Any, Any] | None:
    """Return an array, or a rectangular list of numbers, as an array; None for anything else."""
    if isinstance(value, list | tuple) and value:
        try:
            value = np.asarray(value)
        except (ValueError, OverflowError):
            return None
    if isinstance(value, np.ndarray) and value.ndim and value.dtype.kind in "biufc":
        return value
    return None


def _write_array(name: str, value: np.ndarray[Any, Any], folder: Path, files: list[str]) -> Any:
    with _free(folder, f"{name}.npy").open("wb") as stream:
        np.lib.format.write_array(stream, np.ascontiguousarray(value), allow_pickle=False)
    files.append(f"{name}.npy")
    if value.ndim <= 2 and value.dtype.kind in "biuf":
        kind = "%.17g" if value.dtype.kind == "f" else "%d"
        np.savetxt(_free(folder, f"{name}.csv"), value, delimiter=",", fmt=kind)
        files.append(f"{name}.csv")
    if value.size > LISTED_NUMBERS:
        return {"npy": f"{name}.npy", "shape": list(value.shape), "dtype": str(value.dtype)}
    if value.dtype.kind == "f":
        listed = value.astype(object)
        listed[~np.isfinite(value)] = None
        return listed.tolist()
    return to_json(value, name)


def _free(folder: Path, name: str) -> Path:
    if (folder / name).exists():
        raise ValidationError(f"An input is called '{name}', which the values need.", hint="Give it another name.")
    return folder / name


def to_json(value: Any, where: str) -> Any:
    """Return a value as JSON; arrays inside become lists, complex numbers `{real, imag}`.

    Raises:
        ValidationError: Something in it has no JSON form; the message says where.
    """
    if isinstance(value, np.ndarray):
        return to_json(array_to_json(value), where)
    if isinstance(value, np.generic):
        return to_json(value.item(), where)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise ValidationError(f"{where} is {value}, which JSON cannot hold.", hint="Give a finite number.")
    if isinstance(value, complex):
        return {"real": to_json(value.real, where), "imag": to_json(value.imag, where)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item, f"{where}.{number}") for number, item in enumerate(value)]
    raise ValidationError(
        f"{where} is a {type(value).__name__}, which has no JSON form.",
        hint="Use numbers, texts, lists, mappings, numpy arrays or paths of files.",
    )


def _word(value: Any, name: str) -> str:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    if "\0" in text:
        raise ValidationError(f"The value '{name}' holds a NUL character.", hint="No program can be given that.")
    return text


@dataclass
class Outputs:
    """What a program left: its declared files by name, and the field names that reach them."""

    files: dict[str, File] = field(default_factory=dict)
    fields: dict[str, File] = field(default_factory=dict)


def collect(
    context: Context,
    folder: Path,
    patterns: Sequence[str],
    *,
    given: Collection[str] = (),
    reserved: Collection[str] = (),
    captions: Mapping[str, str] | None = None,
    origin: str,
) -> Outputs:
    """Hand over the declared outputs as artifacts.

    Args:
        context: The call they belong to.
        folder: The working folder.
        patterns: Relative names or globs; each must match a file.
        given: Files that were inputs; only a pattern without wildcards takes them.
        reserved: Field names that outputs must not take.
        captions: Captions by output name or pattern.
        origin: Who wrote them, for the captions.

    Raises:
        ComputationError: A pattern matches no file, or a match leads out of the folder.
    """
    found, captions = Outputs(), captions or {}
    for pattern in patterns:
        matches = sorted(_matches(folder, pattern, given))
        if not matches:
            raise ComputationError(
                f"The declared output '{pattern}' was not written.",
                hint=f"The working folder holds: {_listing(folder)}. Correct 'outputs', or look at the log.",
                details={"output": pattern},
            )
        for name in matches:
            if name not in found.files:
                caption = captions.get(name) or captions.get(pattern) or f"{name}, written by {origin}."
                role = ROLE_OF.get(PurePosixPath(name).suffix.lower(), "data")
                found.files[name] = context.save(folder / name, name, role=role, caption=caption)
    found.fields = {field_name: found.files[name] for name, field_name in _field_names(found.files, reserved).items()}
    return found


def _matches(folder: Path, pattern: str, given: Collection[str]) -> Iterable[str]:
    root = folder.resolve()
    for path in folder.glob(pattern):
        name = path.relative_to(folder).as_posix()
        if not path.resolve().is_relative_to(root):
            raise ComputationError(
                f"The output '{name}' is a link out of the working folder.", hint="Copy the file instead of linking."
            )
        if path.is_file() and not (name in given and _WILD.search(pattern)):
            try:
                yield check_relative(name)
            except ValueError as error:
                raise ComputationError(f"An output has a name that cannot be kept: {error}.") from error


def _field_names(names: Iterable[str], reserved: Collection[str]) -> dict[str, str]:
    """Give each file the stem as its field, or stem_extension where stems collide."""
    stems = {name: _NOT_IN_NAME.sub("_", PurePosixPath(name).stem) for name in names}
    taken = list(stems.values())
    return {
        name: stem if taken.count(stem) == 1 and stem not in reserved else _NOT_IN_NAME.sub("_", name.replace("/", "_"))
        for name, stem in stems.items()
    }


def _listing(folder: Path) -> str:
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return (", ".join(names[:20]) + (", …" if len(names) > 20 else "")) or "nothing"


def tail(log: Path, size: int = 65_536) -> str:
    """Return the end of a log as text, without terminal escapes and without what a carriage return overwrote."""
    with log.open("rb") as stream:
        stream.seek(0, 2)
        stream.seek(max(0, stream.tell() - size))
        text = stream.read().decode(errors="replace")
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return "\n".join(_CONTROL.sub("", line) for line in lines)
