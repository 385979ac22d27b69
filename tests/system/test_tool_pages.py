"""The pages of the tools: every method has an example, and every example works as it stands there."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from physlab import service
from physlab.lab import Lab
from physlab.model import RunRequest
from physlab.settings import load_settings
from physlab.specfile import parse_spec
from physlab.spelling import read_call
from physlab.tools import Method, load_tools
from physlab.tools.examples import command, examples, read, spell
from tests.unit.tools import service_answers as answers
from tests.unit.tools.services import standing

PAGES = Path(__file__).parents[2] / "docs" / "reference" / "tools"
OF_A_RUN = ("experiment_orchestrator.publish_report", "experiment_orchestrator.collaborate_share", "report_generate")
"""Whose examples are about the latest run."""
METHODS = [method for tool in load_tools().tools.values() for method in tool.methods.values()]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One lab for all, so that its workers are started once; public services are played by this machine."""
    home = tmp_path_factory.mktemp("lab")
    with standing() as stand:
        stand.say("/api/query", answers.atom(answers.entry()))
        stand.say("/api/records/", answers.cern_search(answers.DOUBLE_ELECTRON))
        stand.say("/api/records/30521", answers.cern_record())
        stand.say("/api/v0/invoke", answers.mast([answers.WFPC2]))
        places = {f"web.{name}_url": stand.url for name in ("arxiv", "cern", "mast", "nist_asd", "nist_data")}
        delays = {f"web.{name}_delay_s": 0.0 for name in ("arxiv", "cern", "nasa", "nist")}
        with Lab(load_settings(home, overrides={"home": str(home), **places, **delays}, environ={})) as lab:
            yield lab


def test_every_method_has_an_example() -> None:
    assert examples().keys() == {method.full_name for method in METHODS}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_the_example_on_the_page_works(method: Method, lab: Lab) -> None:
    if "torch" in method.libraries:
        pytest.importorskip("torch", reason="PyTorch is not installed (pip install torch)")
    text = (PAGES / f"{method.tool}.md").read_text(encoding="utf-8")
    [line] = [line for line in text.splitlines() if re.match(rf"physlab call {re.escape(method.full_name)}( |$)", line)]
    params = {key: read(value) for key, _, value in (word.partition("=") for word in shlex.split(line)[3:])}
    assert params == examples()[method.full_name]
    call: dict[str, Any] = {"tool": method.tool, "params": params} | ({"method": method.name} if method.name else {})
    if method.full_name in OF_A_RUN:
        service.run_dag(lab, "plot x^2 from 0 to 1", RunRequest())
    reply = service.answer(lab, read_call(call, lab.vocabulary), PAGES)
    assert reply.error is None, reply.error
    body = reply.as_object()
    json.dumps(body, allow_nan=False)
    promised = {port.name for port in method.returns}
    got = body.keys() - {"artifacts", "meta"}
    assert got and (method.open_returns or got <= promised)
    assert not body.get("meta", {}).get("warnings"), "an example for newcomers does not begin with a warning"


def test_values_are_spelled_so_that_they_come_back() -> None:
    for value in ("x^2", "2", "true", "a b", '"q"', 2, 2.5, True, None, [1, "a"], {"ω": 1}, "", "it's"):
        assert read(spell(value)) == value
        words = shlex.split(command("t", {"k": value}))
        assert read(words[3].partition("=")[2]) == value


GRAPHS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in sorted((PAGES.parents[1] / "notes").glob("*.md"))
    for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
]


@pytest.mark.parametrize("text", GRAPHS)
def test_the_graphs_on_the_pages_run(text: str, lab: Lab) -> None:
    if "surrogate" in text:
        pytest.importorskip("torch", reason="PyTorch is not installed (pip install torch)")
    defined = service.define_dag(lab, spec=parse_spec(text, "page"), base_dir=PAGES)
    reply = service.run_dag(lab, str(defined.body["dag_id"]), RunRequest(), base_dir=PAGES)
    assert reply.error is None, reply.error


def test_notes_belong_to_tools() -> None:
    notes = {path.stem for path in (PAGES.parents[1] / "notes").glob("*.md")}
    assert notes <= load_tools().tools.keys()
