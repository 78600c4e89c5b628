"""Builds the INVITE of the second leg from the caller's: a new dialog, and the headers that cross."""

from __future__ import annotations

from webrtcproxy.dialog.connected_identity import supported_with, takes_from_change
from webrtcproxy.invite.target import Target
from webrtcproxy.routing.peer_profile import PeerProfile, filter_headers
from webrtcproxy.routing.sequence import RequestSequence, initial_headers
from webrtcproxy.sip.capabilities import ALLOW, SUPPORTED, SUPPORTED_WITHIN
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.replaces import replaces_headers
from webrtcproxy.transport.flow import Flow


def contact_on(flow: Flow, user: str, secure: bool = False) -> str:
    """The proxy's Contact value in a dialog whose peer is reached over `flow`.

    :param user: identifies the call.
    :param secure: whether the dialog began with a ``sips:`` Request-URI (RFC 3261 section 12.1.1).
    """
    scheme = "sips" if secure else "sip"
    transport = flow.via_transport.lower()
    if transport == "wss":  # in a URI it is ``ws`` for TLS, too (RFC 7118 section 5.2)
        transport = "ws"
    parameter = f";transport={transport}" if flow.reliable else ""
    return f"<{scheme}:{user}@{flow.sent_by}{parameter}>"


def invite_for(
    source: Request,
    profile: PeerProfile,
    target: Target,
    sequence: RequestSequence,
    contact: str,
    sdp: bytes,
    reliable: bool,
) -> Request:
    """The INVITE to `target`.

    :param source: the caller's INVITE.
    :param profile: the profile of the caller.
    :param sequence: the request sequence that it belongs to.
    :param contact: the proxy's Contact value.
    :param sdp: the offer; empty where the callee is to make one.
    :param reliable: whether to support reliable responses. An offer in one has to be answered in the PRACK, which the
        proxy can only do where the caller supports them, too.
    :raises Refusal: 483 where Max-Forwards of `source` is exhausted.
    """
    headers = initial_headers(source, sequence, target.profile, target.caller_id, profile.trunk)
    headers.add("Contact", contact)
    headers.add("Allow", ALLOW[1])
    headers.add(*supported_with(SUPPORTED if reliable else SUPPORTED_WITHIN, takes_from_change(source.headers)))
    headers.extend(filter_headers(source, profile, target.profile))
    target.caller_id.assert_identity(headers)
    for route in target.route_set:
        headers.add("Route", route)
    for name, value in replaces_headers(source, target.replaces):
        headers.add(name, value)
    if sdp:
        headers.add("Content-Type", "application/sdp")
    return Request("INVITE", target.uri, headers, sdp)
