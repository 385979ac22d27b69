"""Serving: with TLS, behind a proxy, or to this machine alone."""

from __future__ import annotations

import contextlib
import errno
import gc
import ipaddress
import socket
import ssl
from collections.abc import Callable

from physlab.collab.commons import FOLDER, SERVED
from physlab.collab.people import People
from physlab.durable import replace_file
from physlab.errors import ConfigurationError
from physlab.lab import Lab
from physlab.service.sharing.commons import commons_of
from physlab.settings import Settings
from physlab.settings.portal import PortalSettings

LAST_PORT = 65_535


def check_listening(settings: PortalSettings) -> None:
    """Refuse to listen where passwords could be read on the way.

    Raises:
        ConfigurationError: The address is not of this machine alone and there is no TLS; or only half of a
            certificate is named.
    """
    if (settings.certificate is None) != (settings.private_key is None):
        raise ConfigurationError(
            "portal.certificate and portal.private_key belong together.", hint="Set both of them, or none."
        )
    if settings.certificate is not None:
        for path in (settings.certificate, settings.private_key):
            if path is None or not path.is_file():
                raise ConfigurationError(f"There is no file '{path}'.", hint="Set portal.certificate and private_key.")
        return
    if is_loopback(settings.host):
        if settings.url and settings.url.startswith("https://") and not settings.behind_proxy:
            raise ConfigurationError(
                f"portal.url is {settings.url}, but nothing here speaks TLS.",
                hint="Set portal.behind_proxy = true for a proxy that does, or portal.certificate.",
            )
        return
    if not settings.insecure_lan:
        raise ConfigurationError(
            f"portal.host = {settings.host} is reached from elsewhere, and there is no certificate.",
            hint="Set portal.certificate and portal.private_key, or put a proxy with TLS before 127.0.0.1; to have "
            "passwords travel readably: --insecure-lan",
        )


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bound(host: str, port: int) -> socket.socket:
    """Return a socket at a port that is free.

    Raises:
        ConfigurationError: It is taken, or this machine has no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except OSError as error:
        made.close()
        free = f"Choose another one: --port {_free_after(host, port)}" if error.errno == errno.EADDRINUSE else ""
        raise ConfigurationError(
            f"Port {port} of {host} cannot be had: {error.strerror or error}.",
            hint=free or "Choose an address of this machine and a port from 1024 on: --host 127.0.0.1 --port 8460",
        ) from error
    made.set_inheritable(True)
    return made


def _free_after(host: str, port: int) -> int:
    """Return the next port that is free now; where none is, one that the machine gives."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in (*range(port + 1, min(port + 100, LAST_PORT + 1)), 0):
        with socket.socket(family) as tried, contextlib.suppress(OSError):
            tried.bind((host, number))
            return int(tried.getsockname()[1])
    return 0


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve a lab until a signal stops it.

    Args:
        settings: The lab's.
        ready: Is told the address once it is served.

    Raises:
        ConfigurationError: Passwords could be read on the way, the port is taken, or the certificate cannot be used.
    """
    import uvicorn

    from physlab.portal.app import make_app

    check_listening(settings.portal)
    with Lab(settings) as lab, commons_of(lab) as commons:
        people = People(commons.database, commons.trail, lab=settings.report.lab)
        commons.contents.catch_up()
        app = make_app(settings, commons, people)
        portal = settings.portal
        config = uvicorn.Config(
            app, host=portal.host, port=portal.port, log_level="warning", access_log=False, server_header=False,
            proxy_headers=portal.behind_proxy, forwarded_allow_ips="127.0.0.1", timeout_graceful_shutdown=5,
            ssl_certfile=portal.certificate, ssl_keyfile=portal.private_key, lifespan="on",
        )  # fmt: skip
        try:
            config.load()
        except (ssl.SSLError, OSError) as error:
            raise ConfigurationError(
                f"The certificate {portal.certificate} cannot be used: {error}.", hint="Give PEM files that fit."
            ) from error
        if config.ssl is not None:
            config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        listening = bound(portal.host, portal.port)
        listening.listen(config.backlog)  # whoever comes before the first answer waits
        served = settings.home / FOLDER / SERVED
        replace_file(served, f"{portal.address}\n".encode(), mode=0o600)
        ready(portal.address)
        gc.collect()
        gc.freeze()  # what is there now stays: looking at it again with every request costs more than the request
        try:
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            served.unlink(missing_ok=True)
            people.close()
