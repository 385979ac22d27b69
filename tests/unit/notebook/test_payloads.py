"""`lab_notebook` as the contract and the seed documents spell it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from physlab import service
from physlab.errors import ValidationError
from physlab.notebook import open_book
from physlab.service import Reply
from physlab.service.notebook.people import owned_by
from physlab.spelling import read_call
from tests.unit.conftest import Bench, node, open_lab

SEED = """{
  "tool": "distributed_collaboration",
  "params": {
    "action": "lab_notebook",
    "entry": {
      "title": "Quantum Oscillator Analysis",
      "content": "Analyzed the energy levels of a quantum harmonic oscillator",
      "tools_used": ["cas", "plot", "quantum"],
      "artifacts": ["energy_levels.png", "wavefunctions.svg"],
      "conclusions": "Energy levels follow E_n = (n + 1/2)ℏω"
    },
    "signature": "professor_digital_signature"
  }
}"""
PROFESSOR = "professor_digital_signature"


def answer(bench: Bench, payload: Any) -> Reply:
    return service.answer(bench.lab, read_call(payload, bench.lab.vocabulary), bench.folder)


def call(bench: Bench, **params: Any) -> dict[str, Any]:
    return answer(bench, {"tool": "distributed_collaboration", "method": "lab_notebook", **params}).as_object()


@pytest.fixture
def files(bench: Bench) -> None:
    (bench.folder / "energy_levels.png").write_bytes(b"\x89PNG")
    (bench.folder / "wavefunctions.svg").write_text("<svg/>")


def test_the_seed_word_for_word(bench: Bench, files: None) -> None:
    body = answer(bench, json.loads(SEED)).as_object()
    assert len(body["entry_id"]) == 16 and body["notebook"] == "lab" and body["author"] == PROFESSOR
    assert Path(body["pdf_path"]).read_bytes().startswith(b"%PDF-")
    page = open_book(bench.lab.store, "lab").find(body["entry_id"])
    assert body["meta"]["hash"] == f"sha256:{page.record}" and body["state"] == f"awaits {PROFESSOR}"
    assert page.entry.conclusions == "Energy levels follow E_n = (n + 1/2)ℏω"
    assert [item.name for item in page.entry.attachments] == ["energy_levels.png", "wavefunctions.svg"]
    [tools, unsigned] = body["meta"]["warnings"]
    assert tools == "cas, plot, quantum: said by the author, not in the linked runs"
    assert f"physlab sign init --person {PROFESSOR}" in unsigned
    assert f"physlab notebook sign {body['entry_id']} --person {PROFESSOR} --notebook lab" in unsigned


def test_the_seed_signed_by_the_professor(tmp_path: Path, toy_tools: None) -> None:
    with open_lab(tmp_path, **{"collaboration.passphrase": "correct horse"}) as lab:
        key = owned_by(lab.settings).init(PROFESSOR, "correct horse")
        for name in ("energy_levels.png", "wavefunctions.svg"):
            (tmp_path / name).write_text(name)
        body = answer(Bench(lab, tmp_path), json.loads(SEED)).as_object()
        assert body["state"] == "signed" and len(body["meta"]["warnings"]) == 1
        [signature] = service.show_entry(lab, body["entry_id"])["signatures"]
        assert (signature["signer"], signature["meaning"], signature["key"]) == (PROFESSOR, "author", key.public.id)
        assert signature["known"] and signature["problem"] == ""
        assert service.verify_notebook(lab)["ok"]


def test_missing_files_are_named_all_at_once_and_nothing_is_written(bench: Bench) -> None:
    with pytest.raises(ValidationError, match=r"energy_levels\.png, .*wavefunctions\.svg are not there") as caught:
        answer(bench, json.loads(SEED))
    assert "nothing was written" in caught.value.hint
    assert open_book(bench.lab.store, "lab").records == {} and not list(bench.lab.store.records_of("notebook_entry"))


def test_the_contract(bench: Bench) -> None:
    (bench.folder / "a.csv").write_text("x\n1\n")
    body = call(bench, session_id="physics_lab_2024", title="Levels", notes_md="$E_n$", attach_artifacts=["a.csv"])
    assert body.keys() >= {"entry_id", "pdf_path", "meta"} and body["state"] == "open"
    page = open_book(bench.lab.store, "physics_lab_2024").find(body["entry_id"])
    assert page.entry.content == "$E_n$" and page.entry.sign_as is None
    assert service.list_notebooks(bench.lab) == {"physics_lab_2024": 1}
    named = answer(bench, {"name": "lab_notebook", "arguments": {"title": "x" * 200, "session_id": "other"}})
    assert named.body["notebook"] == "other"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "an entry needs one"),
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "a", "entry": {"title": "b"}}, "both beside and inside"),
        ({"title": "a", "runs": ["latest"]}, "no finished run"),
        ({"title": "a", "unknown": 1}, "unknown"),
        ({"title": "a", "session_id": "../up"}, "session_id"),
        ({"title": "a", "sign_as": "a b"}, "sign_as"),
        ({"title": "a", "attach_artifacts": ["."]}, "not a file"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_written(bench: Bench, params: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        call(bench, **params)
    assert not list(bench.lab.store.records_of("notebook_entry"))


def test_nodes_write_what_came_before_and_the_ledger_says_where_it_is_from(bench: Bench) -> None:
    tool = {"tool": "distributed_collaboration", "action": "lab_notebook"}
    steps = [
        node("give", "give", value={"n": [1, 2]}),
        {"id": "first", **tool, "title": "A value", "artifacts": "from:give.value"},
        {"id": "second", **tool, "title": "The page of it", "attach_artifacts": ["from:first.pdf_path"],
         "tools_used": ["distributed_collaboration", "toy", "quantum"]},
    ]  # fmt: skip
    outcome = bench.run(steps)
    assert set(outcome.statuses.values()) == {"completed"}
    book = open_book(bench.lab.store, "lab")
    first, second = (book.find(outcome.fields(name)["entry_id"]) for name in ("first", "second"))
    [values], [page] = first.entry.attachments, second.entry.attachments
    assert json.loads(bench.lab.store.blobs.read(values.sha256)) == {"n": [1, 2]} and values.name == "results.json"
    assert page.name == f"{first.entry.entry_id}-r1.pdf" and page.record == outcome["first"].record
    [source] = second.entry.sources
    assert (source.node_id, source.run_id) == ("first", outcome.record.run_id)
    assert source.tool == "distributed_collaboration.lab_notebook"
    record = bench.lab.store.record(str(outcome["second"].record))
    assert record["warnings"] == ["toy, quantum: said by the author, not in the linked runs"], "the run goes on"
    assert service.show_entry(bench.lab, second.entry.entry_id)["unlinked_tools"] == ["quantum"], "it has ended now"


def test_a_run_is_linked_by_its_name(bench: Bench) -> None:
    outcome = bench.run([node("give", "give", value=1)])
    body = call(bench, title="It was one", runs=["latest"], tools_used=["toy.give", "toy", "cas"])
    [source] = body["sources"]
    assert source["run_id"] == outcome.record.run_id and source["record"].startswith("sha256:")
    assert bench.lab.store.record(source["record"])["run_id"] == outcome.record.run_id
    assert body["meta"]["warnings"] == ["cas: said by the author, not in the linked runs"]


def test_add_and_export_by_their_other_names(bench: Bench) -> None:
    added = answer(bench, {"tool": "distributed_collaboration", "method": "notebook_add", "title": "One"}).body
    answer(bench, {"tool": "distributed_collaboration", "params": {"action": "notebook_add", "title": "Two"}})
    export = {"tool": "distributed_collaboration", "method": "notebook_export"}
    whole = answer(bench, {**export, "format": "pdf"}).body
    assert whole["entries"] == 2 and Path(whole["path"]).name == "lab.pdf"
    one = answer(bench, {**export, "entry_id": added["entry_id"]}).body
    assert Path(one["path"]).read_bytes().startswith(b"%PDF-") and one["entries"] == 1
    with pytest.raises(ValidationError, match="not written as 'latex'"):
        answer(bench, {**export, "format": "latex"})
    with pytest.raises(ValidationError, match="is empty"):
        answer(bench, {**export, "session_id": "nobody"})


def test_a_page_shows_texts_as_they_are(bench: Bench) -> None:
    body = call(bench, title="<script>alert(1)</script>", notes_md="a < b & <img src='file:///etc/passwd'>")
    assert Path(body["pdf_path"]).read_bytes().startswith(b"%PDF-") and body["meta"]["warnings"] == []
