"""Versions, tags and labels in other stores: they come back whole, and labels keep what they keep."""

from __future__ import annotations

import pytest

from physlab import service
from physlab.errors import StoreError, ValidationError
from physlab.service.serving import make_link
from physlab.versioning.history import find
from physlab.versioning.labels import label, labels, read_label
from physlab.versioning.origin import upstream
from physlab.versioning.register import Wish, register
from physlab.versioning.restore import restore
from physlab.versioning.tags import tag
from tests.unit.transfer.conftest import Labs, remote


def test_versions_come_with_their_folders_tags_and_lineage(folder_labs: Labs) -> None:
    with folder_labs.open() as one:
        work = folder_labs.folder / "one"
        for name in ("set/a", "set/deep/b", "raw"):
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_text(name)
        [made] = register(one.store, Wish(["set"], ["raw"], {"n": 1}), work)
        tag(one.store, "paper", made.record, "me")
        label(one.store, [made.version.content.sha256], read_label("hold"), "me")
        service.collect_garbage(one, grace_days=0, delete=True)
        with remote(one) as there:
            service.push_store(one, there)
    with folder_labs.open("two") as two:
        with remote(two) as there:
            service.pull_store(two, there)
        assert list(two.store.verify()) == []
        known = find(two.store, "paper", folder_labs.folder)
        assert known.record == made.record and known.tags == ("paper",)
        assert restore(two.store, known.version.content, folder_labs.folder / "back") == 2
        assert (folder_labs.folder / "back" / "deep" / "b").read_text() == "set/deep/b"
        names = [activity.name for activity in upstream(two.store, known.version.content.sha256).activities.values()]
        assert sorted(names) == ["raw@1", "set@1"]
        assert made.version.content.sha256 in labels(two.store)


@pytest.mark.parametrize("said", ["private", "embargo:2099-01-31"])
def test_labels_keep_files_out_of_stores_that_others_read(folder_labs: Labs, said: str) -> None:
    with folder_labs.open() as one:
        work = folder_labs.folder / "one"
        (work / "set").mkdir(parents=True)
        (work / "set" / "secret").write_text("secret data")
        (work / "free").write_text("free data")
        made, _ = register(one.store, Wish(["set", "free"]), work)
        label(one.store, [made.version.content.sha256], read_label(said), "me")
        with remote(one) as there:
            with pytest.raises(StoreError, match=r"set@1: secret: it is (private|under embargo)"):
                service.push_store(one, there)
            service.push_store(one, there, without_held=True)
    written = b"".join(path.read_bytes() for path in (folder_labs.folder / "nas").rglob("*") if path.is_file())
    assert b"free data" in written and b"secret data" not in written


def test_every_name_of_a_version_travels(folder_labs: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    with folder_labs.open() as one:
        work = folder_labs.folder / "one" / "deep"
        work.mkdir(parents=True)
        for text in ("first", "second", "third"):
            (work / "slope.csv").write_text(text)
            [made] = register(one.store, Wish(["slope.csv"]), work)
        monkeypatch.chdir(work)
        with remote(one) as there:
            sent = service.push_store(one, there, "slope.csv@2")
            assert (sent.files, sent.records) == (1, 1)
            assert service.push_store(one, there, made.version.content.sha256[:12]).files == 1
            with pytest.raises(ValidationError, match="has no version 9"):
                service.push_store(one, there, "slope.csv@9")
            with pytest.raises(ValidationError, match="no finished run, version or file 'nothing'"):
                service.push_store(one, there, "nothing")
        written = b"".join(path.read_bytes() for path in (folder_labs.folder / "nas").rglob("*") if path.is_file())
        assert b"first" not in written
        assert f"/blobs/{made.version.content.sha256}?" in make_link(one, "slope.csv", 60)
        assert made.version.content.sha256 in make_link(one, "slope.csv@3", 60)
        (work / "set").mkdir()
        (work / "set" / "a").write_text("a")
        register(one.store, Wish(["set"]), work)
        with pytest.raises(ValidationError, match="set@1 is no single file"):
            make_link(one, "set", 60)
