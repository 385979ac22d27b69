"""Which site a node runs on, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from physlab.errors import ConfigurationError, nearest
from physlab.model import Node
from physlab.model.record import OffloadPolicy
from physlab.sites import Site
from physlab.sites.kubernetes.launching import no_server

HEAVY_S = 60.0
"""A node that is expected to take longer is worth the way to a cluster [s]."""


def place(
    node: Node,
    sites: Sequence[Site],
    policy: OffloadPolicy,
    expected_s: float | None = None,
    able: Sequence[str] = (),
) -> tuple[Site, str]:
    """Choose a site for a node.

    Args:
        node: The node.
        sites: The sites of the lab; the first is this machine.
        policy: `local_first` leaves this machine only for what does not fit, `remote_first` comes here only when
            nothing else fits, `auto` takes the best fit and spares this machine what takes long, unless the queue is
            longer still. Not asked where the node names one of the sites.
        expected_s: How long the node will take, as far as earlier runs tell [s].
        able: Kinds of accelerator that the node can use: it goes where there is one.

    Returns:
        The site and the reason, for people.
    """
    wanted = node.resources.site if node.resources else None
    for site in sites if wanted else ():
        if site.name == wanted:
            return site, "the node asks for it"
    local, *remote = sites
    if not remote:
        fit = local.affinity(node)
        return local, fit.reason if policy != "remote_first" else f"{fit.reason}; no other site is configured"
    if able and (found := _accelerated(node, sites, policy, able)):
        return found
    scored = [(site, site.affinity(node)) for site in sites]
    best, fit = max(scored, key=lambda item: item[1].score)
    here = scored[0][1]
    if policy == "local_first" and here.score >= 0.5:
        return local, f"local_first: {here.reason}"
    if policy == "remote_first":
        away, away_fit = max(scored[1:], key=lambda item: item[1].score)
        if away_fit.score > 0:
            return away, f"remote_first: {away_fit.reason}"
    if policy == "auto" and best is local and expected_s is not None and expected_s > HEAVY_S:
        away, away_fit = max(scored[1:], key=lambda item: item[1].score)
        if away_fit.score > 0:
            return _spare(local, away, node, expected_s)
    return best, fit.reason


def require_sites(
    nodes: Mapping[str, Node], sites: Sequence[Site], known: Sequence[str], without_server: Collection[str]
) -> None:
    """Raise when a node asks for a site that cannot run it.

    Args:
        nodes: The nodes of a run that may go anywhere.
        sites: The clusters that it may use.
        known: The names of all sites, this machine first.
        without_server: Sites that are left out only because there is no Prefect server.

    Raises:
        ConfigurationError: It is not there, or the node does not fit.
    """
    there = {site.name: site for site in sites}
    for name, node in nodes.items():
        wanted = node.resources.site if node.resources else None
        if wanted is None or wanted == known[0]:
            continue
        if wanted not in there:
            if wanted in without_server:
                raise no_server(wanted)
            raise ConfigurationError(
                f"The node '{name}' asks for the site '{wanted}', which this lab does not have.",
                hint=f"{nearest(wanted, known)} Or run all of it here: --site local.",
            )
        if (fit := there[wanted].affinity(node)).score == 0:
            raise ConfigurationError(
                f"The node '{name}' asks for the site '{wanted}', but {fit.reason}.",
                hint="Ask for less, or for another site; all of them: physlab sites.",
            )


def _accelerated(
    node: Node, sites: Sequence[Site], policy: OffloadPolicy, able: Sequence[str]
) -> tuple[Site, str] | None:
    """Return a site with an accelerator for a node that can use one which this machine has not."""
    local, *remote = sites
    stays = node.device == "cpu" or (node.device == "auto" and policy == "local_first")
    if stays or set(able) & set(local.capacity().accelerators):
        return None
    for site in remote:
        there = [kind for kind in able if kind in site.capacity().accelerators]
        if there and site.affinity(node).score > 0:
            return site, f"it can use {there[0]}, which {site.name} has and this machine has not"
    return None


def _spare(local: Site, away: Site, node: Node, expected_s: float) -> tuple[Site, str]:
    """Send a node away that takes long here, unless it would wait for longer still."""
    took, wait_s = f"it took {_spelled(expected_s)} before", away.wait_s(node)
    if wait_s > expected_s:
        return local, f"{took}, but on {away.name} it would wait for {_spelled(wait_s)}"
    return away, f"{took}: {away.name} spares this machine that"


def _spelled(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"
