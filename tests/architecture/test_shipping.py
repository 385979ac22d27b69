"""What ships: the face, what importing it does, and what the wheel holds."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import physlab
from tests.architecture.source import ROOT

LOOK = """
import json, os, sys, threading
before = dict(os.environ)
import physlab
import physlab.errors, physlab.model, physlab.service, physlab.plugins
physlab.plugins.all_tools()
print(json.dumps({
    "modules": sorted({name.split(".")[0] for name in sys.modules}),
    "threads": threading.active_count(),
    "environment": before == dict(os.environ),
}))
"""
HEAVY = {"prefect", "sympy", "matplotlib", "scipy", "pint", "weasyprint", "pandas", "torch", "dvc", "ruamel", "IPython"}


def test_the_face_is_small_and_documented() -> None:
    assert len(physlab.__all__) <= 15
    text = (ROOT / "docs" / "reference" / "python.md").read_text()
    for name in physlab.__all__:
        assert getattr(physlab, name) is not None
        assert f"`{name}`" in text, f"docs/reference/python.md does not know physlab.{name}"


def test_importing_changes_nothing(tmp_path: Path) -> None:
    """Not even loading every tool imports a heavy library, starts a thread, or writes a file."""
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(home), "PHYSLAB_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    seen = json.loads(done.stdout)
    assert not HEAVY & set(seen["modules"])
    assert seen["threads"] == 1 and seen["environment"]
    assert not list(tmp_path.iterdir())
    assert not done.stderr


def test_the_wheel_holds_the_library_and_its_data(tmp_path: Path) -> None:
    from hatchling.builders.wheel import WheelBuilder

    [wheel] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0].split("-")[0] for name in names} == {"physlab"}
    for folder in ("flows", "blocks", "deployments"):
        for path in (ROOT / folder).iterdir():
            if path.is_file():
                assert f"physlab/_bundled/{folder}/{path.name}" in names
    tracked = subprocess.run(["git", "ls-files", "physlab"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(tracked.stdout.split()) <= names
    assert not [name for name in names if "test" in name.split("/")[-1] or "__pycache__" in name]
