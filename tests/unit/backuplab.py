"""A lab with a store full of known bytes, and a repository beside it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.poly1305 import Poly1305

from physlab.backup import choose_engine, save_lab
from physlab.backup.clock import Moment
from physlab.backup.engine import Engine, Order
from physlab.backup.place import place_of
from physlab.backup.save import Saved
from physlab.backup.sealedstore import SealedStore
from physlab.sealing.age import make_identity
from physlab.sealing.passphrase import unwrap
from physlab.settings import Settings, child_environment, load_settings
from physlab.store import Store, open_store
from physlab.transfer import snapshots

STORE_MARK = "backed-up-into-a-store"


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
    given = {"home": folder / "home", **repository_of(folder), **overrides}
    settings = load_settings(folder, given, environ={"HOME": str(folder)})
    with open_store(settings.home / "store") as store:
        yield BackupLab(folder, settings, store)


def repository_of(folder: Path) -> dict[str, Any]:
    """Return the settings that name the repository: restic's, or where the template says so, a sealed store."""
    place = str(folder / "repository")
    if not (folder / STORE_MARK).exists():
        return {"backup.repository": place}
    return {
        "backup.repository": "store:vault", "stores.vault.url": place, "stores.vault.sealed": True,
        "keys.server_file": str(folder / "server.key"),
    }  # fmt: skip


def variables_of(folder: Path) -> dict[str, str]:
    """Return the same as variables of the environment."""
    return {f"PHYSLAB_{name.upper().replace('.', '__')}": str(value) for name, value in repository_of(folder).items()}


def state_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def make_store_template(folder: Path) -> Path:
    """Make a sealed store whose password costs little to try: scrypt's work is a second otherwise, each time."""
    (folder / STORE_MARK).touch()
    (folder / "server.key").write_text(make_identity())
    (folder / "server.key").chmod(0o600)
    with backup_lab(folder) as lab:
        lab.engine.prepare()
        lab.engine.create()
        wrapped = lab.repository / "keys" / "backup.age"
        password = place_of(lab.settings).password.read_text().strip()
        wrapped.write_bytes(cheap_age(unwrap(wrapped.read_bytes(), password, "it", "there"), password.encode()))
        assert lab.engine.identity()
    shutil.rmtree(lab.settings.home / "backup", ignore_errors=True)
    return folder


def cheap_age(text: bytes, password: bytes) -> bytes:
    """Write an age file with a passphrase as the format says (age-encryption.org/v1), with a work factor of 2."""
    salt, nonce, file_key = (hashlib.sha256(name.encode()).digest()[:16] for name in ("salt", "nonce", "key"))

    def derived(start: bytes, what: bytes) -> bytes:
        return HKDF(SHA256(), 32, start, what).derive(file_key)

    def plain(data: bytes) -> bytes:
        return base64.b64encode(data).rstrip(b"=")

    wrapping = hashlib.scrypt(password, salt=b"age-encryption.org/v1/scrypt" + salt, n=2, r=8, p=1, dklen=32)
    body = ChaCha20Poly1305(wrapping).encrypt(bytes(12), file_key, None)
    head = b"age-encryption.org/v1\n-> scrypt %s 1\n%s\n---" % (plain(salt), plain(body))
    mac = hmac.digest(derived(b"", b"header"), head, "sha256")
    last = ChaCha20Poly1305(derived(nonce, b"payload")).encrypt(bytes(11) + b"\1", text, None)
    return head + b" " + plain(mac) + b"\n" + nonce + last


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


def restic(lab: BackupLab, *words: str) -> str:
    """Use the repository as a compromised client would: with the password and without physlab."""
    variables = {"RESTIC_REPOSITORY": str(lab.repository), "RESTIC_CACHE_DIR": str(lab.folder / "cache")}
    variables["RESTIC_PASSWORD_FILE"] = str(place_of(lab.settings).password)
    done = subprocess.run(
        ["restic", *words], env=child_environment(variables), cwd=lab.folder, capture_output=True, text=True, check=True
    )
    return done.stdout


def plant(lab: BackupLab, when: str) -> None:
    """Send a snapshot with a forged time, as a client would that has the password."""
    junk = lab.folder / "junk"
    junk.write_text("not the lab")
    if not isinstance(lab.engine, SealedStore):
        restic(lab, "backup", "--host", "physlab", "--tag", "physlab", "--time", when, str(junk))
        return
    engine = lab.engine
    sent = engine.send(Order(lab.folder, ("junk",), ()), lambda words: None)
    with engine._open() as remote:
        made = snapshots.read(remote, sent.snapshot)
        assert made is not None
        snapshots.remove(remote, [sent.snapshot])
        snapshots.write(remote, replace(made, time=f"{when.replace(' ', 'T')}+00:00"))


def take_away(lab: BackupLab, snapshot: str) -> None:
    """Remove a snapshot behind the lab's back."""
    if isinstance(lab.engine, SealedStore):
        lab.engine.forget([snapshot], lambda words: None)
    else:
        restic(lab, "forget", snapshot)


def use_template(template: Path, folder: Path) -> Path:
    """Copy the template to where a lab is to be; return the folder."""
    shutil.copytree(template, folder, dirs_exist_ok=True)
    return folder
