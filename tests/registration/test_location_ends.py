"""Location: how bindings end, and that nothing grows without end."""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs

from tests.registration.test_location import ALICE, REGISTRAR, LocationCase
from tests.support.fakes import FakeFlow
from webrtcproxy.registration import location as module
from webrtcproxy.registration.expiry import SWEEP_INTERVAL
from webrtcproxy.registration.location import MAX_AORS_PER_FLOW, MAX_BINDINGS_PER_AOR, Location
from webrtcproxy.runtime.errors import Refusal


class EndTests(LocationCase):
    """How bindings end."""

    def test_expiry(self) -> None:
        """A binding ends to the second when it expires, also between two sweeps
        (original.rst: register, a binding whose time is over)."""
        self.bind(self.binding(seconds=33))
        self.clock.advance(32.9)
        self.assertEqual(len(self.lookup()), 1)
        self.clock.advance(0.1)
        self.assertEqual(self.lookup(), [])
        self.assertEqual(self.all(), [])

    def test_memory_is_given_back(self) -> None:
        """When all has expired nothing is left: no binding, no subscription, no timer."""
        self.bind(self.binding(seconds=60))
        self.clock.pump([SWEEP_INTERVAL] * 62)
        self.assertEqual(len(self.location), 0)
        self.assertFalse(self.location.find(ALICE).known)
        self.assertFalse(self.location.is_registrar(REGISTRAR))
        self.assertFalse(self.flow.watched)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_is_watched_for_nothing(self) -> None:
        """What is gone before it expires leaves no timer behind, whatever ended it."""
        self.location.bind([self.binding()])
        self.location.proofs.add(self.flow, ALICE, ("trunk", "pbx"), 600)
        self.flow.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.flow = FakeFlow.wss()
        self.location.bind([self.binding()])
        self.location.unbind(ALICE)
        self.location.proofs.add(self.flow, ALICE, ("trunk", "pbx"), 600)
        self.location.proofs.remove(self.flow, ALICE)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_socket_lost(self) -> None:
        """All bindings of a socket end with it, those of other sockets stay."""
        other = FakeFlow.wss()
        self.bind(self.binding(instance="one"))
        self.bind(self.binding(instance="two"))
        self.bind(self.binding(aor="bob@pbx.example.com"))
        self.bind(self.binding(other, "three"))
        self.flow.lose()
        self.assertEqual([binding.flow for binding in self.lookup()], [other])
        self.assertEqual(self.lookup("bob@pbx.example.com"), [])

    def test_socket_closing(self) -> None:
        """A socket that can't carry anything any more is no place to ring, also before its loss is announced."""
        self.bind(self.binding())
        self.flow.closed = True
        self.assertEqual(self.lookup(), [])

    def test_bound_too_late(self) -> None:
        """A socket that was lost meanwhile is not bound: nobody would ever tell that it is gone."""
        self.flow.lose()
        self.location.bind([self.binding()])
        self.location.bind([])
        self.location.proofs.add(self.flow, ALICE, ("trunk", "pbx"), 60)
        self.assertFalse(self.location.find(ALICE).known)
        self.assertFalse(self.location.proofs.any(self.flow))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_subscription(self) -> None:
        """A socket is watched once for its bindings and once for what it has proven, however many of them it sees."""
        watched = []

        class Counting(FakeFlow):
            def on_lost(self, call):
                watched.append(call)
                return super().on_lost(call)

        flow = Counting.wss()
        for _ in range(3):
            self.bind(self.binding(flow, "one"), self.binding(flow, "two"))
            self.location.proofs.add(flow, ALICE, ("trunk", "pbx"), 600)
        self.assertEqual(len(watched), 2)
        self.location.unbind(ALICE)
        self.assertFalse(flow.watched)

    def test_one_timer(self) -> None:
        """There is one timer for all bindings."""
        for instance in ("one", "two", "three"):
            self.bind(self.binding(FakeFlow.wss(), instance))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_unbind(self) -> None:
        """Taking back ends what is named, all without a name; what is not there is no error."""
        for instance in ("one", "two", "three"):
            self.bind(self.binding(instance=instance))
        self.location.unbind(ALICE, [("two", 1), ("nine", 1)])
        self.assertEqual([binding.instance for binding in self.all()], ["three", "one"])
        self.location.unbind(ALICE)
        self.location.unbind("nobody@pbx.example.com")
        self.assertEqual(self.all(), [])

    def test_stop(self) -> None:
        """Stopping forgets everything and leaves neither timer nor subscription."""
        self.bind(self.binding())
        self.location.stop()
        self.assertEqual((len(self.location), self.flow.watched, self.clock.getDelayedCalls()), (0, False, []))
        self.flow.lose()

    def test_log(self) -> None:
        """One line when a browser comes and one when it goes, with AOR, address and Call-ID; none for a refresh."""
        with capturedLogs() as events:
            self.bind(self.binding())
            self.bind(self.binding(seconds=700))
            self.flow.lose()
        lines = [(event["log_level"], event["aor"], event["peer"], event["call"]) for event in events]
        peer = "{}:{}".format(*self.flow.peer)
        self.assertEqual(lines, [(LogLevel.info, ALICE, peer, "call-1")] * 2)


class BoundsTests(LocationCase):
    """Nothing grows without end."""

    def test_bindings_of_an_aor(self) -> None:
        """A user has so many browsers and no more; one that is bound already is no further one."""
        for number in range(MAX_BINDINGS_PER_AOR):
            self.bind(self.binding(FakeFlow.wss(), str(number)))
        self.bind(self.binding(instance="0"))
        with self.assertRaises(Refusal) as caught:
            self.location.bind([self.binding(instance="more")])
        self.assertEqual(caught.exception.status, 403)
        self.assertEqual(len(self.all()), MAX_BINDINGS_PER_AOR)

    def test_newest_wins_is_never_full(self) -> None:
        """With `multiple = no` the others make room, so only one REGISTER alone can be too much."""
        location = Location(self.clock, multiple=False)
        many = [self.binding(instance=str(number)) for number in range(MAX_BINDINGS_PER_AOR + 1)]
        location.bind(many[1:])
        location.bind(many[:1])
        self.assertRaises(Refusal, location.bind, many)

    def test_aors_of_a_flow(self) -> None:
        """One socket can't take every name there is."""
        for number in range(MAX_AORS_PER_FLOW):
            self.bind(self.binding(aor=f"user{number}@pbx.example.com"))
        with self.assertRaises(Refusal) as caught:
            self.location.bind([self.binding()])
        self.assertEqual(caught.exception.status, 403)
        self.bind(self.binding(aor="user0@pbx.example.com"))

    def test_total(self) -> None:
        """Where the proxy is full, users without a browser make room; without any it is 503 with Retry-After."""
        self.patch(module, "MAX_AORS", 3)
        flows = [FakeFlow.wss() for _ in range(5)]
        for number in range(3):
            self.bind(self.binding(flows[number], aor=f"user{number}@pbx.example.com"))
        with self.assertRaises(Refusal) as caught:
            self.location.bind([self.binding(flows[3])])
        self.assertEqual((caught.exception.status, caught.exception.headers), (503, (("Retry-After", "60"),)))
        self.location.registered(ALICE, REGISTRAR, 600)
        self.assertFalse(self.location.find(ALICE).known)
        flows[1].lose()
        flows[0].lose()
        self.bind(self.binding(flows[3]))
        self.assertTrue(self.location.find("user0@pbx.example.com").known)
        self.assertFalse(self.location.find("user1@pbx.example.com").known)
