"""What the guards of several workers tell each other."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.access import guard as module
from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.cluster.bans import SharedBans
from webrtcproxy.config import BansConfig

ALICE, STRANGER, SHARED = "alice@example.com", "203.0.113.66", "2001:db8::1"


class TwoWorkers(SynchronousTestCase):
    """Two guards; each frame of one reaches the other (docs/access.rst, Strangers)."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.frames: list[dict[str, Any]] = []
        self.guards = [LoginGuard(self.clock, BansConfig(after=5)) for _ in range(2)]
        self.shared = [SharedBans(guard, self.sender(1 - index)) for index, guard in enumerate(self.guards)]

    def sender(self, other: int) -> Any:
        def send(header: dict[str, Any], body: bytes = b"") -> bool:
            self.frames.append(header)
            self.shared[other].apply(header)
            return True

        return send

    def test_ban(self) -> None:
        """Who is banned by one worker is banned by the other, for as long; it is not told back."""
        for _ in range(5):
            self.guards[0].failed(STRANGER, ALICE)
        self.assertEqual([guard.is_banned(STRANGER) for guard in self.guards], [True, True])
        self.assertEqual(len(self.frames), 1)
        self.clock.advance(600)
        self.assertEqual([guard.is_banned(STRANGER) for guard in self.guards], [False, False])

    def test_login(self) -> None:
        """Who has logged in at one worker is not locked out by others at the other one, whichever his next connection
        reaches."""
        self.guards[0].succeeded(SHARED, ALICE)
        for _ in range(5):
            self.guards[1].failed(SHARED, "bob@example.com")
        self.assertEqual([guard.is_banned(SHARED) for guard in self.guards], [False, False])
        self.assertEqual([guard.delay(SHARED, ALICE) for guard in self.guards], [0, 0])

    def test_once_a_day(self) -> None:
        """A login that is no news is not told, so that registrations do not cost a frame each."""
        for _ in range(5):
            self.guards[0].succeeded(SHARED, ALICE)
            self.guards[1].succeeded(SHARED, ALICE)
        self.assertEqual(len(self.frames), 1)
        self.clock.advance(module.NEWS + 1)
        self.guards[0].succeeded(SHARED, ALICE)
        self.assertEqual(len(self.frames), 2)
