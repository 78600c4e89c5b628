"""Sessions that rtpengine gives up by itself, and how that is found."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.logger import capturedLogs

from tests.media.cases import SDP
from tests.media.test_nodes import INTERVAL, NodesCase
from tests.support.ngwire import FIRST
from webrtcproxy.media import audit
from webrtcproxy.media.nodes import AUDIT_INTERVAL
from webrtcproxy.media.placement import Loss
from webrtcproxy.media.profile import BROWSER
from webrtcproxy.media.session import MediaSession


class AuditCase(NodesCase):
    """One node, audited every half minute."""

    hosts = (FIRST,)

    def setUp(self) -> None:
        super().setUp()
        self.daemon = self.daemons[0]
        self.lost: list[tuple[str, Loss]] = []
        self.start()  # pings at 1, 3, 5 ... s, audits at 29, 59 ... s

    def up(self, name: str) -> MediaSession:
        """A session of a call that is up."""
        session = self.nodes.session(name)
        for done in (
            session.offer(SDP, from_tag="A", branch="b", to=BROWSER),
            session.answer(SDP, from_tag="A", to_tag="B", branch="b", to=BROWSER),
        ):
            self.run_for(0.1)
            self.successResultOf(done)
        session.watch(lambda loss: self.lost.append((name, loss)))
        return session

    def gone(self, session: MediaSession) -> None:
        """The node has given it up."""
        self.daemon.sessions.discard(session.call_id.encode())

    def check(self) -> None:
        """So long until the node is audited."""
        self.run_for(AUDIT_INTERVAL * INTERVAL + 3)


class AuditTests(AuditCase):
    """Who is told, and when."""

    def test_gone(self) -> None:
        """One that has lost its session is told within half a minute, and once; others are not (corners.rst 5:
        timeouts)."""
        living, ended = self.up("living"), self.up("ended")
        self.gone(ended)
        self.check()
        self.assertEqual([("ended", Loss.SESSION)], self.lost)
        self.assertEqual([b"list", b"query"], [name for name in self.daemon.asked() if name in (b"list", b"query")])
        self.check()
        self.assertEqual([("ended", Loss.SESSION)], self.lost)
        self.gone(living)
        self.check()
        self.assertEqual([("ended", Loss.SESSION), ("living", Loss.SESSION)], self.lost)

    def test_restart(self) -> None:
        """A node that was dead and knows nothing when it is back is looked at at once."""
        self.up("one"), self.up("two")
        self.daemon.silent = True
        self.run_for(2 * INTERVAL)
        self.assertEqual([], self.lost)
        self.daemon.silent = False
        self.daemon.sessions.clear()
        self.daemon.started = self.reactor.seconds()
        self.run_for(INTERVAL + 1)
        self.assertEqual([("one", Loss.NODE), ("two", Loss.NODE)], self.lost)

    def test_list_is_not_all(self) -> None:
        """What the list lacks is asked for by name: it is of a moment, and as long as a datagram."""
        self.up("one")
        self.daemon.sessions |= {b"%d" % n for n in range(1200)}  # these come first
        self.check()
        self.assertIn(b"query", self.daemon.asked())
        self.assertEqual([], self.lost)

    def test_more_than_a_list(self) -> None:
        """Of more sessions than a list holds, one look asks for some by name, the next for others: each has its turn,
        and a node that has lost all of them is not asked less."""
        self.patch(audit, "PROBE_LIMIT", 3)
        sessions = [self.up(str(number)) for number in range(8)]
        self.daemon.sessions |= {b"%d" % n for n in range(1200)}
        self.check()
        self.assertEqual(3, self.daemon.asked().count(b"query"))
        self.gone(sessions[7])
        self.check(), self.check()
        self.assertEqual(([("7", Loss.SESSION)], 10), (self.lost, self.daemon.asked().count(b"query")))
        self.daemon.sessions.clear()
        self.check()
        self.assertEqual({str(number) for number in range(8)}, {name for name, _ in self.lost})

    def test_deleted(self) -> None:
        """A call that has ended misses nothing, nor does one that ends while the node is asked."""
        ended, ending = self.up("ended"), self.up("ending")
        ended.delete()
        self.gone(ending)
        self.daemon.delay = 0.5
        for _ in range(300):
            if b"query" not in self.daemon.asked():
                self.run_for(0.1)
        ending.delete()
        self.daemon.delay = 0.0
        self.run_for(3)
        self.assertEqual([], self.lost)
        ended.watch(lambda loss: self.lost.append(("late", loss)))
        self.assertEqual([], self.lost)

    def test_one_round_at_a_time(self) -> None:
        """A node so slow that it is not through with the questions when the next round is due is not asked more."""
        sessions = [self.up(str(number)) for number in range(20)]
        for session in sessions:
            self.gone(session)
        self.daemon.delay = 0.9
        self.run_for(60)
        self.assertEqual((20, 20), (len(self.lost), self.daemon.asked().count(b"query")))
        self.daemon.delay = 0.0
        self.run_for(1)

    def test_nobody_to_miss(self) -> None:
        """Without calls nothing is asked; a session that is nowhere yet is not missed."""
        self.nodes.session("new").watch(lambda loss: self.lost.append(("new", loss)))
        self.check()
        self.assertEqual({b"ping"}, set(self.daemon.asked()))
        self.assertEqual([], self.lost)

    def test_does_not_list(self) -> None:
        """A node that gives no list, or an error that is another, has lost nothing as far as we know."""
        self.up("one")
        self.daemon.sessions.clear()
        nothing, odd = b"d5:callsle6:result2:oke", b"d12:error-reason3:odd6:result5:errore"
        for replies in ([odd], [nothing, odd]):
            self.daemon.replies = replies
            with capturedLogs() as logs:
                done = Deferred.fromCoroutine(self.nodes._audit.check(self.nodes.nodes[0], lambda: succeed(None)))
                self.reactor.settle()
                self.successResultOf(done)
            self.assertEqual(["odd"], [line["why"] for line in logs if "does not list" in str(line.get("log_format"))])
            self.assertEqual(([], []), (self.lost, self.daemon.replies))
        self.check()
        self.assertEqual([("one", Loss.SESSION)], self.lost)
