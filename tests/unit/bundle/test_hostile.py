"""Bundles that somebody made to do harm: each is refused, named, and leaves the lab as it was, bit for bit."""

from __future__ import annotations

import random
import stat
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from physlab.bundle import Limits, Made, check_bundle, open_bundle
from physlab.bundle.archive import EPOCH, PLAIN
from physlab.bundle.manifest import File, Manifest, sign_manifest
from physlab.errors import StoreError, ValidationError
from physlab.keys import canonical, digest_bytes
from physlab.model.notebook import Entry as Note
from physlab.plugins import all_tools
from physlab.store import Store, open_store
from tests.unit import toys
from tests.unit.bundle.conftest import KEY, OTHER, make, run, state
from tests.unit.conftest import open_lab

Entry = tuple[zipfile.ZipInfo, bytes]
DIGITS = "ab" * 32


def entry(name: str, data: bytes = b"x", *, mode: int = PLAIN, kind: int = zipfile.ZIP_STORED, **more: Any) -> Entry:
    info = zipfile.ZipInfo(name, EPOCH)
    info.external_attr, info.compress_type = mode, kind
    for what, value in more.items():
        setattr(info, what, value)
    return info, data


def entries(path: Path) -> list[Entry]:
    with zipfile.ZipFile(path) as archive:
        return [entry(info.filename, archive.read(info)) for info in archive.infolist()]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def pack(target: Path, items: list[Entry], comment: bytes = b"") -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for info, data in items:
            archive.writestr(info, data, info.compress_type)
        archive.comment = comment
    return target


def signed(manifest: Manifest, content: dict[str, bytes], target: Path, secret: Any = KEY) -> Path:
    """Write a bundle that is right but for what its lab signed."""
    data, signature = sign_manifest(manifest, secret)
    first = {"manifest.json": data, "manifest.json.minisig": signature, "lab.pub": secret.public.text().encode()}
    return pack(target, [entry(name, data) for name, data in {**first, **content}.items()])


class Victim:
    """A lab that must stay as it is."""

    def __init__(self, store: Store, room: Path) -> None:
        self.store, self.room, self.before = store, room, state(store)

    def refuses(self, path: Path, match: str, limits: Limits | None = None) -> None:
        with pytest.raises((ValidationError, StoreError), match=match):
            open_bundle(self.store, path, self.room, {KEY.public.line}, limits=limits)
        with pytest.raises((ValidationError, StoreError), match=match):
            check_bundle(path, limits)
        assert state(self.store) == self.before
        assert not (self.room / "incoming").exists(), "nothing waits"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """One for all of these tests: none of them changes it."""
    folder = tmp_path_factory.mktemp("hostile")
    registry = all_tools()
    toys.register(registry)
    with open_lab(folder) as lab:
        yield make(lab, run(lab, folder), folder / "made.zip")
    del registry.tools["toy"], registry.aliases["toy_add"]


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """One for all of these tests: none of them may change it."""
    home = tmp_path_factory.mktemp("victim")
    with open_store(home / "store") as store:
        store.blobs.put(b"what was there before")
        store.append("note", {"kind": "note"})
        yield Victim(store, home / "bundles")


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "home" / "store") as store:
        yield store


def test_the_packer_of_these_tests_is_not_what_is_refused(bundle: Made, tmp_path: Path) -> None:
    assert pack(tmp_path / "same.zip", entries(bundle.path)).read_bytes() == bundle.path.read_bytes()


NAMES = {
    "../evil": "leads out of its folder",
    "blobs/../../evil": "leads out of its folder",
    "blobs/./ab": "leads out of its folder",
    "/etc/cron.d/evil": "is absolute",
    "C:/Windows/evil": "begins with a drive letter",
    "c:evil": "begins with a drive letter",
    "..\\evil": "holds a backslash",
    "blobs\\ab\\cd": "holds a backslash",
    "\\\\server\\share": "holds a backslash",
    "README.txt\nx": "holds a control character",
    "README.TXT": "some systems take it for 'README.txt'",
    "ＲEADME.txt": "some systems take it for 'README.txt'",
    "ſtrange": "a bundle has no such file",
    f"blobs/AB/{DIGITS[2:]}": "a bundle has no such file",
    "blobs/ab/": "a bundle has no such file",
    "reports/..pdf": "a bundle has no such file",
    "evil.pkl": "a bundle has no such file",
    "": "a bundle has no such file",
}


