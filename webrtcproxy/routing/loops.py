"""Loops: how far a request may go, and whether it has come back (RFC 3261 sections 16.3 and 16.6)."""

from __future__ import annotations

from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Request
from webrtcproxy.transaction.layer import Transactions


def check_loop(request: Request, transactions: Transactions) -> None:
    """Whether a request may go on.

    :raises Refusal: 483 where it has gone far enough; 482 where it is one that we sent, come back unchanged. Coming
        back for another Request-URI is a spiral, and fine.
    """
    remaining_hops(request)
    if transactions.is_loop(request):
        raise Refusal(482)


def remaining_hops(request: Request) -> int:
    """How many hops a request may still make, where the proxy counts as one.

    :raises Refusal: 483 where there is none left.
    """
    hops = 70 if request.max_forwards is None else request.max_forwards
    if hops == 0:
        raise Refusal(483)
    return hops
