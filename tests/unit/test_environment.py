"""The environment of a lab elsewhere: what belongs to it, that it arrives whole or not at all, and only what is new."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from physlab.errors import ConfigurationError, ResourceError, StoreError, ValidationError
from physlab.lab import Lab
from physlab.model.job import JobResources
from physlab.service.environments import install_environment
from physlab.settings import SlurmSiteSettings, load_settings
from physlab.sites.environment import (
    Choice,
    Pack,
    Package,
    Reach,
    choose_python,
    environments,
    install,
    inventory,
    pack,
    prune,
)
from physlab.sites.environment.sources import SITE, items_of
from physlab.sites.slurm.commands import run_here
from physlab.sites.slurm.crew import Crew

KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.unit.test_environment import reach, toy
def stop(what, done, total):
    if what == {stage!r} and (what == "compiled" or done >= total / 2):
        print("now", flush=True)
        time.sleep(60)
from physlab.sites.environment import install
install(reach(Path({far!r})), toy(Path({site!r})), python=sys.executable, progress=stop)
"""


def package(site: Path, name: str, files: dict[str, str], *, requires: str = "", tag: str = "py3-none-any") -> Package:
    """Lay out a package as pip does, and return it."""
    info = f"{name}-1.0.dist-info"
    meta = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n" + (f"Requires-Dist: {requires}\n" if requires else "")
    rows = []
    for path, text in {**files, f"{info}/METADATA": meta, f"{info}/WHEEL": f"Tag: {tag}\n"}.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text.encode())}")
    (site / info / "RECORD").write_text("\n".join([*rows, f"{info}/RECORD,,", f"../../../bin/{name},,"]) + "\n")
    return Package(name, "1.0", PathDistribution(site / info))


def toy(site: Path, more: str = "") -> Pack:
    """Return an environment of two small packages, one of them with data beside it."""
    large = {f"optics/part{number}.py": f"N = {number}\n" for number in range(40)}
    optics = package(site, "optics", {"optics/__init__.py": f"x = 1{more}\n", "broken.py": "(", **large})
    glass = package(site, "glass", {"glass/__init__.py": "y = 2\n", "glass/table.csv": "n\n1.5\n"})
    return Pack({"optics": optics, "glass": glass}, Choice())


def reach(far: Path, **settings: object) -> Reach:
    return Reach("hpc", SlurmSiteSettings.model_validate(settings), far, None)


def test_what_is_missing_travels_and_nothing_twice(tmp_path: Path) -> None:
    far, site = tmp_path / "far", tmp_path / "site"
    looked = install(reach(far), toy(site), python=sys.executable, dry_run=True)
    assert looked.sent_files > 40 and not far.exists()
    first = install(reach(far), toy(site), python=sys.executable)
    assert (first.sent_files, first.sent_size) == (looked.sent_files, looked.sent_size) and not first.was_there
    python = Path(first.folder) / "bin" / "python"
    said = subprocess.run([python, "-c", "import glass, optics, sys; print(optics.x, glass.y, sys.prefix)"],
                          capture_output=True, text=True, check=True, cwd=tmp_path).stdout  # fmt: skip
    assert said.split() == ["1", "2", first.folder]
    assert list(Path(first.folder).rglob("optics/__pycache__/part7.*.pyc")), "it need not be compiled at each start"
    again = install(reach(far), toy(site), python=sys.executable)
    assert again.was_there and again.sent_files == 0
    changed = install(reach(far), toy(site, "1"), python=sys.executable)
    assert changed.sent_packages == ("optics",) and changed.digest != first.digest
    assert changed.sent_files == 1


@pytest.mark.parametrize("stage", ["sent", "compiled"])
def test_an_install_that_is_killed_leaves_no_environment(tmp_path: Path, stage: str) -> None:
    far, site = tmp_path / "far", tmp_path / "site"
    made = toy(site)
    text = KILLED.format(root=str(Path(__file__).parents[2]), stage=stage, far=str(far), site=str(site))
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None and process.stdout.readline() == b"now\n"
        began = time.monotonic()
        while not list(far.glob("environments/.files/??/*")) and time.monotonic() - began < 30:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    assert environments(run_here(), far) == []
    assert choose_python("hpc", SlurmSiteSettings(), far, run_here()).python == sys.executable
    whole = install(reach(tmp_path / "elsewhere"), made, python=sys.executable)
    rest = install(reach(far), made, python=sys.executable)
    assert 0 < rest.sent_files < whole.sent_files if stage == "sent" else rest.sent_files == 0
    assert [about["digest"] for about in environments(run_here(), far)] == [made.digest]