@pytest.mark.parametrize("name", NAMES)
def test_s17_names_that_no_bundle_has(bundle: Made, victim: Victim, tmp_path: Path, name: str) -> None:
    items = entries(bundle.path)
    victim.refuses(pack(tmp_path / "evil.zip", [*items, entry(name)]), NAMES[name])
    assert not (tmp_path / "evil").exists()


def test_s17_a_name_behind_a_nul_is_seen_whole(bundle: Made, victim: Victim, tmp_path: Path) -> None:
    path = pack(tmp_path / "evil.zip", [*entries(bundle.path), entry("README.txt_..evil")])
    path.write_bytes(path.read_bytes().replace(b"README.txt_..evil", b"README.txt\0..evil"))
    victim.refuses(path, "holds a control character")


def test_s17_a_name_that_is_there_twice(bundle: Made, victim: Victim, tmp_path: Path) -> None:
    items = entries(bundle.path)
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = pack(tmp_path / "evil.zip", [*items, items[-1]])
    victim.refuses(path, "it is there twice")


KINDS = {
    "symlink": stat.S_IFLNK | 0o777, "device": stat.S_IFBLK | 0o644, "pipe": stat.S_IFIFO | 0o644,
    "socket": stat.S_IFSOCK | 0o644, "folder": stat.S_IFDIR | 0o755, "setuid": stat.S_IFREG | 0o4755,
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_s17_what_is_no_plain_file(bundle: Made, victim: Victim, tmp_path: Path, kind: str) -> None:
    items = entries(bundle.path)
    items[-1] = entry(items[-1][0].filename, b"/etc/passwd", mode=KINDS[kind] << 16)
    victim.refuses(pack(tmp_path / "evil.zip", items), "it is no plain file")


def test_s17_a_hard_link_and_a_second_name_in_the_extra_field(bundle: Made, victim: Victim, tmp_path: Path) -> None:
    link = struct.pack("<2H", 0x000D, 12 + 6) + bytes(12) + b"secret"
    second = struct.pack("<2H", 0x7075, 9) + b"\1" + bytes(4) + b"evil"
    for extra in (link, second):
        items = entries(bundle.path)
        items[-1] = entry(items[-1][0].filename, items[-1][1], extra=extra)
        victim.refuses(pack(tmp_path / "evil.zip", items), "a link, or a second name")


def test_s17_encrypted_files(bundle: Made, victim: Victim, tmp_path: Path) -> None:
    data = bytearray(bundle.path.read_bytes())
    with zipfile.ZipFile(bundle.path) as archive:
        last, begun = archive.infolist()[-1], archive.start_dir
    data[last.header_offset + 6] |= 1
    at = data.rindex(b"PK\1\2", begun)
    data[at + 8] |= 1
    path = tmp_path / "evil.zip"
    path.write_bytes(data)
    victim.refuses(path, "it is encrypted")


def test_s17_data_after_before_and_between(bundle: Made, victim: Victim, tmp_path: Path) -> None:
    data = bundle.path.read_bytes()
    with zipfile.ZipFile(bundle.path) as archive:
        second, begun = archive.infolist()[1].header_offset, archive.start_dir
    path = tmp_path / "evil.zip"
    for forged in (data + b"x", data + data, b"#!/bin/sh\n" + data, data[:second] + b"hidden" + data[second:],
                   data[:begun] + b"hidden" + data[begun:], data[:begun] + data[: second] + data[begun:]):  # fmt: skip
        path.write_bytes(forged)
        victim.refuses(path, "no bundle|no zip file|stands before it|list of files")
    victim.refuses(pack(path, entries(bundle.path), b"a comment"), "something follows its end")


def test_s17_a_file_that_the_list_does_not_name(bundle: Made, victim: Victim, tmp_path: Path) -> None:
    """Two readers would see two bundles: one goes by the list, the other from head to head."""
    items = entries(bundle.path)
    path = pack(tmp_path / "evil.zip", [*items, entry(f"blobs/ab/{DIGITS[2:]}")])
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        begun = archive.start_dir
    at = data.rindex(b"PK\1\2")
    end = data.rindex(b"PK\5\6")
    del data[at:end]
    count, length = len(items), at - begun
    data[-22:] = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, length, begun, 0)
    path.write_bytes(data)
    victim.refuses(path, "something stands in it that its list of files does not name")


