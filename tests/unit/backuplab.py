"""A lab with a store full of known bytes, and a repository beside it."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

from physlab.backup import choose_engine, save_lab
from physlab.backup.clock import Moment
from physlab.backup.engine import Engine
from physlab.backup.place import place_of
from physlab.backup.save import Saved
from physlab.settings import Settings, load_settings
from physlab.store import Store, open_store


def missing_parts() -> str:
    """Say what is missing for tests with real restic."""
    return "" if shutil.which("restic") else "restic is not installed"


@dataclass
class Days:
    """A clock that stands where it is put."""

    at: datetime = datetime(2026, 10, 1, 3, 30, tzinfo=UTC)

    def __call__(self) -> Moment:
        return Moment(self.at)

    def pass_by(self, days: float) -> None:
        self.at += timedelta(days=days)


@dataclass
class BackupLab:
    """A store, its settings, and its repository."""

    folder: Path
    settings: Settings
    store: Store

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    @property
    def engine(self) -> Engine:
        return choose_engine(self.settings)

    def fill(self, count: int, size: int = 3000, seed: int = 0) -> list[str]:
        """Put blobs into the store, each named by a record."""
        made = random.Random(seed)
        digests = []
        for _ in range(count):
            digest, _ = self.store.blobs.put(made.randbytes(size))
            self.store.append("node", node_record(digest, len(digests)))
            digests.append(digest)
        self.store.flush()
        return digests

    def save(self, clock: Callable[[], Moment] | None = None) -> Saved:
        return save_lab(self.store, self.settings, self.engine, **({"clock": clock} if clock else {}))


def node_record(digest: str, number: int) -> dict[str, Any]:
    """Return the record of a node that made these bytes."""
    return {
        "kind": "node", "key": digest, "recipe": digest, "tool": "toy", "method": None, "node_id": f"n{number}",
        "run_id": "r", "device": "cpu", "started_at": "2026-10-01T00:00:00+00:00", "duration_ms": 1.0, "fields": {},
        "field_digests": {}, "artifacts": [{"sha256": digest}],
    }  # fmt: skip


@contextmanager
def backup_lab(folder: Path, **overrides: Any) -> Iterator[BackupLab]:
    """Open such a lab."""
    given = {"home": folder / "home", "backup.repository": str(folder / "repository"), **overrides}
    settings = load_settings(folder, given, environ={"HOME": str(folder)})
    with open_store(settings.home / "store") as store:
        yield BackupLab(folder, settings, store)


def state_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def make_template(folder: Path) -> Path:
    """Make a repository whose key costs little: restic's own takes half a second of CPU each time it is opened.

    The password is the same and the repository is restic's; only the parameters of scrypt are small.
    """
    with backup_lab(folder) as lab:
        lab.engine.prepare()
        lab.engine.create()
        [key] = (lab.repository / "keys").iterdir()
        text = _cheaper(json.loads(key.read_text()), place_of(lab.settings).password.read_text().strip().encode())
        key.unlink()
        (lab.repository / "keys" / hashlib.sha256(text).hexdigest()).write_bytes(text)
        assert lab.engine.identity()
    shutil.rmtree(lab.settings.home / "backup")
    return folder


def _cheaper(key: dict[str, Any], password: bytes) -> bytes:
    """Wrap the master key anew, by a key that is derived in a millisecond."""
    salt, wrapped = base64.b64decode(key["salt"]), base64.b64decode(key["data"])
    derived = hashlib.scrypt(password, salt=salt, n=key["N"], r=key["r"], p=key["p"], maxmem=1 << 30, dklen=64)
    master = _crypt(derived, wrapped[:16], wrapped[16:-16])
    cheap = hashlib.scrypt(password, salt=salt, n=2, r=1, p=1, dklen=64)
    hidden = _crypt(cheap, wrapped[:16], master)
    data = wrapped[:16] + hidden + _mac(cheap, wrapped[:16], hidden)
    return json.dumps({**key, "N": 2, "r": 1, "p": 1, "data": base64.b64encode(data).decode()}).encode()


def _crypt(derived: bytes, nonce: bytes, text: bytes) -> bytes:
    """AES-256 in counter mode, as restic encrypts."""
    return Cipher(algorithms.AES(derived[:32]), modes.CTR(nonce)).encryptor().update(text)


def _mac(derived: bytes, nonce: bytes, text: bytes) -> bytes:
    """Poly1305-AES, as restic signs."""
    mask = Cipher(algorithms.AES(derived[32:48]), modes.ECB()).encryptor().update(nonce)  # noqa: S305 - one block
    return Poly1305.generate_tag(derived[48:] + mask, text)


def use_template(template: Path, folder: Path) -> Path:
    """Copy the template to where a lab is to be; return the folder."""
    shutil.copytree(template, folder, dirs_exist_ok=True)
    return folder
