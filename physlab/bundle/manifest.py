"""The manifest of a bundle: what is inside, signed by the lab that made it."""

from __future__ import annotations

from typing import Annotated, Literal

import orjson
import pydantic
from pydantic import Field, StringConstraints

from physlab.errors import ValidationError
from physlab.keys import canonical
from physlab.model.base import Model
from physlab.model.stored import Digest
from physlab.signing import PublicKey, SecretKey, read_signature, verify

FORMAT = 1
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f]*$", max_length=1000)]
"""A text that a terminal prints as it is."""


class File(Model):
    """A file of the bundle.

    Attributes:
        sha256: Of its bytes.
        size: How many they are [bytes].
    """

    sha256: Digest
    size: Annotated[int, Field(ge=0)]


class RunInside(Model):
    """A run.

    Attributes:
        run_id: Its id.
        record: Digest of its record.
        title: Its title.
        status: How it ended.
        started_at: When it began.
        nodes: How many nodes it has.
        report: Name of its paper in the bundle.
        results: Its files: names for people → SHA-256.
    """

    run_id: Line
    record: Digest
    title: Line
    status: Line
    started_at: Line
    nodes: int
    report: Line | None = None
    results: dict[Line, Digest] = {}


class EntryInside(Model):
    """A revision of an entry of the notebook."""

    record: Digest
    entry_id: Line
    revision: int
    title: Line
    author: Line
    signatures: int


class Manifest(Model):
    """What is inside a bundle.

    Attributes:
        format: Version of this form.
        made_by: Id of the person who had it made.
        made_at: When, in UTC.
        physlab: Version of the program.
        session: The session that it was made of.
        dag_id: The graph.
        title: Its title.
        runs: Its runs, the oldest first.
        entries: What the notebook says of them.
        versions: How many versions of artifacts came along.
        left_out: How many files stayed where they were because they may not leave.
        missing: How many files the lab itself lacked.
        files: Every file but the manifest, its signature and the key.
    """

    format: Literal[1] = 1
    kind: Literal["physlab-bundle"] = "physlab-bundle"
    made_by: Line
    made_at: Line
    physlab: Line
    session: Line
    dag_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    title: Line
    runs: tuple[RunInside, ...]
    entries: tuple[EntryInside, ...] = ()
    versions: int = 0
    left_out: int = 0
    missing: int = 0
    files: dict[str, File]

    def dump(self) -> bytes:
        """Return what is signed."""
        return canonical(self.model_dump(mode="json"))

    @property
    def size(self) -> int:
        """All bytes of its files."""
        return sum(one.size for one in self.files.values())


def sign_manifest(manifest: Manifest, secret: SecretKey) -> tuple[bytes, bytes]:
    """Return the manifest's bytes and the signature file."""
    data = manifest.dump()
    note = f"bundle of {manifest.dag_id} made {manifest.made_at}"
    return data, secret.minisign(data, note).encode()


def read_manifest(data: bytes, signature: bytes, public: PublicKey) -> Manifest:
    """Return a manifest, after its signature.

    Raises:
        ValidationError: The signature does not hold, or it is no manifest.
    """
    try:
        verify(public, data, read_signature(signature.decode()))
        said = orjson.loads(data)
        if isinstance(said, dict) and said.get("format") not in (None, FORMAT):
            raise ValidationError(
                f"The bundle has the format {said['format']}, this physlab knows {FORMAT}.",
                hint="Upgrade physlab: pip install -U physlab",
            )
        found = Manifest.model_validate(said)
        if found.dump() != data:
            raise ValueError("it is not in its canonical form")
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise _no_manifest(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except ValidationError as error:
        raise ValidationError(f"manifest.json: {error.message}", hint=error.hint) from error
    except ValueError as error:  # also what is no JSON and no UTF-8
        raise _no_manifest(str(error)) from error
    return found


def _no_manifest(why: str) -> ValidationError:
    return ValidationError(f"manifest.json is no manifest: {why}.", hint="Ask whoever made the bundle for a new one.")