def test_s17_what_unfolds(bundle: Made, victim: Victim, tmp_path: Path) -> None:
    for kind in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        items = [*entries(bundle.path), entry(f"blobs/ab/{DIGITS[2:]}", bytes(5_000_000), kind=kind)]
        path = pack(tmp_path / "bomb.zip", items)
        assert path.stat().st_size < bundle.size + 10_000, "a thousand to one"
        victim.refuses(path, "it is compressed; nothing in a bundle is")


def test_s17_files_that_share_their_bytes(bundle: Made, victim: Victim, tmp_path: Path) -> None:
    """The bomb that needs no compression ratio: many names for one stretch of the file."""
    data = bytearray(bundle.path.read_bytes())
    with zipfile.ZipFile(bundle.path) as archive:
        one, other = archive.infolist()[:2]
        begun = archive.start_dir
    at = data.index(b"PK\1\2", data.index(b"PK\1\2", begun) + 1)
    assert struct.unpack_from("<L", data, at + 42) == (other.header_offset,)
    struct.pack_into("<L", data, at + 42, one.header_offset)
    path = tmp_path / "evil.zip"
    path.write_bytes(data)
    victim.refuses(path, "stands before it|its own head|no bundle")


def test_s17_too_many_files_and_too_many_bytes(bundle: Made, victim: Victim) -> None:
    count = len(bundle.manifest.files) + 3
    victim.refuses(bundle.path, f"it holds {count} files; at most {count - 1}", Limits(files=count - 1))
    victim.refuses(bundle.path, "at most 1,000 are read|more than 1,000 bytes", Limits(size=1000))
    victim.refuses(bundle.path, "larger than 100 bytes", Limits(manifest=100))


def test_s17_bytes_are_counted_and_not_believed(bundle: Made, victim: Victim, tmp_path: Path) -> None:
    """A signed manifest that says less than there is."""
    content = {info.filename: data for info, data in entries(bundle.path)[3:]}
    name = "README.txt"
    content[name] += bytes(3_000_000)
    victim.refuses(signed(bundle.manifest, content, tmp_path / "evil.zip"), r"README.txt.*larger than")


@pytest.mark.drill
def test_s18_every_bit_counts(bundle: Made, victim: Victim, tmp_path: Path, drill_seed: int) -> None:
    data, rng = bundle.path.read_bytes(), random.Random(drill_seed)
    with zipfile.ZipFile(bundle.path) as archive:
        begun = archive.start_dir
    places = [rng.randrange(len(data)) for _ in range(120)] + list(range(begun, len(data)))
    path = tmp_path / "evil.zip"
    for place in places:
        forged = bytearray(data)
        forged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(forged)
        with pytest.raises((ValidationError, StoreError)):
            check_bundle(path)
    victim.refuses(path, ".")


