"""Which rtpengine is alive, which one is chosen, and what is swept from one that is back."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.media.cases import SDP
from tests.support.ngwire import FIRST, PORT, SECOND, THIRD, FakeDaemon, FakeReactor
from webrtcproxy.media import ng
from webrtcproxy.media.names import SessionNames
from webrtcproxy.media.nodes import BATCH_DELAY, DELETE_RETRY, PING_TIMEOUT, SECOND_DELETE, Nodes
from webrtcproxy.media.profile import BROWSER
from webrtcproxy.runtime.batching import Batcher
from webrtcproxy.runtime.errors import NgTimeout

INTERVAL = 2.0


class NodesCase(SynchronousTestCase):
    hosts: tuple[str, ...] = (FIRST, SECOND, THIRD)

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.daemons = [FakeDaemon(self.reactor, host) for host in (FIRST, SECOND, THIRD)]
        self.nodes = self.make()

    def make(self, **options: Any) -> Nodes:
        return Nodes(self.reactor, [(host, PORT) for host in self.hosts], ping=INTERVAL, **options)

    def start(self) -> None:
        self.nodes.startService()
        self.run_for(1.2)

    def run_for(self, seconds: float) -> None:
        self.reactor.pump([0.1] * round(seconds * 10))
        self.reactor.settle()

    def stop(self) -> None:
        stopped = self.nodes.stopService()
        self.reactor.settle()
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertTrue(all(port.closed for port in self.reactor.ports))

    def tearDown(self) -> None:
        if self.nodes.running:
            self.stop()
        self.assertEqual(self.flushLoggedErrors(), [])


class PingTests(NodesCase):
    def test_pings(self) -> None:
        """Each node is pinged soon after the start and then once in an interval."""
        self.start()
        self.assertEqual([daemon.asked() for daemon in self.daemons], [[b"ping"]] * 3)
        self.run_for(INTERVAL)
        self.assertEqual([daemon.asked() for daemon in self.daemons], [[b"ping"] * 2] * 3)

    def test_health_flips(self) -> None:
        """A silent node is dead within two intervals and alive again within one."""
        self.start()
        self.daemons[1].silent = True
        self.run_for(2 * INTERVAL)
        self.assertEqual([node.alive for node in self.nodes.nodes], [True, False, True])
        self.daemons[1].silent = False
        self.run_for(INTERVAL)
        self.assertEqual([node.alive for node in self.nodes.nodes], [True] * 3)

    def test_refused(self) -> None:
        """A node that answers a ping with an error is alive, and is asked again with the next ping only."""
        self.daemons[0].replies = [b"d6:result5:errore"] * 5
        self.start()
        self.assertEqual(self.daemons[0].asked(), [b"ping"])
        self.assertTrue(self.nodes.nodes[0].alive)

    def test_too_much_in_work(self) -> None:
        """A ping that finds too much in work is left to the next one."""
        self.patch(ng, "MAX_PENDING", 0)
        self.start()
        self.assertEqual(self.daemons[0].asked(), [])
        self.patch(ng, "MAX_PENDING", 10)
        self.run_for(INTERVAL)
        self.assertEqual(self.daemons[0].asked(), [b"ping"])

    def test_quiet(self) -> None:
        """A node that stays dead leaves two lines in the log, not one for each ping: it is dead, and then lost."""
        self.start()
        self.daemons[1].silent = True
        with capturedLogs() as logs:
            self.run_for(10 * INTERVAL)
        self.assertEqual(len(logs), 2)

    def test_socket_of_a_dead_node(self) -> None:
        """Its socket is opened again now and then (our address or its may have changed), that of a living one stays."""
        self.start()
        self.daemons[0].silent = True
        self.run_for(13 * INTERVAL)
        self.assertEqual([port.closed for port in self.reactor.ports], [True, False, False, True, False])

    def test_socket_that_was_lost(self) -> None:
        """A socket that the reactor closed is opened with the next ping."""
        self.start()
        self.reactor.ports[0].stopListening()
        self.assertFalse(self.nodes.nodes[0].is_open)
        self.run_for(INTERVAL)
        self.assertTrue(self.nodes.nodes[0].is_open)

    def test_stop(self) -> None:
        """Nothing is left when it stops; it can be started again."""
        self.start()
        self.stop()
        self.start()
        self.assertTrue(all(node.is_open for node in self.nodes.nodes))

    def test_stop_before_start(self) -> None:
        """A proxy that fails while it starts stops what was not started."""
        self.stop()

    def test_stop_waits_for_deletes(self) -> None:
        """A delete in work is waited for, but not longer than the time for a command."""
        self.start()
        session = self.nodes.session("call")
        offered = session.offer(SDP, from_tag="A", branch="b", to=BROWSER)
        self.run_for(0.1)
        self.successResultOf(offered)
        for daemon in self.daemons:
            daemon.silent = True
        gone = session.delete()
        stopped = self.nodes.stopService()
        self.run_for(self.nodes.timeout - 0.2)
        self.assertNoResult(stopped)
        self.run_for(0.3)
        self.successResultOf(stopped)
        self.successResultOf(gone)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class ChoiceTests(NodesCase):
    def chosen(self, count: int) -> list[str]:
        """The first candidates for so many calls in a row."""
        return [self.nodes.candidates()[0].host for _ in range(count)]

    def test_spread(self) -> None:
        """Calls are spread: the least recently used living node is next."""
        self.assertEqual(self.chosen(6), [FIRST, SECOND, THIRD] * 2)

    def test_dead_ones_last(self) -> None:
        """A dead node is not chosen as long as one lives; it comes last among the candidates."""
        self.nodes.nodes[1].alive = False
        self.assertEqual(self.chosen(4), [FIRST, THIRD, FIRST, THIRD])
        self.assertEqual([node.host for node in self.nodes.candidates()][-1], SECOND)

    def test_all_dead(self) -> None:
        """With no living node a dead one is tried."""
        for node in self.nodes.nodes:
            node.alive = False
        self.assertEqual(len(set(self.chosen(3))), 3)

    def test_weights(self) -> None:
        """Each has as many turns as its weight says, spread over the others."""
        self.nodes = Nodes(self.reactor, [(FIRST, PORT, 3), (SECOND, PORT, 1), (THIRD, PORT, 1)], ping=INTERVAL)
        self.assertEqual(self.chosen(5), [FIRST, SECOND, FIRST, THIRD, FIRST])
        self.assertEqual(self.chosen(50).count(FIRST), 30)
        self.nodes.nodes[0].alive = False
        self.assertEqual(sorted(self.chosen(4)), [SECOND, SECOND, THIRD, THIRD])

    def test_drained(self) -> None:
        """A drained node takes no session, though all others are dead; sessions that it has stay there."""
        self.nodes = Nodes(self.reactor, [(FIRST, PORT, 1, True), (SECOND, PORT), (THIRD, PORT)], ping=INTERVAL)
        self.assertEqual(set(self.chosen(4)), {SECOND, THIRD})
        for node in self.nodes.nodes[1:]:
            node.alive = False
        self.assertEqual([node.host for node in self.nodes.candidates()], [SECOND, THIRD])
        self.start()
        self.assertTrue(self.nodes.has_other(self.nodes.nodes[1]))
        self.nodes.nodes[2].alive = False
        self.assertFalse(self.nodes.has_other(self.nodes.nodes[1]))

    def test_all_but(self) -> None:
        """A node that has not replied comes last."""
        first = self.nodes.nodes[0]
        self.assertEqual([node.host for node in self.nodes.candidates(first)], [SECOND, THIRD, FIRST])
        self.assertEqual([node.host for node in self.nodes.candidates(first)], [THIRD, SECOND, FIRST])


class NameTests(NodesCase):
    hosts = ("media.example.com",)

    def make(self, **options: Any) -> Nodes:
        self.asked: list[str] = []
        self.found: Deferred[str] = succeed(FIRST)

        def resolve(name: str) -> Deferred[str]:
            self.asked.append(name)
            return self.found

        return super().make(resolve=resolve, **options)

    def test_name(self) -> None:
        """A node may be given by name; the address is looked up."""
        self.start()
        self.assertEqual(self.asked, ["media.example.com"])
        self.assertEqual(self.daemons[0].asked(), [b"ping"])

    def test_slow_name(self) -> None:
        """Commands wait for the address; an address that comes after the end opens nothing."""
        self.found = Deferred()
        self.nodes.startService()
        self.assertFalse(self.nodes.nodes[0].is_open)
        self.stop()
        self.found.callback(FIRST)
        self.assertEqual(self.reactor.ports, [])

    def test_unknown_name(self) -> None:
        """A name that is not known is logged, and asked again with the next ping."""
        self.found = fail(OSError("no such name"))
        with capturedLogs() as logs:
            self.nodes.startService()
        self.assertEqual(len(logs), 1)
        self.found = succeed(FIRST)
        self.run_for(1.2)
        self.assertEqual(self.daemons[0].asked(), [b"ping"])

    def test_resolver_of_the_system(self) -> None:
        """Without a resolver of its own it asks the operating system's, in a thread."""

        class Pool:
            def callInThreadWithCallback(self, done: Any, function: Any, *arguments: Any, **options: Any) -> None:
                done(True, function(*arguments, **options))

        self.reactor.getThreadPool = Pool  # type: ignore[attr-defined]
        self.reactor.callFromThread = lambda call, *arguments: call(*arguments)  # type: ignore[attr-defined]
        self.nodes = Nodes(self.reactor, [("localhost", PORT)])
        self.nodes.startService()
        address = socket.getaddrinfo("localhost", None, type=socket.SOCK_DGRAM)[0][4][0]
        self.assertEqual(self.reactor.ports[0].interface, address)


