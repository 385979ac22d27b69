"""The .eln file: written for others, read from strangers, refused where it would do harm."""

from __future__ import annotations

import io
import json
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from physlab.errors import ValidationError
from physlab.keys import canonical, digest_bytes
from physlab.notebook import Draft, open_book, remark, revise, sign_entry, write
from physlab.notebook.eln import export_eln, import_eln
from physlab.notebook.eln.archive import Bounds, unpack
from physlab.notebook.eln.html import markdown_of
from physlab.notebook.markdown import render
from physlab.notebook.verification import check_records
from physlab.signing import make_secret, read_signature, verify
from physlab.store import Store, open_store
from tests.unit.notebook.hostile import TEXTS
from tests.unit.notebook.test_book import Clock

ADA = make_secret()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def eln(store: Store, tmp_path: Path) -> Path:
    clock = Clock()
    (tmp_path / "levels é.csv").write_text("n,E\n1,-13.6\n")
    draft = Draft("Levels: of hydrogen", "ada", content="They are $E_n$.", conclusions="They fit.", tags=("a", "b"),
                  files=[tmp_path / "levels é.csv"])  # fmt: skip
    page = write(store, "lab", draft, clock)
    sign_entry(store, page, "ada", ADA, "author", clock)
    remark(store, page, "bob", "Give the unit.", clock=clock)
    write(store, "lab", replace(draft, title="Helium", files=[]), clock)
    return export_eln(store, open_book(store, "lab"), tmp_path / "my lab.eln", secret=ADA)


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_others_can_read_it(eln: Path, store: Store, tmp_path: Path) -> None:
    held = members(eln)
    assert {name.partition("/")[0] for name in held} == {"my-lab"}
    told = json.loads(held["my-lab/ro-crate-metadata.json"])
    parts = {part["@id"]: part for part in told["@graph"]}
    assert told["@context"] == "https://w3id.org/ro/crate/1.1/context" and len(parts) == len(told["@graph"])
    [first, _] = [parts[one["@id"]] for one in parts["./"]["hasPart"]]
    assert first["name"] == "Levels: of hydrogen" and parts[first["author"]["@id"]]["name"] == "ada"
    assert first["keywords"] == "a,b" and first["encodingFormat"] == "text/markdown" and "They fit." in first["text"]
    assert parts[first["comment"][0]["@id"]]["text"] == "Give the unit."
    files = [parts[one["@id"]] for one in first["hasPart"]]
    assert [file["name"] for file in files][-1] == "levels é.csv" and len(files) == 3
    for file in files:
        data = held[f"my-lab/{file['@id'].removeprefix('./')}"]
        assert digest_bytes(data) == file["sha256"] and str(len(data)) == file["contentSize"]
    signature = read_signature(held["my-lab/ro-crate-metadata.json.minisig"].decode())
    verify(ADA.public, held["my-lab/ro-crate-metadata.json"], signature)
    assert digest_bytes(held[f"my-lab/{files[0]['@id'].removeprefix('./')}"]) == first["sha256"]
    again = export_eln(store, open_book(store, "lab"), tmp_path / "again" / "my lab.eln", secret=ADA)
    assert again.read_bytes() == eln.read_bytes()
    with pytest.raises(ValidationError, match="is there already"):
        export_eln(store, open_book(store, "lab"), eln)


def test_rocrate_reads_it(eln: Path, tmp_path: Path) -> None:
    from rocrate.rocrate import ROCrate

    with zipfile.ZipFile(eln) as archive:
        archive.extractall(tmp_path / "out")
    crate = ROCrate(tmp_path / "out" / "my-lab")
    assert crate.name == "Notebook lab" and len(list(crate.get_by_type("File"))) == 4
    assert {entity["name"] for entity in crate.get_by_type("Person")} == {"ada", "bob"}


def test_what_was_written_is_read_again(eln: Path, tmp_path: Path) -> None:
    with open_store(tmp_path / "other") as other:
        found = import_eln(other, "theirs", eln, "carol", clock=Clock())
        assert [page.entry.title for page in found.pages] == ["Levels: of hydrogen", "Helium"]
        entry = open_book(other, "theirs").latest()[0].entry
        assert entry.author == "carol" and "written by ada, 2026-11-20T09:01" in entry.content
        assert "They are $E_n$." in entry.content and "Give the unit." in entry.content and entry.tags == ("a", "b")
        [file] = entry.attachments  # the record itself and its signature are no files of the entry
        assert file.name.endswith(".csv") and other.blobs.read(file.sha256) == b"n,E\n1,-13.6\n"
        assert found.warnings == []
        book = open_book(other, "theirs")
        lines = [canonical(item.model_dump(mode="json")) for item in book.records.values()]
        assert check_records(lines, book.heads, None).problem == "" and len(lines) == 2


