"""The root is beside the package in a checkout and inside it in a wheel; nothing else is ever taken."""

from __future__ import annotations

from pathlib import Path

import pytest

import physlab
from physlab.engine import locator
from physlab.errors import ConfigurationError


def make(folder: Path, *, project: str | None = None, bundled: bool = False) -> Path:
    """Make a physlab package as it would lie on disk."""
    package = folder / "physlab"
    package.mkdir(parents=True)
    for name in locator.FOLDERS if project else ():
        (folder / name).mkdir()
    for name in locator.FOLDERS if bundled else ():
        (package / "_bundled" / name).mkdir(parents=True)
    if project:
        (folder / "pyproject.toml").write_text(f'[project]\nname = "{project}"\n')
    return package


def test_this_repository_is_a_checkout() -> None:
    assert locator.root() == Path(physlab.__file__).resolve().parents[1]
    assert locator.set_root() == {"directory": str(locator.root())}


def test_a_checkout_wins_over_a_stale_copy(tmp_path: Path) -> None:
    package = make(tmp_path, project="physlab", bundled=True)
    assert locator.root(package) == tmp_path


def test_a_wheel_brings_its_own(tmp_path: Path) -> None:
    package = make(tmp_path, bundled=True)
    assert locator.root(package) == package / "_bundled"
    assert locator.checkout(package) is None


def test_a_wheel_inside_another_project_is_no_checkout(tmp_path: Path) -> None:
    package = make(tmp_path, project="someones-thesis", bundled=True)
    assert locator.root(package) == package / "_bundled"


def test_the_working_directory_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, project="physlab", bundled=True)
    monkeypatch.chdir(tmp_path)
    locator.root.cache_clear()
    assert locator.root() == Path(physlab.__file__).resolve().parents[1]


def test_a_damaged_installation_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no flows, blocks, deployments.*force-reinstall"):
        locator.root(make(tmp_path))


def test_an_unknown_flow_lists_the_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = make(tmp_path, project="physlab")
    (tmp_path / "flows" / "run_dag.py").touch()
    monkeypatch.setattr(locator, "root", lambda: package.parent)
    assert locator.entrypoint("run_dag") == f"{tmp_path}/flows/run_dag.py:run_dag"
    with pytest.raises(ConfigurationError, match=r"no flow 'run_dga'.*Did you mean 'run_dag'"):
        locator.entrypoint("run_dga")
