"""Lineage through registrations and nodes, both ways, and in the formats that others read."""

from __future__ import annotations

import json
import uuid
import xml.etree.ElementTree as ET
from datetime import datetime
from pathlib import Path

import prov.model
import pytest

from physlab.errors import ValidationError
from physlab.keys import digest_bytes
from physlab.versioning.history import find
from physlab.versioning.names import meant
from physlab.versioning.origin import FORMATS, Lineage, downstream, upstream, write_lineage
from physlab.versioning.register import Wish, register
from tests.unit.conftest import Bench, Outcome, node


@pytest.fixture
def story(bench: Bench) -> tuple[Bench, Outcome]:
    """A raw file is read by a node of a run; what the run made goes into a paper, by hand."""
    (bench.folder / "raw.txt").write_text("42")
    (bench.folder / "paper.txt").write_text("see the figure")
    nodes = [node("read", "read", file="raw.txt"), node("draw", "draw", write=["static"]),
             node("again", "give", value="from:read.text")]  # fmt: skip
    outcome = bench.run(nodes)
    figure = digest_bytes(b"static of a toy")
    register(bench.lab.store, Wish(["raw.txt"], code_version="1"), bench.folder)
    register(bench.lab.store, Wish(["paper.txt"], [f"sha256:{figure}"], {"page": 3}, "1"), bench.folder)
    return bench, outcome


def names(lineage: Lineage) -> set[str]:
    return {activity.name for activity in lineage.activities.values()}


def test_the_chain_goes_back_to_the_raw_inputs(story: tuple[Bench, Outcome]) -> None:
    bench, outcome = story
    store = bench.lab.store
    found = upstream(store, digest_bytes(b"see the figure"))
    assert names(found) == {"paper.txt@1", "draw"}
    draw = next(item for item in found.activities.values() if item.name == "draw")
    assert draw.facts["run"] == outcome.record.run_id and draw.facts["code"]["fingerprint"]
    paper = next(item for item in found.activities.values() if item.name == "paper.txt@1")
    assert paper.facts["params"] == {"page": 3} and paper.facts["code"] == {"version": "1"}
    assert (paper.id, f"sha256:{digest_bytes(b'static of a toy')}", "parent") in found.used
    assert [entity.name for entity in upstream(store, digest_bytes(b"42")).raw()] == ["raw.txt"]


def test_what_used_a_file_is_found(story: tuple[Bench, Outcome]) -> None:
    bench, outcome = story
    found, runs = downstream(bench.lab.store, digest_bytes(b"42"))
    assert names(found) == {"read", "again"} and runs == [outcome.record.run_id]
    found, runs = downstream(bench.lab.store, digest_bytes(b"static of a toy"))
    assert names(found) == {"paper.txt@1"} and runs == []
    again = bench.run([node("read", "read", file="raw.txt")])
    assert again.statuses == {"read": "cached"}
    _, runs = downstream(bench.lab.store, digest_bytes(b"42"))
    assert runs == sorted([outcome.record.run_id, again.record.run_id]), "a run that took it from the cache used it too"


def test_names_of_everything(story: tuple[Bench, Outcome]) -> None:
    bench, _ = story
    figure = bench.folder / "figure"
    figure.write_bytes(b"static of a toy")
    for name in ("figure", f"sha256:{digest_bytes(b'static of a toy')}"):
        assert meant(bench.lab.store, name, bench.folder).sha256 == digest_bytes(b"static of a toy")
    (bench.folder / "paper.txt").write_text("changed since")
    paper = meant(bench.lab.store, "paper.txt", bench.folder)
    assert paper.sha256 == digest_bytes(b"see the figure") and "paper.txt here is in no version" in paper.remark
    with pytest.raises(ValidationError, match="Nothing is known"):
        upstream(bench.lab.store, "0" * 64)
    with pytest.raises(ValidationError, match="no version"):
        meant(bench.lab.store, "nothing", bench.folder)


def test_a_circle_of_registrations_ends(bench: Bench) -> None:
    for name, parent in (("a", "b"), ("b", "a")):
        (bench.folder / name).write_text(name)
        (bench.folder / parent).write_text(parent)
        register(bench.lab.store, Wish([name], [parent]), bench.folder)
    known = find(bench.lab.store, "a", bench.folder)
    assert len(upstream(bench.lab.store, known.version.content.sha256).entities) == 2
    assert len(downstream(bench.lab.store, known.version.content.sha256)[0].entities) == 2


def test_others_read_it(story: tuple[Bench, Outcome], tmp_path: Path) -> None:
    bench, _ = story
    found = upstream(bench.lab.store, digest_bytes(b"see the figure"))
    assert sorted(FORMATS) == ["json", "openlineage", "prov", "svg"]
    document = prov.model.ProvDocument.deserialize(content=write_lineage(found, "prov"), format="json")
    entities = {str(item.identifier) for item in document.get_records(prov.model.ProvEntity)}
    assert entities == {"lab:" + name.replace(":", "-") for name in found.entities}
    assert len(list(document.get_records(prov.model.ProvUsage))) == len(found.used)
    assert len(list(document.get_records(prov.model.ProvGeneration))) == len(found.made)
    again = prov.model.ProvDocument.deserialize(content=document.serialize(format="json"), format="json")
    assert again == document
    picture = ET.fromstring(write_lineage(found, "svg"))  # noqa: S314 - our own
    text = " ".join(picture.itertext())
    assert picture.tag.endswith("svg") and "paper.txt" in text and "registration" in text
    paper = next(item for item in found.activities.values() if item.name == "paper.txt@1")
    assert "page=3" in text and f"{paper.at[:16].replace('T', ' ')} UTC · 1" in text
    events = json.loads(write_lineage(found, "openlineage"))
    assert [event["eventType"] for event in events] == ["COMPLETE"] * len(found.activities)
    for event in events:  # the required fields of https://openlineage.io/spec/2-0-2/OpenLineage.json
        assert uuid.UUID(event["run"]["runId"]) and event["job"].keys() == {"namespace", "name"}
        assert datetime.fromisoformat(event["eventTime"]).tzinfo and event["schemaURL"].endswith("RunEvent")
        assert all(item.keys() >= {"namespace", "name"} for item in event["inputs"] + event["outputs"])
    assert json.loads(write_lineage(found, "json")) == json.loads(json.dumps(found.as_object()))


def test_bytes_without_a_version_have_the_name_that_their_node_gave(story: tuple[Bench, Outcome]) -> None:
    bench, _ = story
    figure = digest_bytes(b"static of a toy")
    found = upstream(bench.lab.store, figure)
    assert "sha256" not in found.entities[found.of].name
    texts = list(ET.fromstring(write_lineage(found, "svg")).itertext())  # noqa: S314 - our own
    assert sum(figure[:8] in text for text in texts) == 1, "its digest stands once"