def test_what_was_taken_in_is_known_again_and_can_be_looked_at_before(eln: Path, store: Store, tmp_path: Path) -> None:
    with open_store(tmp_path / "other") as other:
        seen = import_eln(other, "theirs", eln, "carol", dry_run=True)
        assert (seen.pages, seen.titles) == ([], ["Levels: of hydrogen", "Helium"])
        assert open_book(other, "theirs").records == {}
        first = import_eln(other, "theirs", eln, "carol").pages
        revise(other, first[0], Draft("Levels", "carol", content="Mine."), "better")
        renamed_file = eln.rename(tmp_path / "mail.eln")
        again = import_eln(other, "theirs", renamed_file, "dora")
        assert [page.record for page in again.known] == [page.record for page in first]
        assert (again.pages, again.titles, len(open_book(other, "theirs").records)) == ([], [], 3)
        write(store, "lab", Draft("Lithium", "ada", content="New."))
        more = export_eln(store, open_book(store, "lab"), tmp_path / "more.eln")
        third = import_eln(other, "theirs", more, "carol")
        assert (third.titles, len(third.known)) == (["Lithium"], 2)
        assert len(import_eln(other, "elsewhere", more, "carol").pages) == 3


def test_a_file_of_another_notebook_may_be_called_as_ours(tmp_path: Path, store: Store) -> None:
    held = crate(lambda graph: (graph[4].update({"@id": "./one/entry.json"}),
                                graph[2].update({"hasPart": [{"@id": "./one/entry.json"}]})))  # fmt: skip
    held["root/one/entry.json"] = held.pop("root/one/a.txt")
    (tmp_path / "theirs.eln").write_bytes(packed(held))
    [page] = import_eln(store, "lab", tmp_path / "theirs.eln", "carol").pages
    assert [item.name for item in page.entry.attachments] == ["entry.json"]


def test_html_of_other_notebooks_becomes_markdown(store: Store, tmp_path: Path) -> None:
    page = ("<h1>Title</h1><p>A <b>bold</b> &amp; <i>slanted</i> x<sub>2</sub> [a] $5</p><ul><li>one</li>"
            "<li>two</li></ul><script>alert(1)</script><a href='https://a.b'>there</a>"
            "<table><tr><td>1</td></tr></table>")  # fmt: skip
    text = markdown_of(page)
    assert "# Title" in text and "**bold** & *slanted*" in text and "- one\n- two" in text and "alert" not in text
    assert "[there](<https://a.b>)" in text and "\\[a\\]" in text
    for hostile in TEXTS:
        assert "<script" not in render(markdown_of(hostile), strict=False).html


def crate(change: Callable[[list[dict[str, object]]], object] = lambda graph: None) -> dict[str, bytes]:
    """Return the members of an archive as another notebook would write it."""
    graph: list[dict[str, object]] = [
        {"@id": "ro-crate-metadata.json", "@type": "CreativeWork", "about": {"@id": "./"}},
        {"@id": "./", "@type": "Dataset", "hasPart": [{"@id": "./one"}]},
        {"@id": "./one", "@type": "Dataset", "name": "One", "text": "<p>Hello</p>", "author": {"@id": "person://1"},
         "hasPart": [{"@id": "./one/a.txt"}], "comment": [], "keywords": ["x", "y"]},
        {"@id": "person://1", "@type": "Person", "givenName": "Ada", "familyName": "L."},
        {"@id": "./one/a.txt", "@type": "File", "sha256": digest_bytes(b"data")},
    ]  # fmt: skip
    change(graph)
    told = {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph}
    return {"root/ro-crate-metadata.json": json.dumps(told).encode(), "root/one/a.txt": b"data"}


def packed(held: dict[str, bytes], more: list[tuple[zipfile.ZipInfo | str, bytes]] = []) -> bytes:  # noqa: B006
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [*held.items(), *more]:
            archive.writestr(name, data)
    return target.getvalue()


