"""Servers that say nothing: however many there are, the caller has its answer in the time of one (RFC 3261 timer B)."""

from __future__ import annotations

from twisted.logger import LogEvent, capturedLogs, formatEvent

from tests.support.calls.failing import FIRST, SECOND, THIRD, Case, pbx

SERVERS = [f"192.0.2.{50 + number}" for number in range(8)]


def lines(events: list[LogEvent]) -> list[str]:
    return [text for event in events if " failed at " in (text := formatEvent(event) or "")]


class Silence(Case):
    """Nobody says anything."""

    def wait(self, seconds: float) -> None:
        """Let time pass in small steps."""
        for _ in range(round(seconds * 20)):
            super().wait(0.05)

    def pending(self) -> list[int]:
        """Which of the servers have got the INVITE by now."""
        return [number for number, host in enumerate(SERVERS) if self.world.trunk(host).pending()]

    def test_one(self) -> None:
        """One server has the 32 s of timer B; the log names it, and the seconds."""
        self.begin(pbx(FIRST))
        with capturedLogs() as events:
            self.call()
            self.wait(31.9)
            self.alice.silent()
            self.wait(0.2)
        self.alice.heard(408)
        (line,) = lines(events)
        self.assertIn("INVITE failed at udp:192.0.2.50:5060 after 32.0 s, and there is no other server", line)

    def test_two(self) -> None:
        """The second one has what the first one has left."""
        with capturedLogs() as events:
            self.call()
            self.wait(4.1)
            self.second.request("INVITE")
            self.wait(27.8)
            self.alice.silent()
            self.wait(0.2)
        self.alice.heard(408)
        first, second = lines(events)
        self.assertIn("failed at udp:192.0.2.50:5060 (no response in 4.0 s), trying udp:192.0.2.51:5060", first)
        self.assertIn("failed at udp:192.0.2.51:5060 after 28.0 s", second)
        self.first.forget(), self.second.forget()
        self.assert_over(self.alice, self.first, self.second)

    def test_many(self) -> None:
        """Eight have four seconds each."""
        self.begin(pbx(*SERVERS))
        self.alice.invite("sip:bob@pbx.example.com")
        for number in range(8):
            self.assertEqual(self.pending(), list(range(number + 1)))
            self.wait(4.05 if number < 7 else 3.55)
        self.alice.silent()
        self.wait(0.2)
        self.alice.heard(408)
        for host in SERVERS:
            self.world.trunk(host).forget()
        self.assert_over(self.alice)

    def test_long_limit(self) -> None:
        """A `failover` that leaves no time for the others is shortened: each has the same share."""
        self.begin(pbx(FIRST, SECOND, THIRD, failover=30.0))
        self.call()
        self.wait(10.7)
        self.second.request("INVITE")
        self.wait(10.7)
        self.world.trunk(THIRD).request("INVITE")
        self.wait(10.7)
        self.alice.heard(408)

    def test_refused_before(self) -> None:
        """Where one has refused and the others are silent, the caller gets the refusal."""
        leg = self.call()
        self.first.answer(leg, 502)
        self.first.heard("ACK")
        self.second.request("INVITE")
        self.wait(32.1)
        self.alice.heard(502)

    def test_works_on_it(self) -> None:
        """A server that has said 100 has the time that it needs, whatever the others have taken."""
        self.call()
        self.wait(4.1)
        self.first.forget()
        again = self.second.request("INVITE")
        self.second.answer(again, 100)
        self.wait(60)
        self.alice.silent()
        self.answered_by(self.second, again)
        self.assert_over(self.alice, self.first, self.second)

    def test_cancelled(self) -> None:
        """After a CANCEL nothing is tried any more, and nothing is left."""
        self.call()
        self.alice.cancel(self.invite)
        self.world.turn(40)
        self.second.silent()
        self.alice.heard(200), self.alice.heard(487)
