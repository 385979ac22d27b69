"""Pilots whose memory the kernel limits: what runs out of it is given more, whichever process the kernel chose."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from physlab.testing.slurm import ClusterPlan, SlurmCluster, missing_limits
from tests.system.pilots import Bench, one, shell

pytestmark = pytest.mark.skipif(bool(missing_limits()), reason=missing_limits() or "all there")

FILL = "python3 -c 'len(bytearray(650_000_000))'"
BLAME_THE_PILOT = """
p=$$; until ps -o args= -p $p | grep -q [d]ask.worker; do p=$(ps -o ppid= -p $p | tr -d ' '); done
echo 1000 > /proc/$p/oom_score_adj
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with SlurmCluster.start(ClusterPlan(nodes=1, memory_limits=True)) as cluster:
        yield cluster


@pytest.mark.parametrize(
    ("before", "said"), [("", "Its memory ran out."), (BLAME_THE_PILOT, "its pilot ended as out_of_memory")]
)
def test_what_runs_out_of_memory_gets_more(bench: Callable[..., Bench], before: str, said: str) -> None:
    lab = bench(most_memory_gb=3)
    node = one(lab.run([shell("hungry", f"{before}{FILL}")]), "hungry")
    assert node.status == "completed", (node.error, node.history)
    assert said in node.history[0] and "Tried again with" in node.history[0]
    assert node.attempts == 2
