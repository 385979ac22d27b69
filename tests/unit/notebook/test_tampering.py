"""Somebody who rewrites a whole export, sheet and chain included, is found out: they have no key but their own."""

from __future__ import annotations

import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from physlab.keys import canonical, digest_bytes
from physlab.notebook import Draft, open_book, remark, revise, sign_entry, write
from physlab.notebook.archive import pack, unpacked
from physlab.notebook.book import ADAPTER, Book, lines_of
from physlab.notebook.export import PROOF, export, verify_export
from physlab.service.notebook.check import verify_file
from physlab.settings import load_settings
from physlab.signing import Known, KnownKey, SecretKey, make_secret
from physlab.store import Store, open_store

ADA, BOB, EVE = make_secret(), make_secret(), make_secret()
KNOWN = Known([KnownKey("ada", ADA.public), KnownKey("bob", BOB.public)])
FIRST, SIGNED, ASKED, REVISED, APPROVED, SECOND, LAST, COMMENT = range(8)
Told = dict[str, Any]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Two notebooks, the first with two entries, a revision, a review, a comment and signatures."""
    folder = tmp_path_factory.mktemp("tampering")
    (folder / "levels.csv").write_text("n,E\n1,-13.6\n")
    with open_store(folder / "store") as store:
        draft = Draft("Levels of hydrogen", "ada", content="$E_n$", files=[folder / "levels.csv"])
        first = write(store, "lab", draft)
        sign_entry(store, first, "ada", ADA, "author")
        remark(store, first, "bob", "Give the unit.", "request_changes")
        revised = revise(store, first, replace(draft, content="$E_n$ in eV"), "the unit")
        sign_entry(store, revised, "bob", BOB, "approval")
        second = write(store, "lab", replace(draft, title="Helium", files=[]))
        sign_entry(store, second, "ada", ADA, "author")
        remark(store, second, "bob", "Seen.")
        sign_entry(store, write(store, "other", draft), "ada", ADA, "author")
        yield store


@pytest.fixture(scope="module")
def told(store: Store) -> list[Told]:
    return [orjson.loads(line) for line in lines_of(store, "lab")]


def rechained(told: list[Told], change: Callable[[list[Told]], None]) -> list[Told]:
    """Return changed records, each naming again what it named before, by its new digest."""
    old = [digest_bytes(canonical(one)) for one in told]
    copies = [orjson.loads(canonical({**one, "#": name})) for one, name in zip(told, old, strict=True)]
    change(copies)
    names: dict[str, str] = {}
    made: list[Told] = []
    for one in copies:
        was = one.pop("#")
        one["previous"] = [digest_bytes(canonical(made[-1]))] if made else []
        for field in ("before", "entry"):
            if one.get(field):
                one[field] = names.get(one[field], one[field])
        names[was] = digest_bytes(canonical(one))
        made.append(one)
    return made


def forged(store: Store, told: list[Told], folder: Path, secret: SecretKey | None, signer: str = "ada") -> Path:
    """Write an export of records as they are, sound or not."""
    texts = {digest_bytes(canonical(one)): canonical(one) for one in told}
    book = Book("lab", {name: ADAPTER.validate_json(text) for name, text in texts.items()}, texts)
    export(store, book, folder, secret, signer)
    return folder


CHANGES: dict[str, tuple[Callable[[list[Told]], None], str]] = {
    "the text of a revision": (lambda all_: all_[REVISED].update(content="$E_n$ in J"), f"record {APPROVED + 1} "),
    "the reason of a revision": (lambda all_: all_[REVISED].update(reason="none"), f"record {APPROVED + 1} "),
    "the author of an entry": (lambda all_: all_[SECOND].update(author="eve"), f"record {LAST + 1} "),
    "a file of an entry": (lambda all_: all_[FIRST].update(attachments=[]), f"record {SIGNED + 1} "),
    "the words of a review": (lambda all_: all_[ASKED].update(text="All fine."), f"record {APPROVED + 1} "),
    "what a review says": (lambda all_: all_[ASKED].update(word="approve"), f"record {APPROVED + 1} "),
    "a review is taken away": (lambda all_: all_.pop(ASKED) and None, f"record {APPROVED} "),
    "a signature is taken away": (lambda all_: all_.pop(SIGNED) and None, f"record {APPROVED} "),
    "a review comes earlier": (lambda all_: all_.insert(SIGNED, all_.pop(ASKED)), f"record {SIGNED + 2} "),
    "an entry comes earlier": (lambda all_: all_.insert(REVISED, all_.pop(SECOND)), f"record {APPROVED + 2} "),
    "a meaning": (lambda all_: all_[APPROVED].update(meaning="witness"), f"record {APPROVED + 1} "),
    "a signer": (lambda all_: all_[APPROVED].update(signer="eve"), f"record {APPROVED + 1} "),
    "the time of a signature": (
        lambda all_: all_[LAST].update(at="2020-01-01T00:00:00+00:00"), f"record {LAST + 1} "
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_s31_a_rewritten_chain_breaks_the_next_signature(
    store: Store, told: list[Told], tmp_path: Path, what: str
) -> None:
    change, place = CHANGES[what]
    folder = forged(store, rechained(told, change), tmp_path / "out", EVE)
    assert f"records.jsonl: {place}" in verify_export(folder).problem, "without anybody's key"
    assert place in verify_export(folder, KNOWN).problem


def test_nothing_changed_is_nothing_found(store: Store, told: list[Told], tmp_path: Path) -> None:
    assert rechained(told, lambda _: None) == told
    found = verify_export(forged(store, told, tmp_path / "out", ADA), KNOWN)
    assert (found.problem, found.warnings, found.vouches) == ("", [], "ada") and len(found.checked.book.records) == 8


@pytest.mark.parametrize("left", range(1, COMMENT + 1))
def test_s29_a_cut_end_is_missed(store: Store, told: list[Told], tmp_path: Path, left: int) -> None:
    """Head and size are in what the exporter signed; without anybody's signature it is told that the end is open."""
    whole = forged(store, told, tmp_path / "whole", ADA)
    unsigned = forged(store, told[:left], tmp_path / "unsigned", None, "")
    found = verify_export(unsigned, KNOWN)
    ends_signed = told[left - 1]["kind"] == "notebook_signature"
    assert found.problem == "" and bool(found.warnings) != ends_signed and found.vouches == ""
    by_eve = forged(store, told[:left], tmp_path / "eve", EVE)
    assert (
        f"key {EVE.public.id} is not one of the keys that ada is known to have" in verify_export(by_eve, KNOWN).problem
    )
    stranger = forged(store, told[:left], tmp_path / "stranger", EVE, "eve")
    assert "nobody vouches for it" in verify_export(stranger, KNOWN).warnings[0]
    shutil.copy(whole / PROOF, by_eve / PROOF)
    assert PROOF in verify_export(by_eve, KNOWN).problem
    sheet = orjson.loads((unsigned / "export.json").read_bytes())
    (unsigned / "export.json").write_bytes(canonical({**sheet, "key": ADA.public.line, "signer": "ada"}))
    shutil.copy(whole / PROOF, unsigned / PROOF)
    assert "it is not what" in verify_export(unsigned, KNOWN).problem


