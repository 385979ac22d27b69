"""What was written down is found to be so, and every change of it is found, and where."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from physlab.keys import canonical
from physlab.notebook import Draft, open_book, remark, revise, sign_entry, write
from physlab.notebook.verification import check_records
from physlab.signing import Known, KnownKey, make_secret
from physlab.store import open_store

ADA, BOB = make_secret(), make_secret()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[bytes], tuple[str, ...]]:
    """A notebook of three entries with revision, remarks and signatures."""
    with open_store(tmp_path_factory.mktemp("book") / "store") as store:
        draft = Draft("Levels of hydrogen", "ada", content="The levels are $E_n = -R/n^2$.", tags=("hydrogen",))
        first = write(store, "lab", draft)
        sign_entry(store, first, "ada", ADA, "author")
        remark(store, first, "bob", "Give the unit.", "request_changes")
        second = revise(store, first, replace(draft, content="$E_n = -13.6/n^2$ eV."), "the unit")
        sign_entry(store, second, "ada", ADA, "author")
        sign_entry(store, second, "bob", BOB, "approval")
        write(store, "lab", replace(draft, title="Helium"))
        write(store, "other", draft)
        book = open_book(store, "lab")
        return [canonical(item.model_dump(mode="json")) for item in book.records.values()], book.heads


def test_a_whole_notebook_is_right(told: tuple[list[bytes], tuple[str, ...]]) -> None:
    lines, heads = told
    checked = check_records(lines, heads, Known([KnownKey("ada", ADA.public)]))
    assert checked.problem == "" and len(checked.book.latest()) == 2 and checked.unknown == [BOB.public.id]
    assert checked.signers == {ADA.public.id: "ada", BOB.public.id: "bob"}


@pytest.mark.parametrize("place", range(7))
def test_what_is_cut_out_or_moved_is_missed(told: tuple[list[bytes], tuple[str, ...]], place: int) -> None:
    lines, heads = told
    cut = check_records(lines[:place] + lines[place + 1 :], heads, None)
    assert cut.problem and (place == 6) == cut.problem.startswith("the end")
    twice = check_records([*lines[: place + 1], *lines[place:]], heads, None)
    assert f"record {place + 2}" in twice.problem
    if place:
        swapped = [*lines[: place - 1], lines[place], lines[place - 1], *lines[place + 1 :]]
        assert check_records(swapped, heads, None).problem.startswith(f"record {place}")


def test_a_thousand_changes_are_found_a_thousand_times(told: tuple[list[bytes], tuple[str, ...]]) -> None:
    lines, heads = told
    choose = random.Random(7)
    for _ in range(1000):
        number = choose.randrange(len(lines))
        line = bytearray(lines[number])
        at = choose.randrange(len(line))
        line[at] = choose.choice([byte for byte in b'0123456789abcdefX" {}[],' if byte != line[at]])
        changed = [*lines[:number], bytes(line), *lines[number + 1 :]]
        problem = check_records(changed, heads, None).problem
        assert problem, (number, at)
        found_at = int(problem.split()[1].rstrip(":")) if problem.startswith("record") else len(lines)
        assert number + 1 <= found_at, "found where it is, or at the first record that vouches for it"
