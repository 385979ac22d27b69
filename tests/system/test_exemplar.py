"""The hydrogen 2p experiment, as it stands in examples/, against closed forms; then again, all cached."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from pypdf import PdfReader
from scipy import constants

from tests.system.commandline import CommandLine

EXAMPLE = Path(__file__).parents[2] / "examples" / "hydrogen_2p.yaml"
RYDBERG_EV = constants.value("Rydberg constant times hc in eV")  # CODATA 2022


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return CommandLine(tmp_path_factory.mktemp("exemplar"))


@pytest.fixture(scope="module")
def reply(cli: CommandLine) -> dict[str, Any]:
    """The reply of the first run, with its report."""
    found = cli.json("run", str(EXAMPLE), "--no-server", "--report", "--json")
    assert isinstance(found, dict) and found["status"] == "completed"
    return found


@pytest.fixture(scope="module")
def fields(reply: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every node's values, as run.json tells them."""
    told = json.loads((Path(reply["results"]) / "run.json").read_text())
    return {name: node["fields"] for name, node in told["nodes"].items()}


def test_the_numbers_are_those_of_the_closed_forms(fields: dict[str, dict[str, Any]]) -> None:
    state, motion = fields["state"], fields["motion"]
    assert fields["rydberg_ev"]["output"]["value"] == pytest.approx(RYDBERG_EV, rel=1e-9)
    assert state["energy_ev"] == pytest.approx(-RYDBERG_EV / 4, rel=1e-9)  # E_n = -Ry Z²/n²
    assert state["mean_r"] == 5  # (3n² - l(l+1)) / 2Z
    assert state["radial_nodes"] == 0  # n - l - 1
    assert state["normalisation"] == pytest.approx(1, abs=1e-6)
    [line] = state["transitions"]
    metres = constants.h * constants.c / (0.75 * RYDBERG_EV * constants.e)  # λ = hc / (3/4 Ry): 121.502 nm
    assert (line["to_n"], line["wavelength_nm"]) == (1, pytest.approx(metres * 1e9, rel=1e-8))
    beat_s = constants.h / (0.75 * RYDBERG_EV * constants.e)  # h / ΔE
    assert motion["beat_period_fs"] == pytest.approx(beat_s * 1e15, rel=1e-8)


def test_the_radial_function_is_r_times_an_exponential(reply: dict[str, Any]) -> None:
    with (Path(reply["results"]) / "data" / "radial_function_2d.csv").open() as stream:
        _, *rows = csv.reader(stream)
    r, radial = np.array(rows, dtype=float).T
    # R_21 = r exp(-r/2) / (2 sqrt 6), Bethe and Salpeter (1957), section 3
    assert np.allclose(radial, r * np.exp(-r / 2) / (2 * np.sqrt(6)), atol=1e-10)


def test_the_film_has_its_frames_and_moves(reply: dict[str, Any]) -> None:
    film = Path(reply["results"]) / "animations" / "motion_hydrogen_1s_2p.mp4"
    assert imageio_ffmpeg.count_frames_and_secs(str(film))[0] == 120
    frames = imageio_ffmpeg.read_frames(str(film))
    next(frames)
    first, *_, late = (np.frombuffer(frame, np.uint8).astype(int) for _, frame in zip(range(60), frames, strict=False))
    assert np.abs(first - late).mean() > 0.5  # half a beat later the density lies on the other side


def test_the_report_tells_the_numbers_and_their_provenance(reply: dict[str, Any]) -> None:
    reader = PdfReader(Path(reply["results"]) / "report.pdf")
    text = " ".join(page.extract_text() for page in reader.pages)
    assert reader.metadata is not None and reader.metadata.title == "Hydrogen 2p"
    for expected in ("−3.4014", "121.502", "A Provenance", "gpu was asked for", reply["nodes"][0]["key"][:16]):
        assert expected in text.replace("\n", " ") or expected in text.replace("\n", "")


def test_a_wish_for_a_gpu_falls_back_and_is_told(reply: dict[str, Any]) -> None:
    assert reply["meta"]["device_mix"] == ["cpu"]
    assert "gpu was asked for" in reply["meta"]["fallbacks"]["state"]


def test_the_second_run_computes_nothing_and_gives_the_same(cli: CommandLine, reply: dict[str, Any]) -> None:
    again = cli.json("run", str(EXAMPLE), "--no-server", "--json")
    assert {node["status"] for node in again["nodes"]} == {"cached"}
    assert again["meta"]["cache_hits"] == len(again["nodes"]) == 7
    of_nodes = [
        {path: found for path, found in one["files"].items() if path not in ("run.json", "report.pdf")}
        for one in (reply, again)
    ]
    assert of_nodes[0] == of_nodes[1] and len(of_nodes[0]) > 10


def test_one_changed_parameter_runs_only_what_depends_on_it(cli: CommandLine, reply: dict[str, Any]) -> None:
    changed = cli.folder / "changed.yaml"
    changed.write_text(EXAMPLE.read_text().replace("gamma: 0.6", "gamma: 0.5"))
    plan = cli.json("plan", str(changed), "--json")
    why = {node["id"]: node["why"] for node in plan["nodes"] if node["state"] != "hit"}
    assert list(why) == ["density"] and "gamma: 0.6 → 0.5" in why["density"]


def test_the_server_took_no_part(cli: CommandLine, reply: dict[str, Any]) -> None:
    found = subprocess.run(["pgrep", "-f", str(cli.home)], capture_output=True, text=True, check=False)
    assert found.stdout == ""
