"""Numbers, units, tables and references as a reader sees them."""

from __future__ import annotations

import pytest

from physlab.report import words
from physlab.report.bibliography import read_bibliography
from physlab.report.contents import clean, read_contents
from physlab.report.tables import read_table
from tests.unit.report.conftest import Bench


@pytest.mark.parametrize(
    ("value", "text"),
    [(-13.605693, "−13.605693"), (6.62607015e-34, "6.6260701 × 10⁻³⁴"), (1000, "1000"), (True, "yes"), (0.5, "0.5")],
)
def test_numbers(value: float, text: str) -> None:
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("unit", "html"),
    [
        ("a_0^-3/2", "a<sub>0</sub><sup>−3/2</sup>"),
        ("kilogram * meter ** 2 / second ** 2", "kilogram · meter<sup>2</sup> / second<sup>2</sup>"),
        ("1", ""),
        (None, ""),
        ("<b>", "&lt;b&gt;"),
    ],
)
def test_units(unit: str | None, html: str) -> None:
    assert words.unit(unit) == html


def test_values_are_short() -> None:
    assert words.value("from:psi.r") == "r of psi"
    assert words.value([float(i) for i in range(1000)]) == "1000 numbers from 0 to 999"
    assert words.value({"n": 2, "l": 1}) == "(n = 2, l = 1)"
    assert len(words.value("x" * 500)) == 80


def test_names_are_plain_components() -> None:
    assert clean("../../etc/passwd") == "etc_passwd"
    assert clean("a b/ψ.png") == "a_b_.png"
    assert clean("…") == "unnamed"
    assert len(clean("x" * 300 + ".png")) == 120 and clean("x" * 300 + ".png").endswith(".png")


@pytest.mark.parametrize(("rows", "left_out"), [(12, 0), (13, 5), (100_000, 99_992)])
def test_long_series_are_abridged_and_say_so(bench: Bench, rows: int, left_out: int) -> None:
    text = "t [s],x^2 <b>\n" + "".join(f"{i},{i * i}\n" for i in range(rows))
    bench.node("a", artifacts=(bench.artifact("s.csv", text.encode(), "series", "text/csv"),))
    [content] = read_contents(bench.run(), bench.store)
    table = read_table(content.items[0], bench.store)
    assert table.header == ["t [s]", "x<sup>2</sup> &lt;b&gt;"]
    assert table.left_out == left_out
    assert len(table.rows) + left_out == rows
    assert table.rows[-1][0] == words.number(rows - 1, 6)
    whole = read_table(content.items[0], bench.store, whole=True)
    assert whole.left_out == max(0, rows - 200)


def test_wide_series_are_abridged_and_say_so(bench: Bench) -> None:
    text = ",".join(f"c{i}" for i in range(9)) + "\n" + ",".join("1" * 9) + "\n"
    bench.node("a", artifacts=(bench.artifact("s.csv", text.encode(), "series", "text/csv"),))
    [content] = read_contents(bench.run(), bench.store)
    table = read_table(content.items[0], bench.store)
    assert list(table.header) == ["c0", "c1", "c2", "c3", "…", "c8"]
    assert table.notes == ["4 of 9 columns are left out."]


def test_references_in_the_manner_of_the_aps() -> None:
    found = read_bibliography(
        [
            r"@article{l, author={M{\"u}ller, Karl Alex and van der Waals, J. D. and others},"
            r" title={On {Ångström} $\mu$},"
            r" journal={Phys. Rev. Lett.}, volume=58, pages={908--910}, year=1987, url={javascript:alert(1)}}"
            r"@misc{a, author={{The ATLAS Collaboration}}, title={Higgs}, eprint={1207.7214}, archiveprefix={arXiv}}"
        ]
    )
    assert found.entries["l"].startswith(
        "K. A. Müller and J. D. van der Waals et al., On Ångström µ, Phys. Rev. Lett. <b>58</b>"
    )
    assert "href" not in found.entries["l"]
    assert 'href="https://arxiv.org/abs/1207.7214"' in found.entries["a"]
    assert found.cite("first \\cite{a}, then [@l; @a]").count("href") == 3
    assert [number for number, _ in found.listing()] == [1, 2]
    assert found.uncited() == []
