"""A node that dies, hangs, is cut off or restarted with calls on it: which calls are told, of what, and when."""

from __future__ import annotations

from itertools import pairwise

from twisted.logger import capturedLogs

from tests.media.cases import SDP
from tests.media.test_nodes import INTERVAL, NodesCase
from tests.support.ngwire import FIRST, SECOND, FakeDaemon
from webrtcproxy.media import audit
from webrtcproxy.media.nodes import LAST_HOPE, MOVED_AT_ONCE, Nodes
from webrtcproxy.media.placement import Loss
from webrtcproxy.media.profile import BROWSER
from webrtcproxy.media.session import MediaSession

NOTICED = 5.2
"""Seconds after its last reply within which a node is found to be lost."""


class LostCase(NodesCase):
    hosts: tuple[str, ...] = (FIRST, SECOND)

    def setUp(self) -> None:
        super().setUp()
        self.told: list[tuple[str, Loss]] = []
        self.start()

    def up(self, name: str, nodes: Nodes | None = None) -> MediaSession:
        """A session with an offer."""
        session = (nodes or self.nodes).session(name)
        session.watch(lambda loss: self.told.append((name, loss)))
        offered = session.offer(SDP, from_tag="A", branch="b", to=BROWSER)
        self.reactor.settle()
        self.successResultOf(offered)
        return session

    def restart(self, daemon: FakeDaemon) -> None:
        """It is a new process."""
        daemon.sessions.clear()
        daemon.started = self.reactor.seconds()


class Silent(LostCase):
    def test_another_is_there(self) -> None:
        """The calls of a node that does not reply any more are told within 5 s that another one takes over; no others,
        and not again."""
        self.up("first"), self.up("second"), self.up("third")
        self.daemons[0].silent = True
        with capturedLogs() as logs:
            self.run_for(NOTICED)
        self.assertEqual([("first", Loss.NODE), ("third", Loss.NODE)], self.told)
        self.assertEqual(1, sum("is lost" in line["log_format"] for line in logs))
        self.run_for(60)
        self.assertEqual(2, len(self.told))

    def test_no_other(self) -> None:
        """Where there is no other, they wait a moment, and are told that there is none, within 9 s."""
        self.up("first"), self.up("second")
        for daemon in self.daemons:
            daemon.silent = True
        self.run_for(NOTICED)
        self.assertEqual([], self.told)
        self.run_for(LAST_HOPE + 0.8)
        self.assertEqual([("first", Loss.NO_NODE), ("second", Loss.NO_NODE)], sorted(self.told, key=str))

    def test_back_in_time(self) -> None:
        """One that replies again before that has all it had: nobody is told anything."""
        self.up("first"), self.up("second")
        for daemon in self.daemons:
            daemon.silent = True
        self.run_for(NOTICED)
        for daemon in self.daemons:
            daemon.silent = False
        self.run_for(60)
        self.assertEqual([], self.told)

    def test_restarted_in_time(self) -> None:
        """One that is restarted before that takes its calls over itself."""
        self.up("first"), self.up("second")
        for daemon in self.daemons:
            daemon.silent = True
        self.run_for(NOTICED)
        self.restart(self.daemons[0])
        self.daemons[0].silent = False
        self.run_for(LAST_HOPE)
        self.assertEqual([("first", Loss.NODE), ("second", Loss.NODE)], sorted(self.told, key=str))

    def test_drained_is_no_other(self) -> None:
        """A drained node takes nobody over."""
        self.up("first")
        self.nodes.nodes[1].drained = True
        self.daemons[0].silent = True
        self.run_for(NOTICED + LAST_HOPE + 1)
        self.assertEqual([("first", Loss.NO_NODE)], self.told)

    def test_lost_replies(self) -> None:
        """A ping whose reply is late is none that is missed."""
        self.up("first")
        self.daemons[0].delay = 1.4
        self.run_for(30)
        self.assertEqual([], self.told)
        self.assertLess(self.daemons[0].asked().count(b"ping"), 40)
        self.daemons[0].delay = 0.0
        self.run_for(2)

    def test_this_process_was_asleep(self) -> None:
        """Where this process was stopped for a while, nobody has had the time to reply: that is no silence."""
        self.up("first")
        self.daemons[0].silent = True
        for _ in range(5):
            self.reactor.advance(30)
        self.daemons[0].silent = False
        self.run_for(3)
        self.assertEqual([], self.told)

    def test_commands_of_calls(self) -> None:
        """What calls have asked a lost node fails when it is lost, so that it is asked elsewhere at once."""
        self.nodes.timeout = 60
        session = self.up("first")
        self.daemons[0].silent = True
        done = session.offer(SDP, from_tag="A", branch="b", to=BROWSER)
        self.run_for(NOTICED)
        self.successResultOf(done)
        self.assertIs(self.nodes.nodes[1], session.node)

    def test_session_of_a_lost_node(self) -> None:
        """What was there is deleted when it replies again, and not before: nothing is sent again and again."""
        session = self.up("first")
        self.daemons[0].silent = True
        self.run_for(NOTICED)
        done = session.offer(SDP, from_tag="A", branch="b", to=BROWSER)
        self.reactor.settle()
        self.successResultOf(done)
        sent = sum(b"6:delete" in data for data in self.daemons[0].datagrams)
        self.assertEqual((0, 1), (sent, len(self.nodes.names)))
        self.daemons[0].silent = False
        self.run_for(INTERVAL + 1)
        self.assertEqual(set(), self.daemons[0].sessions)

    def test_many(self) -> None:
        """A thousand calls are told a few at a time."""
        for number in range(8 * MOVED_AT_ONCE):
            self.up(str(number))
        self.daemons[0].silent = True
        counts = []
        for _ in range(60):
            self.run_for(0.1)
            counts.append(len(self.told))
        most = max(after - before for before, after in pairwise(counts))
        self.assertEqual((4 * MOVED_AT_ONCE, True), (len(self.told), most <= 3 * MOVED_AT_ONCE))

    def test_back_before_all_are_told(self) -> None:
        """A node that replies again has the sessions of those that were not told yet."""
        for number in range(8 * MOVED_AT_ONCE):
            self.up(str(number))
        self.daemons[0].silent = True
        while not self.told:
            self.run_for(0.1)
        self.nodes.nodes[0].received(self.daemons[0].datagrams[-1].partition(b" ")[0] + b" d6:result4:ponge")
        self.daemons[0].silent = False
        before = len(self.told)
        self.run_for(30)
        self.assertEqual(before, len(self.told))
        self.assertLess(before, 4 * MOVED_AT_ONCE)


