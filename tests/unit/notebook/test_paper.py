"""A notebook on paper: what stands on it, what it holds, that it is sealed, and that it asks and reads nothing."""

from __future__ import annotations

import io
import random
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image
from pypdf import PdfReader

from physlab.errors import PhyslabError, ValidationError
from physlab.keys import digest_bytes
from physlab.model import Artifact, NodeRecord, NodeRun, RunRecord, RunRequest
from physlab.model.notebook import Source
from physlab.notebook import Draft, open_book, remark, revise, sign_entry, write
from physlab.notebook.paper import (
    Certificate,
    Paper,
    Room,
    check_seal,
    lab_certificate,
    print_entry,
    print_notebook,
    seal,
)
from physlab.notebook.paper.chapters import chapter
from physlab.notebook.paper.differences import differences
from physlab.notebook.paper.exhibits import Exhibits
from physlab.notebook.paper.press import work
from physlab.notebook.paper.sources import origin_of
from physlab.signing import make_secret
from physlab.store import Store, open_store
from tests.unit.notebook.authority import Authority
from tests.unit.notebook.hostile import TEXTS
from tests.unit.notebook.test_book import Clock

ADA, BOB = make_secret(), make_secret()
NEEDS_OPENSSL = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder, clock = tmp_path_factory.mktemp("book"), Clock()
    with open_store(folder / "store") as opened:
        (folder / "levels.csv").write_text("n,E [eV]\n1,-13.6\n2,-3.4\n")
        (folder / "large.bin").write_bytes(bytes(3000))
        Image.linear_gradient("L").save(folder / "fig.png")
        draft = Draft("Levels of hydrogen", "ada", content="The levels are $E_n = -R/n^2$.\n\n![Fig](fig.png)\n",
                      conclusions="They fit.", tags=("hydrogen",), files=[folder / "levels.csv", folder / "fig.png"],
                      runs=[Source(record="ab" * 32, run_id="r-1", node_id="fit", tool="fit.line")])  # fmt: skip
        first = write(opened, "lab", draft, clock)
        sign_entry(opened, first, "ada", ADA, "author", clock)
        remark(opened, first, "bob", "Give the *unit*.", "request_changes", clock)
        files = [*draft.files, folder / "large.bin"]
        better = replace(draft, content="The levels are $E_n = -13.6\\,\\mathrm{eV}/n^2$.\n", files=files)
        second = revise(opened, first, better, "the unit", clock)
        sign_entry(opened, second, "bob", BOB, "approval", clock)
        write(opened, "lab", Draft("An entry without any text", "carol"), clock)
        yield opened


@pytest.fixture(scope="module")
def paper(store: Store) -> Paper:
    return print_notebook(store, open_book(store, "lab"), lab="Lab of Tests", room=Room(file_mb=0.002))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return lab_certificate(tmp_path_factory.mktemp("keys"), "Lab of Tests")


@pytest.fixture(scope="module")
def sealed(paper: Paper, certificate: Certificate) -> bytes:
    return seal(paper.pdf, certificate, clock=Clock())


def text_of(pdf: bytes) -> list[str]:
    return [re.sub(r"\s+", " ", page.extract_text().replace("\0", "")) for page in PdfReader(io.BytesIO(pdf)).pages]


def test_a_notebook_stands_on_paper_with_everything(store: Store, paper: Paper) -> None:
    pages, book = text_of(paper.pdf), open_book(store, "lab")
    assert len(pages) == paper.pages and paper.problems == () and paper.left_out == ("large.bin",)
    assert "lab" in pages[0] and "Lab of Tests" in pages[0] and "ada, carol" in pages[0]
    contents = {
        title: int(page) for title, page in re.findall(r"(Levels of hydrogen|An entry without)[^\d]*(\d+)", pages[1])
    }
    for title, page in contents.items():
        assert title in pages[page - 1]
    assert len(contents) == 2
    whole = " ".join(pages)
    for said in ("Give the unit.", "Changes requested by bob on revision 1", "the unit", "This entry has no text.",
                 "The ledger of this lab does not have this record",
                 "not in this file", "Nobody has signed this entry"):  # fmt: skip
        assert said in whole, said
    squeezed = whole.replace(" ", "")
    for page in book.pages():
        assert page.record in squeezed
        for item in page.entry.attachments:
            assert item.sha256 in squeezed
    for secret in (ADA, BOB):
        assert secret.public.id in squeezed
    xmp = PdfReader(io.BytesIO(paper.pdf)).root_object["/Metadata"].get_object().get_data()
    assert re.search(rb"pdfaid:part(>|=\")3", xmp) and re.search(rb"pdfaid:conformance(>|=\")B", xmp)


