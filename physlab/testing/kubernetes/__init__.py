"""A Kubernetes cluster on one machine, for tests: up in a second, gone without a trace.

A real API to look at, whose pods are processes of this machine:

    with KubernetesCluster.start() as cluster:
        cluster.run("create", "job", "hello", "--image=any", "--", "echo", "hello")

With root, or where users may have their own namespaces, a container has its own process numbers and mounts; its other
files are the machine's, its network is too, and its user. Every image exists and is this machine, unless a test says
otherwise.
"""

from physlab.testing.kubernetes.cluster import KubernetesCluster, kubectl, missing_parts
from physlab.testing.kubernetes.plan import ClusterPlan, NodePlan

__all__ = ["ClusterPlan", "KubernetesCluster", "NodePlan", "kubectl", "missing_parts"]
