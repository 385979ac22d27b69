"""Reading the bytes of versions again, and comparing them with what was registered."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from physlab.errors import StoreError, ValidationError
from physlab.lab import Lab
from physlab.model.version import Content
from physlab.service.versions.look import find_version, version_log
from physlab.versioning import external
from physlab.versioning.contents import files_of
from physlab.versioning.history import Known


@dataclass
class Verified:
    """What was read again.

    Attributes:
        versions: Names of the versions that were checked.
        files: How many files of the store.
        external: Addresses of what stays elsewhere and was read there.
        problems: What is wrong.
        gone: Older states of external files that were replaced there by a newer one: nobody has their bytes any more.
    """

    versions: list[str] = field(default_factory=list)
    files: int = 0
    external: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    def as_object(self) -> dict[str, Any]:
        """Return it as one JSON object."""
        return {"ok": not self.problems, **vars(self)}


def verify_versions(lab: Lab, name: str | None) -> Verified:
    """Read the bytes of one version, or of all, and compare their hashes.

    Of an external file only the latest version can be there: that an earlier one is not is told, and is no problem
    unless it was asked for by name.

    Raises:
        ValidationError: There is no version of that name.
    """
    lab.store.refresh()
    chosen = [find_version(lab, name)] if name else version_log(lab)
    found = Verified([known.name for known in chosen])
    wanted: dict[str, str] = {}
    outside: dict[str, list[Known]] = {}
    for known in chosen:
        content = known.version.content
        if content.kind == "external":
            outside.setdefault(str(content.uri), []).append(known)
            continue
        try:
            wanted |= {digest: known.name for digest, _, _ in files_of(lab.store, content).values()}
            wanted[content.sha256] = known.name
        except StoreError as error:
            found.problems.append(f"{known.name}: {error}")
    for place, versions in outside.items():
        _verify_external(lab, place, versions, found)
    found.files = len(wanted)
    found.problems += [f"{name}: sha256:{digest} is missing or damaged" for digest, name in wanted.items()
                       if not lab.store.blobs.intact(digest)]  # fmt: skip
    return found


def _verify_external(lab: Lab, place: str, versions: list[Known], found: Verified) -> None:
    """Read what stays at an address once, and compare it with its versions, latest first."""
    latest, *older = versions
    try:
        now: Content = external.measure(lab.store, place)
    except (ValidationError, OSError) as error:  # a StoreError is an OSError
        found.problems.append(f"{latest.name}: {error}")
        return
    found.external.append(place)
    if now.sha256 != latest.version.content.sha256:
        found.problems.append(f"{latest.name}: {external.other_bytes(latest.version.content, now.sha256)}")
    found.gone += [
        f"{known.name} ({Path(place).name}): other bytes stand there now ({latest.name}), its own are not kept"
        for known in reversed(older) if known.version.content.sha256 != now.sha256
    ]  # fmt: skip
