"""Save this lab as the block `local-lab/lab`: python blocks/local_lab.py."""

from physlab.engine.blocks import LocalLab
from physlab.engine.server import connected, ensure_server
from physlab.settings import load_settings

settings = load_settings()
local_lab = LocalLab.of(settings)

if __name__ == "__main__":
    with connected(ensure_server(settings)):
        local_lab.save("lab", overwrite=True)
