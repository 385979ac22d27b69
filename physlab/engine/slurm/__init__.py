"""The Prefect worker `physlab-slurm`: a flow run becomes one Slurm job, whatever happens to either."""
