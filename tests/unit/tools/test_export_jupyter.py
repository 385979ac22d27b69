"""Notebooks: valid, the same bytes for the same session, and they run."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from physlab.errors import ValidationError

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: pip install 'physlab[export]'")

Ask = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[3]
ENERGY = {
    "type": "tool_call",
    "tool_name": "units_convert",
    "params": {"quantity": {"value": 1, "unit": "eV"}, "to": "J"},
    "result": {"output": {"value": 1.602176634e-19, "unit": "joule"}},
}
DERIVATIVE = {
    "type": "tool_call",
    "tool_name": "cas",
    "params": {"action": "diff", "expr": "sin(x)*'y'", "symbol": "x"},
}


def png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(stream, "png")
    return stream.getvalue()


def read(answer: Any) -> Any:
    found = nbformat.read(answer["notebook_path"].path, as_version=4)
    nbformat.validate(found)
    return found


def test_a_notebook_repeats_the_session(ask: Ask) -> None:
    events = [ENERGY, {"type": "note", "text": "Then *this*."}, {**DERIVATIVE, "time": "12:00"}]
    answer = ask(
        "export_tool", "jupyter", notebook_name="My session", title="Energies", description="What we did.",
        session_data={"events": events, "session_id": "x"},
    )  # fmt: skip
    found = read(answer)
    assert answer["cell_count"] == len(found.cells) == 7 and answer["notebook_path"].name == "My-session.ipynb"
    assert found.cells[0].source == "# Energies\n\nWhat we did."
    assert (
        found.cells[3].source
        == "result_1 = call('units_convert', {'quantity': {'value': 1, 'unit': 'eV'}, 'to': 'J'})\nresult_1"
    )
    assert found.cells[3].outputs[0].data["text/plain"] == "{'output': {'value': 1.602176634e-19, 'unit': 'joule'}}"
    assert found.cells[4].source == "Then *this*." and found.cells[5].source == "## 2. cas.diff"
    assert found.cells[6].outputs == []
    assert found.metadata.kernelspec.name == "python3"
    again = ask(
        "export_tool", "jupyter", notebook_name="My session", title="Energies", description="What we did.",
        session_data={"events": events, "session_id": "x"},
    )  # fmt: skip
    assert again["notebook_path"].path.read_bytes() == answer["notebook_path"].path.read_bytes()


def test_pictures_and_arrays_are_shown(ask: Ask) -> None:
    result = {"image_png_b64": base64.b64encode(png()).decode(), "x": np.arange(3.0), "svg": "<svg>" + "x" * 3000}
    answer = ask("export_tool", "jupyter", session_data={"events": [{**ENERGY, "result": result}]})
    picture, text = read(answer).cells[3].outputs
    assert base64.b64decode(picture.data["image/png"]) == png()
    assert "array([0., 1., 2.])" in text.data["text/plain"] and "3005 characters" in text.data["text/plain"]
    assert (
        read(ask("export_tool", "jupyter", session_data={"events": [ENERGY]}, include_outputs=False)).cells[3].outputs
        == []
    )


def test_the_notebook_runs(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1 eV is 1.602176634e-19 J exactly (SI Brochure, 9th edition)."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    monkeypatch.setenv("PHYSLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    curve = {"plot_type": "function_2d", "f": "x^2", "x_min": 0, "x_max": 1, "emit_plots": True}
    events = [ENERGY, {"type": "tool_call", "tool_name": "plot", "params": curve}]
    found = read(ask("export_tool", "jupyter", session_data={"events": events}))
    nbclient.NotebookClient(found, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert "1.602176634e-19" in found.cells[3].outputs[-1].data["text/plain"]
    [picture] = [output for output in found.cells[5].outputs if output.output_type == "display_data"]
    assert base64.b64decode(picture.data["image/png"]).startswith(b"\x89PNG")


@pytest.mark.parametrize(("kernel", "name"), [("julia", "julia"), ("r", "ir")])
def test_other_languages_call_the_command_line(ask: Ask, kernel: str, name: str, tmp_path: Path) -> None:
    r"""The text in quotes is read as Julia and R read it (`\"`, `\\`, `\$`), and given to the command line."""
    found = read(ask("export_tool", "jupyter", session_data={"events": [DERIVATIVE | {"params": DERIVATIVE["params"] | {
        "expr": "x^2", "symbol": "x"}}]}, kernel=kernel))  # fmt: skip
    assert found.metadata.kernelspec.name == name
    source = found.cells[3].source
    written = re.search(r'call\("(.*)"\)\n', source)
    assert written is not None
    payload = re.sub(r"\\(.)", r"\1", written[1])
    assert payload == '{"tool": "cas", "params": {"action": "diff", "expr": "x^2", "symbol": "x"}}'
    if kernel == "r":  # both give the same text to the same program
        done = subprocess.run(
            [sys.executable, "-m", "physlab", "call", "-"], input=payload, capture_output=True, text=True, check=True,
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), "PHYSLAB_HOME": str(tmp_path / "home")},
        )  # fmt: skip
        assert json.loads(done.stdout)["str"] == "2*x"


@pytest.mark.parametrize(
    ("form", "begin", "extension"),
    [("html", b"<!DOCTYPE html>", "html"), ("slides", b"<!DOCTYPE html>", "slides.html"), ("pdf", b"%PDF-", "pdf")],
)
def test_pages(ask: Ask, form: str, begin: bytes, extension: str) -> None:
    pytest.importorskip("nbconvert", reason="nbconvert is not installed: pip install 'physlab[export]'")
    note = {"type": "note", "text": "# Heading\n\n<script>alert(1)</script> <img src='file:///etc/hostname'>"}
    given = {"session_data": {"events": [ENERGY, note]}, "export_format": form, "title": "Ein <Titel>"}
    answer = ask("export_tool", "jupyter", **given)
    notebook, page = answer["exported_files"]
    content = page.path.read_bytes()
    assert notebook.name == "physlab.ipynb" and page.name == f"physlab.{extension}"
    assert content.lstrip().startswith(begin) and b"<script>alert(1)" not in content
    if form == "pdf":
        import pypdf

        text = "".join(sheet.extract_text() for sheet in pypdf.PdfReader(page.path).pages)
        assert "Ein <Titel>" in text and "1. units_convert" in text and "1.602176634e-19" in text
    else:
        assert b"1.602176634e-19" in content and b'<h1 id="Heading">' in content
    assert ask("export_tool", "jupyter", **given)["exported_files"][1].path.read_bytes() == content


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"session_data": {"events": [{"type": "tool_call", "params": {}}]}}, "without tool_name"),
        ({"session_data": {"events": [{"type": "note"}]}}, "without text"),
        ({"session_data": {"events": [{"type": "dance"}]}}, "tool_call"),
        ({"kernel": "fortran"}, "kernel"),
        ({"export_format": "docx"}, "export_format"),
        ({"session_data": {"events": [{"tool_name": "data", "params": {"x": np.zeros(20_000)}}]}}, "20000 values"),
        ({"session_data": {"events": [{"tool_name": "data", "params": {"x": float("nan")}}]}}, "JSON cannot hold"),
    ],
)
def test_bad_sessions(ask: Ask, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ask("export_tool", "jupyter", **change)