def test_s31_a_signature_of_another_notebook_does_not_hold_here(store: Store, told: list[Told], tmp_path: Path) -> None:
    other = [orjson.loads(line) for line in lines_of(store, "other")][1]
    for moved in (SIGNED, APPROVED, LAST):
        entry, previous = told[moved]["entry"], told[moved]["previous"]
        for changes in ({"notebook": "lab"}, {"notebook": "lab", "entry": entry}):
            stolen = {**other, **changes, "previous": previous}
            folder = tmp_path / f"{moved}{len(changes)}"
            problem = verify_export(forged(store, [*told[:moved], stolen], folder, EVE)).problem
            said = "does not hold" if stolen["entry"] == entry else "was cut out or changed"
            assert problem.startswith(f"records.jsonl: record {moved + 1} (") and said in problem, problem


def test_a_zip_is_verified_and_a_hostile_one_refused(store: Store, told: list[Told], tmp_path: Path) -> None:
    pack(forged(store, told, tmp_path / "out", ADA), tmp_path / "out.zip")
    pack(tmp_path / "out", tmp_path / "again.zip")
    assert (tmp_path / "out.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    settings = load_settings(tmp_path, {"home": str(tmp_path / "home")}, environ={"HOME": str(tmp_path)})
    keys = [("ada", ADA.public.line), ("bob", BOB.public.line)]
    assert verify_file(settings, tmp_path / "out.zip", keys)["ok"] and not (tmp_path / "home").exists()
    for name in ("../up", "/etc/up", "a/../../up", "a//b", "./a", "a\\b", "folder/"):
        shutil.copy(tmp_path / "out.zip", tmp_path / "bad.zip")
        with zipfile.ZipFile(tmp_path / "bad.zip", "a") as archive:
            archive.writestr(zipfile.ZipInfo(name), b"")
        with pytest.raises(ValueError, match=r"no export has this|names a file twice"), unpacked(tmp_path / "bad.zip"):
            pass
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ValueError, match="no export has this"), unpacked(tmp_path / "link.zip"):
        pass
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("zeros", bytes(160 << 20))
    with pytest.raises(ValueError, match="would fill the disk"), unpacked(tmp_path / "bomb.zip"):
        pass
    assert not (tmp_path / "up").exists()


def test_every_bit_of_a_zip_counts(store: Store, told: list[Told], tmp_path: Path) -> None:
    pack(forged(store, told, tmp_path / "out", ADA), tmp_path / "out.zip")
    settings = load_settings(tmp_path, {"home": str(tmp_path / "home")}, environ={"HOME": str(tmp_path)})
    whole, choose = (tmp_path / "out.zip").read_bytes(), random.Random(5)
    same, refused = verify_file(settings, tmp_path / "out.zip"), 0
    for _ in range(100):
        data = bytearray(whole)
        data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
        (tmp_path / "bad.zip").write_bytes(data)
        try:
            found = verify_file(settings, tmp_path / "bad.zip")
        except ValueError:
            refused += 1
            continue
        refused += not found["ok"]
        assert not found["ok"] or found == same, "a date or a flag of the archive, which says nothing"
    assert refused > 50


def test_open_book_orders_what_came_in_any_order(store: Store, told: list[Told], tmp_path: Path) -> None:
    with open_store(tmp_path / "store") as other:
        other.append_all((one["kind"], one) for one in reversed(told))
        other.flush()
        assert [orjson.loads(line) for line in lines_of(other, "lab")] == told
        assert open_book(other, "lab").heads == open_book(store, "lab").heads
