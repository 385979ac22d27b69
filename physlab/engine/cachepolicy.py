"""Content-addressed cache keys for the tasks of other people's flows.

    from prefect import task
    from physlab.engine.cachepolicy import ContentKey

    @task(cache_policy=ContentKey() - "verbose", persist_result=True)
    def fit(spectrum: np.ndarray, model: Path, verbose: bool = False) -> dict: ...

The key follows what the task is given and the code it reaches, never the run, the clock or the order of a mapping.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date, time, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import numpy as np
from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext
from pydantic import BaseModel

from physlab import keys
from physlab.errors import ValidationError
from physlab.tools.fingerprint import fingerprint


class ContentKey(CachePolicy):
    """Gives equal keys to equal work: SHA-256 over the inputs' content and the fingerprint of the task's function.

    Accepted: None, booleans, numbers, strings, bytes, dates, enum members, lists, tuples, sets, mappings, dataclasses,
    pydantic models, NumPy arrays and scalars, and paths (a file by its content, a folder by those of its files).
    Anything else fails the task run with a ValidationError. That holds for this policy alone: of a sum of policies
    Prefect logs an error and runs the task uncached.
    """

    _left_out: frozenset[str] = frozenset()
    _level: Any = None

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str:
        """Return the key (64 hex digits).

        Raises:
            ValidationError: An input cannot be hashed by content.
            ConfigurationError: The source of the task's function cannot be found.
        """
        known = self.__dict__.setdefault("_checked", {}).pop(task_ctx.task_run.id, None)
        return known or self._key(task_ctx, inputs)

    def _key(self, task_ctx: TaskRunContext, inputs: Mapping[str, Any]) -> str:
        content = {name: content_of(value, name) for name, value in inputs.items() if name not in self._left_out}
        return keys.digest({"v": 1, "code": fingerprint(task_ctx.task.fn), "inputs": content})

    @property
    def isolation_level(self) -> Any:
        """The isolation level; asking for it from the task engine computes the key.

        Prefect swallows what `compute_key` raises, but not what is raised here, which it reads just before.
        """
        running = TaskRunContext.get()
        if running is not None and id(running.task.cache_policy) == id(self):
            checked: dict[UUID, str] = self.__dict__.setdefault("_checked", {})
            if running.task_run.id not in checked:
                checked[running.task_run.id] = self._key(running, running.parameters)
        return self._level

    @isolation_level.setter
    def isolation_level(self, level: Any) -> None:
        self._level = level

    def __sub__(self, other: str) -> Self:
        """Return a policy that leaves an input out of the key."""
        new = self.configure()
        new._left_out = self._left_out | {other}
        return new


def content_of(value: Any, where: str = "input") -> Any:
    """Return a JSON value that is equal for equal content, and different for different types.

    Args:
        value: What a task was given.
        where: Its name, for the message.

    Raises:
        ValidationError: The value has no content that can be compared between processes.
    """
    try:
        return _content(value, where)
    except RecursionError as error:
        raise ValidationError(f"Input '{where}' contains itself.", hint="Pass values without cycles.") from error


def _content(value: Any, where: str) -> Any:
    if isinstance(value, Enum):
        return ["enum", _name(value), value.name]
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return ["array", *_array(np.asarray(value), where)]
    if isinstance(value, Path):
        return ["path", _path(value, where)]
    if isinstance(value, Mapping):
        pairs = [[_content(key, where), _content(item, f"{where}[{key!r}]")] for key, item in value.items()]
        return ["mapping", _sorted(pairs)]
    if isinstance(value, list | tuple):
        items = [_content(item, f"{where}[{i}]") for i, item in enumerate(value)]
        return ["tuple" if isinstance(value, tuple) else "list", items]
    if isinstance(value, set | frozenset):
        return ["set", _sorted([_content(item, where) for item in value])]
    if isinstance(value, BaseModel):
        return ["model", _name(value), _content(dict(value), where)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return ["dataclass", _name(value), _content(fields, where)]
    return _scalar(value, where)


def _scalar(value: Any, where: str) -> Any:
    if isinstance(value, int):
        return ["int", str(value)]
    if isinstance(value, float):
        return ["float", value.hex()]  # exact, and tells -0.0 from 0.0
    if isinstance(value, complex):
        return ["complex", value.real.hex(), value.imag.hex()]
    if isinstance(value, bytes | bytearray):
        return ["bytes", keys.digest_bytes(bytes(value))]
    if isinstance(value, date | time):
        return ["time", value.isoformat()]
    if isinstance(value, timedelta):
        return ["duration", str(value)]
    if isinstance(value, UUID):
        return ["uuid", str(value)]
    raise ValidationError(
        f"Input '{where}' is a {type(value).__module__}.{type(value).__qualname__}, which cannot be hashed by content.",
        hint="Pass numbers, text, arrays, paths, or mappings and lists of them; or leave the input out of the key:"
        f" ContentKey() - '{where.partition('[')[0]}'.",
    )


def _array(array: np.ndarray[Any, Any], where: str) -> list[Any]:
    if array.dtype.hasobject:
        raise ValidationError(
            f"Input '{where}' is an array of Python objects, which cannot be hashed by content.",
            hint="Convert it to an array of numbers or fixed-length text.",
        )
    kind = str(array.dtype.descr if array.dtype.names else array.dtype.str)
    return [kind, list(array.shape), keys.digest_bytes(np.ascontiguousarray(array).tobytes())]


def _path(path: Path, where: str) -> Any:
    try:
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file())
            return {file.relative_to(path).as_posix(): _path(file, where) for file in files}
        with path.open("rb") as stream:
            return keys.digest_stream(stream)[0]
    except OSError as error:
        raise ValidationError(
            f"Input '{where}' names '{path}', which cannot be read: {error.strerror}.",
            hint="Name a file that exists; leave a path to be written out of the key:"
            f" ContentKey() - '{where.partition('[')[0]}'.",
        ) from error


def _sorted(items: list[Any]) -> list[Any]:
    return sorted(items, key=keys.canonical)


def _name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
