"""Relay: a request within one dialog crosses to the other, and the far side's true answer comes back."""

from __future__ import annotations

from collections.abc import Callable

from webrtcproxy.call.background import answer
from webrtcproxy.call.leg import Leg
from webrtcproxy.call.policy import relay_headers
from webrtcproxy.errors import FlowLost, Refusal, TimedOut
from webrtcproxy.sip.message import Headers, Message
from webrtcproxy.transaction.server import ServerTransaction

_ENDS_DIALOG = frozenset({408, 481})
"""Responses to a request within a dialog that end it whatever its method (RFC 3261 section 12.2.1.2, RFC 5057)."""


def relay(transaction: ServerTransaction, to: Leg, gone: Callable[[Leg], None]) -> None:
    """Send the request of `transaction` along the leg `to`, and answer it with what comes back.

    :param gone: called with `to` when its peer has no such dialog any more (RFC 5057) or does not answer.
    """
    answer(_relay(transaction, to, gone), transaction)


async def _relay(transaction: ServerTransaction, to: Leg, gone: Callable[[Leg], None]) -> None:
    request = transaction.request
    try:
        response = await to.ask(
            request.method, _crossing(request, to.browser), request.body, request.headers.get("Content-Type") or ""
        )
    except FlowLost as why:
        raise Refusal(480 if to.browser else 502) from why
    except TimedOut as why:
        gone(to)
        raise Refusal(504) from why
    headers = _crossing(response, transaction.flow.browser)
    if response.body:
        headers.append(("Content-Type", response.headers.get("Content-Type") or "application/octet-stream"))
    transaction.reply(response.status, response.reason, headers, response.body)
    if response.status in _ENDS_DIALOG:
        gone(to)


def _crossing(message: Message, to_browser: bool) -> list[tuple[str, str]]:
    headers = Headers()
    relay_headers(message.headers, headers, to_browser=to_browser)
    return list(headers)
