"""A bundle has all that a fresh lab needs, nothing else, and the same bytes for the same content."""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from physlab import service
from physlab.bundle import Made, check_bundle, open_bundle, read_bundle
from physlab.errors import StoreError, ValidationError
from physlab.keys import digest, digest_stream
from physlab.lab import Lab
from physlab.model.notebook import Source
from physlab.notebook.book import open_book
from physlab.notebook.signatures import sign_entry
from physlab.notebook.writing import Draft, write
from physlab.service.sharing.opened import verify_bundle
from physlab.signing import make_secret
from physlab.versioning.history import find
from physlab.versioning.labels import label, read_label
from physlab.versioning.register import Wish, register
from physlab.versioning.tags import tag
from tests.unit.bundle.conftest import KEY, OTHER, chosen, make, run, state

Room = Callable[[], Path]


def test_a_fresh_lab_opens_it_and_computes_the_same(bundle: Made, two: Lab, room: Room) -> None:
    opened = open_bundle(two.store, bundle.path, room(), {KEY.public.line})
    [inside] = bundle.manifest.runs
    assert (opened.here, opened.missing) == (0, ()) and opened.files > 3
    assert list(two.store.verify()) == []
    again = service.reproduce_run(two, inside.run_id)
    assert again.verdict == "identical" and len(again.compared) > 4
    assert {row["run_id"] for row in two.runs()} == {inside.run_id}
    assert not any(path.is_file() and path.name != ".pulling" for path in room().rglob("*"))


def test_opening_it_again_changes_nothing(bundle: Made, two: Lab, room: Room) -> None:
    open_bundle(two.store, bundle.path, room(), {KEY.public.line})
    before = state(two.store)
    opened = open_bundle(two.store, bundle.path, room(), {KEY.public.line})
    assert (opened.files, opened.records) == (0, 0) and opened.here > 3
    assert state(two.store) == before


def test_a_dry_run_says_the_same_and_takes_nothing(bundle: Made, two: Lab, room: Room) -> None:
    before = state(two.store)
    told = open_bundle(two.store, bundle.path, room(), {KEY.public.line}, dry_run=True)
    assert state(two.store) == before
    done = open_bundle(two.store, bundle.path, room(), {KEY.public.line})
    assert (told.files, told.here, told.records) == (done.files, done.here, done.records)


def test_what_is_damaged_here_is_made_good(bundle: Made, two: Lab, room: Room) -> None:
    open_bundle(two.store, bundle.path, room(), {KEY.public.line})
    victim = two.store.blobs.path(next(two.store.blobs.all()))
    victim.chmod(0o644)
    victim.write_bytes(b"rotten")
    assert open_bundle(two.store, bundle.path, room(), {KEY.public.line}).files == 1
    assert list(two.store.verify()) == []


def test_the_same_content_gives_the_same_bytes(one: Lab, bundle: Made, tmp_path: Path) -> None:
    record = one.find_run(bundle.manifest.runs[0].run_id)
    again = make(one, record, tmp_path / "again.zip")
    assert again.path.read_bytes() == bundle.path.read_bytes()
    with open(again.path, "rb") as stream:
        assert digest_stream(stream) == (again.sha256, again.size)
    with pytest.raises(ValidationError, match="is there already"):
        make(one, record, tmp_path / "again.zip")
    assert [path.name for path in tmp_path.glob("*.part")] == []


def test_people_without_physlab_read_and_verify_it(bundle: Made, tmp_path: Path) -> None:
    subprocess.run(["unzip", "-q", bundle.path, "-d", tmp_path / "out"], check=True)
    out = tmp_path / "out"
    shown = subprocess.run(
        ["minisign", "-V", "-m", out / "manifest.json", "-p", out / "lab.pub"], capture_output=True, text=True
    )
    assert shown.returncode == 0 and "bundle of" in shown.stdout, shown.stderr
    page = (out / "index.html").read_text()
    assert "<script" not in page and "physlab bundle open" in (out / "README.txt").read_text()
    for name, file in bundle.manifest.files.items():
        with open(out / name, "rb") as stream:
            assert digest_stream(stream) == (file.sha256, file.size)


