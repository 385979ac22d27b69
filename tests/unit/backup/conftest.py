"""Labs that are backed up, and how they are brought back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from physlab.backup import restore_lab
from tests.unit.backuplab import (
    BackupLab,
    backup_lab,
    missing_parts,
    use_template,
)

needs_restic = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")


@pytest.fixture
def base(template: Path, tmp_path: Path) -> Path:
    """A folder with a repository that is empty, of each engine."""
    return use_template(template, tmp_path)


@pytest.fixture
def restic_base(restic_template: Path, tmp_path: Path) -> Path:
    """A folder with an empty repository of restic."""
    return use_template(restic_template, tmp_path)


@pytest.fixture
def restic_lab(restic_base: Path) -> Iterator[BackupLab]:
    with backup_lab(restic_base) as lab:
        yield lab


@pytest.fixture
def lab(base: Path) -> Iterator[BackupLab]:
    with backup_lab(base) as lab:
        yield lab


@pytest.fixture(scope="module")
def saved(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackupLab]:
    """A lab that was backed up once; tests leave it as it is."""
    with backup_lab(use_template(template, tmp_path_factory.mktemp("saved"))) as lab:
        lab.fill(12)
        lab.save()
        yield lab


def bring_back(lab: BackupLab, name: str = "back", snapshot: str = "latest") -> Path:
    target = lab.folder / name
    found = restore_lab(lab.store, lab.engine, snapshot, target, tell=lambda words: None, salvage=False)
    assert found.problems == []
    return target
