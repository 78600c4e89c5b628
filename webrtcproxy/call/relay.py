"""Relay: a request within one dialog crosses to the other, and the far side's true answer comes back."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import TimeoutError
from twisted.internet.interfaces import IReactorTime

from webrtcproxy.call.background import answer
from webrtcproxy.call.leg import Leg
from webrtcproxy.call.policy import across
from webrtcproxy.errors import FlowLost, Refusal, TimedOut
from webrtcproxy.transaction.server import ServerTransaction

ENDS_DIALOG = frozenset({408, 481})
"""Responses to a request within a dialog that end it whatever its method (RFC 3261 section 12.2.1.2, RFC 5057)."""

NOT_OURS = frozenset({422, 503})
"""Responses that would say something of the leg that they cross to: that the proxy is out of service (RFC 3261 section
16.7 step 6), that the session interval there is too small. They become 500."""

PATIENCE = 30.0
"""Seconds that the far side has. The asker gives up after 32 (timer F), and hears nothing later (RFC 4320)."""


def relay(transaction: ServerTransaction, leg: Leg, to: Leg, clock: IReactorTime, gone: Callable[[Leg], None]) -> None:
    """Send the request of `transaction` along the leg `to`, and answer it with what comes back.

    :param leg: that it came by.
    :param clock: limits the wait.
    :param gone: called with `to` when its peer has no such dialog any more (RFC 5057) or does not answer.
    """
    answer(_relay(transaction, leg, to, clock, gone), transaction)


async def _relay(
    transaction: ServerTransaction, leg: Leg, to: Leg, clock: IReactorTime, gone: Callable[[Leg], None]
) -> None:
    request = transaction.request
    kind = request.headers.get("Content-Type") or "application/octet-stream"
    asked = to.ask(request.method, across(request, leg.terms, to.terms), request.body, kind)
    try:
        response = await asked.addTimeout(PATIENCE, clock)
    except FlowLost as why:
        raise Refusal(480 if to.browser else 502) from why
    except (TimedOut, TimeoutError):
        transaction.reply(504)
        gone(to)
        return
    headers = across(response, to.terms, leg.terms)
    if response.body:
        headers.add("Content-Type", response.headers.get("Content-Type") or "application/octet-stream")
    transaction.reply(response.status, response.reason, headers, response.body)
    if response.status in ENDS_DIALOG:
        gone(to)
