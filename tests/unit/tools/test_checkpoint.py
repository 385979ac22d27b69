"""Programs that save where they are and go on from there: in slices of time, here as on a cluster."""

from __future__ import annotations

from typing import Any

from tests.unit.conftest import Bench

COUNT = """
n=$(cat state.txt 2>/dev/null || echo 0)
trap 'echo $n > state.txt; exit 85' USR1
while [ $n -lt 30 ]; do sleep 0.1; n=$((n+1)); done
echo $n $PHYSLAB_SEED > out.txt
"""


def sliced(name: str, command: str, **params: Any) -> dict[str, Any]:
    given = {"command": command, "checkpoint": ["state.txt"], **params}
    return {"id": name, "tool": "shell", "params": given, "resources": {"walltime_s": 2}}


def test_a_program_goes_on_where_it_was(bench: Bench) -> None:
    outcome = bench.run([sliced("count", COUNT, outputs=["out.txt"])])
    node = outcome["count"]
    assert node.status == "completed", node.error
    assert 2 <= node.attempts <= 4 and len(node.history) == node.attempts - 1
    assert "saved where it was after 2 s (state.txt)" in node.history[0]
    stored = bench.lab.store.record(str(node.record))
    [made] = [item for item in stored["artifacts"] if item["name"].endswith("out.txt")]
    assert bench.lab.store.blobs.read(made["sha256"]) == b"30 0\n"
    assert bench.run([sliced("count", COUNT, outputs=["out.txt"])])["count"].status == "cached"


def test_one_that_gets_nowhere_is_given_up(bench: Bench) -> None:
    node = bench.run([sliced("stuck", "trap 'echo same > state.txt; exit 85' USR1; while true; do sleep 0.1; done")])[
        "stuck"
    ]
    assert (node.status, node.attempts) == ("failed", 2)
    assert "That is where it began" in node.history[-1]


def test_one_that_saves_nothing_ran_too_long(bench: Bench) -> None:
    node = bench.run([sliced("deaf", "trap '' USR1; while true; do sleep 0.1; done")])["deaf"]
    assert (node.status, node.attempts) == ("failed", 1)
    assert "ran longer than its time limit" in str(node.error)


def test_one_that_ends_well_after_the_signal_has_ended(bench: Bench) -> None:
    node = bench.run([sliced("polite", "trap 'echo x > state.txt; exit 0' USR1; while true; do sleep 0.1; done")])[
        "polite"
    ]
    assert (node.status, node.attempts) == ("completed", 1), node.error