def test_it_holds_the_records_and_files_bit_by_bit(store: Store, paper: Paper) -> None:
    held = {name: data[0] for name, data in PdfReader(io.BytesIO(paper.pdf)).attachments.items()}
    book = open_book(store, "lab")
    for number, page in enumerate(book.pages(), 1):
        name = f"entries-{number:04d}-{page.entry.entry_id}-r{page.entry.revision}-entry.json"
        assert digest_bytes(held[name]) == page.record
    assert digest_bytes(held["records.jsonl"]) in " ".join(text_of(paper.pdf)).replace(" ", "")
    files = [
        annotation.get_object()["/FS"]
        for page in PdfReader(io.BytesIO(paper.pdf)).pages for annotation in page.get("/Annots", ())
        if annotation.get_object()["/Subtype"] == "/FileAttachment"
    ]  # fmt: skip
    inside = {digest_bytes(file["/EF"]["/F"].get_object().get_data()) for file in files}
    small = {item.sha256 for page in book.latest() for item in page.entry.attachments if item.size < 2000}
    assert inside == small and len(small) == 2


def test_the_same_records_give_the_same_bytes(store: Store, paper: Paper) -> None:
    again = print_notebook(store, open_book(store, "lab"), lab="Lab of Tests", room=Room(file_mb=0.002))
    assert again.pdf == paper.pdf and again.sha256 == digest_bytes(paper.pdf)


def test_many_files_stand_on_one_sheet_and_each_leads_to_its_bytes(tmp_path: Path) -> None:
    files = [tmp_path / f"scan-{number:02}.png" for number in range(12)]
    for number, path in enumerate(files):
        Image.new("L", (40, 30), 20 * number).save(path)
    with open_store(tmp_path / "store") as store:
        page = write(store, "lab", Draft("Scans", "ada", files=files), Clock())
        printed = print_entry(store, open_book(store, "lab"), page)
    reader = PdfReader(io.BytesIO(printed.pdf))
    first = reader.pages[0]
    assert printed.pages == 2 and first.extract_text().count(".png") == 2 * 12
    leads = [item.get_object() for item in first["/Annots"]]
    boxes = [item["/Rect"] for item in leads if item["/Subtype"] == "/FileAttachment"]
    assert len(boxes) == 12 and len({round(float(box[1])) for box in boxes}) == 3, "five in a row"


def test_one_entry_is_printed_up_to_a_revision(store: Store) -> None:
    book = open_book(store, "lab")
    first = book.pages()[0]
    printed = print_entry(store, book, first)
    whole = " ".join(text_of(printed.pdf))
    assert "An entry without" not in whole and "Revision 2" not in whole and "Give the unit." in whole
    with pytest.raises(ValidationError, match="is empty"):
        print_notebook(store, open_book(store, "nothing"))


def test_a_signature_that_does_not_hold_is_printed_as_such(store: Store) -> None:
    book = open_book(store, "lab")
    for record, item in book.records.items():
        if item.kind == "notebook_signature" and item.signer == "ada":
            book.records[record] = item.model_copy(update={"meaning": "witness"})
    [made, *_] = chapter(store, book, book.pages()[0], Exhibits()).signatures
    assert made.problem.startswith("The signature says") and made.key == ADA.public.id


