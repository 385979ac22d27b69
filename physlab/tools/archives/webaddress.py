"""Whose address a URL is, and where a redirect may lead."""

from __future__ import annotations

import ipaddress
from urllib.parse import urljoin, urlsplit

from physlab.errors import ResourceError

_SHARED = {"ac", "co", "com", "edu", "gov", "go", "ne", "net", "or", "org"}
"""Second labels that a country registers names below: `physics.ox.ac.uk` belongs to `ox.ac.uk`."""
_USUAL = {"https": 443, "http": 80}


def site_of(url: str) -> str:
    """Return the registrable site of a URL; for an IP address or a bare name that one itself, with its port.

    `export.arxiv.org` and `arxiv.org` are one site, as `cmr.earthdata.nasa.gov` and `pds.nasa.gov` are.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    labels = host.split(".")
    try:
        ipaddress.ip_address(host)
        bare = True
    except ValueError:
        bare = len(labels) == 1
    if bare:
        unusual = parts.port is not None and parts.port != _USUAL.get(parts.scheme)
        return f"{host}:{parts.port}" if unusual else host
    own = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SHARED else 2
    return ".".join(labels[-own:])


def redirected(url: str, location: str) -> str:
    """Return where a redirect leads.

    Raises:
        ResourceError: To another site, to an address with a user in it, or from https to something less.
    """
    target = urljoin(url, location)
    parts = urlsplit(target)
    allowed = {"https", urlsplit(url).scheme}
    if parts.scheme not in allowed or site_of(target) != site_of(url) or parts.username is not None:
        raise ResourceError(
            f"{url} sends us to {target[:200]}, which is refused.",
            hint="Only https and the same site are followed; if the service moved, set its address in [web].",
            details={"url": url, "location": target[:500]},
        )
    return target
