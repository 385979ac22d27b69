"""What can still be brought back from a repository that is damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from physlab.backup import restore_lab
from physlab.errors import StoreError
from physlab.store import open_store
from tests.unit.backup.conftest import bring_back
from tests.unit.backuplab import (
    BackupLab,
    backup_lab,
    missing_parts,
    restic,
)

needs_restic = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")


def test_a_damaged_snapshot_is_refused_or_salvaged(base: Path) -> None:
    with backup_lab(base) as lab:
        digests = lab.fill(3, size=9_000_000)
        lab.save()
        packs = sorted(lab.repository.rglob("*"), key=lambda path: path.stat().st_size)
        biggest = [path for path in packs if path.is_file()][-1]
        data = bytearray(biggest.read_bytes())
        data[len(data) // 2] ^= 1
        biggest.chmod(0o600)
        biggest.write_bytes(data)
        with pytest.raises(StoreError, match="damaged"):
            bring_back(lab)
        assert not (base / "back").exists()
        told: list[str] = []
        found = restore_lab(lab.store, lab.engine, "latest", base / "part", tell=told.append, salvage=True)
        assert any("not brought" in words for words in found.problems)
        assert any(digest in " ".join(found.problems) for digest in digests)


def damage_blob(lab: BackupLab, snapshot: str, path: str) -> None:
    """Change one byte of where the repository keeps the beginning of a file of a snapshot."""
    blob = json.loads(restic(lab, "cat", "snapshot", snapshot))["tree"]
    for part in Path(path).parts:
        nodes = json.loads(restic(lab, "cat", "blob", blob))["nodes"]
        node = next(item for item in nodes if item["name"] == part)
        blob = node.get("subtree") or node["content"][0]
    for index in restic(lab, "list", "index").split():
        for pack in json.loads(restic(lab, "cat", "index", index))["packs"]:
            for entry in (item for item in pack["blobs"] if item["id"] == blob):
                file = lab.repository / "data" / pack["id"][:2] / pack["id"]
                data = bytearray(file.read_bytes())
                data[entry["offset"] + entry["length"] // 2] ^= 1
                file.chmod(0o600)
                file.write_bytes(data)
                return
    raise AssertionError(f"{path} is in no pack")


@pytest.mark.parametrize("listed", [True, False])
def test_a_snapshot_without_its_manifest_is_salvaged(restic_base: Path, listed: bool) -> None:
    with backup_lab(restic_base) as lab:
        digests = lab.fill(3)
        damage_blob(lab, lab.save().record["snapshot"], "backup/view/manifest.json")
        with pytest.raises(StoreError, match=r"restore [0-9a-f]{8} \S+/back --salvage"):
            bring_back(lab)
        store, target = lab.store if listed else None, restic_base / "part"
        found = restore_lab(store, lab.engine, "latest", target, tell=lambda words: None, salvage=True)
        lost = [words for words in found.problems if not words.startswith("not brought: ")]
        assert (len(lost), "cannot be compared" in lost[0]) == (1, not listed) and "manifest.json is lost" in lost[0]
        assert found.blobs == 3 and found.records == len(digests) + 1  # and that the backup was begun
        with open_store(target / "store") as store:
            assert list(store.verify()) == [] and set(store.blobs.all()) == set(digests)


def test_a_snapshot_with_a_damaged_journal_is_salvaged(restic_base: Path) -> None:
    with backup_lab(restic_base) as lab:
        digests = lab.fill(3)
        damage_blob(lab, lab.save().record["snapshot"], "backup/view/store/journal/000001.jsonl")
        target = restic_base / "part"
        found = restore_lab(lab.store, lab.engine, "latest", target, tell=lambda words: None, salvage=True)
        assert found.blobs == len(digests) and any("journal" in words for words in found.problems)
