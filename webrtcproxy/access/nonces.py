"""FlowNonces: the nonces of digest challenges, each for one connection, and each nonce count taken once (RFC 7616)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import ClassVar

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.transport.flow import Flow


class _Nonce:
    """One nonce.

    :ivar made: seconds of the clock.
    :ivar count: the highest nonce count so far.
    """

    __slots__ = ("count", "made")

    def __init__(self, made: float) -> None:
        self.made = made
        self.count = 0


class _NoncesOfFlow:
    """Those of one flow, the oldest first.

    :ivar forget: ends the notification of its loss.
    """

    __slots__ = ("forget", "nonces")

    def __init__(self, forget: Callable[[], None]) -> None:
        self.forget = forget
        self.nonces: dict[str, _Nonce] = {}


class FlowNonces:
    """The nonces of all flows. A nonce is valid on the flow that it was sent on, for a time, and for each nonce count
    once, in ascending order: credentials that somebody has seen are of no use to him, there or elsewhere.

    Its size is bounded by the flows of browsers, and by `PER_FLOW`.

    :param clock: for the time.
    """

    LIFETIME: ClassVar[float] = 300.0
    """Seconds for which a nonce is valid."""
    PER_FLOW: ClassVar[int] = 8
    """Most nonces of one flow; a further one replaces the oldest."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._flows: dict[Flow, _NoncesOfFlow] = {}

    def __len__(self) -> int:
        """The number of flows that have any."""
        return len(self._flows)

    def make(self, flow: Flow) -> str:
        """A new nonce for the browser on `flow`."""
        nonce = secrets.token_urlsafe(18)
        if not flow.closed:
            known = self._flows.get(flow)
            if known is None:
                known = self._flows[flow] = _NoncesOfFlow(flow.on_lost(lambda: self._lost(flow)))
            if len(known.nonces) >= self.PER_FLOW:
                del known.nonces[next(iter(known.nonces))]
            known.nonces[nonce] = _Nonce(self._clock.seconds())
        return nonce

    def take(self, flow: Flow, nonce: str, count: int | None) -> bool:
        """Take a nonce, or one count of it.

        :param count: the nonce count of the credentials; None where they have none (RFC 2069), which takes the nonce.
        :returns: whether it was still valid for that.
        """
        known = self._flows.get(flow)
        found = None if known is None else known.nonces.get(nonce)
        if known is None or found is None:
            return False
        if self._clock.seconds() - found.made > self.LIFETIME:
            del known.nonces[nonce]
            return False
        if count is None:
            del known.nonces[nonce]
            return found.count == 0
        if count <= found.count:
            return False
        found.count = count
        return True

    def stop(self) -> None:
        """Forget everything: the proxy is stopping."""
        for known in self._flows.values():
            known.forget()
        self._flows.clear()

    def _lost(self, flow: Flow) -> None:
        self._flows.pop(flow, None)
