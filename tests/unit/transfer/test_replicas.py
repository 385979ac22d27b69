"""Copies in several stores: counted, read in shares, and mended from whatever copy is good."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from physlab.errors import ConfigurationError
from physlab.keys import digest_bytes
from physlab.lab import Lab
from physlab.service.replicas import repair_replicas, scrub_stores, survey_replicas
from physlab.transfer import keyring, open_remote
from physlab.transfer.fetching import Fetcher
from physlab.transfer.layout import FileList, path_of
from tests.unit.conftest import open_lab
from tests.unit.transfer.conftest import Labs, tree

STORES = ("a", "b", "c")


@pytest.fixture
def lab(tmp_path: Path, toy_tools: None) -> Iterator[Lab]:
    """A lab with two plain stores and a sealed one, of which two shall have each file."""
    settings: dict[str, Any] = {"replicas.copies": 2}
    for name in STORES:
        settings |= {f"stores.{name}.url": str(tmp_path / name), f"stores.{name}.replica": True}
    settings["stores.c.sealed"] = True
    with open_lab(tmp_path, **settings) as opened:
        keyring(opened.settings).init()
        choose = random.Random(1)
        files = [opened.store.blobs.put(choose.randbytes(choose.randrange(10, 5000)))[0] for _ in range(30)]
        files += [opened.store.blobs.put(choose.randbytes(3_000_000))[0] for _ in range(2)]
        opened.store.append("note", {"kind": "note", "name": "it", "files": files})
        Labs(tmp_path, settings).run(opened, "one")
        yield opened


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def test_copies_are_spread_and_counted(lab: Lab, tmp_path: Path) -> None:
    before = survey_replicas(lab)
    total = len(before.where)
    assert set(before.incomplete.values()) == {2} and len(before.incomplete) == total
    done = repair_replicas(lab)
    assert sum(done.sent.values()) == 2 * total and not done.lost
    assert all(total / 3 < count < total for count in done.sent.values()), "each store gets its share"
    after = survey_replicas(lab)
    assert not after.incomplete and all(len(there) == 3 for there in after.where.values())
    again = repair_replicas(lab)
    assert not (again.sent or again.fetched or again.mended or again.lost)
    shutil.rmtree(tmp_path / "b")
    assert set(survey_replicas(lab).incomplete.values()) == {1}
    assert repair_replicas(lab).sent == {"b": done.sent["b"]}


def test_every_damaged_file_is_named_and_mended(lab: Lab, tmp_path: Path) -> None:
    """A bit of every file of one store is turned, of all large files and records of the others, of many of the lab."""
    repair_replicas(lab)
    assert scrub_stores(lab)["ok"]
    damaged: dict[str, set[str]] = {"lab": set()}
    for name in STORES:
        kinds = ("files", "packs", "journal", *(("blobs",) if name == "a" else ()))
        damaged[name] = {file for file in tree(tmp_path / name) if file.startswith(kinds)}
        for file in damaged[name]:
            damage(tmp_path / name / file)
    small = [digest for digest in lab.store.blobs.all() if lab.store.blobs.path(digest).stat().st_size < 10_000]
    for digest in small[::3]:
        damage(lab.store.blobs.path(digest))
        damaged["lab"].add(f"objects/{digest[:2]}/{digest[2:]}")
    found = scrub_stores(lab)
    assert not found["ok"]
    named = {one["store"]: {item["name"] for item in one["damage"]} for one in found["stores"]}
    assert named == damaged
    done = repair_replicas(lab)
    assert not done.lost and len(done.mended) == sum(map(len, damaged.values()))
    assert scrub_stores(lab)["ok"] and list(lab.store.verify()) == [] and not survey_replicas(lab).incomplete


def test_what_has_no_good_copy_is_told(lab: Lab, tmp_path: Path) -> None:
    repair_replicas(lab)
    [digest] = [one for one in lab.store.blobs.all() if lab.store.blobs.read(one) == b"static of a toy"]
    for name in ("a", "b", "lab"):
        path = lab.store.blobs.path(digest) if name == "lab" else tmp_path / name / "blobs" / digest[:2] / digest[2:]
        if path.exists():
            damage(path)
    shutil.rmtree(tmp_path / "c" / "blobs")
    assert not scrub_stores(lab)["ok"]
    done = repair_replicas(lab)
    assert digest in {file for item in done.lost for file in item.files}
    assert survey_replicas(lab).incomplete == {digest: 1 + 2 - len(survey_replicas(lab).where[digest] - {"lab"})}


def test_s38_shares_read_everything_in_a_month(lab: Lab, tmp_path: Path) -> None:
    repair_replicas(lab)
    files = {name: len([file for file in tree(tmp_path / name) if "/" in file]) for name in ("a", "b")}
    bad = sorted(file for file in tree(tmp_path / "a") if file.startswith("blobs"))[3]
    damage(tmp_path / "a" / bad)
    read, found = dict.fromkeys(files, 0), []
    for day in range(30):
        told = {one["store"]: one for one in scrub_stores(lab, ["a", "b"], "1/30")["stores"]}
        assert told["a"]["part"] == f"{day + 1}/30"
        read = {name: read[name] + told[name]["files"] for name in read}
        found += [item["name"] for item in told["a"]["damage"]]
    assert read == files and found == [bad]
    assert scrub_stores(lab, ["a"], "1/30")["stores"][0]["part"] == "1/30"
    assert [line.record["ok"] for line in lab.store.journal.replay() if line.kind == "scrub"].count(False) == 1


def test_what_may_not_leave_is_not_copied_and_not_missing(lab: Lab, tmp_path: Path) -> None:
    held = sorted(lab.store.blobs.all())[0]
    reason = lambda digest: "held" if digest == held else None  # noqa: E731
    repair_replicas(lab, may_leave=reason)
    found = survey_replicas(lab, may_leave=reason)
    assert not found.incomplete and found.where[held] == {"lab"} and found.held == {held: "held"}
    everything = b"".join(b"".join(tree(tmp_path / name).values()) for name in ("a", "b"))
    assert held.encode() not in everything


def test_a_list_that_looks_in_the_wrong_place_is_found(lab: Lab, tmp_path: Path) -> None:
    """Each file of the store is what its name says, and still one large file would not come back."""
    repair_replicas(lab)
    with open_remote(lab.settings, "a") as there:
        digits, _ = next(there.listed("files"))
        found = there.file_list(digits)
        one, two, *rest = found.chunks
        swapped = one._replace(pack=two.pack, offset=two.offset, length=two.length, codec=two.codec)
        there.place.write(path_of("files", digits), FileList(digits, found.size, (swapped, two, *rest)).dump())
    shutil.rmtree(lab.settings.home / "transfer")  # another lab comes, which learns where chunks lie
    [told] = scrub_stores(lab, ["a"])["stores"]
    assert [item["name"] for item in told["damage"]] == [path_of("packs", two.pack)]
    assert digits in told["damage"][0]["files"]
    assert not repair_replicas(lab).lost and scrub_stores(lab)["ok"]
    with open_remote(lab.settings, "a") as there:
        lab.store.blobs.remove(digits)
        [(name, path)] = Fetcher(lab.store.blobs, there, tmp_path / "room").fetch([digits]).items()
    assert digest_bytes(path.read_bytes()) == name == digits


def test_too_few_stores_are_told(lab: Lab) -> None:
    lab.settings.replicas.__dict__["copies"] = 4
    with pytest.raises(ConfigurationError, match=r"copies = 4, but 3 stores are replicas \(a, b, c\)"):
        survey_replicas(lab)
    for said in lab.settings.stores.values():
        said.__dict__["replica"] = False
    with pytest.raises(ConfigurationError, match="No store is a replica"):
        repair_replicas(lab)


def test_a_store_that_cannot_be_read_does_not_stop_the_others(lab: Lab, tmp_path: Path) -> None:
    repair_replicas(lab)
    (tmp_path / "b" / "store.json").write_text("{}")
    found = scrub_stores(lab)
    assert not found["ok"]
    assert ["error" in one for one in found["stores"]] == [False, False, True, False]
