"""An export is verified without its lab, and refused with the place named whatever is changed in it."""

from __future__ import annotations

import random
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from physlab.errors import ValidationError
from physlab.notebook import Draft, open_book, remark, revise, sign_entry, write
from physlab.notebook.export import export, verify_export
from physlab.signing import Known, KnownKey, make_secret
from physlab.store import open_store

ADA, BOB = make_secret(), make_secret()
KNOWN = Known([KnownKey("ada", ADA.public), KnownKey("bob", BOB.public)])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A notebook of two entries with a file, a revision, a remark and signatures."""
    folder = tmp_path_factory.mktemp("book")
    (folder / "levels.csv").write_text("n,E\n1,-13.6\n2,-3.4\n")
    with open_store(folder / "store") as store:
        draft = Draft("Levels of hydrogen", "ada", content="The levels are $E_n$.", files=[folder / "levels.csv"])
        first = write(store, "lab", draft)
        sign_entry(store, first, "ada", ADA, "author")
        remark(store, first, "bob", "Give the unit.", "request_changes")
        second = revise(store, first, replace(draft, content="$E_n = -13.6/n^2$ eV."), "the unit")
        sign_entry(store, second, "bob", BOB, "approval")
        write(store, "lab", replace(draft, title="Helium", files=[]))
        export(store, open_book(store, "lab"), folder / "export", ADA, "ada")
    return folder / "export"


def test_an_export_stands_alone(exported: Path) -> None:
    found = verify_export(exported, KNOWN)
    assert found.problem == "" and found.warnings == [] and found.signer == ADA.public.id
    assert [page.entry.title for page in found.checked.book.latest()] == ["Levels of hydrogen", "Helium"]
    assert verify_export(exported, Known([KnownKey("ada", ADA.public)])).checked.unknown == [BOB.public.id]


@pytest.mark.skipif(shutil.which("minisign") is None, reason="minisign is not installed")
def test_minisign_verifies_each_entry(exported: Path) -> None:
    signatures = sorted(exported.glob("entries/*/*.minisig"))
    assert len(signatures) == 2
    for file, secret in zip(signatures, (ADA, BOB), strict=True):
        words = ["minisign", "-V", "-P", secret.public.line, "-x", str(file), "-m", str(file.parent / "entry.json")]
        assert subprocess.run(words, capture_output=True, check=False, timeout=60).returncode == 0


def test_a_thousand_changes_are_refused_with_their_place(exported: Path, tmp_path: Path) -> None:
    choose, files = random.Random(3), sorted(path for path in exported.rglob("*") if path.is_file())
    for number in range(1000):
        path = files[number % len(files)]
        data = path.read_bytes()
        at = choose.randrange(len(data))
        changed = choose.choice((
            data[:at] + bytes([data[at] ^ 1 << choose.randrange(8)]) + data[at + 1 :],
            data[:at] + data[at + 1 :],
            data[:at] + b"0" + data[at:],
            data[:at],
        ))  # fmt: skip
        path.write_bytes(changed)
        try:
            problem = verify_export(exported).problem
        except ValidationError as error:
            problem = error.message
        finally:
            path.write_bytes(data)
        assert problem, (path.name, at)
        name = path.relative_to(exported).as_posix()
        assert path.name in problem or path.name.startswith("export"), (name, problem)
    assert verify_export(exported).problem == ""


def test_files_that_are_added_removed_or_linked_are_named(exported: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(exported, tmp_path / "copy")
    (copy / "keys" / "eve.pub").write_text(make_secret().public.text())
    assert verify_export(copy).problem == "keys/eve.pub: the export does not name this file"
    (copy / "keys" / "eve.pub").unlink()
    file = next(copy.glob("files/*"))
    file.rename(tmp_path / "away")
    assert verify_export(copy).problem == f"files/{file.name}: the file is missing"
    file.symlink_to(tmp_path / "away")
    assert "no plain file" in verify_export(copy).problem


def test_nothing_is_put_over_anything(exported: Path, tmp_path: Path) -> None:
    with open_store(tmp_path / "store") as store:
        with pytest.raises(ValidationError, match="is empty"):
            export(store, open_book(store, "lab"), tmp_path / "out")
        write(store, "lab", Draft("One", "ada"))
        with pytest.raises(ValidationError, match="is there already"):
            export(store, open_book(store, "lab"), exported)
        export(store, open_book(store, "lab"), tmp_path / "out")
    found = verify_export(tmp_path / "out")
    assert found.problem == "" and "nobody vouches" in found.warnings[0]
    with pytest.raises(ValidationError, match="no export of a notebook"):
        verify_export(tmp_path)