def test_computations_are_told_as_the_ledger_has_them(tmp_path: Path) -> None:
    node = NodeRecord(
        key="k", recipe="r", tool="fit", method="line", params={"x": {"$in": 0}, "degree": 2}, inputs={"x": "1" * 64},
        sources={"x": "from:scan.table"}, code={"fingerprint": "f" * 64, "numpy": "2.0"}, seed=7, device="cpu",
        device_requested="cpu", fields={}, field_digests={}, run_id="r-1", node_id="fit", warnings=("few <points>",),
        started_at="2026-11-20T09:00:00+00:00", duration_ms=1500.0,
        artifacts=(Artifact(sha256="a" * 64, name="fit.png", media_type="image/png", size=9, role="static"),),
    )  # fmt: skip
    with open_store(tmp_path / "store") as store:
        record = store.append("node", node.model_dump(mode="json"))
        store.flush()
        run = RunRecord(run_id="r-1", dag_id="d", title="A scan", status="completed", request=RunRequest(),
                        started_at=node.started_at, duration_ms=2000.0,
                        nodes=(NodeRun(id="fit", tool="fit", status="completed", record=record),))  # fmt: skip
        whole = store.append("run", run.model_dump(mode="json"))
        store.flush()
        told = origin_of(store, Source(record=record, run_id="r-1", node_id="fit", tool="fit.line"))
        all_of_it = origin_of(store, Source(record=whole, run_id="r-1"))
    lines = {name: str(value) for name, value in told.lines}
    assert told.title == "fit (fit.line)" and "from:scan.table" in lines["parameters"] and "1" * 64 in lines["input x"]
    assert lines["computed"] == "2026-11-20 09:00:00 UTC, took 1.5 s" and lines["device, seed"] == "cpu, 7"
    assert "f" * 64 in lines["code"] and "a" * 64 in lines["static"] and "few &lt;points&gt;" in lines["warning"]
    lines = {name: str(value) for name, value in all_of_it.lines}
    assert "A scan" in lines["graph"] and "completed" in lines["outcome"] and record in lines["fit"]


def test_differences_are_told_word_by_word(store: Store) -> None:
    first, second = [page.entry for page in open_book(store, "lab").pages()[:2]]
    found = dict(differences(first, second))
    assert set(found) == {"Content", "Files"} and "<ins>large.bin" in found["Files"]
    assert "<del>R</del><ins>13.6" in found["Content"] and "The levels are" in found["Content"]
    evil = second.model_copy(update={"content": "<script>alert(1)</script>"})
    assert "<script" not in dict(differences(first, evil))["Content"]


@pytest.mark.skipif(shutil.which("pdfsig") is None, reason="pdfsig of poppler is not installed")
def test_the_seal_is_valid_for_poppler(sealed: bytes, tmp_path: Path) -> None:
    (tmp_path / "paper.pdf").write_bytes(sealed)
    told = subprocess.run(
        ["pdfsig", str(tmp_path / "paper.pdf")], capture_output=True, text=True, check=False, timeout=60
    )
    assert "Signature is Valid." in told.stdout and "Total document signed" in told.stdout
    assert "ETSI.CAdES.detached" in told.stdout and "Lab of Tests" in told.stdout
    fonts = subprocess.run(
        ["pdffonts", str(tmp_path / "paper.pdf")], capture_output=True, text=True, check=False, timeout=60
    )
    assert all(line.split()[-5:-4] == ["yes"] for line in fonts.stdout.splitlines()[2:]), fonts.stdout


def test_the_seal_says_who_printed_and_finds_every_change(
    sealed: bytes, certificate: Certificate, tmp_path: Path
) -> None:
    found = check_seal(sealed, certificate.pem)
    assert found.problem == "" and found.lab == "Lab of Tests" and found.fingerprint == certificate.fingerprint
    assert found.stamped_at == ""
    choose = random.Random(11)
    inside = sealed.index(b"/Contents <") + 11
    places = [choose.randrange(len(sealed)) for _ in range(100)] + [inside + choose.randrange(2400) for _ in range(100)]
    for at in places:
        changed = sealed[:at] + bytes([sealed[at] ^ 1 << choose.randrange(8)]) + sealed[at + 1 :]
        assert check_seal(changed, certificate.pem).problem, at
    assert check_seal(sealed + b"\n%more", certificate.pem).problem
    assert check_seal(sealed[:-20], certificate.pem).problem
    other = lab_certificate(tmp_path, "Another lab")
    assert check_seal(sealed, other.pem).problem == "another certificate sealed it"


def test_the_seal_is_seen(sealed: bytes) -> None:
    [field] = [item.get_object() for item in PdfReader(io.BytesIO(sealed)).pages[0]["/Annots"]
               if item.get_object()["/Subtype"] == "/Widget"]  # fmt: skip
    left, bottom, right, top = map(float, field["/Rect"])
    assert right - left > 200 and top - bottom > 30 and field["/AP"]["/N"].get_object().get_data()


