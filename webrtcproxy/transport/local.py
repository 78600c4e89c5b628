"""LocalAddresses: our sent-by in Via and Contact: the advertised address, the bound one, or that of the route."""

from __future__ import annotations

import socket

from webrtcproxy.config.addresses import family_of
from webrtcproxy.runtime.bounded import BoundedDict
from webrtcproxy.sip.uri import host_port
from webrtcproxy.transport.flow import Address
from webrtcproxy.transport.source import unmapped

_WILDCARDS = frozenset(("", "0.0.0.0", "::"))  # noqa: S104  # compared with, not bound to
MAX_PEERS = 4096
"""Peers whose route is cached."""


class LocalAddresses:
    """Determines our sent-by towards a peer.

    :param advertise: ``[sip] advertise``, a host; an IP address is used for peers of its family only.
    """

    def __init__(self, advertise: str | None = None) -> None:
        self._advertise = advertise
        self._routes: BoundedDict[str, str] = BoundedDict(MAX_PEERS)

    def sent_by(self, bound: Address, peer: str) -> str:
        """host:port towards the address `peer` for a socket bound to `bound`."""
        peer = unmapped(peer)
        if self._advertise is not None and _may_stand_for(self._advertise, peer):
            return host_port(self._advertise.strip("[]"), bound.port)
        host = bound.host
        if host in _WILDCARDS:
            host = self._route(peer)
        return host_port(unmapped(host), bound.port)

    def _route(self, peer: str) -> str:
        """Our local address on the route to `peer`."""
        host = self._routes.get(peer)
        if host is None:
            host = self._routes[peer] = _own_address(peer)
        return host


def is_wildcard(host: str) -> bool:
    """True for the wildcard addresses, which stand for all addresses of the machine."""
    return host in _WILDCARDS


def _may_stand_for(advertise: str, peer: str) -> bool:
    if ":" in advertise:
        return ":" in peer
    if advertise.replace(".", "").isdigit():
        return ":" not in peer
    return True


def _own_address(peer: str) -> str:
    """Let the kernel look up the route; connecting a UDP socket sends nothing."""
    with socket.socket(family_of(peer), socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((peer, 9))
            address: str = probe.getsockname()[0]
        except OSError:
            return "::1" if ":" in peer else "127.0.0.1"
    return address
