"""The media session of one call: its operations, their order, and the delete at the end."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import capturedLogs

from tests.media.cases import SDP, SessionCase
from tests.support.sdp import lines
from webrtcproxy.config import TrunkMedia
from webrtcproxy.media.bencode import Reply
from webrtcproxy.media.crossing import from_peer
from webrtcproxy.media.profile import BROWSER, TRUNK, profiles_of
from webrtcproxy.media.version import Quirks
from webrtcproxy.runtime.errors import NgRefused, Refusal
from webrtcproxy.sip.sdp.reading import read
from webrtcproxy.sip.sdp.writing import write


def rewritten(sdp: bytes) -> bytes:
    """What rtpengine is told of it."""
    return write(read(sdp))


class OperationTests(SessionCase):
    def test_a_call(self) -> None:
        """offer, answer, delete: each names the session, the parties and the branch."""
        offered = lines(self.sdp_of(self.offer()))
        self.assertEqual(offered[-3:], ["a=label:offer", "a=mid:0", "a=sendrecv"])
        told = write(from_peer(SDP, BROWSER))
        self.assertEqual(self.last(b"from-tag", b"to-tag", b"via-branch", b"sdp"), (b"A", None, b"b1", told))
        self.assertEqual(self.last(b"ICE", b"supports"), (b"force", [b"load limit"]))
        self.assertIn("a=label:answer", lines(self.sdp_of(self.answer())))
        self.assertEqual(self.last(b"from-tag", b"to-tag", b"via-branch", b"supports"), (b"A", b"B", b"b1", None))
        self.delete()
        self.assertEqual(self.daemon.asked(), [b"offer", b"answer", b"delete"])
        self.assertEqual(len({command[b"call-id"] for command in self.daemon.commands}), 1)
        self.assertEqual(self.last(b"delete delay", b"from-tag", b"via-branch"), (0, None, None))

    def test_profile_of_the_receiver(self) -> None:
        """Flags are those of the leg that the SDP goes to, and that leg's unwanted lines are gone."""
        self.assertEqual(lines(self.sdp_of(self.offer(to=TRUNK)))[-2:], ["a=label:offer", "a=sendrecv"])
        self.assertEqual(self.last(b"transport protocol"), (b"RTP/AVP",))
        self.delete()

    def test_keys_that_a_node_knows(self) -> None:
        """``bundle`` goes to a node whose version knows it, for a browser, in offers and answers; what is learned of
        the node in a call concerns later calls (field.rst X8: Keys of a node)."""
        (node,) = self.nodes.nodes
        self.delete()
        for known, later in ((False, True), (True, False)):
            self.session = self.nodes.session("call-2")
            node.quirks = Quirks(knows_bundle=known)
            expected = [b"accept"] if known else None
            self.sdp_of(self.offer())
            self.assertEqual(self.last(b"bundle"), (expected,))
            node.quirks = Quirks(knows_bundle=later)
            self.sdp_of(self.answer(to=TRUNK))
            self.assertEqual(self.last(b"bundle"), (None,))
            for again in (self.offer, self.answer):
                self.sdp_of(again())
                self.assertEqual(self.last(b"bundle"), (expected,))
            self.delete()

    def test_faults_of_a_node(self) -> None:
        """Whether digits may be lost is known of the node that has the session."""
        (node,) = self.nodes.nodes
        node.quirks = Quirks(loses_digits=True)
        self.assertFalse(self.session.loses_digits)
        self.sdp_of(self.offer())
        self.assertTrue(self.session.loses_digits)
        self.delete()

    def test_packets(self) -> None:
        """What a party has sent: RTP and RTCP, of all media, by the name that it has in the session."""
        self.failureResultOf(self.session.packets(from_tag="A", branch="b1"), NgRefused)
        self.sdp_of(self.offer())
        self.sdp_of(self.answer(to_tag="B"))
        self.sdp_of(self.answer(to_tag="fork"))
        audio, video = ([{b"stats": {b"packets": number}}, {b"stats": {b"packets": 1}}] for number in (50, 700))
        medias = [{b"streams": audio}, {b"streams": video}]
        tags = {b"A": {b"medias": medias[:1]}, b"B": {b"medias": medias}}
        for name, known, packets in (("A", b"A", 51), ("B", b"B", 752), ("fork", b"B", 752)):
            self.daemon.counted = {b"result": b"ok", b"tags": tags}
            counted = self.session.packets(from_tag=name, branch="b1")
            self.reactor.settle()
            self.assertEqual(self.successResultOf(counted), packets)
            self.assertEqual(self.last(b"command", b"from-tag"), (b"query", known))
        for odd in ({}, {b"A": {}}, {b"A": 7}, {b"A": {b"medias": [{b"streams": [{b"stats": {b"packets": []}}]}]}}, []):
            self.daemon.counted = {b"result": b"ok", b"tags": odd}
            counted = self.session.packets(from_tag="A", branch="b1")
            self.reactor.settle()
            self.failureResultOf(counted, NgRefused)
        self.failureResultOf(self.session.packets(from_tag="A", branch="b2"), NgRefused)
        self.delete()
        self.failureResultOf(self.session.packets(from_tag="A", branch="b1"), NgRefused)

    def test_digit(self) -> None:
        """A digit is of the one that sends it, by the name that it has in the session, whichever party that is."""
        self.sdp_of(self.offer())
        self.sdp_of(self.answer(to_tag="B"))
        self.sdp_of(self.answer(to_tag="fork"))
        for name, known in (("A", b"A"), ("B", b"B"), ("fork", b"B")):
            self.daemon.result = {b"result": b"ok"}
            done = self.session.play("#", 160, from_tag=name, branch="b1")
            self.reactor.settle()
            self.assertIsNone(self.successResultOf(done))
            self.assertEqual(self.last(b"command", b"from-tag", b"code", b"duration"), (b"play DTMF", known, b"#", 160))
            self.assertEqual(self.last(b"sdp", b"to-tag"), (None, None))
        self.daemon.result = {
            b"result": b"error",
            b"error-reason": b"Sink monologue has no media capable of DTMF playback",
        }
        done = self.session.play("#", 160, from_tag="A", branch="b1")
        self.reactor.settle()
        self.failureResultOf(done, NgRefused)
        self.daemon.result = None
        self.delete()

    def test_digit_without_a_session(self) -> None:
        """Nothing is asked of rtpengine."""
        for branch in ("b1", "b2"):
            done = self.session.play("#", 160, from_tag="A", branch=branch)
            self.failureResultOf(done, NgRefused)
            self.assertNotIn(b"play DTMF", self.daemon.asked())
            if branch == "b1":
                self.sdp_of(self.offer())
        self.delete()

    def test_wrong_protocol(self) -> None:
        """SDP of a trunk has the transport protocol that its section says, or never reaches rtpengine: an answer in
        another one would be none, and plain RTP of a trunk with `srtp` would be heard (RFC 3264 section 6). The session
        goes on."""
        plain, srtp, browsers = (
            b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 9 %b 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:%b\r\n"
            % (name, b"a" * 40)
            for name in (b"RTP/AVP", b"RTP/SAVP", b"UDP/TLS/RTP/SAVPF")
        )
        for media, good, bad in ((TrunkMedia(), plain, srtp), (TrunkMedia(srtp=True), srtp, plain)):
            to, back = profiles_of(media)
            for wrong in (bad, browsers):
                self.error_of(self.session.offer(wrong, from_tag="A", branch="b1", to=back), NgRefused)
            self.sdp_of(self.session.offer(good, from_tag="A", branch="b1", to=to.of("signalled")))
            for wrong in (bad, browsers):
                done = self.session.answer(wrong, from_tag="A", to_tag="B", branch="b1", to=back)
                self.assertEqual(self.error_of(done, NgRefused).status, 488)
            self.sdp_of(self.session.answer(good, from_tag="A", to_tag="B", branch="b1", to=back))
        self.assertEqual(self.daemon.asked(), [b"offer", b"answer"] * 2)
        self.delete()

    def test_answer_leaves_a_medium_out(self) -> None:
        """It is refused to rtpengine, and so to the one that has offered it; by the last offer of that branch."""
        audio = b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 9 RTP/AVP 0\r\n"
        video = b"m=video 9 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
        refused = audio + b"m=video 0 RTP/AVP 0\r\n"
        for branch in ("b1", "b2"):
            for offer, told in ((audio + video, refused), (audio, audio)):
                self.sdp_of(self.session.offer(offer, from_tag="A", branch=branch, to=TRUNK))
                self.sdp_of(self.session.answer(audio, from_tag="A", to_tag="B", branch=branch, to=TRUNK))
                answers = [each[b"sdp"] for each in self.daemon.commands if each[b"command"] == b"answer"]
                self.assertEqual(answers[-1], rewritten(told))
        self.delete()

    def test_origin(self) -> None:
        """Each party has descriptions with an origin of its own, whose version is increased by one when what it is
        told changes, in offers and answers of either side and in another branch (RFC 3264 section 8; field.rst X1:
        Session version)."""
        one, other = SDP, SDP + b"a=inactive\r\n"
        steps: list[tuple[str, str, str, bytes, str]] = [
            ("offer", "b1", "A", one, "1"),  # to B
            ("answer", "b1", "A", one, "1"),  # to A
            ("offer", "b1", "A", one, "1"),  # to B
            ("answer", "b1", "A", other, "2"),  # to A
            ("offer", "b1", "B", other, "3"),  # to A: what the fake makes of offers and answers differs
            ("offer", "b2", "B", other, "1"),  # to C
            ("answer", "b2", "B", other, "2"),  # to B
        ]
        sessions: dict[str, set[str]] = {}
        for command, branch, tag, sdp, version in steps:
            peer = "C" if branch == "b2" else "B"
            if command == "offer":
                done = self.session.offer(sdp, from_tag=tag, branch=branch, to=BROWSER)
                to = "A" if tag == "B" and branch == "b1" else peer
            else:
                done = self.session.answer(sdp, from_tag=tag, to_tag=peer, branch=branch, to=BROWSER)
                to = tag
            origin = lines(self.sdp_of(done), "o=")[0].split()
            sessions.setdefault(to, set()).add(origin[1])
            self.assertEqual((to, version), (to, origin[2]), (command, branch, tag))
        self.assertEqual([1, 1, 1], [len(each) for each in sessions.values()])
        self.assertEqual(3, len(set.union(*sessions.values())))
        self.delete()

    def test_names_of_hosts(self) -> None:
        """A name in the place of an address is looked up, for offers and answers, before rtpengine is asked and in
        the order of operations; what can't be found is refused, and the session goes on (RFC 8866 section 5.7;
        field.rst W8: Name of a host)."""
        named = b"v=0\r\nc=IN IP4 media.example\r\nm=audio 9 RTP/AVP 0\r\n"
        asked: list[str] = []
        found: list[Deferred[str]] = []

        def find(host: str) -> Deferred[str]:
            asked.append(host)
            found.append(Deferred())
            return found[-1]

        self.nodes._find = find
        first = self.session.offer(named, from_tag="A", branch="b1", to=TRUNK)
        second = self.session.answer(named, from_tag="A", to_tag="B", branch="b1", to=TRUNK)
        self.assertEqual((asked, self.daemon.asked()), (["media.example"], []))
        found[0].callback("192.0.2.7")
        self.sdp_of(first)
        self.assertIn("c=IN IP4 192.0.2.7", lines(self.last(b"sdp")[0]))  # type: ignore[arg-type]
        found[1].callback("2001:db8::7")
        self.sdp_of(second)
        self.assertIn("c=IN IP6 2001:db8::7", lines(self.last(b"sdp")[0]))  # type: ignore[arg-type]
        third = self.session.offer(named, from_tag="A", branch="b1", to=TRUNK)
        found[2].errback(Refusal(502, "Cannot Resolve Host"))
        self.assertIn("media.example", self.error_of(third, NgRefused).why)
        local = named.replace(b"media.example", b"x.local")
        many = named + b"".join(b"m=audio 9 RTP/AVP 0\r\nc=IN IP4 %d.example\r\n" % each for each in range(4))
        for sdp in (local, many):
            self.error_of(self.session.offer(sdp, from_tag="A", branch="b1", to=TRUNK), NgRefused)
        self.assertEqual(len(asked), 3)
        self.nodes._find = None
        self.error_of(self.session.offer(named, from_tag="A", branch="b1", to=TRUNK), NgRefused)
        self.assertEqual(self.daemon.asked(), [b"offer", b"answer"])
        self.delete()

    def test_call_id_is_ours(self) -> None:
        """The session is not named after the SIP Call-ID, which others know; each session has another name."""
        self.sdp_of(self.offer())
        (call_id,) = self.daemon.sessions
        self.assertTrue(call_id.startswith(b"wrp-"))
        self.assertNotIn(b"call-1", call_id)
        other = self.nodes.session("call-1")
        self.assertNotEqual(call_id.decode(), other.call_id)
        other.delete()
        self.delete()

    def test_odd_tags(self) -> None:
        """Tags with bytes outside UTF-8 go to rtpengine as they came."""
        self.sdp_of(self.offer(from_tag="\udcff\udcfe"))
        self.assertEqual(self.last(b"from-tag"), (b"\xff\xfe",))
        self.delete()

    def test_refused(self) -> None:
        """SDP that rtpengine refuses is NgRefused (488); the delete follows, it may hold ports."""
        self.daemon.result = {b"result": b"error", b"error-reason": b"Failed to parse SDP"}
        self.error_of(self.offer(), NgRefused)
        self.delete()
        self.assertEqual(self.daemon.asked(), [b"offer", b"delete"])

    def test_no_sdp_in_the_reply(self) -> None:
        """rtpengine 10.5 answers an empty SDP with `ok` and no SDP: refused, not handed on."""
        for reply in ({b"result": b"ok"}, {b"result": b"ok", b"sdp": b""}, {b"result": b"ok", b"sdp": 5}):
            self.daemon.result = reply
            self.error_of(self.offer(), NgRefused)
        self.delete()

    def test_warning(self) -> None:
        """A warning is logged under the call's name, without the SDP."""
        self.daemon.warning = b"something odd"
        with capturedLogs() as logs:
            self.sdp_of(self.offer())
        self.assertEqual([(line["call"], line["said"]) for line in logs], [("call-1", "something odd")])
        self.delete()

    def test_no_log_line(self) -> None:
        """A call that goes well leaves no line here."""
        with capturedLogs() as logs:
            self.sdp_of(self.offer())
            self.sdp_of(self.answer())
            self.delete()
        self.assertEqual(logs, [])

    def test_answer_without_offer(self) -> None:
        """An answer to nothing is refused here."""
        self.error_of(self.answer(), NgRefused)
        self.delete()
        self.assertEqual(self.daemon.asked(), [])