class Restarted(LostCase):
    def test_silent_before(self) -> None:
        """One that gives no uptime, and was silent before it is found empty, was restarted."""
        self.daemons[0].statistics = {b"result": b"ok", b"statistics": [1]}
        self.run_for(2 * INTERVAL)
        self.up("first")
        self.daemons[0].silent = True
        self.run_for(4.5)
        self.assertIsNone(self.nodes.nodes[0].lost_since)
        self.assertFalse(self.nodes.nodes[0].alive)
        self.daemons[0].sessions.clear()
        self.daemons[0].silent = False
        self.run_for(2 * INTERVAL)
        self.assertEqual([("first", Loss.NODE)], self.told)

    def test_at_once(self) -> None:
        """A node that was restarted between two pings is found by its uptime, within 4 s and a bit."""
        self.run_for(10)
        self.up("first"), self.up("second")
        self.restart(self.daemons[0])
        self.run_for(2 * INTERVAL + 1)
        self.assertEqual([("first", Loss.NODE)], self.told)

    def test_clock_is_set(self) -> None:
        """An uptime that has gone back while the sessions are there: nobody is told. A session that is missed after
        that is one that was given up."""
        self.run_for(10)
        session = self.up("first")
        self.daemons[0].started = self.reactor.seconds()
        self.run_for(20)
        self.assertEqual([], self.told)
        self.daemons[0].sessions.discard(session.call_id.encode())
        self.daemons[0].timeouts += 1
        self.run_for(2 * INTERVAL + 1)
        self.assertEqual([("first", Loss.SESSION)], self.told)

    def test_given_up(self) -> None:
        """A session that was given up, since no media came, is found by the counter of these, within 4 s and a bit."""
        self.run_for(10)
        session = self.up("first")
        self.daemons[0].sessions.discard(session.call_id.encode())
        self.daemons[0].timeouts += 1
        self.run_for(2 * INTERVAL + 1)
        self.assertEqual([("first", Loss.SESSION)], self.told)

    def test_given_up_among_many(self) -> None:
        """So is one of more than a list holds, in as many checks as it takes."""
        self.patch(audit, "PROBE_LIMIT", 3)
        self.run_for(10)
        sessions = [self.up(str(number)) for number in range(24)]
        self.daemons[0].sessions |= {b"%d" % n for n in range(1200)}
        here = [each for each in sessions if each.node is self.nodes.nodes[0]]
        self.daemons[0].sessions.discard(here[-1].call_id.encode())
        self.daemons[0].timeouts += 1
        self.run_for(8 * INTERVAL)
        self.assertEqual([(here[-1].call, Loss.SESSION)], self.told)

    def test_no_statistics(self) -> None:
        """A node that gives none is audited now and then, as ever."""
        self.up("first")
        self.daemons[0].statistics = {b"result": b"ok", b"statistics": [1]}
        self.daemons[0].sessions.clear()
        self.run_for(40)
        self.assertEqual([("first", Loss.SESSION)], self.told)


class Swept(LostCase):
    def test_each_minute(self) -> None:
        """Sessions of this process that no call owns are deleted each minute, those of calls and of others are not."""
        living = self.up("first").call_id.encode()
        name = self.nodes.names.new()
        self.nodes.names.release(name)
        self.daemons[0].sessions |= {name.encode(), b"wrp-other-1", b"foreign"}
        self.run_for(65)
        self.assertEqual({living, b"wrp-other-1", b"foreign"}, self.daemons[0].sessions)
