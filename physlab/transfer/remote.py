"""A store elsewhere: a lab's bytes by digest, and its records, in a place of any kind, sealed or not."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from physlab.errors import ConfigurationError, StoreError
from physlab.keys import canonical, digest_bytes
from physlab.sealing import ProjectKey
from physlab.transfer import layout
from physlab.transfer.known import Known
from physlab.transfer.lanes import Lanes
from physlab.transfer.layout import FileList, digits_of, keyed, path_of, read_list
from physlab.transfer.marks import Marks
from physlab.transfer.pace import Pace
from physlab.transfer.places import Place
from physlab.transfer.places.base import told

FEW = 64


@dataclass
class Tally:
    """What travelled so far.

    Attributes:
        files: Files of the lab that are complete.
        sent: Bytes that were written, as they lie there.
        received: Bytes that were read.
        told: Called after each change.
    """

    files: int = 0
    sent: int = 0
    received: int = 0
    told: Callable[[Tally], None] = lambda tally: None


class RemoteStore:
    """One store.

    Args:
        name: As the lab calls it.
        place: Where it is.
        folder: Folder of this lab's notes on it.
        key: Seals it; None for plain files.
        limit: Bytes a second each way; None for no limit.
        recovery: The data key as it is wrapped for recovery, to lie beside what is sealed.

    Attributes:
        tally: What travelled since it was opened.
        written: Names of the files that were written since.
    """

    def __init__(
        self,
        name: str,
        place: Place,
        folder: Path,
        key: ProjectKey | None = None,
        limit: float | None = None,
        recovery: bytes | None = None,
    ) -> None:
        self.name, self.place, self.folder, self.key, self._recovery = name, place, folder, key, recovery
        self.tally, self.written = Tally(), list[str]()
        self._up, self._down = Pace(limit), Pace(limit)
        self._guard = threading.Lock()

    @cached_property
    def known(self) -> Known:
        """This lab's notes on the store."""
        return Known(self.folder / "chunks.sqlite")

    @cached_property
    def marks(self) -> Marks:
        """What collections of garbage wrote there."""
        return Marks(self)

    def close(self) -> None:
        """Let go of the notes."""
        if "known" in self.__dict__:
            self.known.close()

    def __enter__(self) -> RemoteStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self) -> bool:
        """Say whether the place holds a store that this one can use; False when it holds none yet.

        Raises:
            ConfigurationError: It is sealed otherwise than the settings say, or of a newer physlab.
        """
        with told(self.place, "read store.json of"):
            data = self.place.read(layout.MARKER)
        if data is None:
            return False
        try:
            said = json.loads(data)
            form, sealed, recipient = said["format"], said["sealed"], said["recipient"]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(
                f"{layout.MARKER} of {self.place.url} is damaged.", hint=f"It is {self.marker().decode()}; write that."
            ) from error
        if form != layout.FORMAT:
            raise ConfigurationError(
                f"The store {self.place.url} has the format {form}, this physlab knows {layout.FORMAT}.",
                hint=layout.UPGRADE,
            )
        if bool(sealed) != (self.key is not None):
            raise ConfigurationError(
                f"The store {self.place.url} is {'' if sealed else 'not '}sealed, the settings say otherwise.",
                hint=f"Set stores.{self.name}.sealed = {str(bool(sealed)).lower()}, or choose another folder.",
            )
        if self.key is not None and recipient != self.key.recipient:
            raise ConfigurationError(
                f"The store {self.place.url} is sealed with another key than that of project '{self.key.project}'.",
                hint=f"Bring that key here: physlab keys recover --from {self.name} --identity FILE",
            )
        return True

    def prepare(self) -> None:
        """Make the place a store, unless it is one."""
        if not self.check():
            if self._recovery is not None and self.key is not None:
                self.write(layout.RECOVERY, self._recovery)
            self.write(layout.MARKER, self.marker())

    def marker(self) -> bytes:
        """Return what `store.json` says."""
        recipient = None if self.key is None else self.key.recipient
        return canonical({"format": layout.FORMAT, "sealed": self.key is not None, "recipient": recipient}) + b"\n"

    def write(self, name: str, data: bytes) -> None:
        """Write a file of the store."""
        self._up.take(len(data))
        with told(self.place, f"write {name} to"):
            self.place.write(name, data)
        with self._guard:
            self.written.append(name)
            self.tally.sent += len(data)
            self.tally.told(self.tally)

    def read(self, name: str) -> bytes | None:
        """Return a file of the store, None when it is not there."""
        with told(self.place, f"read {name} of"):
            data = self.place.read(name)
        self._took(data or b"")
        return data

    def read_part(self, name: str, start: int, length: int) -> bytes | None:
        """Return a part of a file of the store."""
        with told(self.place, f"read {name} of"):
            data = self.place.read_part(name, start, length)
        self._took(data or b"")
        return data

    def _took(self, data: bytes) -> None:
        self._down.take(len(data))
        with self._guard:
            self.tally.received += len(data)
            self.tally.told(self.tally)

    def count(self) -> None:
        """Note that a file is complete."""
        with self._guard:
            self.tally.files += 1
            self.tally.told(self.tally)

    def listed(self, folder: str) -> Iterator[tuple[str, int]]:
        """Yield the digits of all files of a folder, and their sizes [bytes]; what is not ours is passed over."""
        with told(self.place, f"list {folder} of"):
            for name, size in self.place.names(folder):
                if (digits := digits_of(name)) is not None and name.startswith(folder):
                    yield digits, size

    def seal(self, data: bytes) -> bytes:
        """Return bytes as they lie in the store."""
        return data if self.key is None else self.key.seal(data)

    def unseal(self, data: bytes, name: str) -> bytes:
        """Return bytes as they were."""
        return data if self.key is None else self.key.open(data, self.what(name))

    def what(self, name: str) -> str:
        """Return how an error names a file of the store."""
        return f"{name} of the store '{self.name}' ({self.place.url})"

    def digits(self, folder: str, digest: str) -> str:
        """Return the digits under which something with a digest lies."""
        return keyed(self.key, folder, digest)

    def has(self, digests: Iterable[str]) -> set[str]:
        """Return which of these files are there, by their names alone."""
        return set(self.find(digests))

    def has_for_good(self, digests: Iterable[str]) -> set[str]:
        """Return which of these files are there and condemned by no collection of garbage."""
        found = self.find(digests)
        lasting = self.marks.lasting(found.values())
        return {digest for digest, name in found.items() if name in lasting}

    def find(self, digests: Iterable[str]) -> dict[str, str]:
        """Return the names under which files are there, by their digests."""
        wanted = list(digests)
        if len(wanted) > FEW:
            by_digits = {(folder, self.digits(folder, one)): one for one in wanted for folder in ("files", "blobs")}
            return {
                by_digits[folder, found]: path_of(folder, found)
                for folder in ("files", "blobs")
                for found, _ in self.listed(folder)
                if (folder, found) in by_digits
            }
        there: dict[str, str] = {}

        def look(digest: str) -> None:
            with told(self.place, "look into"):
                for folder in ("blobs", "files"):
                    name = path_of(folder, self.digits(folder, digest))
                    if self.place.size(name) is not None:
                        there[digest] = name
                        return

        with Lanes() as lanes:
            for digest in wanted:
                lanes.do(look, digest)
        return there

    def parts(self) -> list[str]:
        """Return the digits of all lines of records; those that a collection replaced do not count."""
        digits = [found for found, _ in self.listed("journal")]
        lasting = self.marks.lasting(path_of("journal", found) for found in digits)
        return [found for found in digits if path_of("journal", found) in lasting]

    def learn(self) -> None:
        """Note which chunks are there: of packs that still are and stay, and of lists that came since the last time."""
        sizes = {path_of("packs", digits): size for digits, size in self.listed("packs")}
        lasting = self.marks.lasting(sizes)
        self.known.keep_packs({str(digits_of(name)): size for name, size in sizes.items() if name in lasting})
        before, now = self.known.lists(), {digits for digits, _ in self.listed("files")}
        self.known.forget_lists(before - now)
        for digits in sorted(now - before):
            try:
                found = self._read_list(digits)
            except StoreError:  # of no use here; a scrub names it
                continue
            if found is not None:
                self.known.add_list(digits, found)

    def file_list(self, digest: str) -> FileList | None:
        """Return the chunks of a large file, None when it does not lie here as chunks.

        Raises:
            StoreError: The list is damaged, or tells of another file.
        """
        found = self._read_list(self.digits("files", digest))
        if found is not None and found.digest != digest:
            raise StoreError(
                f"The list of {digest[:12]}… in the store '{self.name}' tells of {found.digest[:12]}….",
                hint="Mend it: physlab store repair",
            )
        return found

    def _read_list(self, digits: str) -> FileList | None:
        name = path_of("files", digits)
        data = self.read(name)
        return None if data is None else read_list(self.unseal(data, name), self.what(name))

    def write_list(self, file: FileList) -> None:
        """Write the list of a large file; from then on it is there."""
        digits = self.digits("files", file.digest)
        self.write(path_of("files", digits), self.seal(file.dump()))
        self.known.add_list(digits, file)

    def write_part(self, lines: bytes) -> str:
        """Write lines of records; return the digits they lie under."""
        digits = self.write_named("journal", lines)
        self._keep_lines(digits, lines)
        return digits

    def write_named(self, folder: str, data: bytes) -> str:
        """Write something under its own digest; return the digits it lies under."""
        digits = self.digits(folder, digest_bytes(data))
        self.write(path_of(folder, digits), self.seal(data))
        return digits

    def kept_lines(self, digits: str) -> bytes | None:
        """Return lines of records as this lab wrote or read them before, checked; None when it does not have them."""
        kept = self.folder / "journal" / f"{digits}.jsonl"
        data = kept.read_bytes() if kept.is_file() else None
        return data if data is not None and self.digits("journal", digest_bytes(data)) == digits else None

    def _keep_lines(self, digits: str, lines: bytes) -> None:
        kept = self.folder / "journal" / f"{digits}.jsonl"
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            draft = kept.with_suffix(f".{secrets.token_hex(4)}")
            draft.write_bytes(lines)
            draft.replace(kept)
        except OSError as error:
            raise StoreError(
                f"The notes in {self.folder} cannot be written: {error.strerror or error}.",
                hint="Free disk space, then the same command again.",
            ) from error

    def remove(self, name: str) -> None:
        """Remove a file of the store."""
        with told(self.place, f"remove {name} from"):
            self.place.remove(name)

    def read_lines(self, digits: str) -> bytes:
        """Return lines of records, checked; those that were read before come from this lab's notes.

        Raises:
            StoreError: They were changed, or are gone.
        """
        if (kept := self.kept_lines(digits)) is not None:
            return kept
        name = path_of("journal", digits)
        raw = self.read(name)
        if raw is None:
            raise StoreError(f"{self.what(name)} is gone.", hint="Push again: physlab store push NAME --all")
        data = self.unseal(raw, name)
        if self.digits("journal", digest_bytes(data)) != digits:
            raise StoreError(f"{self.what(name)} was changed.", hint="Mend it: physlab store repair")
        self._keep_lines(digits, data)
        return data
