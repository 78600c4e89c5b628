"""Writes the source address of a request into its top Via (RFC 3261 section 18.2.1, RFC 3581 section 4)."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from twisted.internet.interfaces import IAddress

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.grammar import parse_host
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.uri import SIP_PORT
from webrtcproxy.transport.flow import Address


def stamp_received(request: Request, source: Address) -> int | None:
    """Set `received` and `rport`, replacing the values of the sender.

    A sent-by that is a name is not looked up: it counts as different from the source, as `.invalid` must.

    :param source: the address of the peer at the socket.
    :returns: the port for responses without a connection: the source port if the request has `rport`, or a port that
        or a host that is none, else the port of its sent-by; None if the Via is malformed.
    """
    try:
        via = request.via
        asked = via.rport is not None
        marked = via.with_param("rport", str(source.port)) if asked else via
        if asked or via.param("received") is not None or not same_host(via.host, source.host):
            marked = marked.with_param("received", source.host)
        if marked is not via:
            request.via = marked
    except BadMessage:
        return None
    port = SIP_PORT if via.port is None else via.port
    return (
        source.port if asked or not 0 < port < 65536 or (request.headers.oddities and not _is_host(via.host)) else port
    )


def _is_host(text: str) -> bool:
    try:
        parse_host(text)
    except BadMessage:
        return False
    return True


def same_host(sent_by: str, address: str) -> bool:
    """True if the host of a sent-by, IPv6 in brackets, is this IP address in any spelling."""
    if sent_by == address:
        return True
    if sent_by[:1] != "[":
        return False
    try:
        return ip_address(sent_by.strip("[]")) == ip_address(address)
    except ValueError:
        return False


def unmapped(host: str) -> str:
    """An IPv4-mapped address (``::ffff:192.0.2.1``, on a dual-stack socket) as IPv4; any other unchanged."""
    if host[:7].lower() != "::ffff:":
        return host
    mapped = IPv6Address(host).ipv4_mapped
    return str(mapped) if mapped else host


def address_of(where: IAddress | None) -> Address:
    """The host and port of a Twisted address; both empty for a Unix socket."""
    return Address(unmapped(getattr(where, "host", "")), getattr(where, "port", 0))
