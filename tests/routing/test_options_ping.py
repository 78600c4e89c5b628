"""OPTIONS to the targets of a trunk."""

from __future__ import annotations

from dataclasses import replace

from twisted.logger import capturedLogs, formatEvent

from tests.support.calls.case import CallCase
from tests.support.calls.world import World
from tests.support.configs import CARRIER, PBX
from webrtcproxy.config import HostPort, Trunk
from webrtcproxy.routing.options_ping import OptionsPings
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.transport.flow import Address, Flow

FIRST, SECOND = "192.0.2.50", "192.0.2.51"
PINGED = replace(PBX, ping=30.0, proxy=(HostPort(FIRST, None), HostPort(SECOND, None)))


class Pinged(CallCase):
    """A trunk with two proxies, pinged every half minute, exactly."""

    trunks = (PINGED, CARRIER)

    def setUp(self) -> None:
        super().setUp()
        self.begin()

    def begin(self, *trunks: Trunk) -> None:
        if trunks:
            self.pings.stop()
            self.trunks = trunks  # type: ignore[misc]
            self.world = self.make_world()
        world = self.world
        self.first, self.second = world.trunk(FIRST), world.trunk(SECOND)
        self.pings = self.make(world)
        self.pings.start()
        self.addCleanup(self.pings.stop)
        self.first.silent()
        world.turn(0.5)

    def make(self, world: World) -> OptionsPings:
        return OptionsPings(
            world.clock, world.transactions, world.context.upstream, world.context.policy, self.trunks, world.metrics,
            lambda: 0.5,
        )  # fmt: skip

    def tearDown(self) -> None:
        self.pings.stop()
        super().tearDown()

    def up(self) -> dict[str, float]:  # type: ignore[override]
        """What the metrics say."""
        lines = [
            line for line in self.world.metrics.text().decode().splitlines() if line.startswith("webrtcproxy_trunk")
        ]
        return {line.split('target="')[1].split('"')[0]: float(line.split()[-1]) for line in lines}

    def both(self, first: int, second: int) -> None:
        """Both have a ping, and answer it; 0 for silence."""
        for peer, status in ((self.first, first), (self.second, second)):
            ping = peer.request("OPTIONS")
            if status:
                peer.answer(ping, status)
        if not first:
            self.world.turn(10.1)
            self.first.forget()

    def asked_first(self) -> str:
        """Whom a call asks first."""
        self.world.browser().invite("sip:bob@pbx.example.com")
        for name, peer in (("first", self.first), ("second", self.second)):
            if peer.pending():
                peer.answer(peer.request("INVITE"), 486)
                peer.heard("ACK")
                return name
        raise AssertionError("nobody")

    def test_ping(self) -> None:
        """To each target, by the trunk's name, and to nobody whose section has no `ping`."""
        ping = self.first.request("OPTIONS")
        self.assertEqual((ping.uri, ping.to.uri, ping.via.sent_by), ("sip:pbx.example.com",) * 2 + ("192.0.2.1:5060",))
        self.assertEqual(ping.headers.get("Contact"), "<sip:192.0.2.1:5060>")
        self.first.answer(ping, 200)
        self.second.answer(self.second.request("OPTIONS"), 200)
        self.assertEqual(self.up(), {"udp:192.0.2.50:5060": 1, "udp:192.0.2.51:5060": 1})
        self.assertEqual({address.host for address, _ in self.world.trunks}, {FIRST, SECOND})

    def test_every(self) -> None:
        """Every thirty seconds, each in a dialog of nobody's: a new Call-ID."""
        seen = set()
        for _ in range(5):
            ping = self.first.request("OPTIONS")
            seen.add(ping.call_id)
            self.first.answer(ping, 200)
            self.second.answer(self.second.request("OPTIONS"), 200)
            self.world.turn(29)
            self.first.silent()
            self.world.turn(1)
        self.assertEqual(len(seen), 5)
        self.both(200, 200)

    def test_any_answer(self) -> None:
        """Any answer is one, but 503 (RFC 3261 section 21.5.4)."""
        for status, up in ((200, 1), (404, 1), (405, 1), (401, 1), (500, 1), (503, 0)):
            self.both(status, 200)
            self.assertEqual(self.up()["udp:192.0.2.50:5060"], up, status)
            self.world.turn(30)
        self.both(200, 200)

    def test_silence(self) -> None:
        """One that does not answer within ten seconds is out of order: calls go to the other first, for as long as that
        lasts; then in the old order again. The log has a line for each change, and no more."""
        with capturedLogs() as events:
            self.both(0, 200)
            for _ in range(4):
                self.assertEqual(self.asked_first(), "second")
                self.world.turn(20)
                self.both(0, 200)
            self.assertEqual(self.asked_first(), "second")
            self.world.turn(20)
            self.both(200, 200)
            self.assertEqual(self.asked_first(), "first")
        told = [formatEvent(event) for event in events]
        self.assertEqual(
            [line for line in told if line.startswith("Trunk")],
            [
                "Trunk pbx: udp:192.0.2.51:5060 is there",
                "Trunk pbx: udp:192.0.2.50:5060 is out of order: no answer",
                "Trunk pbx: udp:192.0.2.50:5060 is there",
            ],
        )

    def test_out_of_order_until_it_answers(self) -> None:
        """One that was out of order stays so while the next ping is waited for."""
        self.both(503, 200)
        self.world.turn(35)
        self.first.heard("OPTIONS")
        self.second.answer(self.second.request("OPTIONS"), 200)
        self.assertEqual(self.asked_first(), "second")
        self.first.forget()

    def test_silence_until_the_next(self) -> None:
        """One that is pinged often has no longer than until the next ping, and stays out of order from one to the
        other."""
        self.begin(replace(PINGED, ping=2.0), CARRIER)
        for _ in range(4):
            self.first.request("OPTIONS")
            self.second.answer(self.second.request("OPTIONS"), 200)
            self.world.turn(1.9)
            self.first.forget()
            self.assertEqual(self.up()["udp:192.0.2.50:5060"], 0)
            self.assertEqual(self.asked_first(), "second")
            self.world.turn(0.1)

    def test_all_are_dead(self) -> None:
        """Where all are, they are tried as ever."""
        self.both(503, 503)
        self.assertEqual(self.asked_first(), "first")

    def test_calls_know_more(self) -> None:
        """A ping that is answered says nothing against what a call has found a moment ago."""
        self.both(200, 200)
        self.world.turn(28)
        self.world.browser().invite("sip:bob@pbx.example.com")
        self.first.answer(self.first.request("INVITE"), 503)
        self.first.heard("ACK")
        self.second.answer(self.second.request("INVITE"), 486)
        self.second.heard("ACK")
        self.world.turn(2)
        self.both(200, 200)
        self.assertEqual(self.asked_first(), "second")

    def test_not_sent(self) -> None:
        """What can't be sent is no answer; the next ping tries again."""
        self.first.forget(), self.second.forget()
        self.first.flow.broken = True
        self.world.turn(30)
        self.assertEqual(self.up()["udp:192.0.2.50:5060"], 0)
        self.first.flow.broken = False
        self.second.forget()
        self.world.turn(30)
        self.both(200, 200)

    def test_no_socket(self) -> None:
        """Without a socket for IPv6, a trunk's IPv6 addresses are not out of order: nobody asks for them. Where there
        is no socket for any, that is told."""
        self.pings.stop()
        self.trunks = (replace(PINGED, proxy=()),)  # type: ignore[misc]
        self.world = world = self.make_world()
        world.names.known["pbx.example.com"] = f"2001:db8::1 {FIRST}"
        flow_to = world.flow_to

        def of_ipv4(transport: str, address: Address, domain: str = "") -> Flow:
            if ":" in address.host:
                raise FlowLost("no socket")
            return flow_to(transport, address, domain)

        self.patch(world, "flow_to", of_ipv4)
        self.first = world.trunk(FIRST)
        self.pings = self.make(world)
        self.pings.start()
        world.turn(0.5)
        self.first.answer(self.first.request("OPTIONS"), 200)
        self.assertEqual(self.up(), {f"udp:{FIRST}:5060": 1})
        world.names.known["pbx.example.com"] = "2001:db8::1"
        world.turn(30)
        self.assertEqual(self.up(), {"udp:[2001:db8::1]:5060": 0})

    def test_names(self) -> None:
        """The addresses of a name are looked up again each time; one that is gone is forgotten."""
        self.begin(replace(PBX, ping=30.0))
        self.first.answer(self.first.request("OPTIONS"), 200)
        self.world.names.known["pbx.example.com"] = SECOND
        self.world.turn(30)
        self.first.silent()
        self.second.answer(self.second.request("OPTIONS"), 200)
        self.assertEqual(self.up(), {"udp:192.0.2.51:5060": 1})
        del self.world.names.known["pbx.example.com"]
        self.world.turn(30)
        self.second.silent()
        self.assertEqual(self.up(), {"udp:192.0.2.51:5060": 1})

    def test_often(self) -> None:
        """A ping more often than its timeout is given up when the next is due: one at a time."""
        self.begin(replace(PBX, ping=1.0))
        for _ in range(10):
            self.world.turn(0.5)
        calls = {ping.call_id for ping in self.first.flow.requests}
        self.assertLessEqual(len(calls), 6)
        self.assertLessEqual(self.world.transactions.clients, 10)

    def test_stopped(self) -> None:
        """Nothing is sent after the end, and no timer is left; an answer that comes late is nobody's."""
        ping = self.first.request("OPTIONS")
        self.pings.stop()
        self.first.answer(ping, 200)
        self.second.forget()
        self.world.turn(60)
        self.first.silent(), self.second.silent()
        self.assertEqual(self.up(), {})
        self.pings.start()

    def test_jitter(self) -> None:
        """Pings of several trunks and proxies do not fall together: a second at the start, and a tenth of the time
        between, is left to chance."""
        world = self.world
        times = []
        for chance in (0.0, 1.0):
            pings = OptionsPings(
                world.clock, world.transactions, world.context.upstream, world.context.policy, (PINGED,), world.metrics,
                lambda chance=chance: chance,  # type: ignore[misc]
            )  # fmt: skip
            pings.start()
            world.turn(1)
            times.append(max(call.getTime() for call in world.clock.getDelayedCalls() if call.func == pings._round))
            pings.stop()
        self.assertAlmostEqual(times[1] - times[0], 4.0)