class OrderTests(SessionCase):
    def test_one_at_a_time(self) -> None:
        """Operations wait for each other, in the order they were asked for."""
        self.daemon.delay = 0.1
        done = [self.offer("b1"), self.offer("b2"), self.answer("b1")]
        self.assertEqual(self.daemon.asked(), [b"offer"])
        self.reactor.pump([0.1, 0])
        self.assertEqual([(c[b"command"], c[b"via-branch"]) for c in self.daemon.commands[1:]], [(b"offer", b"b2")])
        self.assertEqual([one.called for one in done], [True, False, False])
        self.reactor.pump([0.1, 0, 0.1, 0])
        self.assertEqual(self.daemon.asked(), [b"offer", b"offer", b"answer"])
        self.assertEqual([one.called for one in done], [True] * 3)
        self.delete_slowly()

    def delete_slowly(self) -> None:
        done = self.session.delete()
        self.reactor.pump([0.1] * 5)
        self.successResultOf(done)

    def test_delete_after_what_is_in_work(self) -> None:
        """Delete waits for the operation in work, and spares what waits after it; its callers learn of it."""
        self.daemon.delay = 0.1
        first, second = self.offer("b1"), self.offer("b2")
        gone = self.session.delete()
        self.failureResultOf(second, NgRefused)
        self.assertEqual(self.daemon.asked(), [b"offer"])
        self.reactor.pump([0.1, 0])
        self.successResultOf(first)
        self.assertNoResult(gone)
        self.reactor.pump([0.1, 0])
        self.assertIsNone(self.successResultOf(gone))
        self.assertEqual(self.daemon.asked(), [b"offer", b"delete"])

    def test_delete_once(self) -> None:
        """Twice is once, at the same time or later; each caller gets the end, unless it has lost interest."""
        self.sdp_of(self.offer())
        self.daemon.delay = 0.1
        one, two, three = self.session.delete(), self.session.delete(), self.session.delete()
        three.cancel()
        self.failureResultOf(three, CancelledError)
        self.reactor.pump([0.1, 0])
        self.successResultOf(one)
        self.successResultOf(two)
        self.successResultOf(self.session.delete())
        self.assertEqual(self.daemon.asked(), [b"offer", b"delete"])

    def test_nothing_sent_nothing_deleted(self) -> None:
        """A session that was never used asks nothing of rtpengine."""
        self.delete()
        self.assertEqual(self.daemon.asked(), [])

    def test_after_the_delete(self) -> None:
        """Nothing is begun after it, nothing raised."""
        self.sdp_of(self.offer())
        self.delete()
        self.error_of(self.offer(), NgRefused)
        self.session.drop("b1")
        self.assertEqual(self.daemon.asked(), [b"offer", b"delete"])

    def test_cancelled_in_work(self) -> None:
        """One that loses interest in an offer learns no more of it; the delete still comes after its reply."""
        self.daemon.delay = 0.3
        done = self.offer()
        done.cancel()
        self.failureResultOf(done, CancelledError)
        gone = self.session.delete()
        self.assertEqual(self.daemon.asked(), [b"offer"])
        self.reactor.pump([0.1] * 10)
        self.successResultOf(gone)
        self.assertEqual(self.daemon.asked(), [b"offer", b"delete"])

    def test_cancelled_in_work_and_refused(self) -> None:
        """Neither does it learn of its failure, nor does anybody else."""
        self.daemon.delay = 0.3
        self.daemon.result = {b"result": b"error"}
        done = self.offer()
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.reactor.pump([0.1] * 5)
        self.delete_slowly()

    def test_cancelled_while_waiting(self) -> None:
        """An operation that has not begun is not done at all."""
        self.daemon.delay = 0.1
        first, second = self.offer("b1"), self.offer("b2")
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.reactor.pump([0.1] * 3)
        self.successResultOf(first)
        self.assertEqual(self.daemon.asked(), [b"offer"])
        self.delete_slowly()

    def test_cancelled_while_waiting_then_deleted(self) -> None:
        """It is not told twice."""
        self.daemon.delay = 0.1
        first, second = self.offer("b1"), self.offer("b2")
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.delete_slowly()
        self.successResultOf(first)

    def test_retransmission_has_no_effect(self) -> None:
        """A slow node gets the same datagram again and does the offer once."""
        self.daemon.delay = 0.9
        done = self.offer()
        self.reactor.pump([0.1] * 10)
        self.successResultOf(done)
        self.assertEqual(len(self.daemon.commands), 1)
        self.daemon.delay = 0
        self.delete()

    def break_next(self) -> None:
        """An internal error: the next command can't even be sent."""
        node = self.nodes.nodes[0]
        command = node.command

        def wrong(*arguments: object) -> Deferred[Reply]:
            node.command = command  # type: ignore[method-assign]
            raise ZeroDivisionError

        node.command = wrong  # type: ignore[method-assign]

    def test_bug_in_the_first_offer(self) -> None:
        """The same where the session is on no node as yet."""
        self.break_next()
        self.failureResultOf(self.offer(), ZeroDivisionError)
        self.sdp_of(self.offer())
        self.delete()

    def test_bug(self) -> None:
        """An unexpected exception reaches who asked and does not stop the session."""
        self.sdp_of(self.offer())
        self.break_next()
        self.failureResultOf(self.offer("b2"), ZeroDivisionError)
        self.sdp_of(self.answer())
        self.delete()

    def test_bug_among_others(self) -> None:
        """Nor is what waits after it stopped, least of all the delete."""
        self.daemon.delay = 0.1
        first = self.offer("b1")
        self.break_next()
        wrong, last = self.offer("b2"), self.answer("b1")
        self.reactor.pump([0.1] * 5)
        self.failureResultOf(wrong, ZeroDivisionError)
        self.assertTrue(self.successResultOf(first) and self.successResultOf(last))
        self.assertEqual(self.daemon.asked(), [b"offer", b"answer"])
        self.delete_slowly()