@NEEDS_OPENSSL
def test_a_time_stamp_is_in_the_seal(paper: Paper, certificate: Certificate, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with authority.served() as url:
        stamped = seal(paper.pdf, certificate, authority_url=url)
    found = check_seal(stamped, certificate.pem, authority.root)
    assert found.problem == "" and found.stamped_at.startswith("20")
    assert check_seal(stamped, certificate.pem).stamped_at == ""
    (tmp_path / "other").mkdir()
    assert check_seal(stamped, certificate.pem, Authority(tmp_path / "other").root).problem


def test_the_certificate_is_made_once_and_kept_for_its_owner(tmp_path: Path) -> None:
    made = lab_certificate(tmp_path / "keys", "Lab")
    assert lab_certificate(tmp_path / "keys", "Other").pem == made.pem
    assert (tmp_path / "keys" / "paper.pem").stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in made.pem and "PRIVATE" not in repr(made)
    (tmp_path / "keys" / "paper.pem").chmod(0o644)
    with pytest.raises(PhyslabError, match="may be read by others"):
        lab_certificate(tmp_path / "keys")
    (tmp_path / "keys" / "paper.pem").chmod(0o600)
    (tmp_path / "keys" / "paper.pem").write_text(made.pem)
    with pytest.raises(PhyslabError, match="is damaged"):
        lab_certificate(tmp_path / "keys")


CANARY = "canary-5f1c"
SVG = "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' width='9' height='9'>{}</svg>"
PROBES = {
    "img": '<img src="{far}/img">', "link": '<link rel="stylesheet" href="{far}/link">',
    "import": "<style>@import url({far}/import);</style>", "object": '<object data="{far}/object"></object>',
    "font": "<style>@font-face {{ font-family: x; src: url({far}/font) }} p {{ font-family: x }}</style><p>x</p>",
    "background": '<p style="background: url({far}/background)">x</p>',
    "embed": '<embed src="{far}/embed">',
    "attachment": '<link rel="attachment" href="{near}"><a rel="attachment" href="{near}">x</a>',
    "file": '<img src="{near}"><object data="{near}"></object>',
    "svg in data": '<img src="data:image/svg+xml,{svg}">',
    "svg inline": SVG.format("<image href='{far}/inline' width='9' height='9'/>"),
    "file by its digest": '<a rel="attachment" href="data:file;sha256=../../../canary,">x</a>',
}  # fmt: skip


def test_s25_nothing_is_fetched_and_no_file_is_read(tmp_path: Path) -> None:
    """Twelve pages that ask for something outside themselves, each printed as a paper is."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *given: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    (tmp_path / "canary").write_text(CANARY)
    far, near = f"http://127.0.0.1:{server.server_port}", (tmp_path / "canary").as_uri()
    svg = SVG.format(f"<image xlink:href='{far}/svg' width='9' height='9'/><image href='{near}' width='9' height='9'/>")
    try:
        for number, page in enumerate(PROBES.values()):
            folder = tmp_path / str(number)
            folder.mkdir()
            html = page.format(far=far, near=near, svg=svg.replace("#", "%23").replace('"', "'"))
            (folder / "page.html").write_text(f"<!DOCTYPE html><html><body><p>Before</p>{html}</body></html>")
            order = {"files": {}, "records": [], "at": "2026-11-20T09:00:00+00:00"}
            try:
                work(order, folder)
            except PhyslabError:
                continue
            reader = PdfReader(folder / "paper.pdf")
            streams = [item.get_object() for item in reader.resolved_objects.values()]
            assert CANARY.encode() not in (folder / "paper.pdf").read_bytes()
            assert not any(CANARY.encode() in item.get_data() for item in streams if hasattr(item, "get_data"))
            assert not reader.attachments
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert asked == [] and len(PROBES) == 12


def test_s24_hostile_texts_are_printed_as_texts(tmp_path: Path) -> None:
    with open_store(tmp_path / "store") as store:
        page = write(store, "lab", Draft("<script>alert(1)</script> 'x\"", "eve", content="\n\n".join(TEXTS),
                                         tags=("<b>",), tools_used=("<img src=x>",)))  # fmt: skip
        printed = print_entry(store, open_book(store, "lab"), page, lab="<i>Lab</i>")
    whole = " ".join(text_of(printed.pdf))
    assert "<script>alert(1)</script>" in whole and "<i>lab</i>" in whole.lower()
    for page_of in PdfReader(io.BytesIO(printed.pdf)).pages:
        for item in page_of.get("/Annots", ()):
            target = item.get_object().get("/A", {}).get("/URI", "https:")
            assert str(target).startswith(("https:", "http:", "mailto:"))
