"""The results folder and the reply."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from physlab.errors import StoreError
from physlab.report.folder import write_results
from physlab.report.reply import reportable
from tests.unit.report.conftest import Bench, png


def test_files_have_human_names_and_the_digests_told(hydrogen: Bench, tmp_path: Path) -> None:
    results = write_results(hydrogen.run(), hydrogen.dag(), hydrogen.store, tmp_path / "results", b"%PDF-")
    assert results.path == tmp_path / "results/the-2p-state-of-hydrogen/20261120-100000-abc123"
    found = {str(path.relative_to(results.path)) for path in results.path.rglob("*") if path.is_file()}
    assert found == set(results.files)
    assert {
        "figures/hydrogen_2p_radial.png", "figures/hydrogen_2p_radial.svg", "data/hydrogen_2p_radial.csv",
        "data/hydrogen_2p_radial.npy", "thumbnails/film_wave_frames.png", "animations/film_wave.mp4",
        "run.json", "report.pdf",
    } <= found  # fmt: skip
    for path, digest in results.files.items():
        assert hashlib.sha256((results.path / path).read_bytes()).hexdigest() == digest
    assert (results.path.parent / "latest").resolve() == results.path


def test_files_are_links_into_the_store(hydrogen: Bench, tmp_path: Path) -> None:
    results = write_results(hydrogen.run(), hydrogen.dag(), hydrogen.store, tmp_path / "results", None)
    blob = hydrogen.store.blobs.path(results.files["data/hydrogen_2p_radial.csv"])
    assert (results.path / "data/hydrogen_2p_radial.csv").samefile(blob)


def test_run_json_leads_from_fields_to_files(hydrogen: Bench, tmp_path: Path) -> None:
    hydrogen.broken("wrong", "failed", {"code": "PHYSICS_ERROR", "message": "no"})
    results = write_results(hydrogen.run(), hydrogen.dag(), hydrogen.store, tmp_path / "results", None)
    content = json.loads((results.path / "run.json").read_text())
    fields = content["nodes"]["hydrogen_2p"]["fields"]
    assert fields["energy_ev"] == -3.4014232807
    assert fields["radial"]["file"] == "data/hydrogen_2p_radial.npy"
    assert content["nodes"]["wrong"]["error"]["message"] == "no"
    assert content["run"]["run_id"] == "20261120-100000-abc123"
    assert content["nodes"]["spread"]["record"]["sources"] == {"values": "from:hydrogen_2p.radial"}


@pytest.mark.parametrize("value", [7.92367270170209e19, -(2.0**53), 2.0**64, 1e20, 1e21])
def test_a_large_number_stays_a_float(bench: Bench, tmp_path: Path, value: float) -> None:
    bench.node("mass", fields={"value": value})  # canonical JSON spells it without point or exponent
    results = write_results(bench.run(), bench.dag(), bench.store, tmp_path / "results", None)
    found = json.loads((results.path / "run.json").read_text())["nodes"]["mass"]["fields"]["value"]
    assert type(found) is float and found == value


def test_writing_again_replaces_the_folder_whole(hydrogen: Bench, tmp_path: Path) -> None:
    first = write_results(hydrogen.run(), hydrogen.dag(), hydrogen.store, tmp_path, None)
    (first.path / "stray.txt").write_text("x")
    again = write_results(hydrogen.run(), hydrogen.dag(), hydrogen.store, tmp_path, b"%PDF-")
    assert again.path == first.path
    assert not (again.path / "stray.txt").exists()
    assert [path.name for path in again.path.parent.iterdir() if path.name.startswith(".")] == []


def test_latest_follows_the_last_run(hydrogen: Bench, tmp_path: Path) -> None:
    write_results(hydrogen.run(), hydrogen.dag(), hydrogen.store, tmp_path, None)
    second = write_results(hydrogen.run(run_id="later"), hydrogen.dag(), hydrogen.store, tmp_path, None)
    assert (second.path.parent / "latest").resolve().name == "later"


def test_a_missing_file_leaves_nothing_behind(hydrogen: Bench, tmp_path: Path) -> None:
    sha256 = hydrogen.records["film"].artifacts[0].sha256
    hydrogen.store.blobs.remove(sha256)
    with pytest.raises(StoreError, match="lacks"):
        write_results(hydrogen.run(), hydrogen.dag(), hydrogen.store, tmp_path / "results", None)
    assert [path for path in (tmp_path / "results").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("title", ["../../etc", "/etc/passwd", "..", "a/../../b", "\0", "ψ", "x" * 500])
def test_s22_no_title_or_name_leaves_the_folder(bench: Bench, tmp_path: Path, title: str) -> None:
    name = title.replace("\0", "") or "nul"
    bench.node("a", artifacts=(bench.artifact(f"{name}.png", png(), "static", "image/png"),))
    results = write_results(bench.run(title=title, run_id="../../run"), bench.dag(), bench.store, tmp_path / "r", None)
    assert results.path.resolve().is_relative_to((tmp_path / "r").resolve())
    assert len(results.path.resolve().relative_to((tmp_path / "r").resolve()).parts) == 2
    [figure] = (results.path / "figures").iterdir()
    assert figure.is_file()


def test_equal_names_get_a_number(bench: Bench, tmp_path: Path) -> None:
    figures = tuple(
        bench.artifact(name, png(10 + index), "static", "image/png")
        for index, name in enumerate(("A.png", "a.png", "a/.png"))
    )
    bench.node("n", artifacts=figures)
    results = write_results(bench.run(), bench.dag(), bench.store, tmp_path, None)
    names = sorted(path for path in results.files if path.startswith("figures/"))
    assert len({name.casefold() for name in names}) == 3


def test_reply_lists_figures_and_tables_with_their_captions(hydrogen: Bench, tmp_path: Path) -> None:
    results = write_results(hydrogen.run(), hydrogen.dag(), hydrogen.store, tmp_path, None)
    reply = reportable(hydrogen.run(), hydrogen.store, results)
    assert [(item["node_id"], Path(item["path"]).name) for item in reply["figures"]] == [
        ("hydrogen_2p", "hydrogen_2p_radial.png"),
        ("film", "film_wave.mp4"),
    ]
    assert [item["caption"] for item in reply["tables"]] == ["The radial distribution."]
    for item in [*reply["figures"], *reply["tables"]]:
        assert hashlib.sha256(Path(item["path"]).read_bytes()).hexdigest() == item["sha256"]
    bare = reportable(hydrogen.run(), hydrogen.store)
    assert bare["figures"][0]["path"] == "figures/hydrogen_2p_radial.png"