def test_s18_a_cut_file_is_refused_wherever_it_was_cut(bundle: Made, victim: Victim, tmp_path: Path) -> None:
    data, path = bundle.path.read_bytes(), tmp_path / "evil.zip"
    for length in (0, 1, 21, 22, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        victim.refuses(path, "no bundle|no zip file|list of files")


def test_s18_the_signature_comes_first(bundle: Made, victim: Victim, tmp_path: Path) -> None:
    items = entries(bundle.path)
    content = {info.filename: data for info, data in items}
    path = tmp_path / "evil.zip"
    changed = content["manifest.json"].replace(b'"made_by":"ada"', b'"made_by":"eve"')
    victim.refuses(pack(path, [entry("manifest.json", changed), *items[1:]]), "manifest.json: The signature")
    for name in ("manifest.json", "manifest.json.minisig", "lab.pub", "records.jsonl"):
        victim.refuses(pack(path, [one for one in items if one[0].filename != name]), f"{name}.*missing")
    foreign = OTHER.public.text().encode()
    victim.refuses(pack(path, [*items[:2], entry("lab.pub", foreign), *items[3:]]), "signed, not")
    victim.refuses(pack(path, [*items, entry(f"blobs/ab/{DIGITS[2:]}")]), "the manifest does not name it")


def test_s18_a_signed_manifest_that_does_not_fit_the_files(bundle: Made, victim: Victim, tmp_path: Path) -> None:
    content = {info.filename: data for info, data in entries(bundle.path)[3:]}
    blob = next(name for name in content if name.startswith("blobs/"))
    path, manifest = tmp_path / "evil.zip", bundle.manifest
    other = {**content, blob: b"y" * len(content[blob])}
    victim.refuses(signed(manifest, other, path), f"{blob}.*not those that the manifest names")
    named = {**manifest.files, blob: File(sha256=digest_bytes(other[blob]), size=len(other[blob]))}
    lying = manifest.model_copy(update={"files": named})
    victim.refuses(signed(lying, other, path), f"{blob}.*another SHA-256 for it than its name")


NOTE = Note(
    notebook="lab", previous=(), at="2027-01-15T08:00:00+00:00", entry_id="0" * 16, revision=1, title="x", author="eve"
)
RECORDS = {
    "a pickle": ({"kind": "node", "payload": "gASVKAAAAAAAAAA="}, "node", "cannot be taken"),
    "another kind": ({"kind": "trusted_lab", "key": "RWQ"}, "trusted_lab", "do not travel"),
    "a notebook": (NOTE.model_dump(mode="json"), "notebook_entry", "an extract of a notebook"),
    "a path": ({"kind": "tag", "name": "../../evil", "version": None}, "tag", "cannot be taken"),
}


@pytest.mark.parametrize("what", RECORDS)
def test_s18_a_signed_record_that_no_lab_writes(bundle: Made, victim: Victim, tmp_path: Path, what: str) -> None:
    record, kind, match = RECORDS[what]
    content = {info.filename: data for info, data in entries(bundle.path)[3:]}
    line = canonical({"digest": digest_bytes(canonical(record)), "kind": kind, "record": record}) + b"\n"
    content["records.jsonl"] += line
    data = content["records.jsonl"]
    files = {**bundle.manifest.files, "records.jsonl": File(sha256=digest_bytes(data), size=len(data))}
    evil = bundle.manifest.model_copy(update={"files": files})
    victim.refuses(signed(evil, content, tmp_path / "evil.zip"), match)


def test_s18_a_run_that_the_manifest_promises(bundle: Made, victim: Victim, tmp_path: Path) -> None:
    content = {info.filename: data for info, data in entries(bundle.path)[3:]}
    promised = bundle.manifest.runs[0].model_copy(update={"record": DIGITS})
    evil = bundle.manifest.model_copy(update={"runs": (promised,)})
    victim.refuses(signed(evil, content, tmp_path / "evil.zip"), "the record of run .* is missing")


@pytest.mark.parametrize("title", ["\x1b]0;owned\x07", "two\nlines", "\u009b31m"])
def test_s27_no_title_drives_a_terminal(bundle: Made, victim: Victim, tmp_path: Path, title: str) -> None:
    content = {info.filename: data for info, data in entries(bundle.path)[3:]}
    evil = bundle.manifest.model_copy(update={"title": title})
    victim.refuses(signed(evil, content, tmp_path / "evil.zip"), "manifest.json is no manifest: title")


def test_s18_what_fails_in_the_middle_leaves_the_lab_as_it_was(bundle: Made, fresh: Store, tmp_path: Path) -> None:
    """A file stands where a folder of the store must be: those that were moved in before it are moved out again."""
    digests = sorted(name[6:8] for name in bundle.manifest.files if name.startswith("blobs/"))
    assert digests[0] != digests[-1]
    (fresh.blobs.objects / digests[-1]).write_bytes(b"in the way")
    before = state(fresh)
    with pytest.raises(StoreError, match="cannot take"):
        open_bundle(fresh, bundle.path, tmp_path / "home" / "room", {KEY.public.line})
    assert state(fresh) == before
    (fresh.blobs.objects / digests[-1]).unlink()
    open_bundle(fresh, bundle.path, tmp_path / "home" / "room", {KEY.public.line})
    assert list(fresh.verify()) == []


def test_s19_nothing_is_unpickled(bundle: Made, fresh: Store, tmp_path: Path) -> None:
    """A canary: unpickling it writes a file."""
    canary = tmp_path / "fired"
    payload = b"cposix\nsystem\n(S'touch " + str(canary).encode() + b"'\ntR."
    content = {info.filename: data for info, data in entries(bundle.path)[3:]}
    digest = digest_bytes(payload)
    name = f"blobs/{digest[:2]}/{digest[2:]}"
    evil = bundle.manifest.model_copy(
        update={"files": {**bundle.manifest.files, name: File(sha256=digest, size=len(payload))}}
    )
    path = signed(evil, {**content, name: payload}, tmp_path / "canary.zip")
    opened = open_bundle(fresh, path, tmp_path / "home" / "room", {KEY.public.line})
    assert opened.files == len([one for one in content if one.startswith("blobs/")]), "no record names it: it stays out"
    assert fresh.blobs.lacking([digest]) == {digest} and not canary.exists()
