"""The workflows that the lab was designed for, from the first step to the last one that exists."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pypdf import PdfReader

from physlab import service
from physlab.lab import Lab
from physlab.model import NodeRecord
from physlab.settings import load_settings
from physlab.spelling import read_call

FIGURE = {"static": True, "series": True, "animation": False}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    settings = {"home": str(tmp_path / "home"), "results": str(tmp_path / "results")}
    with Lab(load_settings(tmp_path, overrides=settings, environ={})) as lab:
        yield lab


def call(lab: Lab, folder: Path, **payload: Any) -> dict[str, Any]:
    reply = service.answer(lab, read_call(payload, lab.vocabulary), folder)
    assert reply.error is None, reply.error
    return reply.body


def made(lab: Lab, run_id: str) -> dict[str, NodeRecord]:
    run = lab.find_run(run_id)
    return {node.id: NodeRecord.model_validate(lab.store.record(str(node.record))) for node in run.nodes}


def test_a_distributed_physics_simulation(lab: Lab, tmp_path: Path) -> None:
    """Define, validate, run with `remote_first`, collect with provenance, publish, share."""
    spec = {
        "metadata": {"title": "A double well", "author": "A. Physicist", "description": "Tunnelling splits a level."},
        "nodes": [
            {"id": "well", "tool": "quantum", "method": "solve", "visual_outputs": FIGURE,
             "params": {"problem": "custom", "hamiltonian": "p^2/2 + (x^2 - 4)^2/8"}},
            {"id": "levels", "tool": "data", "method": "statistics", "params": {"values": "from:well.eigenvalues"}},
        ],
        "edges": [{"from": "well", "to": "levels", "data_key": "eigenvalues"}],
    }  # fmt: skip
    defined = call(lab, tmp_path, tool="experiment_orchestrator", method="define_dag", spec=spec)
    dag_id = defined["dag_id"]
    assert defined["validated"] and len(defined["ui_overview_png_b64"]) > 1000
    checked = call(lab, tmp_path, tool="experiment_orchestrator", params={"action": "validate_dag", "dag_id": dag_id})
    assert checked["ok"]
    ran = call(lab, tmp_path, name="experiment_orchestrator",
               arguments={"method": "run_dag", "dag_id": dag_id, "offload_policy": "remote_first"})  # fmt: skip
    assert ran["status"] == "completed" and ran["reportable"]["figures"][0]["node_id"] == "well"
    records = made(lab, ran["run_id"])
    levels = np.asarray(records["well"].fields["eigenvalues"], dtype=float)
    splitting, gap = levels[1] - levels[0], levels[2] - levels[1]
    assert 0 < splitting < 0.05 * gap, "two wells far apart: the lowest levels come in a close pair"
    assert records["levels"].parents and records["levels"].inputs, "where its numbers came from is on record"
    paper = call(lab, tmp_path, tool="publish_report", run_id=ran["run_id"], authors=["A. Physicist"])
    text = " ".join(page.extract_text() for page in PdfReader(paper["pdf_path"]).pages)
    assert "A double well" in text and records["well"].key[:12] in text.replace("\n", "")
    shared = call(lab, tmp_path, tool="collaborate_share", dag_id=dag_id, access="read", participants=["b@c.org"])
    assert "/#/join/pll_" in shared["share_url"] and shared["expires_at"].endswith("Z")
    assert shared["bundle"]["runs"] == [ran["run_id"]] and Path(shared["bundle"]["path"]).is_file()


def test_a_multi_method_analysis(lab: Lab, tmp_path: Path) -> None:
    """Import, recognise, compute, draw, export as a mesh, publish as a LaTeX project with provenance."""
    pytest.importorskip("skimage", reason="scikit-image is not installed: pip install 'physlab[ml]'")
    pytest.importorskip("trimesh", reason="trimesh is not installed: pip install 'physlab[export]'")
    fits = pytest.importorskip("astropy.io.fits", reason="astropy is not installed: pip install 'physlab[data]'")
    places = [(30.3, 25.6), (90.0, 70.2), (60.5, 100.1)]
    y, x = np.mgrid[:128, :128]
    sky = np.random.default_rng(5).normal(100, 2, x.shape)
    for across, up in places:
        sky += 300 * np.exp(-((x - across) ** 2 + (y - up) ** 2) / (2 * 2.0**2))
    fits.PrimaryHDU(sky.astype(np.float32)).writeto(tmp_path / "field.fits")
    spec = {
        "name": "Stars and orbitals",
        "nodes": [
            {"id": "sky", "tool": "data", "params": {"action": "import_fits", "file": "field.fits"},
             "visual_outputs": FIGURE},
            {"id": "stars", "tool": "ml_ai_augmentation", "method": "pattern_recognition_infer",
             "params": {"task": "detect", "images": ["from:sky.data"]}},
            {"id": "hydrogen", "tool": "quantum", "method": "solve",
             "params": {"problem": "hydrogen", "n": 2, "l": 1}, "visual_outputs": FIGURE},
            {"id": "radial", "tool": "plot", "method": "function_2d", "visual_outputs": FIGURE,
             "params": {"f": "from:hydrogen.radial", "x": "from:hydrogen.r", "title": "Hydrogen 2p"}},
            {"id": "surface", "tool": "plot", "method": "volume_3d", "visual_outputs": {**FIGURE, "series": False},
             "params": {"f": "exp(-(x^2 + y^2 + z^2))", "x": [-2, 2, 40], "y": [-2, 2, 40], "z": [-2, 2, 40],
                        "mode": "isosurface", "iso_level": float(np.exp(-2.25))}},
            {"id": "mesh", "tool": "export_tool", "method": "vr_export", "params": {"geometry": "from:surface"}},
            {"id": "paper", "tool": "export_tool", "dependencies": ["radial"],
             "params": {"export_type": "overleaf", "project_name": "paper", "title": "Stars and orbitals",
                        "authors": ["A. Physicist"], "artifacts": "from:radial", "provenance": "included"}},
        ],
    }  # fmt: skip
    ran = call(lab, tmp_path, tool="experiment_orchestrator", method="run_dag", dag_id=spec)
    assert ran["status"] == "completed"
    records = made(lab, ran["run_id"])
    assert records["stars"].meta["num_detections"] == len(places)
    volume = records["mesh"].fields["volume"]
    assert volume == pytest.approx(4 / 3 * np.pi * 1.5**3, rel=0.02) and records["mesh"].fields["watertight"]
    archive = next(item for item in records["paper"].artifacts if item.name.endswith(".zip"))
    figure = next(item for item in records["radial"].artifacts if item.media_type == "image/png")
    with zipfile.ZipFile(io.BytesIO(lab.store.blobs.read(archive.sha256))) as project:
        [main] = [project.read(name).decode() for name in project.namelist() if name.endswith("main.tex")]
    assert "Stars and orbitals" in main and figure.sha256[:32] in main, "the figure's digest is in its provenance"


def test_the_publication_pipeline_takes_what_came_before(lab: Lab, tmp_path: Path) -> None:
    steps = [
        {"tool": "plot", "method": "function_2d", "f": "sin(x)/x", "x": [-10, 10], "visual_outputs": FIGURE},
        {"tool": "export_tool", "export_type": "overleaf", "project_name": "paper", "title": "Diffraction",
         "artifacts": "from_previous_step", "provenance": "included"},
    ]  # fmt: skip
    ran = call(lab, tmp_path, tool="experiment_orchestrator", params={"action": "run_dag", "dag_id": {"dag": steps}})
    assert made(lab, ran["run_id"])["step2_export_tool"].fields["artifact_files"] == ["figures/01-function_2d.png"]


def test_a_step_that_does_not_exist_is_named(lab: Lab, tmp_path: Path) -> None:
    steps = [
        {"tool": "distributed_collaboration", "action": "job_submit", "script": "collect_data.py"},
        {"tool": "data", "action": "import_csv", "file": "collected_data.csv"},
        {"tool": "ml_ai_augmentation", "action": "symbolic_regression_train"},
        {"tool": "distributed_collaboration", "action": "artifact_versioning", "results": "from_previous_step"},
        {"tool": "distributed_collaboration", "action": "lab_notebook", "title": "What was found"},
        {"tool": "distributed_collaboration", "action": "session_share", "session_id": "lab"},
        {"tool": "distributed_collaboration", "action": "session_sync", "session_id": "lab"},
    ]
    reply = call(lab, tmp_path, tool="experiment_orchestrator", method="validate_dag", dag_id={"dag": steps})
    assert not reply["ok"]
    said = {problem["node_id"]: problem["message"] for problem in reply["problems"]}
    assert "has no method 'session_sync'" in said["step7_distributed_collaboration"]
    assert not {f"step{number}_distributed_collaboration" for number in (4, 5, 6)} & said.keys()
