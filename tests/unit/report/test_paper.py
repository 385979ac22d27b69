"""The PDF: what it says, what it refuses, and that it fetches nothing."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from typing import Any

import pytest
from pypdf import PdfReader

from physlab.errors import StoreError, ValidationError
from physlab.model import Dag, RunRecord
from physlab.report.paper import write_report
from tests.unit.report.conftest import Bench, png

BOOK = (
    "@book{bethe, author={Bethe, Hans A. and Salpeter, Edwin E.}, title={Quantum Mechanics of One- and Two-Electron"
    " Atoms}, publisher={Springer}, year=1957}"
)
ARTICLE = (
    "@article{lamb, author={Lamb, Willis E. and Retherford, Robert C.}, title={Fine Structure of the Hydrogen Atom by a"
    " Microwave Method}, journal={Phys. Rev.}, volume=72, pages={241--243}, year=1947, doi={10.1103/PhysRev.72.241}}"
)


def paper(bench: Bench, run: RunRecord | None = None, dag: Dag | None = None, **more: Any) -> bytes:
    return write_report(
        run or bench.run(),
        dag or bench.dag(),
        bench.store,
        **{"title": "The 2p state", "authors": ["Ada Wave"], **more},
    )


def test_says_what_was_done_and_gives_the_same_bytes_again(hydrogen: Bench, text_of: Callable[[bytes], str]) -> None:
    pdf = paper(hydrogen, lab="Laboratory of Waves", bib=[BOOK, ARTICLE], abstract="We follow Ref. [@lamb].")
    assert paper(hydrogen, lab="Laboratory of Waves", bib=[BOOK, ARTICLE], abstract="We follow Ref. [@lamb].") == pdf
    text = text_of(pdf)
    for said in (
        "The 2p state", "Ada Wave", "Laboratory of Waves", "20 November 2026", "We follow Ref. [1].", "[2] H. A. Bethe",
        "1 Introduction", "2 Methods", "3 Results", "n = 2", "values from hydrogen_2p (radial)", "−3.4014233", "eV",
        "Figure 2. Radial distribution of hydrogen, n = 2, l = 1.", "A running wave.", "(22 rows; full table:",
        "Phys. Rev. 72, 241 (1947)", "doi:10.1103/PhysRev.72.241", "H. A. Bethe and E. E. Salpeter",
    ):  # fmt: skip
        assert said in text, said
    assert "Background" not in text  # nothing is said of an entry that no text cites


def test_the_logo_stands_on_the_first_page(hydrogen: Bench) -> None:
    def pictures(logo: bytes) -> int:
        return len(PdfReader(io.BytesIO(paper(hydrogen, logo=logo))).pages[0].images)

    assert pictures(png(30, 30, "#d55e00")) == pictures(b"") + 1
    with pytest.raises(StoreError, match="the logo"):
        paper(hydrogen, logo=b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>")


def test_the_numbers_of_own_programs_are_results(bench: Bench, text_of: Callable[[bytes], str]) -> None:
    found = {"x_end": -0.83907153, "mass": {"value": 2.5, "unit": "kg"}, "energy_end": 0.5, "energy_end_unit": "J"}
    bench.node("sim", "shell", None, fields={"exit_code": 0, "result": found})
    bench.node("stop", "shell", None, fields={"exit_code": 3})
    bench.node("own", "python", None, fields={"x_end": 4.25, "samples": 12})
    bench.node("read", "data", "import_csv", fields={"rows": 1234})
    text = text_of(paper(bench)).partition("Scalar results of the steps.")[2].partition("4 Data and code")[0]
    for said in ("result.x_end −0.83907153", "result.mass.value 2.5 kg", "result.energy_end 0.5 J", "x_end 4.25"):
        assert said in text, said
    assert "stop exit_code exit status of the command 3" in text
    assert "samples 12" in text  # what a program of the user returns is a result, whatever its name
    assert "1234" not in text
    assert text.count("exit_code") == 1


def test_metadata_language_and_bookmarks(hydrogen: Bench) -> None:
    reader = PdfReader(io.BytesIO(paper(hydrogen, authors=["Ada Wave", "Émile Onde"])))
    assert reader.metadata is not None
    assert reader.metadata.title == "The 2p state"
    assert reader.metadata.author == "Ada Wave, Émile Onde"
    assert "quantum" in reader.metadata["/Keywords"]
    assert reader.metadata.creation_date_raw == "D:20261120100000+00'00"
    assert reader.trailer["/Root"]["/Lang"] == "en"
    titles = [item.title for item in reader.outline if not isinstance(item, list)]
    assert [title.split("\u2003")[-1] for title in titles][:3] == ["Introduction", "Methods", "Results"]


def test_provenance_holds_the_values_of_each_record(hydrogen: Bench, text_of: Callable[[bytes], str]) -> None:
    text = text_of(paper(hydrogen)).replace(" ", "")
    for record in hydrogen.records.values():
        expected = [record.key, record.code["fingerprint"], *record.inputs.values(), *record.sources.values()]
        expected += [digest for name, digest in record.field_digests.items() if name == "radial"]
        expected += [artifact.sha256 for artifact in record.artifacts] + [f'"{name}":' for name in record.params]
        for value in expected:
            assert value in text, value
    assert '"mesh":[151,151]' in text
    assert "seed7" in text
    assert "cached" in text


def test_every_figure_links_to_its_full_resolution(hydrogen: Bench) -> None:
    reader = PdfReader(io.BytesIO(paper(hydrogen)))
    links = {
        note.get_object()["/A"]["/URI"]
        for page in reader.pages
        for note in page.get("/Annots", [])
        if "/URI" in note.get_object().get("/A", {})
    }
    assert {"figures/hydrogen_2p_radial.png", "animations/film_wave.mp4", "data/hydrogen_2p_radial.csv"} <= links


def test_failed_and_skipped_steps_are_told(hydrogen: Bench, text_of: Callable[[bytes], str]) -> None:
    error = {"code": "PHYSICS_ERROR", "message": "l = 2 does not exist for n = 2.", "hint": "Use l from 0 to 1."}
    hydrogen.broken("wrong", "failed", error)
    hydrogen.broken("behind", "skipped", why="wrong failed")
    text = text_of(paper(hydrogen))
    assert "This run is not complete." in text
    assert "wrong failed [PHYSICS_ERROR]: l = 2 does not exist for n = 2. Use l from 0 to 1." in text
    assert "behind skipped: wrong failed" in text
    assert "2 were computed, 1 was taken unchanged from earlier runs, 1 failed and 1 was not run" in text


def test_warnings_and_fallbacks_are_told(bench: Bench, text_of: Callable[[bytes], str]) -> None:
    bench.node("a", device_requested="cuda", fallback="no CUDA device", warnings=("The grid is coarse.",))
    text = text_of(paper(bench))
    assert "The grid is coarse." in text
    assert "Step a fell back: no CUDA device." in text
    assert "cpu (asked for cuda); fallback: no CUDA device" in text


@pytest.mark.parametrize("damage", ["missing", "changed", "no picture"])
def test_a_damaged_figure_is_an_error_not_a_hole(bench: Bench, damage: str) -> None:
    data = b"no picture at all" if damage == "no picture" else png()
    figure = bench.artifact("f.png", data, "static", "image/png")
    bench.node("a", artifacts=(figure,))
    path = bench.store.blobs.path(figure.sha256)
    if damage != "no picture":
        path.chmod(0o644)
        path.unlink() if damage == "missing" else path.write_bytes(png(61))
    with pytest.raises(StoreError, match="lacks" if damage == "missing" else "damaged|cannot be shown"):
        paper(bench)


HOSTILE = (
    '<img src="http://127.0.0.1:{port}/x.png">',
    '<img src="file:///etc/hostname">',
    '"><script>alert(1)</script><link rel=attachment href="file:///etc/passwd">',
    "<style>@import url(http://127.0.0.1:{port}/a.css); body {{ background: url(file:///etc/passwd) }}</style>",
    "</title></head><object data='http://127.0.0.1:{port}/o'></object><embed src='http://127.0.0.1:{port}/e'>",
    "{{{{ 7 * 7 }}}} {{% include '/etc/passwd' %}}",
)


def test_s25_hostile_texts_are_printed_and_fetch_nothing(
    bench: Bench, text_of: Callable[[bytes], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        for index, template in enumerate(HOSTILE):
            text = template.format(port=server.getsockname()[1])
            table = bench.artifact(
                "t.csv", f'"{text.replace(chr(34), chr(34) * 2)}"\n1\n'.encode(), "series", "text/csv", text
            )
            figure = bench.artifact(f"{text}.png", png(), "static", "image/png", text)
            bench.node(
                f"n{index}", tool=text, params={"p": text}, fields={"answer": text[:50]}, artifacts=(figure, table)
            )
        monkeypatch.setattr("urllib.request.OpenerDirector.open", _only_data)
        everything = "\n\n".join(HOSTILE)
        pdf = paper(
            bench, dag=bench.dag(description=everything, title=everything), title=everything, authors=[HOSTILE[0]],
            lab=HOSTILE[1], bib=[f"@misc{{k, title={{{HOSTILE[1]}}}, url={{file:///etc/passwd}}}}"],
        )  # fmt: skip
        with pytest.raises(BlockingIOError):
            server.accept()
    reader = PdfReader(io.BytesIO(pdf))
    assert not reader.attachments
    text = text_of(pdf)
    assert '<img src="file:///etc/hostname">' in text
    assert "{{ 7 * 7 }}" in text or "{{{{ 7 * 7 }}}}" in text
    uris = [
        note.get_object()["/A"]["/URI"]
        for page in reader.pages
        for note in page.get("/Annots", [])
        if "/URI" in note.get_object().get("/A", {})
    ]
    assert all(uri.split("/")[0] in ("figures", "data") for uri in uris)


def _only_data(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
    from urllib.request import DataHandler, Request

    url = request.full_url if isinstance(request, Request) else request
    assert url.startswith("data:"), f"fetched {url}"
    return DataHandler().data_open(request if isinstance(request, Request) else Request(url))  # noqa: S310  (data:)


def test_a_broken_svg_is_an_error_not_a_hole(bench: Bench) -> None:
    bench.node("a", artifacts=(bench.artifact("f.svg", b"<svg", "static", "image/svg+xml"),))
    with pytest.raises(StoreError, match="cannot be printed"):
        paper(bench)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/x.png", "file:///etc/passwd", "other.png"])
def test_s25_a_figure_that_refers_outside_is_refused(bench: Bench, address: str) -> None:
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="10" height="10">'
        f'<image width="9" height="9" xlink:href="{address}" href="{address}"/></svg>'
    )
    bench.node("a", artifacts=(bench.artifact("f.svg", svg.encode(), "static", "image/svg+xml"),))
    with pytest.raises(StoreError, match=r"cannot be printed.*figures/a_f\.svg"):
        paper(bench)


@pytest.mark.parametrize(
    ("bib", "named"),
    [
        ("@article{broken, author={A. B} title={x}}", "broken"),
        ("/etc/passwd", "no BibTeX"),
        ("@article{empty, year=2000}", "empty"),
        ("@misc{one, title={x}} @misc{one, title={y}}", "one"),
        ("@misc{open, title={x", "open"),
    ],
)
def test_s28_bad_bibtex_names_its_entry(hydrogen: Bench, bib: str, named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        paper(hydrogen, bib=[bib])


def test_an_unknown_citation_is_refused(hydrogen: Bench) -> None:
    with pytest.raises(ValidationError, match="'beth'") as caught:
        paper(hydrogen, bib=[BOOK], abstract="As in [@beth].")
    assert "bethe" in caught.value.hint


def test_alike_steps_share_a_table(bench: Bench, text_of: Callable[[bytes], str]) -> None:
    for n in range(1, 41):
        bench.node(f"state_{n}", params={"problem": "hydrogen", "n": n}, fields={"energy_ev": -13.605693 / n**2})
    text = text_of(paper(bench))
    assert "Results of the 40 steps that use quantum.solve." in text
    assert "n from 1 to 40" in text
    assert "state_40 40 −0.0085035581" in text


def test_only_steps_with_the_same_results_share_a_table(bench: Bench, text_of: Callable[[bytes], str]) -> None:
    for n in range(1, 5):
        bench.node(f"state_{n}", params={"problem": "hydrogen", "n": n}, fields={"energy_ev": -13.605693 / n**2})
    bench.node("pair", params={"problem": "bell_state"}, fields={"concurrence": 1.0})
    text = text_of(paper(bench))
    assert "Results of 4 steps that use quantum.solve." in text
    assert "pair concurrence" in text


def test_a_long_list_takes_several_lines(bench: Bench) -> None:
    bench.node("far", fields={"energy_ev": [1.2345678 * n for n in range(1, 13)]})
    pages = PdfReader(io.BytesIO(paper(bench))).pages
    lines = [line for page in pages for line in page.extract_text().splitlines() if "1.23457" in line]
    assert lines and not any("14.8148" in line for line in lines)


def test_one_number_of_a_formula_is_shown_once(bench: Bench, text_of: Callable[[bytes], str]) -> None:
    told = {"latex": "2.5\\, \\mathrm{m}", "str": "2.5 meter", "evalf": 2.5, "value": 2.5, "unit": "meter"}
    bench.node("length", "cas", "evaluate", params={"expr": "a"}, fields=told)
    bench.node("circle", "cas", "evaluate", params={"expr": "b"}, fields={**told, "str": "pi/2", "value": 1.5707963})
    text = text_of(paper(bench)).partition("Provenance")[0]
    assert text.count("evalf") == 1 and "mathrm" not in text and "pi/2" in text
    assert text.count("2.5 meter") == 1  # value and unit


def test_a_step_that_comes_from_an_uninstalled_tool_is_shown(bench: Bench, text_of: Callable[[bytes], str]) -> None:
    bench.node("other", "no_such_tool", "go", fields={"answer": 42})
    assert "no_such_tool.go" in text_of(paper(bench))


def test_an_empty_run_is_told_honestly(bench: Bench, text_of: Callable[[bytes], str]) -> None:
    assert "gave no figure, no table and no scalar value" in text_of(paper(bench))
