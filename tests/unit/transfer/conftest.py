"""Two labs and a store between them, of each kind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from physlab.lab import Lab
from physlab.model import RunRecord
from physlab.store import Store
from physlab.testing.sshd import SshServer
from physlab.testing.sshd import missing_parts as sshd_lacks
from physlab.transfer import RemoteStore, keyring, open_remote
from tests.unit.conftest import Bench, node, open_lab

KINDS = ("folder", "s3", "sftp")
KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "secret-of-the-bucket", "AWS_REGION": "us-east-1"}


def graph(*, numbers: int = 200_000, value: float = 2.0) -> list[Any]:
    """An array of 1.6 MB, which travels in chunks, a number that depends on it, and two small files."""
    declared = {"visual_outputs": {"static": True, "series": True}}
    return [
        node("array", "array", n=numbers, allow_large=True),
        node("small", "array", n=500),
        node("value", "give", value=[value, "from:array.total"]),
        node("draw", "draw", ("value",), declared, write=["static", "series"]),
    ]


@dataclass
class Labs:
    """Labs that share a store called `nas`."""

    folder: Path
    settings: dict[str, Any]

    @contextmanager
    def open(self, name: str = "one") -> Iterator[Lab]:
        (self.folder / name).mkdir(exist_ok=True)
        with open_lab(self.folder / name, **self.settings) as lab:
            if self.settings.get("stores.nas.sealed"):
                self._share_keys(name)
            yield lab

    def _share_keys(self, name: str) -> None:
        """Give each lab the keys of the first one."""
        first, own = self.folder / "keys", self.folder / name / "home" / "keys"
        if not own.exists() and first.exists():
            shutil.copytree(first, own)
        if not own.exists():
            with open_lab(self.folder / name, **self.settings) as lab:
                keyring(lab.settings).init()
            shutil.copytree(own, first)

    def run(self, lab: Lab, name: str = "one", **wishes: Any) -> RunRecord:
        return Bench(lab, self.folder / name).run(graph(**wishes)).record


@contextmanager
def remote(lab: Lab, limit: float | None = None) -> Iterator[RemoteStore]:
    with open_remote(lab.settings, "nas", limit) as opened:
        yield opened


def content(store: Store) -> dict[str, bytes]:
    """Return every byte of what a lab keeps: its objects and its journal."""
    store.flush()
    files = [*store.blobs.objects.rglob("*"), *store.journal.folder.glob("*.jsonl")]
    return {str(path): path.read_bytes() for path in files if path.is_file()}


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """A double of S3 with the bucket `lab`."""
    from tests.flows.podlab import bucket

    with bucket() as url:
        yield url


@pytest.fixture(scope="session")
def sshd() -> Iterator[SshServer]:
    if missing := sshd_lacks():
        pytest.skip(missing)
    with SshServer() as server:
        yield server


@pytest.fixture
def store_of(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], dict[str, Any]]:
    """Return the settings of a fresh store of a kind."""

    def settings(kind: str) -> dict[str, Any]:
        if kind == "s3":
            for name, value in KEYS.items():
                monkeypatch.setenv(name, value)
            url = f"s3://lab/{tmp_path.name}"
            return {"stores.nas.url": url, "stores.nas.endpoint": request.getfixturevalue("bucket")}
        if kind == "sftp":
            server = request.getfixturevalue("sshd")
            home = tmp_path / "user"
            (home / ".ssh").mkdir(parents=True)
            shutil.copy(server.config, home / ".ssh" / "config")
            monkeypatch.setenv("HOME", str(home))
            return {"stores.nas.url": f"sftp://{server.host}{tmp_path}/nas"}
        return {"stores.nas.url": str(tmp_path / "nas")}

    return settings


@pytest.fixture(params=KINDS)
def labs(
    request: pytest.FixtureRequest, tmp_path: Path, toy_tools: None, store_of: Callable[[str], dict[str, Any]]
) -> Labs:
    """Labs with a store of each kind."""
    return Labs(tmp_path, store_of(request.param))


@pytest.fixture
def folder_labs(tmp_path: Path, toy_tools: None, store_of: Callable[[str], dict[str, Any]]) -> Labs:
    """Labs with a store in a folder."""
    return Labs(tmp_path, store_of("folder"))


@pytest.fixture
def sealed_labs(tmp_path: Path, toy_tools: None, store_of: Callable[[str], dict[str, Any]]) -> Labs:
    """Labs with a sealed store in a folder."""
    return Labs(tmp_path, {**store_of("folder"), "stores.nas.sealed": True})


def tree(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder."""
    return {os.path.relpath(path, folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
