"""The lab's block types: a configuration that flows and deployments name, kept by the Prefect server.

Prefect finds them through the entry point `prefect.collections`. Blocks stop at the flow: what runs a node gets plain
values.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self, cast

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr

from physlab.engine.results import PlainResults
from physlab.errors import ConfigurationError, nearest
from physlab.model.record import OffloadPolicy
from physlab.settings import Settings, SlurmSiteSettings, load_settings

__all__ = ["ArtifactStore", "LocalLab", "PlainResults", "SlurmSite", "settings_from_block"]


class ArtifactStore(Block):
    """Where a lab keeps bytes, records and their index."""

    _block_type_name = "Artifact Store"
    _block_type_slug = "artifact-store"
    _logo_url = None

    home: str = Field(description="Folder of the lab on the machine that runs the flow.")
    index_url: SecretStr | None = Field(
        None, description="SQLAlchemy URL of the index, with its password; unset: SQLite in the home."
    )

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Describe the store of these settings."""
        url = settings.store.index_url
        return cls(home=str(settings.home), index_url=SecretStr(url) if url else None)


class LocalLab(Block):
    """One lab on one machine: its store, and how graphs run unless a call says otherwise."""

    _block_type_name = "Local Lab"
    _block_type_slug = "local-lab"
    _logo_url = None

    store: ArtifactStore = Field(description="Where results are kept.")
    results: str = Field("results", description="Folder for results with human names.")
    parallelism: int = Field(2, ge=1, le=16, description="Nodes at once, 1 to 16.")
    offload_policy: OffloadPolicy = Field("auto", description="Where nodes go: local_first, remote_first or auto.")
    fail_fast: bool = Field(False, description="Stop the run at the first failed node.")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Describe the lab of these settings."""
        return cls(store=ArtifactStore.of(settings), results=str(settings.results), **settings.run.model_dump())

    def settings(self, cwd: Path | None = None) -> Settings:
        """Return the settings of this lab: what the block says wins over files and environment."""
        index = self.store.index_url
        overrides: dict[str, Any] = {
            "home": self.store.home,
            "results": self.results,
            "store": {"index_url": index.get_secret_value() if index else None},
            "run": self.model_dump(include={"parallelism", "offload_policy", "fail_fast"}),
        }
        return load_settings(cwd, overrides)


class SlurmSite(Block, SlurmSiteSettings):
    """One Slurm cluster: where it is, and what its jobs ask for unless a flow run says otherwise."""

    model_config = ConfigDict(frozen=False, extra="ignore")  # Prefect fills in a block's own names later
    _block_type_name = "Slurm Site"
    _block_type_slug = "slurm-site"
    _logo_url = None

    @classmethod
    def of(cls, site: SlurmSiteSettings) -> Self:
        """Describe the cluster of these settings."""
        return cls(**site.model_dump())


def settings_from_block(name: str, cwd: Path | None = None) -> Settings:
    """Return the settings of a lab saved as a `LocalLab` block.

    Raises:
        ConfigurationError: No such block is saved on this server; the hint lists the saved ones.
    """
    from prefect import get_client

    try:
        lab = LocalLab.load(name, _sync=True)  # type: ignore[call-arg]
    except ValueError as error:
        with get_client(sync_client=True) as client:
            saved = [block.name for block in client.read_block_documents_by_type("local-lab") if block.name]
        hint = nearest(name, saved) if saved else "Save one: python blocks/local_lab.py."
        raise ConfigurationError(f"There is no lab '{name}' on this Prefect server.", hint=hint) from error
    return cast(LocalLab, lab).settings(cwd)
