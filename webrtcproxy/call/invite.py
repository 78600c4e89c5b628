"""The INVITE of a second leg: a dialog of its own, and all of the caller's INVITE that crosses."""

from __future__ import annotations

from webrtcproxy.call.branch import Target
from webrtcproxy.call.pairing import Pair, beginning
from webrtcproxy.call.policy import ALLOW, SUPPORTED, Terms, across
from webrtcproxy.sip.message import Request
from webrtcproxy.transport.flow import Flow


def contact_on(flow: Flow, user: str) -> str:
    """Our Contact value in a dialog whose peer is reached by `flow`.

    :param user: names the call.
    """
    parameter = f";transport={'ws' if flow.browser else 'tcp'}" if flow.reliable else ""
    return f"<sip:{user}@{flow.sent_by}{parameter}>"


def invite_for(source: Request, terms: Terms, target: Target, pair: Pair, contact: str, sdp: bytes) -> Request:
    """The INVITE to `target`.

    :param source: the caller's INVITE.
    :param terms: what holds for the caller.
    :param pair: the request sequence that it is the next one of.
    :param contact: our Contact value.
    :raises Refusal: 483 where `source` has gone far enough.
    """
    headers = beginning(source, pair, to_browser=target.flow.browser)
    headers.add("Contact", contact)
    headers.add("Allow", ALLOW[1])
    headers.add(*SUPPORTED)
    headers.extend(across(source, terms, target.terms))
    for name, value in target.headers:
        headers.add(name, value)
    headers.add("Content-Type", "application/sdp")
    return Request("INVITE", target.uri, headers, sdp)