def test_a_site_uses_the_environment_of_here_or_says_what_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, ours = tmp_path / "site", SlurmSiteSettings(prologue=("module load python",))
    first = install(reach(tmp_path), toy(site), python=sys.executable)
    now = toy(site)
    monkeypatch.setattr("physlab.sites.environment.choose.pack", lambda choice: now)
    chosen = choose_python("hpc", ours, tmp_path, run_here())
    assert chosen.python == f"{first.folder}/bin/python" and chosen.comment("lab") == f"lab environment {first.digest}"
    assert chosen.prologue(ours) == ["module load python", "unset PYTHONPATH PYTHONHOME"]
    named = choose_python("hpc", SlurmSiteSettings(python="/opt/python"), tmp_path, run_here())
    assert named.python == "/opt/python" and named.prologue(ours) == ["module load python"]
    now = Pack({"glass": now.packages["glass"], "optics": toy(site, "1").packages["optics"]}, Choice())
    with pytest.raises(ConfigurationError, match="changed since it was brought to hpc: optics has changed") as caught:
        choose_python("hpc", ours, tmp_path, run_here())
    assert caught.value.hint.endswith("physlab site install hpc")
    crew = Crew("hpc", ours, tmp_path, "token", "", lambda pools, why, passing: None)
    for _ in range(5):  # as many nodes as there may be
        with pytest.raises(ConfigurationError, match="optics has changed"):
            crew.pool(JobResources())


def test_what_was_changed_by_hand_or_on_the_way_is_refused(tmp_path: Path) -> None:
    made, far = toy(tmp_path / "site"), tmp_path / "far"
    (tmp_path / "site" / "glass" / "table.csv").write_text("n\n1.6\n")
    with pytest.raises(ConfigurationError, match=r"table\.csv is not what was installed"):
        install(reach(far), made, python=sys.executable)
    assert environments(run_here(), far) == []

    def write(stream: object) -> None:
        with tarfile.open(fileobj=stream, mode="w|") as archive:  # type: ignore[call-overload]
            info = tarfile.TarInfo("0" * 64)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))

    with pytest.raises(StoreError, match="arrived damaged"):
        reach(far).ask(sys.executable, "take", write=write)
    assert not (far / "environments" / ".files" / "00").exists()


def test_one_that_does_not_work_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("physlab.sites.environment.transport.LAB", "glass")
    with pytest.raises(StoreError, match="does not work there: ModuleNotFoundError: No module named 'physlab'"):
        install(reach(tmp_path), toy(tmp_path / "site"), python=sys.executable)
    assert environments(run_here(), tmp_path) == []


def test_a_python_that_does_not_fit_is_refused_with_both_sides(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    told = {**inventory.machine(), "minor": "3.6", "version": "3.6.8", "implementation": "cpython",
            "glibc": "glibc 2.17", "free": 1, "python": "/usr/bin/python3.6"}  # fmt: skip
    old.write_text(f"#!/bin/sh\necho welcome\necho '{json.dumps(told)}'\n")
    old.chmod(0o755)
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    with pytest.raises(ConfigurationError, match=rf"cpython {minor}.*cpython 3\.6\.8.*glibc 2\.17") as caught:
        install(reach(tmp_path), toy(tmp_path / "site"), python=str(old))
    assert f"module load python/{minor}" in caught.value.hint and "--python" in caught.value.hint
    old.write_text(old.read_text().replace(json.dumps(told["machine"]), '"ppc64le"'))
    with pytest.raises(ConfigurationError, match=r"another kind of machine: cpython 3\.6\.8, Linux ppc64le"):
        reach(tmp_path).probe(str(old), None)
    with pytest.raises(ConfigurationError, match="No such file"):
        install(reach(tmp_path), toy(tmp_path / "site"), python=str(tmp_path / "nothing"))
    by_prologue = reach(tmp_path, prologue=["echo hello", f"PATH={Path(sys.executable).parent}"])
    assert by_prologue.probe(None, None)["minor"] == inventory.machine()["minor"]


def test_the_python_of_before_is_asked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = install(reach(tmp_path), toy(tmp_path / "site"), python=sys.executable)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"gone: No such file.*python3: No such file"):
        reach(tmp_path).probe(None, None)
    again = Reach("hpc", SlurmSiteSettings(), tmp_path, None, first.digest)
    assert again.probe(None, None)["python"] == first.python, "that of --python need not be named again"


def test_an_environment_that_would_not_be_used_is_not_brought(tmp_path: Path) -> None:
    site = {"sites.slurm.hpc.python": "/opt/python", "home": str(tmp_path)}
    with (
        Lab(load_settings(tmp_path, overrides=site, environ={})) as lab,
        pytest.raises(ConfigurationError, match=r"hpc\.python is /opt/python, so"),
    ):
        install_environment(lab, "hpc")


