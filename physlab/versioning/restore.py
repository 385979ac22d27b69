"""Giving a version back: complete or not at all, verified, and nothing lost that stood there."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path, PurePosixPath

from physlab.durable import force_folder
from physlab.errors import StoreError, ValidationError
from physlab.keys import digest_stream
from physlab.model.version import Content
from physlab.store import Store
from physlab.versioning import external
from physlab.versioning.contents import files_of, keep


def restore(store: Store, content: Content, target: Path, *, force: bool = False) -> int:
    """Write what a version holds to a path, and return how many files were written.

    What stands there is replaced only when the store has it too, or by force; what is the same already is left alone.

    Args:
        store: Where the bytes are.
        content: What to write.
        target: Where to; its parents are made.
        force: Replace what stands there although it is in no version.

    Raises:
        ValidationError: Something stands there that would be lost.
        StoreError: Bytes are missing or damaged, or the target cannot be written.
    """
    if content.kind == "external":
        return _restore_external(store, content, target, force=force)
    if os.path.lexists(target) and _is_same(store, content, target):
        return 0
    files = files_of(store, content)
    _make_sure(store, files)
    _refuse_loss(store, target, force=force)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".physlab-") as scratch:
            made = Path(scratch) / "made"
            for name, (digest, _, executable) in files.items():
                _copy(store, digest, made / inside(name) if name else made, executable=executable)
            if content.kind == "folder":
                made.mkdir(exist_ok=True)
            _put_in_place(made, target, Path(scratch) / "before")
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"'{target}' cannot be written: {error.strerror or error}.",
            hint="Free disk space, make the folder writable, or choose another one; what stood there is untouched.",
        ) from error
    return len(files)


def inside(name: str) -> PurePosixPath:
    """Return a relative path from a list of files.

    Raises:
        StoreError: It would leave the folder.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or not path.parts:
        raise StoreError(
            f"The list names {name!r}, which is outside its folder.", hint="It was not written by physlab."
        )
    return path


def _is_same(store: Store, content: Content, target: Path) -> bool:
    if target.is_dir() != (content.kind == "folder") or target.is_symlink():
        return False
    return keep_if_plain(store, target) == content.sha256


def keep_if_plain(store: Store, target: Path) -> str | None:
    """Return the digest of what stands at a path, kept in the store; None for what cannot be kept."""
    try:
        return keep(store, target).sha256
    except ValidationError:
        return None


def _refuse_loss(store: Store, target: Path, *, force: bool) -> None:
    if force or not os.path.lexists(target) or (target.is_dir() and not any(target.iterdir())):
        return
    before = keep_if_plain(store, target)
    from physlab.versioning.history import of_bytes

    if before is None or not of_bytes(store, before):
        raise ValidationError(
            f"'{target}' stands there and is in no version: it would be lost.",
            hint=f"Register it (physlab version add {target}), give another target, or insist: --force.",
        )


def _make_sure(store: Store, files: dict[str, tuple[str, int, bool]]) -> None:
    wanted = {digest for digest, _, _ in files.values()}
    gone = wanted - store.check_blobs(wanted)
    if gone:
        raise StoreError(
            f"{len(gone)} of {len(wanted)} files of this version are missing or damaged, first sha256:{min(gone)}.",
            hint="Get them back: physlab store pull STORE, or physlab backup restore.",
        )


def _copy(store: Store, digest: str, target: Path, *, executable: bool) -> None:
    """Write a copy that the user may change: never a link to the store's own bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(store.blobs.path(digest), target)
    os.chmod(target, 0o755 if executable else 0o644)
    with open(target, "rb+") as stream:
        found, _ = digest_stream(stream)
        os.fsync(stream.fileno())
    if found != digest:
        raise StoreError(f"The bytes of sha256:{digest[:16]}… are damaged.", hint="Run: physlab store verify.")


def _put_in_place(made: Path, target: Path, before: Path) -> None:
    """Put a finished file or folder where it belongs; a folder that stands there moves away first."""
    if target.is_dir() and not target.is_symlink():
        os.replace(target, before)
        try:
            os.replace(made, target)
        except OSError:
            os.replace(before, target)
            raise
    elif made.is_dir() and os.path.lexists(target):
        os.replace(target, before)
        os.replace(made, target)
    else:
        os.replace(made, target)
    force_folder(target.parent)


def _restore_external(store: Store, content: Content, target: Path, *, force: bool) -> int:
    """Verify bytes that stay where they are; copy them where another place is asked for."""
    place = external.local_path(str(content.uri))
    if place is not None and place == target:
        external.verify(store, content)
        return 0
    _refuse_loss(store, target, force=force)
    external.fetch(content, target)
    return 1
