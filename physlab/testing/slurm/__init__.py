"""A real multi-node Slurm on one machine, for tests: up in seconds, gone without a trace.

It needs only the programs, no systemd, nothing in /etc, and no root:

    with SlurmCluster.start() as cluster:
        cluster.run("sbatch", "--wrap", "hostname")
"""

from physlab.testing.slurm.cluster import SlurmCluster, missing_limits, missing_parts
from physlab.testing.slurm.plan import ClusterPlan

__all__ = ["ClusterPlan", "SlurmCluster", "missing_limits", "missing_parts"]
