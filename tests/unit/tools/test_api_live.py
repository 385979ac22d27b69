"""The real services: `pytest -m live tests/unit/tools/test_api_live.py`, where there is a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from physlab.model import Visuals
from physlab.tools import load_tools
from physlab.tools.call import call_method
from physlab.tools.context import Context

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    home: Path = tmp_path_factory.mktemp("home")  # one for all, so that the delays between requests hold

    def ask(api: str, **params: Any) -> dict[str, Any]:
        none = Visuals(static=False, series=False, animation=False)
        context = Context(lambda: tmp_path_factory.mktemp("call"), none, home=home, time_limit_s=120)
        return call_method(load_tools().find("api_tools", api), params, context)

    return ask


def test_arxiv(ask: Any) -> None:
    reply = ask("arxiv", query="ti:LIGO AND abs:GW150914", max_results=3)
    assert reply["returned"] == 3 < reply["total_found"]
    assert all(paper["id"] and paper["authors"] for paper in reply["papers"])


def test_cern(ask: Any) -> None:
    reply = ask("cern", experiment="CMS", data_type="NanoAOD", year=2016, max_results=1, max_files=2)
    [dataset] = reply["datasets"]
    assert dataset["experiment"] == ["CMS"] and dataset["files"][0]["checksum"].startswith("adler32:")


def test_astronomy(ask: Any) -> None:
    cone = {"ra": 83.63308, "dec": 22.0145, "radius": 3}  # the Crab nebula
    reply = ask("nasa", dataset_type="astronomy", mission="HST", coordinates=cone, max_results=5)
    assert reply["returned"] == 5 and all(row["separation_arcmin"] < 10 for row in reply["datasets"])


@pytest.mark.parametrize(("kind", "mission"), [("earth", "Terra"), ("planetary", "Cassini"), ("heliophysics", "ACE")])
def test_nasa(ask: Any, kind: str, mission: str) -> None:
    reply = ask("nasa", dataset_type=kind, mission=mission, max_results=3)
    assert reply["total_found"] > 0 and all(row["title"] for row in reply["datasets"])


def test_atomic(ask: Any) -> None:
    lines = ask("nist", data_type="atomic", element="H I", wavelength_min=655, wavelength_max=657)["data"]
    assert any(line["wavelength_air_nm"] == pytest.approx(656.28, abs=0.005) for line in lines)
    levels = ask("nist", data_type="atomic", element="H I", property="levels")
    assert levels["ionization_energy_eV"] == pytest.approx(13.5984346, abs=1e-6)


def test_reference(ask: Any) -> None:
    assert ask("nist", data_type="reference", property="thermocouple")["returned"] > 0