def test_all_runs_of_a_graph_of_one_session(one: Lab, two: Lab, tmp_path: Path, room: Room) -> None:
    folder = tmp_path / "one"
    first, other = run(one, folder), run(one, folder, refresh=True)
    elsewhere = run(one, folder, refresh=True, session="other")
    made = make(one, first, tmp_path / "all.zip")
    assert [inside.run_id for inside in made.manifest.runs] == [first.run_id, other.run_id]
    alone = make(one, first, tmp_path / "one.zip", run_id=other.run_id)
    assert [inside.run_id for inside in alone.manifest.runs] == [other.run_id]
    open_bundle(two.store, made.path, room(), {KEY.public.line})
    assert elsewhere.run_id not in {row["run_id"] for row in two.runs()}
    with pytest.raises(ValidationError, match=r"no run '.*' in the session 'lab'.* runs in: other"):
        chosen(one, first, run_id=elsewhere.run_id)


def test_versions_and_tags_come_along_and_strangers_do_not(one: Lab, two: Lab, tmp_path: Path, room: Room) -> None:
    record = run(one, tmp_path / "one")
    picture = next(item for item in one.store.record(str(record.nodes[2].record))["artifacts"])
    file = tmp_path / "one" / "figure.png"
    file.write_bytes(one.store.blobs.read(picture["sha256"]))
    (tmp_path / "one" / "raw").write_text("raw data")
    (tmp_path / "one" / "stranger").write_text("of nobody")
    [version] = register(one.store, Wish(["figure.png"], ["raw"]), tmp_path / "one")
    register(one.store, Wish(["stranger"]), tmp_path / "one")
    [foreign] = register(one.store, Wish(["figure.png"], params={"n": 1}, session="other"), tmp_path / "one")
    tag(one.store, "paper", version.record, "me")
    made = make(one, record, tmp_path / "made.zip")
    assert made.manifest.versions == 2
    data = made.path.read_bytes()
    assert b"raw data" in data and b"of nobody" not in data and foreign.record.encode() not in data
    open_bundle(two.store, made.path, room(), {KEY.public.line})
    assert find(two.store, "paper", tmp_path).record == version.record


@pytest.mark.parametrize("said", ["private", "embargo:2099-01-31"])
def test_what_may_not_leave_stays_with_the_runs_that_made_it(one: Lab, tmp_path: Path, said: str) -> None:
    free = run(one, tmp_path / "one")
    [held] = [item for item in one.store.record(str(free.nodes[2].record))["artifacts"] if item["role"] == "static"]
    label(one.store, [held["sha256"]], read_label(said), "me")
    with pytest.raises(StoreError, match=r"Nothing of it may leave this lab: .*(private|embargo)"):
        chosen(one, free)
    label(one.store, [held["sha256"]], read_label("open"), "me")
    assert chosen(one, free).held == {}


def test_of_several_runs_those_that_may_leave_do(one: Lab, two: Lab, tmp_path: Path, room: Room) -> None:
    record = run(one, tmp_path / "one")
    secret = tmp_path / "one" / "secret"
    secret.write_text("not for others")
    [kept] = register(one.store, Wish(["secret"]), tmp_path / "one")
    other = record.model_copy(update={"run_id": "20990101-000000-aaaaaa", "meta": {
        **record.meta, "note": kept.version.content.sha256,
    }})  # fmt: skip
    one.store.append("run", other.brief())
    one.store.flush()
    assert len(make(one, record, tmp_path / "both.zip").manifest.runs) == 2
    label(one.store, [kept.version.content.sha256], read_label("private"), "me")
    picked = chosen(one, record)
    assert picked.runs_out == (other.run_id,) and list(picked.held.values()) == ["it is private"]
    made = make(one, record, tmp_path / "free.zip")
    assert made.manifest.left_out == 1 and b"not for others" not in made.path.read_bytes()
    open_bundle(two.store, made.path, room(), {KEY.public.line})
    assert {row["run_id"] for row in two.runs()} == {record.run_id}


