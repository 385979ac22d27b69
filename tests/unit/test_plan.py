"""What runs again after a change, what does not, and what is said about it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from physlab import device
from physlab.errors import ResourceError
from physlab.model import NodeRecord
from physlab.planning import explain_miss
from physlab.store import schema
from physlab.tools.fingerprint import code_identity
from tests.unit.conftest import Bench, node, open_lab

CHAIN = [
    node("a", "give", value=2.5),
    node("b", "whole", x="from:a.value"),
    node("c", "add", a="from:b.whole"),
    node("d", "add", a="from:c.sum", b=1),
    node("other", "give", value="x"),
]


def why(bench: Bench, nodes: Any, name: str, refresh: Any = False) -> str:
    plan = bench.plan(nodes, refresh)
    found = bench.lab.store.index.entries(schema.nodes.c.node_id == name, limit=1)
    before = NodeRecord.model_validate(bench.lab.store.record(found[0].record)) if found else None
    return explain_miss(plan, plan.nodes[name], before, code_identity(plan.nodes[name].checked.method))


def changed(nodes: list[Any], name: str, **params: Any) -> list[Any]:
    return [{**item, "params": {**item["params"], **params}} if item["id"] == name else item for item in nodes]


def test_first_all_is_missing_then_all_is_there(bench: Bench) -> None:
    assert bench.states(CHAIN) == {"a": "miss", "other": "miss", "b": "pending", "c": "pending", "d": "pending"}
    assert bench.plan(CHAIN).nodes["d"].waits_for == ("c",)
    assert why(bench, CHAIN, "a") == "never run before"
    assert why(bench, CHAIN, "d") == "waits for c"
    first = bench.run(CHAIN)
    assert set(first.statuses.values()) == {"completed"}
    assert set(bench.states(CHAIN).values()) == {"hit"}
    second = bench.run(CHAIN)
    assert set(second.statuses.values()) == {"cached"}
    assert second.record.meta["cache_hits"] == 5
    assert [node.key for node in second.record.nodes] == [node.key for node in first.record.nodes]


def test_a_plan_writes_nothing(bench: Bench) -> None:
    bench.run(CHAIN)
    end = bench.lab.store.journal.end()
    bench.plan(changed(CHAIN, "a", value=7))
    assert bench.lab.store.journal.end() == end


def test_a_changed_parameter_reruns_only_what_depends_on_it(bench: Bench) -> None:
    bench.run(CHAIN)
    later = changed(CHAIN, "d", b=3)
    assert bench.states(later) == {"a": "hit", "b": "hit", "c": "hit", "d": "miss", "other": "hit"}
    assert why(bench, later, "d") == "b: 1 → 3"
    early = changed(CHAIN, "a", value=9.5)
    assert bench.states(early) == {"a": "miss", "b": "pending", "c": "pending", "d": "pending", "other": "hit"}
    assert why(bench, early, "a") == "value: 2.5 → 9.5"
    assert bench.run(early).statuses == {**dict.fromkeys("abcd", "completed"), "other": "cached"}
    assert set(bench.states(CHAIN).values()) == {"hit"}, "the old results are still there"


def test_names_and_order_do_not_count(bench: Bench) -> None:
    bench.run(CHAIN)
    renamed = [{**node("z", "whole", x="from:y.value")}, {**node("y", "give", value=2.5)}]
    assert set(bench.states(renamed).values()) == {"hit"}
    bench.run([node("n", "add", a=3, b=1)])
    assert bench.states([node("m", "add", b=1.0, a=3.0)]) == {"m": "hit"}


def test_the_order_of_keys_does_not_count_and_references_keep_their_places(bench: Bench) -> None:
    ends = [node("low", "give", value=1), node("high", "give", value=5)]
    one = bench.run([*ends, node("sum", "add", b="from:high.value", a="from:low.value")])
    other = [*ends, node("sum", "add", a="from:low.value", b="from:high.value")]
    assert set(bench.states(other).values()) == {"hit"}
    record = bench.lab.store.record(str(one["sum"].record))
    assert NodeRecord.model_validate(record).written == {"a": "from:low.value", "b": "from:high.value"}
    swapped = [*ends, node("sum", "add", a="from:high.value", b="from:low.value")]
    assert why(bench, swapped, "sum") == (
        "input a (from:high.value) has other content; input b (from:low.value) has other content"
    )
    assert why(bench, [*ends, node("sum", "add", a="from:low.value", b=5)], "sum") == "b: what another node gives → 5"


def test_many_references_keep_their_places(bench: Bench) -> None:
    """Of twelve, the tenth sorts before the second."""
    many = [f"from:n{number}.value" for number in range(12)]
    nodes = [node(f"n{number}", "give", value=100 + number) for number in range(12)]
    done = bench.run([*nodes, node("all", "give", value={"z": many, "a": "from:n3.value"})])
    assert done.fields("all")["value"] == {"z": [100 + number for number in range(12)], "a": 103}
    record = bench.lab.store.record(str(done["all"].record))
    assert NodeRecord.model_validate(record).written == {"value": {"z": many, "a": "from:n3.value"}}


def test_equal_content_stops_a_change(bench: Bench) -> None:
    bench.run(CHAIN)
    almost = changed(CHAIN, "a", value=2.7)
    outcome = bench.run(almost)
    assert outcome.statuses == {"a": "completed", "b": "completed", "c": "cached", "d": "cached", "other": "cached"}
    assert outcome.fields("b")["rest"] == pytest.approx(0.7)
    again = bench.plan(almost)
    assert again.count("hit") == 5, "the second time the plan sees it"


def test_each_field_counts_for_itself(bench: Bench) -> None:
    nodes = [*CHAIN, node("rest", "add", a="from:b.rest")]
    bench.run(nodes)
    outcome = bench.run(changed(nodes, "a", value=2.75))
    assert (outcome["c"].status, outcome["rest"].status) == ("cached", "completed")
    assert why(bench, changed(nodes, "a", value=2.25), "rest") == "waits for b"


def test_an_input_with_other_content_is_named(bench: Bench) -> None:
    bench.run([node("a", "give", value=1), node("b", "add", a="from:a.value")])
    bench.run([node("a", "give", value=5)])
    assert why(bench, [node("a", "give", value=5), node("b", "add", a="from:a.value")], "b") == (
        "input a (from:a.value) has other content"
    )


def test_a_long_chain_of_equal_contents_is_walked_and_planned(bench: Bench) -> None:
    size = 1500
    nodes = [node("n0", "whole", x=1.25), *(node(f"n{i}", "whole", x=f"from:n{i - 1}.whole") for i in range(1, size))]
    bench.run(nodes)
    outcome = bench.run(changed(nodes, "n0", x=1.5))
    assert outcome.record.meta["computed"] == 1 and outcome.record.meta["cache_hits"] == size - 1
    assert bench.plan(changed(nodes, "n0", x=1.5)).count("hit") == size


def test_refresh_runs_again(bench: Bench) -> None:
    bench.run(CHAIN)
    assert set(bench.run(CHAIN, refresh=True).statuses.values()) == {"completed"}
    assert why(bench, CHAIN, "a", refresh=True) == "asked to run again"
    outcome = bench.run(CHAIN, refresh=("b",))
    assert outcome.statuses == {"a": "cached", "b": "completed", "c": "cached", "d": "cached", "other": "cached"}
    with pytest.raises(ValueError, match="refresh names 'bb'"):
        bench.run(CHAIN, refresh=("bb",))


def test_an_uncached_node_runs_each_time_and_its_like_too(bench: Bench, tmp_path: Path) -> None:
    counter = tmp_path / "count"
    nodes = [
        node(name, "count", counter=str(counter), extra={"cache": False}) for name in ("a", "b")
    ] + [node("c", "give", value="from:a.x")]  # fmt: skip
    assert bench.run(nodes).statuses == {"a": "completed", "b": "completed", "c": "completed"}
    assert bench.run(nodes).statuses == {"a": "completed", "b": "completed", "c": "cached"}
    assert counter.stat().st_size == 4
    assert why(bench, nodes, "a") == "never cached (cache: false)"


def test_identical_nodes_run_once(bench: Bench, tmp_path: Path) -> None:
    counter = tmp_path / "count"
    wide = [node(f"n{i}", "count", counter=str(counter)) for i in range(6)]
    late = node("late", "count", needs=("n0",), counter=str(counter))
    outcome = bench.run([*wide, late], parallelism=4)
    assert counter.stat().st_size == 1
    assert sorted(outcome.statuses.values()) == ["cached"] * 6 + ["completed"]
    assert len({outcome.record.nodes[i].record for i in range(7)}) == 1
    bench.run([*wide, late], refresh=True)
    assert counter.stat().st_size == 2


def test_order_alone_orders_and_does_not_enter_the_key(bench: Bench) -> None:
    nodes = [node("a", "give", value=1), node("b", "give", needs=("a",), value=2)]
    outcome = bench.run(nodes)
    started = [event.node_id for event in outcome.events if event.status == "running"]
    assert started == ["a", "b"]
    assert bench.states([node("b", "give", value=2)]) == {"b": "hit"}
    assert bench.states(changed(nodes, "a", value=9)) == {"a": "miss", "b": "hit"}


def test_files_count_by_their_content(bench: Bench) -> None:
    data = bench.folder / "data.txt"
    data.write_text("one")
    nodes = [node("a", "read", file="data.txt"), node("b", "give", value="from:a.text")]
    assert bench.run(nodes).fields("b") == {"value": "one"}
    os.utime(data, (1e9, 1e9))
    assert set(bench.states(nodes).values()) == {"hit"}
    data.rename(bench.folder / "renamed.txt")
    assert set(bench.states(changed(nodes, "a", file="renamed.txt")).values()) == {"hit"}
    data.write_text("two")
    os.utime(data, (1e9, 1e9))
    assert bench.states(nodes) == {"a": "miss", "b": "pending"}
    assert why(bench, nodes, "a") == "file: the file has other content"
    assert bench.run(nodes).fields("b") == {"value": "two"}


@pytest.mark.parametrize("gone", [True, False])
def test_lost_or_damaged_bytes_are_made_anew(bench: Bench, gone: bool) -> None:
    nodes = [node("a", "array", n=1000), node("b", "array", numbers="from:a.array")]
    first = bench.run(nodes)
    blob = bench.lab.store.blobs.path(first.fields("a")["array"]["$array"]["sha256"])
    blob.chmod(0o644)
    if gone:
        blob.unlink()
    else:
        blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    assert bench.states(nodes) == {"a": "miss", "b": "pending"}
    assert why(bench, nodes, "a") == "its stored result is gone or was removed"
    outcome = bench.run(nodes)
    assert outcome.statuses == {"a": "completed", "b": "cached"}
    assert list(bench.lab.store.verify()) == []


def test_a_retracted_result_is_made_anew(bench: Bench) -> None:
    first = bench.run(CHAIN)
    bench.lab.store.append("retract", {"kind": "retract", "key": first["b"].key})
    assert bench.states(CHAIN) == {"a": "hit", "b": "miss", "c": "pending", "d": "pending", "other": "hit"}
    assert bench.run(CHAIN).statuses == {"b": "completed", **dict.fromkeys(("a", "c", "d", "other"), "cached")}


def test_other_ingredients_are_named(bench: Bench) -> None:
    plain = [node("a", "draw", extra={"visual_outputs": {"static": False}}, write=["series"])]
    bench.run(plain)
    seeded = [{**plain[0], "seed": 7}]
    assert why(bench, seeded, "a") == "seed: 0 → 7"
    assert why(bench, [{**plain[0], "visual_outputs": {"series": True, "static": False}}], "a") == (
        "other visual outputs are declared"
    )
    assert bench.states([{**plain[0], "device": "gpu"}]) == {"a": "hit"}, "it ran on the CPU either way"
    assert bench.plan([{**plain[0], "device": "gpu"}]).nodes["a"].fallback


def test_the_lab_says_which_devices_are_used(tmp_path: Path, toy_tools: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def devices(found: tuple[str, ...], **settings: Any) -> list[str]:
        monkeypatch.setattr(device, "accelerators", lambda: found)
        with open_lab(tmp_path, device=settings) as lab:
            nodes = [node("a", "lift"), node("b", "lift", extra={"device": "cpu"}), node("c", "give")]
            checked = lab.check(lab.read(nodes, tmp_path))
            return [planned.device for planned in lab.plan(checked).nodes.values()]

    assert devices(("cuda",)) == ["cuda", "cpu", "cpu"]
    assert devices(("cuda",), mode="cpu") == ["cpu", "cpu", "cpu"]
    assert devices(("cuda",), preference=["cpu", "cuda"]) == ["cpu", "cpu", "cpu"]
    assert devices(("cuda",), mode="gpu", preference=["cpu", "cuda"]) == ["cuda", "cpu", "cpu"]
    assert devices(("cuda",), preference=["hip", "cpu"]) == ["cpu", "cpu", "cpu"]
    with pytest.raises(ResourceError, match=r"toy\.lift could use cuda or cpu: .*it has: none"):
        devices((), mode="gpu")


def test_units_enter_the_key(bench: Bench) -> None:
    """The same digits in another unit are another input."""
    metres = [node("s", "energy", x=3), node("m", "measure", length="from:s.width")]
    kilometres = [node("s", "width", x=3), node("m", "measure", length="from:s.width")]
    assert bench.run(metres).fields("m") == {"metres": 3.0, "square": 9.0}
    assert bench.run(kilometres).fields("m") == {"metres": 3000.0, "square": 9e6}
    assert bench.run(metres)["m"].status == "cached"
    assert bench.run([node("m", "measure", length="3 km")]).fields("m")["metres"] == 3000.0
    assert bench.run([node("m", "measure", length={"value": 3, "unit": "cm"})]).fields("m")["metres"] == 0.03


def test_code_that_changed_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run(CHAIN)
    now = {"fingerprint": "new", "physlab": "9.9"}
    monkeypatch.setattr("physlab.lab.code_digest", lambda method: "new")
    plan = bench.plan(CHAIN)
    found = bench.lab.store.index.entries(schema.nodes.c.node_id == "a", limit=1)
    before = NodeRecord.model_validate(bench.lab.store.record(found[0].record))
    said = explain_miss(plan, plan.nodes["a"], before, now)
    assert said.startswith("the tool's code changed; physlab: ")
