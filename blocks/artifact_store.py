"""Save this lab's store as the block `artifact-store/lab`: python blocks/artifact_store.py."""

from physlab.engine.blocks import ArtifactStore
from physlab.engine.server import connected, ensure_server
from physlab.settings import load_settings

settings = load_settings()
artifact_store = ArtifactStore.of(settings)

if __name__ == "__main__":
    with connected(ensure_server(settings)):
        artifact_store.save("lab", overwrite=True)
