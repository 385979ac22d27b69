"""Prefect results that cannot run code: a record names its own serializer and classes, so each is checked here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from prefect.filesystems import LocalFileSystem, WritableFileSystem
from prefect.serializers import JSONSerializer
from prefect.utilities.asyncutils import sync_compatible
from pydantic import Field

from physlab.errors import StoreError

PLAIN = JSONSerializer[Any]().model_dump(mode="json")
RECORD = {"metadata", "result", "serializer", "data"}  # the last two in records of older releases
MARKS = {"__class__", "__exc_type__"}  # Prefect's decoder imports what these name


class PlainResults(WritableFileSystem):
    """A folder of results that holds JSON values and nothing else."""

    _block_type_name = "Plain Results"
    _block_type_slug = "plain-results"
    _logo_url = None

    basepath: str = Field(description="The folder.")

    @sync_compatible
    async def read_path(self, path: str) -> bytes:
        """Return a record.

        Raises:
            StoreError: Reading it would run code.
        """
        return _checked(await LocalFileSystem(basepath=self.basepath).aread_path(path), path)

    @sync_compatible
    async def write_path(self, path: str, content: bytes) -> None:
        """Keep a record.

        Raises:
            StoreError: It is not plain JSON.
        """
        Path(self.basepath).mkdir(mode=0o700, parents=True, exist_ok=True)
        await LocalFileSystem(basepath=self.basepath).awrite_path(path, _checked(content, path))


def _checked(content: bytes, path: str) -> bytes:
    """Return a record, or a bare value, made of the checked parts alone: a serializer may hide in several places."""
    try:
        value = json.loads(content, object_hook=_refuse_classes)
        if isinstance(value, dict) and RECORD & value.keys():
            metadata, result = value["metadata"], value["result"]
            if metadata["serializer"] != PLAIN:
                raise ValueError(f"its serializer is {metadata['serializer']}")
            json.loads(result, object_hook=_refuse_classes)
            value = {"metadata": metadata, "result": result}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(
            f"The Prefect result '{path}' is not plain JSON: {error}.",
            hint="Return numbers, strings, lists and objects, and set result_serializer='json'; "
            "large or other values belong into physlab's store.",
        ) from error
    return json.dumps(value).encode()


def _refuse_classes(found: dict[str, Any]) -> dict[str, Any]:
    if marked := MARKS & found.keys():
        raise ValueError(f"it names a class ({', '.join(sorted(marked))})")
    return found
