"""A pilot whose machine is wanted for more urgent work, on a cluster that preempts and takes its time to end jobs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from physlab.testing.slurm import ClusterPlan, SlurmCluster, missing_parts
from tests.system.pilots import NAP, Bench, one, shell

pytestmark = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")

PREEMPTING = (
    "PreemptType=preempt/partition_prio",
    "PreemptMode=CANCEL",
    "PartitionName=urgent Nodes=ALL MaxTime=10 PriorityTier=10 PreemptMode=OFF State=UP",
)
COUNT = """
n=$(cat state.txt 2>/dev/null || echo 0)
trap 'echo $n > state.txt; exit 85' USR1
if [ $n -gt 0 ]; then echo "went on at $n"; exit 0; fi
[ ! -e PLACE/n ] || exit 3
while true; do sleep 0.1; n=$((n+1)); echo $n > PLACE/n; done
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    slow = tmp_path_factory.mktemp("epilog") / "epilog"
    slow.write_text("#!/bin/sh\nsleep 4\n")  # as on many a cluster: health checks between two jobs
    slow.chmod(0o755)
    with SlurmCluster.start(ClusterPlan(nodes=1, extra=(*PREEMPTING, f"Epilog={slow}"))) as cluster:
        yield cluster


def preempt(lab: Bench) -> threading.Thread:
    """Take the machine for a moment once the program has begun to count."""

    def strike() -> None:
        while not (lab.folder / "n").exists():
            time.sleep(0.05)
        lab.cluster.run("sbatch", "-p", "urgent", "-n", "4", "-o", "/dev/null", "--wrap", "sleep 0.1")

    thread = threading.Thread(target=strike, daemon=True)
    thread.start()
    return thread


def test_a_program_saves_where_it_is_when_its_machine_is_wanted(bench: Callable[..., Bench]) -> None:
    lab = bench()
    striker = preempt(lab)
    count = COUNT.replace("PLACE", str(lab.folder))
    record = lab.run([shell("count", count, params={"checkpoint": ["state.txt"]})])
    striker.join(10)
    node = one(record, "count")
    assert (node.status, node.attempts) == ("completed", 2), (node.error, node.history)
    assert "saved where it was" in node.history[0] and "state.txt" in node.history[0]
    assert "went on at" in lab.made(record, "count").fields["stdout"]


def test_one_that_cannot_save_begins_again_and_is_told_why(bench: Callable[..., Bench]) -> None:
    lab = bench()
    striker = preempt(lab)
    first = f"if [ ! -e {lab.folder}/n ]; then touch {lab.folder}/n; sleep {NAP}; fi"
    node = one(lab.run([shell("node", first)]), "node")
    striker.join(10)
    assert (node.status, node.attempts) == ("completed", 2), (node.error, node.history)
    assert "its pilot ended as preempted (PREEMPTED; hpc, job" in node.history[0], node.history