def flagged(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def encrypted(data: bytes) -> bytes:
    at = data.rindex(b"PK\x01\x02")
    return data[: at + 8] + struct.pack("<H", struct.unpack("<H", data[at + 8 : at + 10])[0] | 1) + data[at + 10 :]


def renamed(data: bytes, old: bytes, new: bytes) -> bytes:
    """Spell a name anew everywhere: what writes archives would clean it."""
    return data.replace(old, new)


GOOD = packed(crate())
ATTACKS: dict[str, bytes] = {
    "parent": packed(crate(), [("root/../evil.txt", b"x")]), "parent alone": packed(crate(), [("../evil.txt", b"x")]),
    "absolute": packed(crate(), [("/etc/evil", b"x")]), "drive": packed(crate(), [("C:/evil.txt", b"x")]),
    "backslash": renamed(packed(crate(), [("root/..Xevil", b"x")]), b"root/..Xevil", b"root/..\\evil"),
    "dot": packed(crate(), [("root/./evil", b"x")]), "empty part": packed(crate(), [("root//evil", b"x")]),
    "symlink": packed(crate(), [(flagged("root/link", stat.S_IFLNK | 0o777), b"/etc/passwd")]),
    "device": packed(crate(), [(flagged("root/dev", stat.S_IFCHR | 0o666), b"")]),
    "fifo": packed(crate(), [(flagged("root/pipe", stat.S_IFIFO | 0o666), b"")]),
    "case": packed(crate(), [("root/one/A.TXT", b"x")]),
    "unicode": packed(crate(), [("root/caf\u00e9", b"x"), ("root/cafe\u0301", b"y")]),
    "file and folder": packed(crate(), [("root/one/a.txt/evil", b"x")]),
    "control": packed(crate(), [("root/a\x1b[31m", b"x")]), "ends in a dot": packed(crate(), [("root/evil.", b"x")]),
    "nul": renamed(packed(crate(), [("root/evilXtxt", b"x")]), b"evilXtxt", b"evil\0txt"),
    "encrypted": encrypted(GOOD), "behind the end": GOOD + b"more", "before the beginning": b"more" + GOOD,
    "bomb": packed(crate(), [("root/bomb", bytes(30_000_000))]), "two roots": packed(crate(), [("other/x", b"x")]),
    "no zip": b"nothing", "empty": b"", "cut": GOOD[:-40],
    "false name": GOOD.replace(b"root/one/a.txt", b"root/one/b.txt", 1),
    "changed bytes": packed({**crate(), "root/one/a.txt": b"date"}),
    "no metadata": packed({"root/x": b"x"}), "no json": packed({"root/ro-crate-metadata.json": b"{"}),
    "odd json": packed({"root/ro-crate-metadata.json": b'{"@graph": 5}'}),
    "deep json": packed({"root/ro-crate-metadata.json": b"[" * 100_000}),
    "not there": packed(crate(lambda graph: graph[4].update({"@id": "./one/z.txt"}) or graph[2].update(  # type: ignore[func-returns-value]
        {"hasPart": [{"@id": "./one/z.txt"}]}))),
    "leads out": packed(crate(lambda graph: graph[4].update({"@id": "../../etc/passwd"}) or graph[2].update(  # type: ignore[func-returns-value]
        {"hasPart": [{"@id": "../../etc/passwd"}]}))),
    "no entries": packed(crate(lambda graph: graph[1].update(hasPart=[]))),
}  # fmt: skip


def duplicate() -> bytes:
    with pytest.warns(UserWarning, match="Duplicate"):
        return packed(crate(), [("root/one/a.txt", b"again")])


@pytest.mark.parametrize("name", [*ATTACKS, "duplicate"])
def test_s17_s18_an_attack_is_refused_and_leaves_the_store_as_it_was(name: str, store: Store, tmp_path: Path) -> None:
    path = tmp_path / "evil.eln"
    path.write_bytes(duplicate() if name == "duplicate" else ATTACKS[name])
    before = {item.relative_to(store.root): item.read_bytes() for item in store.root.rglob("*") if item.is_file()}
    with pytest.raises(ValidationError) as refused:
        import_eln(store, "lab", path, "carol")
    assert refused.value.hint and "Traceback" not in str(refused.value)
    after = {item.relative_to(store.root): item.read_bytes() for item in store.root.rglob("*") if item.is_file()}
    assert before == after and not (tmp_path / "evil.txt").exists()


def test_an_archive_of_another_notebook_is_taken(store: Store, tmp_path: Path) -> None:
    (tmp_path / "good.eln").write_bytes(packed(crate(), [("root/stray.txt", b"x")]))
    found = import_eln(store, "lab", tmp_path / "good.eln", "carol")
    [page] = found.pages
    assert "written by Ada L." in page.entry.content and "Hello" in page.entry.content
    assert page.entry.tags == ("x", "y") and page.entry.attachments[0].name == "a.txt"
    assert found.warnings == ["stray.txt: no entry names this file; it was left out"]


def test_s17_bounds_are_counted_while_reading(tmp_path: Path) -> None:
    (tmp_path / "many.zip").write_bytes(packed({f"root/{number}": b"x" * 50_000 for number in range(30)}))
    for bounds, said in ((Bounds(files=10), "30 members"), (Bounds(total_mb=1.0), "together they are too large")):
        folder = tmp_path / said[:2]
        folder.mkdir()
        with pytest.raises(ValidationError, match=said):
            unpack(tmp_path / "many.zip", folder, bounds)
    (tmp_path / "all").mkdir()
    assert len(unpack(tmp_path / "many.zip", tmp_path / "all")) == 30
