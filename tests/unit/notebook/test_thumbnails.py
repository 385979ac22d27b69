"""What is shown of attachments, and that a hostile one harms nobody."""

from __future__ import annotations

import io
import json
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from physlab.notebook import limited
from physlab.notebook.limited import Limits, run_limited
from physlab.notebook.thumbnails import Thumbnail, contact_sheets, look_at
from physlab.notebook.thumbnails.show import KILLED


def png(wide: int, high: int) -> bytes:
    target = io.BytesIO()
    Image.linear_gradient("L").resize((wide, high)).convert("RGB").save(target, "PNG")
    return target.getvalue()


def claimed(wide: int, high: int) -> bytes:
    """A PNG file of few bytes that says to be large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)) + chunk(
        b"IDAT", rows) + chunk(b"IEND", b"")  # fmt: skip


def test_each_kind_is_told_in_words_and_shown(tmp_path: Path) -> None:
    np.save(tmp_path / "wave.npy", np.sin(np.linspace(0, 9, 500)))
    np.save(tmp_path / "map.npy", np.arange(600.0).reshape(20, 30))
    (tmp_path / "levels.csv").write_text("n,E [eV]\n1,-13.6\n2,-3.4\n")
    (tmp_path / "bare.csv").write_text("1 2\n3 4\n")
    (tmp_path / "fig.png").write_bytes(png(300, 150))
    (tmp_path / "notes.txt").write_text("first\n\x1b[31msecond é\n")
    (tmp_path / "draw.xyz").write_text("1\n\nH 0 0 0\n")
    (tmp_path / "data.bin").write_bytes(bytes(9))
    paths = sorted(tmp_path.iterdir())
    seen = {path.name: item for path, item in zip(paths, look_at([(p, p.name) for p in paths], 96), strict=True)}
    assert seen["wave.npy"].words == "array of shape (500), float64, from -0.999988 to 0.999999"
    assert seen["map.npy"].words.startswith("array of shape (20, 30), float64, from 0 to 599")
    assert seen["levels.csv"].words == "table of 2 columns and 3 lines: n, E [eV]"
    assert seen["levels.csv"].rows == (("n", "E [eV]"), ("1", "-13.6"), ("2", "-3.4"))
    assert seen["bare.csv"].rows == (("column 1", "column 2"), ("1", "2"), ("3", "4"))
    assert seen["fig.png"].words == "PNG picture, 300 × 150 pixels, colour"
    assert seen["notes.txt"].rows == (("first lines",), ("first",), ("[31msecond é",))
    assert seen["draw.xyz"] == Thumbnail("file", "XYZ file") and seen["data.bin"] == Thumbnail("file", "BIN file")
    for name in ("wave.npy", "map.npy", "fig.png"):
        with Image.open(io.BytesIO(seen[name].png or b"")) as small:
            assert small.format == "PNG" and small.width <= 96 and small.getextrema() != ((255, 255),) * 3


def test_tables_are_escaped() -> None:
    table = Thumbnail("table", "", rows=(("<script>", "b"), ("'\"&", "<img>"))).table
    assert "<script>" not in table and "&lt;script&gt;" in table and "&lt;img&gt;" in table


def test_science_files_are_looked_into(tmp_path: Path) -> None:
    h5py, fits = pytest.importorskip("h5py"), pytest.importorskip("astropy.io.fits")
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["scan/current"] = np.zeros((4, 5), "float32")
        file["scan/current"].attrs["units"] = "nA"
        file["far"] = h5py.ExternalLink("/etc/passwd", "x")
    picture = fits.PrimaryHDU(np.arange(200.0).reshape(10, 20))
    picture.header["BUNIT"] = "adu"
    fits.HDUList([picture]).writeto(tmp_path / "sky.fits")
    one, two = look_at([(tmp_path / "run.h5", "run.h5"), (tmp_path / "sky.fits", "sky.fits")], 64)
    assert one.words == "HDF5 file of 1 datasets: scan/current"
    assert one.rows[1] == ("scan/current", "(4, 5)", "float32", "nA")
    assert two.words == "FITS file of 1 part: PRIMARY (10, 20)" and two.png
    assert two.rows[1] == ("PRIMARY", "(10, 20)", "BITPIX -64", "adu")


@pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="pdftoppm is not installed")
def test_a_pdf_shows_its_first_page(tmp_path: Path) -> None:
    import matplotlib.figure

    matplotlib.figure.Figure(figsize=(2, 1)).savefig(tmp_path / "fig.pdf")
    [seen] = look_at([(tmp_path / "fig.pdf", "fig.pdf")], 96)
    assert seen.kind == "page" and seen.png
    with Image.open(io.BytesIO(seen.png)) as small:
        assert small.size == (96, 48)


@pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="pdftoppm is not installed")
def test_s25_a_drawing_of_lines_is_drawn_and_fetches_nothing(tmp_path: Path) -> None:
    import http.server
    import threading

    asked: list[str] = []

    class Far(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with http.server.HTTPServer(("127.0.0.1", 0), Far) as far:
        threading.Thread(target=far.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{far.server_port}"
        (tmp_path / "a.svg").write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 30">'
            f'<style>rect {{ stroke: url("{place}/x") }}</style><script>alert(1)</script>'
            f'<image href="{place}/x.png" width="9" height="9"/><image href="file:///etc/passwd" width="9" height="9"/>'
            '<rect width="20" height="30" fill="#ff0000"/></svg>'
        )
        [seen] = look_at([(tmp_path / "a.svg", "a.svg")], 80)
        far.shutdown()
    assert seen.kind == "picture" and seen.words == "SVG drawing" and seen.png and not asked
    with Image.open(io.BytesIO(seen.png)) as small:
        assert small.size == (80, 60)
        assert small.convert("RGB").getpixel((10, 30)) == (255, 0, 0)
        assert small.convert("RGB").getpixel((70, 30)) == (255, 255, 255)


HEADER = b"\x93NUMPY\x01\x00v\x00"
HOSTILE = {
    "bomb.png": (claimed(9000, 8000), "9000 × 8000 pixels"),
    "larger.png": (claimed(50_000, 50_000), "2500000000 pixels"),
    "false.png": (claimed(1000, 1000), "cannot be shown"),
    "cut.png": (png(200, 200)[:300], "cannot be shown"),
    "script.png": (b"<svg onload=alert(1)>", "cannot be shown"),
    "pickle.npy": (
        HEADER + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\ncos\n",
        "Python objects",
    ),
    "far.npy": (HEADER + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1" + b"0" * 40 + b",), }\n", "cannot be"),
    "a.pdf": (b"not a pdf", "does not begin as a PDF"),
    "b.pdf": (b"%PDF-1.4 broken", "cannot be shown"),
    "x.h5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "cannot be shown"),
    "x.fits": (b"SIMPLE" + bytes(90), "cannot be shown"),
    "far.svg": (
        b"<svg xmlns='http://www.w3.org/2000/svg'><style>@import 'http://127.0.0.1:9/x.css';</style></svg>",
        "cannot be drawn",
    ),
    "text.svg": (b"no drawing", "no SVG drawing: syntax error"),
    "page.svg": (b"<html/>", "XML, but no SVG"),
    "laughs.svg": (
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaaaaaaaaaaaaaa">'
        + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 16) for n in range(8))
        + b"]><svg>&i;</svg>",
        "amplification",
    ),
    "postscript.eps": (b"%!PS (/etc/passwd) run", "EPS file"),
}


def test_s21_a_hostile_file_is_told_and_not_shown(tmp_path: Path) -> None:
    for name, (data, _) in HOSTILE.items():
        (tmp_path / name).write_bytes(data)
    for (name, (_, said)), seen in zip(HOSTILE.items(), look_at([(tmp_path / n, n) for n in HOSTILE], 96), strict=True):
        if name != "b.pdf" or shutil.which("pdftoppm"):
            assert seen.kind == "file" and seen.png is None and said in seen.words, (name, seen)


def test_s21_a_file_that_kills_the_child_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    np.save(tmp_path / "b.npy", np.zeros(40_000_000, "float32"))
    (tmp_path / "c.txt").write_text("two")
    names = ("a.txt", "b.npy", "c.txt")
    seen = look_at([(tmp_path / name, name) for name in names], 64, Limits(memory_gb=0.25))
    assert [item.kind for item in seen] == ["text", "file", "text"]
    assert "Memory" in seen[1].words or seen[1].words == KILLED
    hot = look_at([(tmp_path / "b.npy", "b.npy"), (tmp_path / "c.txt", "c.txt")], 64, Limits(cpu_s=1))
    assert hot[1].kind == "text"


def test_s21_the_child_has_no_secrets_and_does_what_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHYSLAB_SECRET", "s3cret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    seen: dict[str, str] = {}

    def watch(words: list[str], *, env: dict[str, str], **given: object) -> int:
        seen.update(env)
        return real(words, env=env, **given)  # type: ignore[arg-type]

    real = limited.run_process
    monkeypatch.setattr(limited, "run_process", watch)
    (tmp_path / "a.txt").write_text("one")
    assert look_at([(tmp_path / "a.txt", "a.txt")])[0].words == "text of 1 lines"
    assert seen and "s3cret" not in json.dumps(seen)
    (tmp_path / "work").mkdir()
    with pytest.raises(Exception, match="is no task"):
        run_limited("os", {}, tmp_path / "work", Limits())


def test_contact_sheets_hold_so_many_each() -> None:
    shown = [
        (f"a very long name of a file number {n}.png", Thumbnail("picture", "", png(80 + n, 40))) for n in range(14)
    ]
    shown[3] = ("data.bin", Thumbnail("file", "BIN file"))
    bare = contact_sheets([("levels.csv", Thumbnail("table", ""))], width_px=96)
    told = contact_sheets([("levels.csv", Thumbnail("table", "", rows=(("n", "E"), ("1", "-13.6"))))], width_px=96)
    assert bare != told and Image.open(io.BytesIO(bare[0])).size == Image.open(io.BytesIO(told[0])).size
    sheets = contact_sheets(shown, rows=3, columns=4, width_px=96)
    sizes = [Image.open(io.BytesIO(sheet)).size for sheet in sheets]
    assert sizes[0] == (4 * 108 + 12, 3 * (72 + 34 + 12) + 12) and sizes[1] == (2 * 108 + 12, 72 + 34 + 24)
    assert sheets == contact_sheets(shown, rows=3, columns=4, width_px=96)
