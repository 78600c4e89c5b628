"""Our 2xx to an INVITE, until its ACK."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.dialog.accepted_invite import AcceptedInvite
from webrtcproxy.runtime.schedule import Schedule


class Repeated(SynchronousTestCase):
    """A 2xx is repeated until its ACK: after T1, then at intervals that double up to T2, for 64*T1 in all (RFC 3261
    section 13.3.1.4)."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.repeats: list[float] = []
        self.ends: list[float] = []
        self.schedule = Schedule(self.clock)
        self.accepted = self.accept(1)

    def accept(self, number: int, before: AcceptedInvite | None = None) -> AcceptedInvite:
        return AcceptedInvite(
            self.schedule,
            number,
            lambda: self.repeats.append(self.clock.seconds()),
            lambda: self.ends.append(self.clock.seconds()),
            before=before,
        )

    def wait(self, seconds: float) -> None:
        self.clock.pump([0.25] * int(seconds * 4))

    def test_times(self) -> None:
        """T1 is 0.5 s and T2 is 4 s; the user hears once that no ACK came."""
        self.wait(60)
        self.assertEqual(self.repeats, [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5])
        self.assertEqual(self.ends, [32.0])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_acknowledged(self) -> None:
        """The ACK ends it."""
        self.wait(1.5)
        self.accepted.end()
        self.wait(60)
        self.assertEqual((self.repeats, self.ends), ([0.5, 1.5], []))

    def test_waiting(self) -> None:
        """What waits for the ACK goes on when it is here."""
        waiting = self.accepted.when_acknowledged()
        self.assertNoResult(waiting)
        self.accepted.end()
        self.assertIsNone(self.successResultOf(waiting))

    def test_next_invite(self) -> None:
        """A peer that sends a further INVITE has seen the 2xx of the one before: that is not repeated any more. What
        waits for its ACK waits for the next one."""
        waiting = self.accepted.when_acknowledged()
        self.wait(0.25)
        second = self.accept(2, self.accepted)
        self.wait(0.5)
        self.assertEqual(self.repeats, [0.75])
        self.assertNoResult(waiting)
        second.end()
        self.successResultOf(waiting)
        self.assertEqual(self.clock.getDelayedCalls(), [])
