"""HttpPeer: the browser at the other end of an HTTP request, with and without web servers in between."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from twisted.web.server import Request

from webrtcproxy.config import Network
from webrtcproxy.config.addresses import ip
from webrtcproxy.transport.source import address_of
from webrtcproxy.transport.wss.handshake import forwarded_for, header_values


class HttpPeer(NamedTuple):
    """The browser that has sent a request.

    :ivar host: its IP address.
    :ivar tls: it has spoken TLS, to the proxy or to a trusted web server in front.
    """

    host: str
    tls: bool

    @property
    def is_private(self) -> bool:
        """Whether nobody on the way could read the request: it came over TLS, or from this machine."""
        address = ip(self.host)
        return self.tls or (address is not None and address.is_loopback)


def peer_of(request: Request, trusted: Collection[Network]) -> HttpPeer:
    """The browser that has sent a request.

    :param trusted: the web servers in front whose X-Forwarded-For and X-Forwarded-Proto count.
    """
    at_socket = address_of(request.getClientAddress()).host
    host = forwarded_for(request.requestHeaders, at_socket, trusted)
    return HttpPeer(host, request.isSecure() or _is_tls_in_front(request, at_socket, trusted))


def _is_tls_in_front(request: Request, at_socket: str, trusted: Collection[Network]) -> bool:
    address = ip(at_socket)
    if address is None or not any(address in network for network in trusted):
        return False
    protocols = header_values(request.requestHeaders, "X-Forwarded-Proto")
    return bool(protocols) and protocols[-1].rpartition(",")[2].strip().lower() in ("https", "wss")
