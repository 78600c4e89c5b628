"""Relay: sends a request that arrived within one dialog of a call along the other, and relays the response.

The functions for the headers that cross also serve requests outside of dialogs (`subscription/`).
"""

from __future__ import annotations

from collections.abc import Callable

from webrtcproxy.dialog.background import run_and_respond
from webrtcproxy.dialog.extensions import carry_extensions
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.routing.caller_id import assert_within_dialog
from webrtcproxy.routing.header_policy import ASSERTED_IDENTITY
from webrtcproxy.routing.peer_profile import PeerProfile, contacts_of, content_type_of, filter_headers
from webrtcproxy.runtime.errors import FlowLost, Refusal, TimedOut
from webrtcproxy.runtime.schedule import Schedule
from webrtcproxy.sip.body import crossing_body, has_description
from webrtcproxy.sip.message import Headers, Message, Request, Response
from webrtcproxy.transaction.deadline import NON_INVITE_DEADLINE, Deadline
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import MAX_DATAGRAM_REQUEST, Flow

__all__ = [
    "ENDS_DIALOG",
    "NON_INVITE_DEADLINE",
    "NOT_OURS",
    "check_size",
    "crossing_body",
    "relay",
    "request_headers",
    "response_headers",
    "send_within",
    "status_of",
]

ENDS_DIALOG = frozenset({408, 481})
"""Responses to an in-dialog request of any method that end the dialog (RFC 3261 section 12.2.1.2, RFC 5057)."""

_NO_PACKAGE = (("Recv-Info", ""),)

NOT_OURS = frozenset({422, 503})
"""Responses that are never relayed, since on the other leg they would claim that the proxy is out of service (RFC 3261
section 16.7 step 6) or that the session interval of that leg is too small. They become 500."""


def relay(
    transaction: ServerTransaction, leg: Leg, to: Leg, schedule: Schedule, dialog_terminated: Callable[[Leg], None]
) -> None:
    """Send the request of `transaction` along the leg `to`, and answer it with the response.

    :param leg: the leg on which it arrived.
    :param schedule: limits the wait.
    :param dialog_terminated: called with `to` where its peer has no such dialog any more (RFC 5057) or does not
        respond.
    """
    run_and_respond(_relay(transaction, leg, to, schedule, dialog_terminated), transaction)


async def _relay(
    transaction: ServerTransaction, leg: Leg, to: Leg, schedule: Schedule, dialog_terminated: Callable[[Leg], None]
) -> None:
    request = transaction.request
    check_size(request, to.flow, to.profile)
    try:
        with Deadline(schedule) as deadline:
            headers = request_headers(request, leg.profile, to.profile)
            if request.headers.has_any(ASSERTED_IDENTITY) or headers.has_any(ASSERTED_IDENTITY):
                assert_within_dialog(headers, request.headers, request.headers.get("From") or "", leg.caller, to.trunk)
            response = await send_within(to, request, headers, deadline)
    except FlowLost as why:
        raise to.profile.unreachable() from why
    except TimedOut:
        transaction.reply(504)
        dialog_terminated(to)
        return
    headers = response_headers(response, to.profile, leg.profile)
    if response.headers.has_any(ASSERTED_IDENTITY):
        assert_within_dialog(headers, response.headers, response.headers.get("To") or "", to.caller, leg.trunk)
    if response.status < 300 and request.method == "SUBSCRIBE":  # whose 2xx must have one (RFC 6665 section 8.2.1)
        headers.add("Contact", leg.dialog.contact)
    # That one early dialog is gone says nothing of the one across, which others of a fork share (RFC 5057).
    status = 500 if not to.dialog.confirmed and response.status == 481 else status_of(response)
    transaction.reply(status, response.reason, headers, crossing_body(response))
    if response.status in ENDS_DIALOG:
        dialog_terminated(to)


async def send_within(to: Leg, request: Request, headers: Headers, deadline: Deadline) -> Response:
    """Send a request like `request` along the leg `to`, and return the final response.

    :param headers: the headers that cross.
    :raises FlowLost: the peer can't be reached.
    :raises TimedOut: the peer does not respond.
    :raises Refusal: the peer's host name can't be resolved.
    """
    return await deadline.wait(to.send_request(request.method, headers, crossing_body(request)))


def check_size(request: Request, flow: Flow, profile: PeerProfile) -> None:
    """Check that a MESSAGE is small enough for UDP, where a longer one would be fragmented, and cause congestion (RFC
    3428 section 8).

    :param request: the request without Via.
    :param flow: the flow that it is sent on.
    :param profile: the profile of the peer there.
    :raises Refusal: 513 where it is too large.
    """
    if (
        request.method == "MESSAGE"
        and not flow.reliable
        and not (profile.trunk is not None and profile.trunk.tcp_over_mtu)
    ):
        via = 100  # octets of the Via to be added
        if len(request.to_bytes()) + via > MAX_DATAGRAM_REQUEST:
            raise Refusal(513)


def request_headers(request: Request, source: PeerProfile, target: PeerProfile) -> Headers:
    """The headers of a request that cross, those of its body included.

    :param source: the profile of its sender.
    :param target: the profile of its recipient.
    :raises Refusal: 415 where its body can't cross (`crossing_body`): it would count as delivered without it. 469 for
        candidates in an INFO (RFC 8840), which are those of one side.
    """
    if request.method != "OPTIONS" and has_description(request):
        if request.method == "INFO" and "Info-Package" in request.headers:
            raise Refusal(469, "", _NO_PACKAGE)
        raise Refusal(415)
    headers = filter_headers(request, source, target)
    _carry(request, headers, target)
    return headers


def response_headers(response: Response, source: PeerProfile, target: PeerProfile) -> Headers:
    """The headers of a final response that cross, those of its body included: also Allow, since the methods of the far
    side are meant, and the Contacts of a redirection. Those of a browser do not cross to the SIP side: nobody has asked
    whether it may call there. Parameters as of `request_headers`."""
    headers = filter_headers(response, source, target)
    for value in response.headers.lines("Allow"):
        headers.add("Allow", value)
    if 300 <= response.status < 400 and (target.flow_bound or not source.flow_bound):
        headers.extend(contacts_of(response, source, target))
    _carry(response, headers, target)
    return headers


def status_of(response: Response) -> int:
    """The status for a non-INVITE request to which the far side has sent `response`: 408 is not allowed there (RFC 4320
    section 4.2)."""
    if response.status in NOT_OURS:
        return 500
    return 504 if response.status == 408 else response.status


def _carry(message: Message, headers: Headers, target: PeerProfile) -> None:
    """Copy the option tags, and the headers that describe the body."""
    carry_extensions(message.headers, headers)
    if crossing_body(message):
        headers.add("Content-Type", content_type_of(message, target))
        for value in message.headers.lines("Content-Encoding"):
            headers.add("Content-Encoding", value)
