"""Entries, revisions, remarks and signatures as the ledger keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from physlab.errors import ValidationError
from physlab.notebook import Draft, open_book, remark, revise, sign_entry, write
from physlab.notebook.book import lines_of
from physlab.notebook.signatures import check_signature
from physlab.notebook.verification import check_records
from physlab.signing import SecretKey, make_secret
from physlab.store import Store, open_store

DRAFT = Draft("Levels of hydrogen", "ada", content="The levels are $E_n = -R/n^2$.", tags=("hydrogen",))


class Clock:
    """A clock that goes on by a minute each time."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 20, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.time += timedelta(minutes=1)
        return self.time


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture(scope="module")
def keys() -> dict[str, SecretKey]:
    return {name: make_secret() for name in ("ada", "bob")}


def test_s36_nothing_is_written_that_holds_a_secret(store: Store, tmp_path: Path) -> None:
    secret = "gh" + "p_" + "aB3" * 12
    (tmp_path / "env.txt").write_text(f"TOKEN={secret}\n")
    first = write(store, "lab", DRAFT)
    size = len(store.records_of("notebook_entry"))
    for draft in (
        replace(DRAFT, title=secret), replace(DRAFT, content=f"x\n{secret}"), replace(DRAFT, conclusions=secret),
        replace(DRAFT, tags=("a", secret)), replace(DRAFT, tools_used=(secret,)),
        replace(DRAFT, files=[tmp_path / "env.txt"]),
    ):  # fmt: skip
        with pytest.raises(ValidationError, match="cannot be taken back") as caught:
            write(store, "lab", draft)
        assert secret not in str(caught.value.as_reply())
        with pytest.raises(ValidationError, match="holds a token of GitHub"):
            revise(store, first, draft, "again")
    with pytest.raises(ValidationError, match="reason: line 1 holds"):
        revise(store, first, DRAFT, secret)
    with pytest.raises(ValidationError, match="text: line 1 holds"):
        remark(store, first, "bob", f"See {secret}")
    assert len(store.records_of("notebook_entry")) == size and open_book(store, "lab").heads == (first.record,)
    held = [path for path in store.root.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert held == []


def test_an_entry_is_kept_and_its_revisions_follow_it(store: Store, tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "levels.csv").write_text("n,E\n1,-13.6\n")
    first = write(store, "lab", replace(DRAFT, files=[tmp_path / "levels.csv"]), clock)
    assert first.entry.revision == 1 and first.entry.previous == () and len(first.entry.entry_id) == 16
    [attached] = first.entry.attachments
    assert attached.name == "levels.csv" and store.blobs.read(attached.sha256) == b"n,E\n1,-13.6\n"
    second = revise(store, first, replace(DRAFT, content="They are $-R/n^2$."), "a clearer sentence", clock)
    assert (second.entry.before, second.entry.previous) == (first.record, (first.record,))
    book = open_book(store, "lab")
    assert [page.record for page in book.pages()] == [first.record, second.record]
    assert [page.record for page in book.latest()] == [second.record] == list(book.heads)
    assert book.find(first.entry.entry_id[:6]).record == second.record
    assert book.find(f"{first.entry.entry_id}@1").record == first.record
    assert open_book(store, "other").latest() == []


def test_two_who_revise_at_once_lose_nothing(store: Store) -> None:
    first = write(store, "lab", DRAFT)
    revise(store, first, replace(DRAFT, content="Bob's"), "better", Clock())
    with pytest.raises(ValidationError, match="has revision 2 by ada meanwhile"):
        revise(store, first, replace(DRAFT, content="Ada's"), "better still")
    with pytest.raises(ValidationError, match="needs a reason"):
        revise(store, first, DRAFT, "  ")


@pytest.mark.parametrize(
    ("change", "said"),
    [({"title": " "}, "title"), ({"title": "x" * 201}, "title"), ({"author": "a b"}, "author"),
     ({"files": [Path("nowhere.csv")]}, "nowhere.csv")],
)  # fmt: skip
def test_what_cannot_be_an_entry_leaves_no_trace(store: Store, change: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        write(store, "lab", replace(DRAFT, **change))
    assert open_book(store, "lab").records == {}


def test_a_review_is_by_somebody_else(store: Store) -> None:
    page = write(store, "lab", DRAFT)
    with pytest.raises(ValidationError, match="ada wrote this entry"):
        remark(store, page, "ada", "fine", "approve")
    remark(store, page, "ada", "Is the unit right?")
    remark(store, page, "bob", "Give the unit.", "request_changes")
    assert open_book(store, "lab").find(page.record).state == "changes requested"
    better = revise(store, page, replace(DRAFT, content="In eV."), "the unit")
    assert open_book(store, "lab").find(better.record).state == "open"
    remark(store, better, "bob", "", "approve")
    found = open_book(store, "lab").find(page.entry.entry_id)
    assert found.state == "approved" and [item.author for item in found.remarks] == ["bob"]


def test_s31_a_signature_binds_everything_and_cannot_be_moved(store: Store, keys: dict[str, SecretKey]) -> None:
    page, other = write(store, "lab", DRAFT, Clock()), write(store, "lab", replace(DRAFT, title="Another"), Clock())
    made = sign_entry(store, page, "ada", keys["ada"], "author", Clock())
    assert check_signature(page.record, page.entry, made) == keys["ada"].public
    with pytest.raises(ValidationError, match="content or its signature"):
        check_signature(other.record, other.entry, made)
    revised = revise(store, page, DRAFT, "nothing new")
    with pytest.raises(ValidationError):
        check_signature(revised.record, revised.entry, made)
    elsewhere = page.entry.model_copy(update={"notebook": "other"})
    with pytest.raises(ValidationError):
        check_signature(page.record, elsewhere, made)
    for change in ({"meaning": "witness"}, {"signer": "bob"}, {"at": "2026-11-20T09:00:00+00:00"},
                   {"key": keys["bob"].public.line}):  # fmt: skip
        with pytest.raises(ValidationError):
            check_signature(page.record, page.entry, made.model_copy(update=change))
    bobs = sign_entry(store, page, "bob", keys["bob"], "witness")
    swapped = made.model_copy(update={"statement": bobs.statement})
    with pytest.raises(ValidationError):
        check_signature(page.record, page.entry, swapped)


@pytest.mark.parametrize(("signer", "meaning"), [("bob", "author"), ("ada", "review"), ("ada", "witness")])
def test_nobody_signs_in_another_part(store: Store, keys: dict[str, SecretKey], signer: str, meaning: str) -> None:
    page = write(store, "lab", DRAFT)
    with pytest.raises(ValidationError, match=f"{signer} cannot sign as {meaning}"):
        sign_entry(store, page, signer, keys[signer], meaning)  # type: ignore[arg-type]


def test_those_who_write_at_once_in_one_lab_make_one_chain(tmp_path: Path) -> None:
    def work(name: str) -> None:
        with open_store(tmp_path / "store") as mine:
            for number in range(5):
                page = write(mine, "lab", replace(DRAFT, title=f"{name} {number}"))
                remark(mine, page, "eve", "Seen.")

    open_store(tmp_path / "store").close()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, ["ada", "bob", "carl", "dora"]))
    with open_store(tmp_path / "store") as store:
        book = open_book(store, "lab")
        assert len(book.latest()) == 20 and len(book.records) == 40 and len(book.heads) == 1
        assert all(len(item.previous) == 1 for item in list(book.records.values())[1:])


def test_a_record_keeps_its_spelling_whatever_fields_come_later(store: Store, keys: dict[str, SecretKey]) -> None:
    """A record of an older physlab lacks fields of this one; it is verified as it was spelled."""
    page = write(store, "lab", DRAFT)
    old = {name: value for name, value in page.entry.model_dump(mode="json").items() if name != "sign_as"}
    old |= {"entry_id": "0123456789abcdef", "previous": [page.record]}
    digest = store.append("notebook_entry", old)
    store.flush()
    found = open_book(store, "lab").find("0123456789abcdef")
    assert found.record == digest
    sign_entry(store, found, "ada", keys["ada"], "author", Clock())
    assert check_records(lines_of(store, "lab"), None).problem == ""


def test_a_revision_that_is_not_there(store: Store) -> None:
    page = write(store, "lab", Draft("Fall", "ada"))
    with pytest.raises(ValidationError, match=r"has no revision 9\. It has 1 to 1\."):
        open_book(store, "lab").find(f"{page.entry.entry_id}@9")
