"""A session whose rtpengine is lost goes on at another one: what that one is told, and what the parties are."""

from __future__ import annotations

from tests.media.cases import SessionCase
from tests.support.ngwire import FIRST, LOST, SECOND, THIRD, FakeDaemon
from tests.support.sdp import lines, sample
from webrtcproxy.media.placement import Loss
from webrtcproxy.media.profile import BROWSER, TRUNK
from webrtcproxy.runtime.errors import NgRefused, NgTimeout

CHROME = sample("chromium-audio")
PLAIN = b"v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 0\r\n"


class MovedCase(SessionCase):
    hosts = (FIRST, SECOND, THIRD)

    def setUp(self) -> None:
        super().setUp()
        self.told: list[Loss] = []
        self.session.watch(self.told.append)

    def lose(self, loss: Loss = Loss.NODE) -> None:
        """The node of the session is lost."""
        self.daemon_of_now.sessions.clear()
        self.session._at._lost(loss)

    @property
    def daemon_of_now(self) -> FakeDaemon:
        assert self.session.node is not None
        return next(daemon for daemon in self.daemons if daemon.address[0] == self.session.node.host)

    def next_node(self) -> FakeDaemon:
        """The daemon where the session is now; what it was told so far is in `commands`."""
        self.reactor.settle()
        return self.daemon_of_now


class Moved(MovedCase):
    """What the next node is told."""

    def test_offer(self) -> None:
        """The next offer is the first one of a session with another name, without a To tag, and with other ports."""
        self.sdp_of(self.offer())
        self.sdp_of(self.answer())
        before = self.session.call_id
        self.lose()
        self.assertEqual([Loss.NODE], self.told)
        self.sdp_of(self.offer())
        daemon = self.next_node()
        self.assertIsNot(self.daemons[0], daemon)
        (offer,) = daemon.commands
        self.assertEqual((b"A", None, b"b1"), tuple(offer.get(key) for key in (b"from-tag", b"to-tag", b"via-branch")))
        self.assertNotIn(b"port latching", offer[b"flags"])
        self.assertNotEqual(before, self.session.call_id)
        self.sdp_of(self.answer())
        self.sdp_of(self.offer())
        self.assertEqual([b"offer", b"answer", b"offer"], daemon.asked())
        self.assertIn(b"port latching", daemon.commands[-1][b"flags"])
        self.delete()

    def test_answer(self) -> None:
        """An answer: the offer is told first."""
        self.sdp_of(self.offer())
        self.lose()
        self.sdp_of(self.answer())
        offer, answer = self.next_node().commands
        first = self.daemons[0].commands[0]
        self.assertEqual((first[b"sdp"], first[b"flags"]), (offer[b"sdp"], offer[b"flags"]))
        self.assertEqual((b"A", b"B"), (answer[b"from-tag"], answer[b"to-tag"]))
        self.delete()

    def test_offer_of_the_other_side(self) -> None:
        """The party that had answered makes the first offer there."""
        self.sdp_of(self.offer())
        self.sdp_of(self.answer())
        self.lose()
        self.sdp_of(self.offer(from_tag="B", to=TRUNK))
        self.sdp_of(self.answer(from_tag="B", to_tag="A"))
        offer, answer = self.next_node().commands
        self.assertEqual((b"B", None), (offer[b"from-tag"], offer.get(b"to-tag")))
        self.assertEqual((b"B", b"A"), (answer[b"from-tag"], answer[b"to-tag"]))
        self.delete()

    def test_origins(self) -> None:
        """What each party is told has the same session id as before, and a later version (RFC 3264 section 8)."""
        offered, answered = self.sdp_of(self.offer()), self.sdp_of(self.answer())
        self.lose()
        for daemon in self.daemons[1:]:
            daemon.keeps_formats = True
        callers = self.sdp_of(self.offer(from_tag="B"))
        callees = self.sdp_of(self.answer(from_tag="B", to_tag="A"))
        for before, after in ((offered, callees), (answered, callers)):
            (_, name, *_), (_, same, version, *_) = (lines(sdp, "o=")[0].split() for sdp in (before, after))
            self.assertEqual(name, same)
            self.assertIn(version, ("1", "2"))
        self.delete()

    def test_origin_of_another_fork(self) -> None:
        """So has what a party is told that has answered by another name (a downstream fork)."""
        offered = self.sdp_of(self.offer())
        self.sdp_of(self.answer())
        self.lose()
        self.sdp_of(self.offer(from_tag="B2"))
        answered = self.sdp_of(self.answer(from_tag="B2", to_tag="A"))
        self.lose()
        again = self.sdp_of(self.offer(from_tag="A"))
        self.assertEqual(1, len({lines(sdp, "o=")[0].split()[1] for sdp in (offered, answered, again)}))
        self.delete()

    def test_a_branch_that_is_not_there(self) -> None:
        """A branch that the next node was not told of is dropped without a word; the last one stays."""
        self.sdp_of(self.offer("b1"))
        self.sdp_of(self.offer("b2"))
        self.lose()
        self.sdp_of(self.answer("b1"))
        self.session.drop("b2")
        self.session.drop("b1")
        self.reactor.settle()
        self.assertEqual([b"offer", b"answer"], self.next_node().asked())
        self.delete()

    def test_never_offered(self) -> None:
        """An answer to nothing is refused there, too."""
        self.sdp_of(self.offer())
        self.lose()
        self.error_of(self.answer("b2"), NgRefused)
        self.delete()

    def test_deleted(self) -> None:
        """A session that is deleted before it went on is nowhere; its call is not told any more."""
        self.sdp_of(self.offer())
        self.lose()
        self.delete()
        self.session._at._lost(Loss.NODE)
        self.assertEqual([Loss.NODE], self.told)

    def test_watched_later(self) -> None:
        """Who takes a session over that has gone on is told at once: its parties have the ports of the former node."""
        self.sdp_of(self.offer())
        self.lose()
        self.sdp_of(self.answer())
        later: list[Loss] = []
        self.session.watch(later.append)
        self.assertEqual([Loss.NODE], later)
        self.delete()


