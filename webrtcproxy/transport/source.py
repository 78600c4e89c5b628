"""The source address of a request, written into its top Via (RFC 3261 section 18.2.1, RFC 3581 section 4)."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from twisted.internet.interfaces import IAddress

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.uri import SIP_PORT
from webrtcproxy.transport.flow import Address


def stamp_received(request: Request, source: Address) -> int | None:
    """Set `received` and `rport`, whatever the sender wrote there.

    A sent-by that is a name is not looked up: it counts as different from the source, as `.invalid` has to.

    :param source: the peer as the socket sees it.
    :returns: the port that responses go to where the transport has no connection: the source port if the request has
        `rport`, else that of its sent-by; None where the Via can't be read.
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
    """True where the host of a sent-by, IPv6 in brackets, is this IP address, in whatever spelling."""
    if sent_by == address:
        return True
    if sent_by[:1] != "[":
        return False
    try:
        return ip_address(sent_by.strip("[]")) == ip_address(address)
    except ValueError:
        return False


def unmapped(host: str) -> str:
    """An IPv4-mapped address (``::ffff:192.0.2.1``, as a dual-stack socket has it) as IPv4; any other as it is."""
    if host[:7].lower() != "::ffff:":
        return host
    mapped = IPv6Address(host).ipv4_mapped
    return str(mapped) if mapped else host


def address_of(where: IAddress | None) -> Address:
    """The host and port of an address of Twisted; a Unix socket has neither."""
    return Address(unmapped(getattr(where, "host", "")), getattr(where, "port", 0))
