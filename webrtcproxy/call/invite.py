"""The INVITE of a second leg: a dialog of its own, and all of the caller's INVITE that crosses."""

from __future__ import annotations

from dataclasses import replace

from webrtcproxy.call.branch import Target
from webrtcproxy.call.pairing import Pair
from webrtcproxy.call.policy import ALLOW, SUPPORTED, Terms, across, hops_left
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Headers, Request
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
    caller, callee = source.from_.with_tag(pair.from_tag), source.to
    if target.flow.browser:
        caller, callee = _escaped(caller), _escaped(callee)
    fields = {
        "Max-Forwards": str(hops_left(source) - 1),
        "From": str(caller),
        "To": str(callee),
        "Call-ID": pair.call_id,
        "CSeq": f"{pair.next_cseq()} INVITE",
        "Contact": contact,
        "Allow": ALLOW[1],
        "Supported": SUPPORTED[1],
    }
    headers = Headers.of(list(fields), list(fields.values()))
    headers.extend(across(source, terms, target.terms))
    for name, value in target.headers:
        headers.add(name, value)
    headers.add("Content-Type", "application/sdp")
    return Request("INVITE", target.uri, headers, sdp)


def _escaped(address: NameAddr) -> NameAddr:
    """PBXs write ``#`` into user parts as it is; JsSIP and SIP.js take it escaped only."""
    return replace(address, uri=address.uri.replace("#", "%23")) if "#" in address.uri else address
