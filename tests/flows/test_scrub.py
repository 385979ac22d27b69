"""The flow `scrub-stores`: it reads a share, mends where it may, and fails when damage stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from physlab.engine.locator import load_flow
from physlab.errors import StoreError
from physlab.service.replicas import repair_replicas
from tests.unit.conftest import open_lab


def test_damage_fails_the_flow_until_it_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PHYSLAB_HOME", str(tmp_path / "home"))
    (tmp_path / "physlab.toml").write_text('[stores.nas]\nurl = "nas"\nreplica = true\n')
    with open_lab(tmp_path, **{"stores.nas.url": str(tmp_path / "nas"), "stores.nas.replica": True}) as lab:
        digest, _ = lab.store.blobs.put(b"hello")
        repair_replicas(lab)
    flow = load_flow("scrub_stores")
    assert flow.fn("1/1")["ok"] and flow.parameters.properties["share"]["default"] == "1/30"
    path = tmp_path / "nas" / "blobs" / digest[:2] / digest[2:]
    path.write_bytes(b"hellO")
    with pytest.raises(StoreError, match=f"1 files are damaged .*{digest[2:]}") as raised:
        flow.fn("1/1")
    assert raised.value.details["reply"]["stores"][1]["damage"]
    assert flow.fn("1/1", repair=True)["ok"]
    assert path.read_bytes() == b"hello" and flow.fn("1/1", ["nas", "lab"])["ok"]
