"""The clusters that flow runs name: saved as blocks on the Prefect server, or described in `physlab.toml`."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import pydantic
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import ObjectNotFound

from physlab.engine.slurm.cluster import Cluster
from physlab.errors import ConfigurationError
from physlab.settings import Settings, SlurmSiteSettings, load_settings

BLOCK = "slurm-site"


class Clusters:
    """Finds clusters by name, and keeps what was found."""

    def __init__(self) -> None:
        self._known: dict[str, Cluster] = {}

    @cached_property
    def settings(self) -> Settings:
        """The lab of the folder that the worker was started in."""
        return load_settings()

    @property
    def home(self) -> Path:
        """Where jobs get their folders on a cluster without one of its own."""
        return self.settings.home.absolute()

    async def find(self, name: str | None, client: PrefectClient) -> Cluster:
        """Return a cluster.

        Args:
            name: Its name; None for the first in `physlab.toml`, or the one whose commands are at hand.
            client: Asks the server for blocks.

        Raises:
            PhyslabError: There is none of that name, or its block is wrong.
        """
        from physlab.lab import Lab  # every Prefect server that starts imports this module

        lab = Lab(self.settings)
        default, at_hand = lab.cluster()
        block = await _block(name or default, client)
        if block is not None:
            return self._keep(name or default, block)
        if name in (None, default):
            return self._keep(default, at_hand)
        return self._keep(*lab.cluster(name))

    def _keep(self, name: str, site: SlurmSiteSettings) -> Cluster:
        known = self._known.get(name)
        if known is None or known.site != site:
            known = self._known[name] = Cluster(name, site)
        return known


async def _block(name: str, client: PrefectClient) -> SlurmSiteSettings | None:
    try:
        document = await client.read_block_document_by_name(name, BLOCK)
    except ObjectNotFound:
        return None
    try:
        return SlurmSiteSettings.model_validate(document.data)
    except pydantic.ValidationError as error:
        item = error.errors()[0]
        raise ConfigurationError(
            f"The block {BLOCK}/{name} says {'.'.join(map(str, item['loc']))} = {item['input']!r}: {item['msg']}.",
            hint="Correct it in the Prefect UI, or save it again: python blocks/slurm_site.py.",
        ) from error