class Noticed(MovedCase):
    """A session notices by itself that its node is lost."""

    def test_unknown(self) -> None:
        """A node that does not know the session, as after a restart: the command is done at a node that takes it."""
        self.sdp_of(self.offer())
        self.daemon.sessions.clear()
        self.daemon.result = LOST
        self.sdp_of(self.answer())
        self.assertEqual(([Loss.NODE], [b"offer", b"answer"]), (self.told, self.next_node().asked()))
        self.daemon.result = None
        self.delete()

    def test_silent(self) -> None:
        """One that does not reply, while another one is there."""
        self.sdp_of(self.offer())
        self.daemon.silent = True
        done = self.answer()
        self.reactor.pump([0.1] * 21)
        self.successResultOf(done)
        self.assertEqual(([Loss.NODE], [b"offer", b"answer"]), (self.told, self.next_node().asked()))
        self.daemon.silent = False
        self.delete()

    def test_all_silent(self) -> None:
        """Nobody replies: the command fails, and the session stays where it is, as long as none is alive."""
        self.sdp_of(self.offer())
        for daemon in self.daemons:
            daemon.silent = True
        for node in self.nodes.nodes[1:]:
            node.alive = False
        done = self.answer()
        self.reactor.pump([0.1] * 50)
        self.failureResultOf(done, NgTimeout)
        self.assertEqual([], self.told)
        for daemon in self.daemons:
            daemon.silent = False
        self.delete()

    def test_refused(self) -> None:
        """What a node refuses for another reason, it has not lost."""
        self.sdp_of(self.offer())
        self.daemon.result = {b"result": b"error", b"error-reason": b"Odd"}
        self.error_of(self.answer(), NgRefused)
        self.assertEqual([], self.told)
        self.daemon.result = None
        self.delete()


