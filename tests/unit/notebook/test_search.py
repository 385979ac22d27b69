"""Entries are found by what they say, the best first; templates and the table of contents."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from physlab.errors import ValidationError
from physlab.notebook import Book, Draft, open_book, remark, revise, write
from physlab.notebook.contents import contents
from physlab.notebook.markdown import check
from physlab.notebook.search import read_question, search
from physlab.notebook.templates import template, templates
from physlab.store import open_store
from tests.unit.notebook.hostile import TEXTS
from tests.unit.notebook.test_book import Clock


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    folder, clock = tmp_path_factory.mktemp("book"), Clock()
    (folder / "spectrum.csv").write_text("1\n")
    with open_store(folder / "store") as store:
        first = write(store, "lab", Draft("Levels of hydrogen", "ada", content="The Rydberg constant, measured twice.",
                                          tags=("Atoms",), files=[folder / "spectrum.csv"]), clock)  # fmt: skip
        write(
            store,
            "lab",
            Draft("Pendulum", "bob", content="A long text on the weather. " * 40 + "Hydrogen balloon."),
            clock,
        )
        write(
            store,
            "lab",
            Draft("Café", "ada", content="<b>constant</b> of measured Rydberg"),
            lambda: datetime(2026, 12, 1, tzinfo=UTC),
        )
        remark(store, first, "bob", "Which grating?", clock=clock)
        better = Draft("Levels of hydrogen", "ada", content="The Rydberg constant, measured thrice.", tags=("Atoms",),
                       files=[folder / "spectrum.csv"])  # fmt: skip
        revise(store, first, better, "again", clock)
        yield open_book(store, "lab")


@pytest.mark.parametrize(
    ("question", "titles"),
    [
        ("hydrogen", ["Levels of hydrogen", "Pendulum"]), ("HYDROGEN balloon", ["Pendulum"]), ("cafe", ["Café"]),
        ('"rydberg constant"', ["Levels of hydrogen"]), ("rydberg constant", ["Levels of hydrogen", "Café"]),
        ("author:bob", ["Pendulum"]), ("tag:atoms rydberg", ["Levels of hydrogen"]), ("since:2026-11-30", ["Café"]),
        ("until:2026-11-30 author:Ada", ["Levels of hydrogen"]), ("spectrum.csv", ["Levels of hydrogen"]),
        ("twice", []), ("nothing", []), ('tag:"atoms"', ["Levels of hydrogen"]),
        ("author:ada author:bob pendulum", ["Pendulum"]),
    ],
)  # fmt: skip
def test_questions_find_what_they_ask_for(book: Book, question: str, titles: list[str]) -> None:
    found = [hit.page.entry.title for hit in search([book], question)]
    assert sorted(found) == sorted(titles)


def test_the_best_stands_first_and_shows_where(book: Book) -> None:
    first, second = search([book], "hydrogen")
    assert first.page.entry.title == "Levels of hydrogen" and first.score > second.score
    assert "<mark>Hydrogen</mark> balloon" in second.snippet and "Hydrogen balloon" in second.text
    [cafe] = search([book], "measured author:ada since:2026-12-01")
    assert "&lt;b&gt;" in cafe.snippet and "<b>" not in cafe.snippet
    assert len(search([book], "rydberg", limit=1)) == 1
    assert [hit.page.entry.revision for hit in search([book], "twice grating", all_revisions=True)] == [1]


@pytest.mark.parametrize(
    "text", [*TEXTS, 'a" OR "b', "NEAR(a b)", "title:x", "a AND", "*", "a*", '"', '""', "^a", "{a}", "-a", "a:b:c"]
)
def test_no_question_is_a_command(book: Book, text: str) -> None:
    for hit in search([book], text):
        assert "<" not in hit.snippet.replace("<mark>", "").replace("</mark>", "")


def test_what_cannot_be_read_is_told() -> None:
    for text, said in (("", "characters"), ("x" * 1001, "characters"), ("since:yesterday", "is no day")):
        with pytest.raises(ValidationError, match=said):
            read_question(text)


def test_contents_tell_of_each_entry(book: Book) -> None:
    lines = contents(book)
    assert [line.title for line in lines] == ["Levels of hydrogen", "Pendulum", "Café"]
    assert (lines[0].revision, lines[0].files, lines[0].remarks, lines[0].state) == (2, 1, 1, "open")
    assert lines[0].begun < lines[0].revised


def test_templates_can_be_shown(tmp_path: Path) -> None:
    assert templates() == ["derivation", "experiment", "failure", "meeting", "observation"]
    for name in templates():
        check(template(name))
    with pytest.raises(ValidationError, match="no template 'experimnt'") as refused:
        template("experimnt")
    assert "experiment" in refused.value.hint
    with pytest.raises(ValidationError):
        template("../book")