class SweepTests(NodesCase):
    hosts = (FIRST,)

    def silence(self) -> None:
        """The node dies."""
        self.daemons[0].silent = True
        self.run_for(2 * INTERVAL)
        self.assertFalse(self.nodes.nodes[0].alive)

    def left_over(self, number: int) -> bytes:
        """The name of a session that this process had, without a call."""
        name = self.nodes.names.new()
        self.nodes.names.release(name)
        return b"%b%d" % (name.encode(), number)

    def back(self) -> None:
        self.daemons[0].silent = False
        self.run_for(INTERVAL + 1)

    def test_back(self) -> None:
        """When a node is back, what it holds of our ended calls is deleted; living calls and others' are not."""
        self.start()
        living, ended = (self.nodes.session(name) for name in ("living", "ended"))
        for session in (living, ended):
            offered = session.offer(SDP, from_tag="A", branch="b", to=BROWSER)
            self.run_for(0.1)
            self.successResultOf(offered)
        foreign = {b"wrp-0123456789ab-1", b"other", b"\xff", *(b"%d" % n for n in range(50))}
        self.daemons[0].sessions |= foreign
        self.silence()
        gone = ended.delete()
        self.run_for(DELETE_RETRY + 1)
        self.successResultOf(gone)
        with capturedLogs() as logs:
            self.back()
        self.assertEqual(self.daemons[0].sessions, foreign | {living.call_id.encode()})
        self.assertEqual([line["count"] for line in logs if "count" in line], [1])
        self.run_for(3 * INTERVAL)
        self.assertEqual(self.daemons[0].asked().count(b"list"), 1)

    def test_nothing_left(self) -> None:
        """A node that holds nothing of the proxy's: no line in the log but that it is back."""
        self.start()
        self.silence()
        with capturedLogs() as logs:
            self.back()
        self.assertEqual(len(logs), 1)

    def test_many(self) -> None:
        """More than fit one list are swept in several turns."""
        self.start()
        self.daemons[0].sessions |= {self.left_over(n) for n in range(2500)}
        self.silence()
        self.back()
        self.assertEqual(self.daemons[0].sessions, set())
        self.assertEqual(self.daemons[0].asked().count(b"list"), 3)

    def test_dies_again(self) -> None:
        """A node that dies while it is swept is swept when it is back once more."""
        self.start()
        self.silence()
        self.daemons[0].sessions.add(self.left_over(1))
        self.daemons[0].dies_after = b"ping"
        with capturedLogs() as logs:
            self.back()
            self.run_for(2 * INTERVAL)
        self.assertEqual(len([line for line in logs if "not swept" in line["log_format"]]), 1)
        self.daemons[0].dies_after = b""
        self.back()
        self.assertEqual(self.daemons[0].sessions, set())

    def test_earlier_run(self) -> None:
        """With an instance name, what an earlier run of that name left is deleted at the start, and nothing else
        (original.rst: killed in a call)."""
        earlier = self.make(names=SessionNames("edge 1")).session("x").call_id
        other = self.make(names=SessionNames("edge 2")).session("x").call_id
        nameless = self.make().session("x").call_id
        self.nodes = self.make(names=SessionNames("edge 1"))
        mine = self.nodes.session("now").call_id
        self.daemons[0].sessions |= {name.encode() for name in (earlier, other, nameless, mine, "foreign")}
        self.start()
        self.assertEqual(self.daemons[0].sessions, {name.encode() for name in (other, nameless, mine, "foreign")})
        self.run_for(2 * INTERVAL)
        self.assertEqual(self.daemons[0].asked().count(b"list"), 1)

    def test_nameless(self) -> None:
        """Without one, nothing of earlier runs is touched: it may be another proxy's."""
        earlier = self.make().session("x").call_id.encode()
        self.daemons[0].sessions.add(earlier)
        self.start()
        self.assertEqual(self.daemons[0].sessions, {earlier})

    def test_list(self) -> None:
        """`sessions` lists all that a node holds, more than rtpengine's 32."""
        self.start()
        self.daemons[0].sessions |= {b"%02d" % n for n in range(40)}
        for limit, count in ((1000, 40), (5, 5)):
            listed = Deferred.fromCoroutine(self.nodes.sessions(self.nodes.nodes[0], limit))
            self.run_for(0.1)
            self.assertEqual(len(self.successResultOf(listed)), count)
        self.daemons[0].silent = True
        listed = Deferred.fromCoroutine(self.nodes.sessions(self.nodes.nodes[0]))
        self.run_for(3)
        self.failureResultOf(listed, NgTimeout)

    def test_background_bug(self) -> None:
        """An internal error in the background is logged, and harms nobody."""

        async def bug() -> None:
            raise ZeroDivisionError

        self.assertIsNone(self.successResultOf(self.nodes._in_background(Deferred.fromCoroutine(bug()))))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_delete_with_a_bug(self) -> None:
        """A delete that can't even be sent is given up, logged, and its name is free."""
        call_id = self.nodes.new_call_id()
        self.patch(self.nodes.nodes[0], "command", lambda *command: 1 // 0)
        self.assertIsNone(self.successResultOf(self.nodes.discard(self.nodes.nodes[0], call_id, "call")))
        self.assertEqual(len(self.nodes.names), 0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_stopped_while_it_waits(self) -> None:
        """A second delete that is still to come at the end is let go."""
        self.start()
        gone = self.nodes.discard(self.nodes.nodes[0], "wrp-unknown", "call", late=True)
        self.run_for(SECOND_DELETE / 2)
        self.assertNoResult(gone)
        self.nodes.timeout = SECOND_DELETE / 4
        stopped = self.nodes.stopService()
        self.run_for(SECOND_DELETE / 3)
        self.successResultOf(stopped)
        self.successResultOf(gone)
        self.assertEqual(self.daemons[0].asked(), [b"ping", b"delete"])

    def test_ping_timeout_is_short(self) -> None:
        """A ping is over before the next one is sent."""
        self.assertLess(PING_TIMEOUT, INTERVAL)


class BatchTests(NodesCase):
    """Deletes of sessions, many at a time."""

    def discard(self, *names: str) -> list[Deferred[None]]:
        return [self.nodes.discard(self.nodes.nodes[0], name, "call") for name in names]

    def deletes(self) -> int:
        self.reactor.settle()
        return self.daemons[0].asked().count(b"delete")

    def test_rush(self) -> None:
        """One delete goes at once; those within a moment of it wait for its end, and go together."""
        self.start()
        one, *others = self.discard("a", "b", "c")
        self.assertEqual(self.deletes(), 1)
        self.successResultOf(one)
        self.reactor.advance(BATCH_DELAY * 0.9)
        self.assertEqual(self.deletes(), 1)
        self.reactor.advance(BATCH_DELAY * 0.1)
        self.assertEqual(self.deletes(), 3)
        for other in others:
            self.successResultOf(other)

    def test_at_the_end(self) -> None:
        """What waits when the service is stopped is sent, and what comes while it stops does not wait."""
        self.start()
        done = self.discard("a", "b")
        stopped = self.nodes.stopService()
        done += self.discard("c", "d")
        self.assertEqual(self.deletes(), 4)
        for each in (*done, stopped):
            self.successResultOf(each)

    def test_last_of_a_batch(self) -> None:
        """The one that makes a batch full, which goes at once then, is let go at the end like the others."""
        self.start()
        names = [f"wrp-{number}" for number in range(1 + Batcher.MAX_WAITING)]
        gone = [self.nodes.discard(self.nodes.nodes[0], name, "call", late=True) for name in names]
        self.run_for(SECOND_DELETE / 2)
        self.nodes.timeout = SECOND_DELETE / 4
        stopped = self.nodes.stopService()
        self.run_for(SECOND_DELETE / 3)
        for each in (*gone, stopped):
            self.successResultOf(each)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