class Browsers(MovedCase):
    """The connection of a browser changes with an offer to it, or with the answer to an ICE restart (RFC 8839 section
    4.4.1.1.1)."""

    UFRAG = lines(CHROME, "a=ice-ufrag:")[0].encode()

    def setUp(self) -> None:
        super().setUp()
        for number, daemon in enumerate(self.daemons):
            daemon.connection = b"a=ice-ufrag:node%d\r\na=ice-pwd:%d\r\n" % (number, number)

    def test_answer_without_a_restart(self) -> None:
        """A browser that was told the former node's keeps that for the moment; what is carried is of now."""
        early = self.up()
        self.lose()
        answer = self.answer_to_browser(b"a=sendonly")
        self.assertEqual(
            (lines(early, "a=ice-ufrag"), lines(early, "m=")), (lines(answer, "a=ice-ufrag"), lines(answer, "m="))
        )
        offer = self.sdp_of(self.session.offer(PLAIN, from_tag="B", branch="b1", to=BROWSER))
        self.assertNotEqual(lines(early, "a=ice-ufrag"), lines(offer, "a=ice-ufrag"))
        self.delete()

    def test_answer_to_a_restart(self) -> None:
        """One that restarts ICE itself gets the connection of now."""
        early = self.up()
        self.lose()
        restarted = CHROME.replace(self.UFRAG, b"a=ice-ufrag:other")
        answer = self.answer_to_browser(b"a=sendrecv", restarted)
        self.assertNotEqual(lines(early, "a=ice-ufrag"), lines(answer, "a=ice-ufrag"))
        self.delete()

    def test_first_answer(self) -> None:
        """One that was told nothing yet gets it as well."""
        self.sdp_of(self.session.offer(CHROME, from_tag="A", branch="b1", to=TRUNK))
        self.lose()
        answer = self.sdp_of(self.session.answer(PLAIN, from_tag="A", to_tag="B", branch="b1", to=BROWSER))
        self.assertEqual(["a=ice-ufrag:node1"], lines(answer, "a=ice-ufrag"))
        self.delete()

    def last_sdp(self) -> bytes:
        """The description in the last command to the node of now."""
        sdp: bytes = self.next_node().commands[-1][b"sdp"]
        return sdp

    def test_credentials_of_then(self) -> None:
        """Until a browser has restarted ICE, the next node gets neither its candidates nor its credentials, always the
        same others; once it has, or where nothing was told it by the former one, it gets those that it has."""
        self.up()
        self.lose()
        stood_in = []
        for _ in range(2):
            self.sdp_of(self.session.offer(CHROME, from_tag="A", branch="b1", to=TRUNK))
            stood_in.append(lines(self.last_sdp(), "a=ice-ufrag:") + lines(self.last_sdp(), "a=ice-pwd:"))
            self.assertEqual(
                (["m=audio 9"], []), ([lines(self.last_sdp(), "m=")[0][:9]], lines(self.last_sdp(), "a=candidate"))
            )
            for line in stood_in[-1]:
                self.assertNotIn(line, lines(CHROME))
        self.assertEqual(*stood_in)
        restarted = CHROME.replace(self.UFRAG, b"a=ice-ufrag:other")
        self.sdp_of(self.session.offer(restarted, from_tag="A", branch="b1", to=TRUNK))
        self.assertEqual(["a=ice-ufrag:other"], lines(self.last_sdp(), "a=ice-ufrag"))
        self.delete()

    def test_credentials_of_a_first_offer(self) -> None:
        """Those of a browser that was told nothing by the former node cross."""
        self.sdp_of(self.session.offer(CHROME, from_tag="A", branch="b1", to=TRUNK))
        self.lose()
        self.sdp_of(self.session.answer(PLAIN, from_tag="A", to_tag="B", branch="b1", to=BROWSER))
        offer, _ = self.next_node().commands
        self.assertEqual([self.UFRAG.decode()], lines(offer[b"sdp"], "a=ice-ufrag:"))
        self.sdp_of(self.session.offer(CHROME, from_tag="A", branch="b1", to=TRUNK))
        self.assertEqual([self.UFRAG.decode()], lines(self.last_sdp(), "a=ice-ufrag:"))
        self.delete()

    def up(self) -> bytes:
        self.sdp_of(self.session.offer(CHROME, from_tag="A", branch="b1", to=TRUNK))
        return self.sdp_of(self.session.answer(PLAIN, from_tag="A", to_tag="B", branch="b1", to=BROWSER))

    def answer_to_browser(self, direction: bytes, offer: bytes = CHROME) -> bytes:
        self.sdp_of(self.session.offer(offer, from_tag="A", branch="b1", to=TRUNK))
        return self.sdp_of(
            self.session.answer(PLAIN + direction + b"\r\n", from_tag="A", to_tag="B", branch="b1", to=BROWSER)
        )
