"""Serving a lab's files over HTTP, as far as it is safe where it listens."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from physlab.errors import ConfigurationError, ValidationError
from physlab.lab import Lab
from physlab.service.versions.look import find_version
from physlab.transfer.links import Links
from physlab.transfer.serving import MayServe, blob_app
from physlab.versioning import labels


@dataclass
class Listening:
    """A server that listens already.

    Attributes:
        url: Where.
        server: uvicorn's server.
        socket: What it listens on.
    """

    url: str
    server: Any
    socket: socket.socket

    def run(self) -> None:
        """Serve until somebody stops it."""
        self.server.run(sockets=[self.socket])


def make_link(lab: Lab, name: str, seconds: float) -> str:
    """Return path and query of a link to a file of the lab, which opens for so long.

    Args:
        lab: The lab.
        name: `sha256:…`, or a version by any name that it has.
        seconds: For how long [s].

    Raises:
        ValidationError: The lab has no such file.
    """
    digest = _digest_of(lab, name)
    path = Links(lab.settings.home / "keys").path(digest, seconds)
    if not lab.store.blobs.path(digest).exists():
        raise ValidationError(f"This lab has no file {digest}.", hint="See what a run made: physlab show latest")
    return path


def _digest_of(lab: Lab, name: str) -> str:
    if re.fullmatch(r"(sha256:)?[0-9a-fA-F]{64}", name):
        return name
    version = find_version(lab, name)
    if version.version.content.kind != "file":
        raise ValidationError(
            f"{version.name} is no single file but of the kind {version.version.content.kind}.",
            hint=f"Name one of its files by sha256:…: physlab version show {name}",
        )
    return f"sha256:{version.version.content.sha256}"


def _labels(lab: Lab) -> MayServe:
    """Return what tells why a file may not be served; labels that change meanwhile count at once."""
    return lambda digest: labels.may_leave(lab.store)(digest)


@contextlib.contextmanager
def listen(
    lab: Lab,
    host: str,
    port: int,
    public: bool = False,
    certificate: Path | None = None,
    key: Path | None = None,
    insecure_lan: bool = False,
    may_serve: MayServe | None = None,
) -> Iterator[Listening]:
    """Listen for requests for the files of a lab; beyond this machine over TLS only, unless somebody insists.

    Raises:
        ConfigurationError: It would listen beyond this machine without TLS, or the certificate cannot be used.
    """
    import uvicorn

    secure = certificate is not None
    if not secure and not insecure_lan and not _is_loopback(host):
        raise ConfigurationError(
            f"'{host}' is reached from other machines, and without TLS everybody on the way reads along.",
            hint="Give --cert FILE --key FILE, put a server with TLS in front, or say --insecure-lan.",
        )
    app = blob_app(lab.store, Links(lab.settings.home / "keys"), public=public, may_serve=may_serve or _labels(lab))
    try:
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, lifespan="off",
            ssl_certfile=certificate, ssl_keyfile=key, headers=[("Strict-Transport-Security", "max-age=31536000")]
            if secure else [],
        )  # fmt: skip
        config.load()
    except (OSError, ValueError) as error:  # ssl's errors are OSErrors
        raise ConfigurationError(
            f"The certificate {certificate} cannot be used: {error}.", hint="--cert and --key are PEM files that fit."
        ) from error
    if config.ssl is not None:
        import ssl

        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"Cannot listen on {host} port {port}: {error.strerror or error}.", hint="Take a free one: --port 0"
            ) from error
        opened.listen(128)
        shown = f"[{host}]" if ":" in host else host
        url = f"{'https' if secure else 'http'}://{shown}:{opened.getsockname()[1]}"
        yield Listening(url, uvicorn.Server(config), opened)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
