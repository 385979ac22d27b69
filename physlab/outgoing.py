"""The way out: whom the lab asks over HTTP, and whom it never asks, whatever an address says.

A name is looked up once, all that it stands for is judged, and the connection goes to what was judged: a name that
stands for something else a moment later changes nothing. No redirect is followed. Where the environment names a proxy
(`HTTPS_PROXY`), that looks names up and decides.
"""

from __future__ import annotations

import functools
import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

METADATA = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "192.0.0.192", "fd00:ec2::254")))
"""Where clouds tell a machine its secrets, besides the link-local addresses."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Looked(httpx.HTTPTransport):
    """Connects to addresses that were judged.

    Args:
        near: Hosts that may be on this machine or in this network.
    """

    def __init__(self, near: frozenset[str]) -> None:
        super().__init__(verify=trusted())
        self.near = near

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Look a host up, and ask what was found.

        Raises:
            httpx.UnsupportedProtocol: It would be asked in another way than over HTTP.
            httpx.ConnectError: It is not asked, or nobody answers there.
        """
        if request.url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol(f"{request.url.scheme}:// is no protocol that is spoken here")
        host = request.url.raw_host.decode("ascii")
        places = look_up(host, near=host.lower() in self.near)
        for place in places:
            asked = httpx.Request(
                request.method, request.url.copy_with(host=place), headers=request.headers, stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )  # fmt: skip
            try:
                return super().handle_request(asked)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if place == places[-1]:
                    raise
        raise httpx.ConnectError(f"{host} stands for no address")


@functools.cache
def trusted() -> ssl.SSLContext:
    """Return whose certificates are trusted; reading them takes longer than asking."""
    return httpx.create_ssl_context()


def client(*named: str, limit_s: float, headers: Mapping[str, str] | None = None) -> httpx.Client:
    """Return a client that asks what may be asked.

    Args:
        named: Addresses that the owner of the lab named: these hosts may be on this machine or in this network. Any
            other, which somebody else named, must be a public one.
        limit_s: How long it waits for each piece of an answer [s].
        headers: Sent with each request.
    """
    near = frozenset(str(urlsplit(url).hostname).lower() for url in named)
    proxied = any(getproxies().get(urlsplit(url).scheme) and not proxy_bypass(_host(url)) for url in named)
    return httpx.Client(
        transport=None if proxied else Looked(near), verify=trusted(), timeout=limit_s, follow_redirects=False,
        headers={"Accept-Encoding": "identity", **(headers or {})},
    )  # fmt: skip


def read_reply(reply: httpx.Response, most: int, limit_s: float) -> bytes:
    """Return what is answered, when it is neither too long nor too slow.

    Args:
        reply: An answer whose body was not read yet.
        most: Bytes at most.
        limit_s: Time for all of it [s].

    Raises:
        httpx.RemoteProtocolError: It is longer.
        httpx.ReadTimeout: It takes longer.
    """
    end, body = time.monotonic() + limit_s, b""
    for piece in reply.iter_bytes():
        body += piece
        if len(body) > most:
            raise httpx.RemoteProtocolError(f"its answer has more than {most} bytes")
        if time.monotonic() > end:
            raise httpx.ReadTimeout(f"its answer takes longer than {limit_s:g} s")
    return body


def look_up(host: str, *, near: bool) -> list[str]:
    """Return the addresses that a host stands for.

    Args:
        host: Name or address, in whatever spelling.
        near: Whether it may be on this machine or in this network.

    Raises:
        httpx.ConnectError: It stands for none, or for one that is not asked.
    """
    try:
        found = [str(each[4][0]) for each in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise httpx.ConnectError(f"{host} is not known: {error}") from error
    for each in found:
        why = refusal(each, near=near)
        if why:
            raise httpx.ConnectError(f"{host} is not asked: {each} is {why}")
    return list(dict.fromkeys(found))


def refusal(address: str, *, near: bool) -> str:
    """Return why an address is not asked; empty when it is."""
    found = _plain(ipaddress.ip_address(address))
    if found.is_link_local or found in METADATA:
        return "where a machine is told its own secrets"
    if found.is_multicast or found.is_unspecified or (found.is_reserved and not found.is_loopback):
        return "no address of a service"
    if not near and not found.is_global:
        return "an address of this machine or network, which the settings do not name"
    return ""


def _plain(address: _Address) -> _Address:
    """Return the IPv4 address that an IPv6 one carries, where it carries one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
