"""Slurm: batch scripts, and the commands that submit, watch and cancel them."""

from physlab.sites.slurm.client import SlurmClient
from physlab.sites.slurm.script import batch_script

__all__ = ["SlurmClient", "batch_script"]
