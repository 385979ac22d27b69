"""What Prefect finds of physlab by the entry point `prefect.collections`: block types and worker types."""

from physlab.engine.blocks import ArtifactStore, LocalLab, SlurmSite
from physlab.engine.slurm.worker import SlurmWorker

__all__ = ["ArtifactStore", "LocalLab", "SlurmSite", "SlurmWorker"]
