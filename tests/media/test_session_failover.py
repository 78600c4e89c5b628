"""A session whose rtpengine is silent, slow, dead or full."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from tests.media.cases import SessionCase
from tests.support.ngwire import FIRST, SECOND, THIRD, FakeDaemon, FakeReactor
from webrtcproxy.media.nodes import DELETE_RETRY, Nodes
from webrtcproxy.runtime.errors import NgOverload, NgRefused, NgTimeout


class SilenceTests(SessionCase):
    def test_silent(self) -> None:
        """A node that never answers: NgTimeout (503) when the time is up, and a delete once it answers again."""
        self.daemon.silent = True
        done = self.offer()
        self.reactor.pump([0.1] * 21)
        self.failureResultOf(done, NgTimeout)
        self.delete()
        self.reactor.advance(5)
        self.assertIn(b"6:delete", self.daemon.datagrams[-1])
        self.daemon.silent = False
        self.reactor.pump([0.5] * 20)
        self.assertEqual(self.daemon.asked()[-2:], [b"delete", b"delete"])

    def test_slow_offer_after_the_delete(self) -> None:
        """A stalled node may do the offer after its delete: it is deleted once more."""
        self.daemon.silent = True
        done = self.offer()
        self.reactor.pump([0.1] * 21)
        self.failureResultOf(done, NgTimeout)
        self.daemon.silent = False
        self.reactor.advance(1)  # the delete is sent again, and there is no such session
        self.reactor.settle()
        self.assertEqual(self.daemon.asked(), [b"delete"])
        call_id = self.daemon.commands[0][b"call-id"]
        self.daemon.sessions.add(call_id)  # now the offer is done
        self.reactor.pump([0.1] * 15)
        self.assertEqual(self.daemon.sessions, set())
        self.delete()

    def test_next_try_is_another_session(self) -> None:
        """The delete of a try that had no reply can not hit the session of a later try at the same node."""
        self.daemon.silent = True
        done = self.offer("b1")
        self.reactor.pump([0.1] * 21)
        self.failureResultOf(done, NgTimeout)
        self.daemon.silent = False
        self.sdp_of(self.offer("b2"))
        self.reactor.pump([0.5] * 20)
        self.assertEqual(len(self.daemon.sessions), 1)
        self.assertEqual(self.daemon.sessions, {self.session.call_id.encode()})
        self.delete()

    def test_silent_later(self) -> None:
        """An answer or later offer without a reply fails in time; the session stays where it is."""
        self.sdp_of(self.offer())
        self.daemon.silent = True
        done = self.answer()
        self.reactor.pump([0.1] * 21)
        self.failureResultOf(done, NgTimeout)
        self.daemon.silent = False
        self.sdp_of(self.answer())
        self.delete()

    def test_delete_is_sent_again(self) -> None:
        """A lost delete is sent again; it never fails."""
        self.sdp_of(self.offer())
        self.daemon.silent = True
        gone = self.session.delete()
        self.reactor.pump([0.1] * 60)
        self.assertNoResult(gone)
        self.daemon.silent = False
        self.reactor.pump([0.1] * 50)
        self.assertIsNone(self.successResultOf(gone))

    def test_delete_without_reply(self) -> None:
        """A delete that nobody answers is given up, with a line in the log; the node is swept when it is back."""
        self.sdp_of(self.offer())
        self.daemon.silent = True
        with capturedLogs() as logs:
            gone = self.session.delete()
            self.reactor.pump([1.0] * int(DELETE_RETRY + 1))
        self.assertIsNone(self.successResultOf(gone))
        self.assertEqual([line["call"] for line in logs if "call" in line], ["call-1"])
        self.daemon.sessions.clear()
        self.daemon.silent = False


class FailOverTests(SessionCase):
    hosts = (FIRST, SECOND, THIRD)

    def others(self, done: Deferred[bytes]) -> list[FakeDaemon]:
        """Those that hold the session."""
        self.successResultOf(done)
        return [daemon for daemon in self.daemons if daemon.sessions]

    def test_silent_node(self) -> None:
        """A silent node: the next one is asked within the time for one command; the first is told to delete, too."""
        self.daemons[0].silent = True
        done = self.offer()
        self.reactor.pump([0.1] * 8)
        self.assertEqual(self.others(done), [self.daemons[1]])
        self.sdp_of(self.answer())
        self.assertEqual(self.daemons[1].asked(), [b"offer", b"answer"])
        self.daemons[0].silent = False
        self.reactor.pump([0.5] * 10)
        self.assertEqual(self.daemons[0].asked(), [b"delete", b"delete"])
        self.delete()
        first, second = (daemon.datagrams[1] for daemon in self.daemons[:2])
        self.assertNotEqual(first.partition(b" ")[0], second.partition(b" ")[0])

    def test_first_node_slow_not_dead(self) -> None:
        """A node whose reply comes too late holds a session: that one is deleted, the other node's is not."""
        self.daemons[0].delay = 1.0
        done = self.offer()
        self.reactor.pump([0.1] * 8)
        self.assertEqual(self.others(done), [self.daemons[1]])
        self.assertEqual(self.daemons[0].asked(), [b"offer", b"delete"])
        self.reactor.pump([0.1] * 30)
        self.assertEqual([len(daemon.sessions) for daemon in self.daemons], [0, 1, 0])
        self.delete()

    def test_all_silent(self) -> None:
        """The time for one command is over all nodes, not for each."""
        for daemon in self.daemons:
            daemon.silent = True
        done = self.offer()
        self.reactor.pump([0.1] * 19)
        self.assertNoResult(done)
        self.reactor.pump([0.1] * 2)
        self.failureResultOf(done, NgTimeout)
        self.assertTrue(all(daemon.datagrams for daemon in self.daemons))
        self.delete()
        for daemon in self.daemons:
            daemon.silent = False

    def test_overload(self) -> None:
        """A node at its limit: the next one at once; all at their limits: NgOverload (503 with Retry-After)."""
        for daemon in self.daemons[:2]:
            daemon.result = {b"result": b"load limit"}
        done = self.offer()
        self.reactor.settle()
        self.assertEqual(self.others(done), [self.daemons[2]])
        self.delete()
        self.daemons[2].result = {b"result": b"load limit"}
        self.session = self.nodes.session("call-2")
        self.error_of(self.offer(), NgOverload)
        self.delete()

    def test_refused_is_not_tried_elsewhere(self) -> None:
        """SDP that one rtpengine cannot read, none can."""
        self.daemons[0].result = {b"result": b"error"}
        self.error_of(self.offer(), NgRefused)
        self.assertEqual([daemon.asked() for daemon in self.daemons], [[b"offer"], [], []])
        self.delete()

    def test_dead_node_is_the_last_resort(self) -> None:
        """The living nodes share the time among them; a dead one gets what they leave."""
        self.nodes.nodes[0].alive = self.nodes.nodes[1].alive = False
        self.daemons[2].silent = True
        done = self.offer()
        self.reactor.pump([0.1] * 21)
        self.failureResultOf(done, NgTimeout)
        self.assertEqual([len(daemon.commands) for daemon in self.daemons], [0, 0, 0])
        self.daemons[2].silent = False
        self.delete()
        self.daemons[2].result = {b"result": b"load limit"}
        self.session = self.nodes.session("call-2")
        done = self.offer()
        self.reactor.settle()
        self.successResultOf(done)
        self.assertIsNot(self.session.node, self.nodes.nodes[2])
        self.daemons[2].result = None
        self.delete()

    def test_stays_on_its_node(self) -> None:
        """Later operations of a call go where its first offer went, though others would be next."""
        self.sdp_of(self.offer())
        self.sdp_of(self.answer())
        self.sdp_of(self.offer("b2"))
        self.assertEqual([daemon.asked() for daemon in self.daemons], [[b"offer", b"answer", b"offer"], [], []])
        self.delete()


class NoNodeTests(SessionCase):
    hosts = ()

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.daemons = []
        self.nodes = Nodes(self.reactor, [])
        self.nodes.startService()
        self.session = self.nodes.session("call-1")

    def test_no_node(self) -> None:
        """Without any node there is an error, not silence."""
        self.error_of(self.offer(), NgTimeout)
        self.delete()
