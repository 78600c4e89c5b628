"""An operation that fails leaves nothing to the collector."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tests.media.cases import SessionCase
from tests.support.garbage import kinds_left
from webrtcproxy.runtime.errors import NgRefused, NgTimeout


class GarbageTests(SessionCase):
    """Who waits by way of another coroutine, as calls do."""

    def test_failed(self) -> None:
        """Refused by rtpengine, or not answered: the exception and the frames that it has passed are freed at once
        (CPython issue 100964)."""
        seen: list[str] = []

        async def offer() -> bytes:
            return await self.offer()

        async def waiter() -> None:
            try:
                await offer()
            except (NgRefused, NgTimeout) as error:
                seen.append(type(error).__name__)

        def live() -> None:
            self.daemon.result = {b"result": b"error", b"error-reason": b"no"}
            Deferred.fromCoroutine(waiter())
            self.reactor.settle()
            self.daemon.silent = True
            Deferred.fromCoroutine(waiter())
            self.reactor.pump([0.5] * 10)

        found = {kind for kind in kinds_left(self, live) if issubclass(kind, BaseException)}
        self.assertEqual((seen, found), (["NgRefused", "NgTimeout"], set()))
        self.daemon.silent = False
        self.delete()
