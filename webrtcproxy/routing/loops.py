"""Loop detection: Max-Forwards, and requests that have come back (RFC 3261 sections 16.3 and 16.6)."""

from __future__ import annotations

from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Request
from webrtcproxy.transaction.layer import Transactions


def check_loop(request: Request, transactions: Transactions) -> None:
    """Check that a request may be forwarded.

    :raises Refusal: 483 where Max-Forwards is exhausted; 482 where it is a request of this proxy that has come back
        unchanged. One that has come back with another Request-URI is a spiral, which is allowed.
    """
    remaining_hops(request)
    if transactions.is_loop(request):
        raise Refusal(482)


def remaining_hops(request: Request) -> int:
    """How many hops a request may still make; the proxy counts as one of them.

    :raises Refusal: 483 where it may go no further.
    """
    hops = 70 if request.max_forwards is None else request.max_forwards
    if hops == 0:
        raise Refusal(483)
    return hops