def test_a_c_library_that_is_too_old_is_refused(tmp_path: Path) -> None:
    new = package(tmp_path / "site", "new", {"new.py": ""}, tag="cp311-cp311-manylinux_2_99_x86_64")
    with pytest.raises(ConfigurationError, match=r"new 1\.0 needs glibc 2\.99") as caught:
        install(reach(tmp_path), Pack({"new": new}, Choice()), python=sys.executable)
    assert "--without new" in caught.value.hint
    tags = "cp311-cp311-manylinux_2_17_x86_64\nTag: cp311-cp311-manylinux2014_x86_64\nTag: x-y-manylinux_2_28_x86_64"
    assert package(tmp_path / "site", "old", {"old.py": ""}, tag=tags).glibc == (2, 17), "any one of them is enough"


def test_no_room_is_said_before_anything_travels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = Reach.probe
    monkeypatch.setattr(Reach, "probe", lambda self, *given: {**probe(self, *given), "free": 100})
    with pytest.raises(ResourceError, match="MB are free"):
        install(reach(tmp_path), toy(tmp_path / "site"), python=sys.executable)


def test_pruning_keeps_what_is_used_and_what_is_on_its_way(tmp_path: Path) -> None:
    far, site = tmp_path / "far", tmp_path / "site"
    made = [install(reach(far), toy(site, str(number)), python=sys.executable) for number in range(2)]
    script = "print('now', flush=True); import time; time.sleep(60)"
    python = Path(made[0].folder) / "bin" / "python"
    with subprocess.Popen([python, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"now\n"
        found = prune(reach(far), [made[1].digest])
        process.kill()
    assert (found["removed"], found["used"], found["freed"]) == ([], [made[0].digest], 0)
    found = prune(reach(far), [made[1].digest])
    assert found["removed"] == [made[0].digest] and found["freed"] > 0
    last = install(reach(far), toy(site, "1"), python=sys.executable)
    assert last.was_there and subprocess.run([f"{last.folder}/bin/python", "-c", "import optics.part3"]).returncode == 0
    back = install(reach(far), toy(site, "0"), python=sys.executable)
    assert back.sent_files == 1, "what only the removed one had is gone, and comes again"


def test_the_environment_is_what_is_installed_less_what_only_development_needs() -> None:
    usual = pack()
    assert {"physlab", "numpy", "distributed", "scipy", "typer"} <= set(usual.packages)
    assert not {"pytest", "mypy", "ruff", "pip"} & set(usual.packages)
    less = pack(Choice(add=("pytest",), leave_out=("dask-jobqueue",)))
    assert {"pytest", "pluggy"} <= set(less.packages) and "dask-jobqueue" not in less.packages
    assert "distributed" not in less.packages, "nothing else needs it"
    lab = [item.path for item in usual.packages["physlab"].items]
    assert f"{SITE}/physlab/cli/app.py" in lab and f"{SITE}/physlab/_bundled/flows/run_dag.py" in lab
    assert len(lab) == len(set(lab)) and not [path for path in lab if ".pyc" in path]
    assert usual.glibc() is not None
    with pytest.raises(ValidationError, match=r"no package 'numpi'.*Did you mean 'numpy'"):
        pack(Choice(leave_out=("numpi",)))


def test_packages_that_are_worked_on_go_as_they_are_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, site = tmp_path / "my project", tmp_path / "site"
    (project / "src" / "lenses" / "data").mkdir(parents=True)
    (project / "src" / "lenses" / "__init__.py").write_text("f = 1\n")
    (project / "src" / "lenses" / "data" / "n.csv").write_text("1\n")
    (project / "tests").mkdir()
    info = site / "lens_maker-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lens-maker\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[physlab.tools]\nlens = lenses.tools\n")
    (info / "direct_url.json").write_text(json.dumps({"url": project.as_uri(), "dir_info": {"editable": True}}))
    (info / "RECORD").write_text("_lens_maker.pth,,\n")
    (site / "_lens_maker.pth").write_text(f"{project / 'src'}\n")
    dist = PathDistribution(info)
    with pytest.raises(ConfigurationError, match=r"'lens-maker' is an editable install of .*my project"):
        items_of(dist)
    monkeypatch.syspath_prepend(str(project / "src"))
    names = [item.path.removeprefix(f"{SITE}/") for item in items_of(dist)]
    assert names == ["lenses/__init__.py", "lenses/data/n.csv", "lens_maker-1.0.dist-info/METADATA",
                     "lens_maker-1.0.dist-info/entry_points.txt"]  # fmt: skip
    before = Package("lens-maker", "1.0", dist).digest
    (project / "src" / "lenses" / "__init__.py").write_text("f = 2\n")
    assert Package("lens-maker", "1.0", dist).digest != before