def test_the_notebook_comes_as_an_extract_that_is_verified(one: Lab, two: Lab, tmp_path: Path, room: Room) -> None:
    record = run(one, tmp_path / "one")
    write(one.store, "lab", Draft("Before", "ada", content="**Before**"))
    source = Source(record=digest(record.brief()), run_id=record.run_id)
    page = write(one.store, "lab", Draft("About it", "ada", content="**About it**", runs=[source]))
    sign_entry(one.store, page, "ada", make_secret(), "author")
    made = make(one, record, tmp_path / "made.zip")
    [entry] = made.manifest.entries
    assert (entry.title, entry.signatures) == ("About it", 1)
    assert b"**Before**" not in made.path.read_bytes() and b"**About it**" in made.path.read_bytes()
    verify_bundle(made.path)
    open_bundle(two.store, made.path, room(), {KEY.public.line})
    assert open_book(two.store, "lab").pages() == [], (
        "an extract is no chain: it would break the notebook of whoever opens it"
    )
    assert make(one, record, tmp_path / "without.zip", notebook=False).manifest.entries == ()


def test_a_damaged_lab_makes_no_bundle(one: Lab, tmp_path: Path) -> None:
    record = run(one, tmp_path / "one")
    victim = one.store.blobs.path(sorted(chosen(one, record).files)[0])
    victim.chmod(0o644)
    victim.write_bytes(b"x" * victim.stat().st_size)
    with pytest.raises(StoreError, match="are damaged"):
        make(one, record, tmp_path / "made.zip")
    assert not list(tmp_path.glob("*made*"))


def test_s18_a_lab_that_is_not_known_needs_a_confirmed_step(bundle: Made, two: Lab, room: Room) -> None:
    before = state(two.store)
    with pytest.raises(ValidationError, match="a lab that this one does not know") as caught:
        open_bundle(two.store, bundle.path, room(), {OTHER.public.line})
    assert KEY.public.line in caught.value.hint and caught.value.details["key"] == KEY.public.line
    assert state(two.store) == before and not room().exists(), "nothing was unpacked"


def test_showing_reads_the_signature_and_checking_reads_all(bundle: Made, tmp_path: Path) -> None:
    assert read_bundle(bundle.path).manifest == bundle.manifest
    checked = check_bundle(bundle.path)
    assert (checked.files, checked.size) == (len(bundle.manifest.files), bundle.size)
    with zipfile.ZipFile(bundle.path) as archive:
        assert archive.testzip() is None and archive.namelist()[0] == "manifest.json"


@pytest.mark.drill
def test_a_file_that_32_bits_do_not_tell(
    one: Lab, two: Lab, tmp_path: Path, room: Room, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heads of large files, and of those behind them, are spelled otherwise; in the suite small ones are, too."""
    size = 2_300_000_000 if pytestconfig.getoption("seeds") > 2 else 100_000
    if size < zipfile.ZIP64_LIMIT:
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 50_000)
    record, big = run(one, tmp_path / "one"), tmp_path / "big"
    with open(big, "wb") as stream:
        stream.truncate(size)
    digest, _ = one.store.blobs.put(big)
    one.store.append("run", {**record.brief(), "run_id": "20990101-000000-aaaaaa", "meta": {"big": digest}})
    made = make(one, record, tmp_path / "large.zip")
    assert made.size > size and check_bundle(made.path).files == len(made.manifest.files)
    data = made.path.read_bytes() if size < 1 << 20 else b""
    assert not data or (b"PK\6\6" in data and data.count(b"\1\0\x10\0") == 2), "as large files are"
    if data:
        for place in range(len(data) - 98, len(data)):
            (tmp_path / "bad.zip").write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
            with pytest.raises(ValidationError):
                check_bundle(tmp_path / "bad.zip")
    open_bundle(two.store, made.path, room(), {KEY.public.line})
    assert two.store.blobs.intact(digest)
