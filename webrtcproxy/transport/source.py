"""Writes the source address of a request into its top Via (RFC 3261 section 18.2.1, RFC 3581 section 4)."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from twisted.internet.interfaces import IAddress

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.uri import SIP_PORT
from webrtcproxy.transport.flow import Address


def stamp_received(request: Request, source: Address) -> int | None:
    """Set `received` and `rport`, replacing the values of the sender.

    A sent-by that is a name is not looked up: it counts as different from the source, as `.invalid` must.

    :param source: the address of the peer at the socket.
    :returns: the port for responses without a connection: the source port if the request has `rport`, else the port of
        its sent-by; None if the Via is malformed.
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
    return source.port if asked else via.port or SIP_PORT


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
