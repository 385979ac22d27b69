"""Save the first cluster of this lab as the block `slurm-site/NAME`: python blocks/slurm_site.py."""

from physlab.engine.blocks import SlurmSite
from physlab.engine.server import connected, ensure_server
from physlab.lab import Lab
from physlab.settings import load_settings

settings = load_settings()
name, site = Lab(settings).cluster()
slurm_site = SlurmSite.of(site)

if __name__ == "__main__":
    with connected(ensure_server(settings)):
        slurm_site.save(name, overwrite=True)
