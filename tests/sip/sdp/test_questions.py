"""What is asked of descriptions on the way of a call, and how two of them compare."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.sdp import sample
from webrtcproxy.sip.sdp.questions import (
    has_joined,
    has_only_formats_of,
    is_ice_restart,
    lacks_candidates,
    restarts_dtls,
    same_but_for_order,
    same_session,
)

ONE = b"v=0\r\no=- 1 1 IN IP4 x\r\nm=audio 9 RTP/AVP 0 101\r\na=setup:actpass\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\n"


class DtlsTests(SynchronousTestCase):
    """`restarts_dtls`"""

    def test_firefox(self) -> None:
        """Firefox does not, by its origin; others do, and who has no DTLS need not."""
        for name, restarts in (("firefox-audio", False), ("chromium-audio", True), ("trunk", True)):
            self.assertEqual(restarts, restarts_dtls(sample(name)), name)
        self.assertTrue(restarts_dtls(sample("firefox-audio").replace(b"a=fingerprint:", b"a=x:")))


class SameSessionTests(SynchronousTestCase):
    """`same_session`"""

    def test_ignored(self) -> None:
        """The version, the DTLS role, and a ptime that one of them lacks."""
        for other in (ONE, ONE.replace(b"1 1", b"1 2"), ONE.replace(b"actpass", b"active"), ONE + b"a=ptime:20\r\n"):
            self.assertTrue(same_session(ONE, other), other)
            self.assertTrue(same_session(other, ONE), other)

    def test_different(self) -> None:
        """Any other line, and a ptime where both have one."""
        for other in (ONE.replace(b" 9 ", b" 8 "), ONE + b"a=sendonly\r\n", ONE.replace(b"a=ice-pwd:p\r\n", b""), b""):
            self.assertFalse(same_session(ONE, other), other)
        self.assertFalse(same_session(ONE + b"a=ptime:20\r\n", ONE + b"a=ptime:30\r\n"))

    def test_events(self) -> None:
        """Events are 0 to 15 where nothing is said of them (RFC 4733 section 2.4.1): rtpengine 12.5 says so in some
        offers only."""
        events = ONE + b"a=rtpmap:101 Telephone-Event/8000\r\n"
        said = events + b"a=fmtp:101 0-15\r\n"
        self.assertTrue(same_session(events, said))
        self.assertTrue(same_session(said, events))
        self.assertTrue(same_but_for_order(events, said, ONE))
        for other in (b"a=fmtp:101 0-16", b"a=fmtp:0 0-15", b"a=fmtp:101 0-15;x=y"):
            self.assertFalse(same_session(events, events + other + b"\r\n"), other)
            self.assertFalse(same_session(said, said + other + b"\r\n"), other)
        self.assertFalse(same_session(ONE, ONE + b"a=fmtp:101 0-15\r\n"))


class OrderTests(SynchronousTestCase):
    """`same_but_for_order`"""

    last = (
        b"v=0\r\no=- 1 1 IN IP4 x\r\ns=-\r\nm=audio 9 RTP/AVP 109 0 101\r\na=rtpmap:109 opus/48000/2\r\n"
        b"a=rtpmap:0 PCMU/8000\r\na=sendrecv\r\nm=video 9 RTP/AVP 96 97\r\na=rtpmap:96 VP8/90000\r\n"
    )
    answer = b"v=0\r\nm=audio 7 RTP/AVP 0 101\r\nm=video 7 RTP/AVP 96\r\n"
    offer = (
        b"v=0\r\no=- 1 2 IN IP4 x\r\ns=-\r\nm=audio 9 RTP/AVP 0 101 109\r\na=rtpmap:0 PCMU/8000\r\n"
        b"a=rtpmap:109 opus/48000/2\r\na=ptime:20\r\na=sendrecv\r\nm=video 9 RTP/AVP 96 97\r\na=rtpmap:96 VP8/90000\r\n"
    )

    def test_chosen_first(self) -> None:
        """What the peer has chosen stands first: it would choose the same."""
        self.assertTrue(same_but_for_order(self.offer, self.last, self.answer))

    def test_keys(self) -> None:
        """Of keys, that which was chosen counts, whoever has offered it (RFC 4568 section 5.1): rtpengine offers
        others beside it in each later offer."""
        audio = b"v=0\r\nm=audio 9 RTP/SAVP 0\r\n"
        ours, theirs = (audio + b"a=crypto:2 A inline:%b\r\n" % key for key in (b"x", b"y"))
        first, third, other = b"a=crypto:1 A inline:p\r\n", b"a=crypto:3 B inline:q\r\n", b"a=crypto:3 B inline:r\r\n"
        for last, answer in ((ours + first + third, theirs), (ours, theirs + first), (ours, theirs)):
            for offer in (ours, ours + third, ours + other, ours + first):
                self.assertTrue(same_but_for_order(offer, last, answer), (offer, last, answer))
            for offer in (audio, theirs, theirs + third, ours.replace(b"A", b"B"), ours.replace(b":2", b":4")):
                self.assertFalse(same_but_for_order(offer, last, answer), (offer, last, answer))
        self.assertFalse(same_but_for_order(audio, ours, theirs))

    def test_same_order(self) -> None:
        """In the same order, the peer would choose the same, whatever that was."""
        for answer in (self.answer, self.answer.replace(b" 0 101", b" 109 101")):
            self.assertTrue(same_but_for_order(self.last, self.last, answer))

    def test_news(self) -> None:
        """Another codec first, another codec, port, direction, ptime, number of media, or section of a line."""
        ours, more = self.offer, b"m=audio 9 RTP/AVP 0\r\n"
        for offer in (
            ours.replace(b"0 101 109", b"109 101 0"), ours.replace(b"101 109", b"101"), ours.replace(b"0 1", b"0 9 1"),
            ours.replace(b"audio 9", b"audio 8"), ours.replace(b"sendrecv", b"sendonly"), ours + more, b"", b"\nm=\nm=",
            ours.replace(b"a=sendrecv\r\n", b"") + b"a=sendrecv\r\n", ours.replace(b"AVP 0", b"AVPF 0"),
        ):  # fmt: skip
            self.assertFalse(same_but_for_order(offer, self.last, self.answer), offer)
        longer = self.last.replace(b"a=sendrecv", b"a=ptime:30\r\na=sendrecv")
        self.assertFalse(same_but_for_order(ours, longer, self.answer))
        for answer in (b"", self.answer.replace(b" 0 101", b" 109 101"), self.answer.replace(b" 0 101", b"")):
            self.assertFalse(same_but_for_order(ours, self.last, answer), answer)


class RestartTests(SynchronousTestCase):
    """`is_ice_restart` (RFC 8839 section 4.4.3.1.1)"""

    def test_restart(self) -> None:
        """Credentials that are gone; those that come to them, or that never were, say nothing."""
        self.assertFalse(is_ice_restart(ONE, ONE))
        self.assertTrue(is_ice_restart(ONE.replace(b"pwd:p", b"pwd:q"), ONE))
        self.assertTrue(is_ice_restart(ONE.replace(b"ufrag:u", b"ufrag:v"), ONE))
        self.assertFalse(is_ice_restart(ONE + b"m=video 9 x 0\r\na=ice-ufrag:w\r\n", ONE))
        self.assertFalse(is_ice_restart(ONE, b"v=0\r\n"))


class FormatTests(SynchronousTestCase):
    """`has_only_formats_of` (RFC 3264 section 6.1)"""

    def test_subset(self) -> None:
        """Fewer formats are an answer; another one, in any medium, is none; media that only one has do not count."""
        self.assertTrue(has_only_formats_of(ONE, ONE))
        self.assertTrue(has_only_formats_of(ONE.replace(b" 101", b""), ONE))
        self.assertFalse(has_only_formats_of(ONE.replace(b" 101", b" 8"), ONE))
        video = b"m=video 9 RTP/AVP 96\r\n"
        self.assertTrue(has_only_formats_of(ONE + video, ONE))
        self.assertFalse(has_only_formats_of(ONE + video, ONE + video.replace(b"96", b"97")))


class CandidateTests(SynchronousTestCase):
    """`lacks_candidates` (RFC 8829 section 5.2.2; field.rst X2: Medium without candidates)."""

    audio = (
        b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=ice-ufrag:abcd\r\na=ice-pwd:p\r\n"
        b"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:0 1 UDP 2122252543 192.0.2.9 54207 typ host\r\n"
    )
    video = b"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\n"
    found = b"a=candidate:0 1 UDP 2122252543 192.0.2.9 54209 typ host\r\n"

    def test_some(self) -> None:
        """Of one medium or several, of any kind, wherever the credentials stand."""
        for more in (
            self.video, self.video + self.video.replace(b"mid:1", b"mid:2"), self.video.replace(b"video 9", b"video 7"),
            self.video + self.found + self.video.replace(b"mid:1", b"mid:2"), b"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n",
            b"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\n",
        ):  # fmt: skip
            self.assertTrue(lacks_candidates(self.audio + more, self.audio + more), more)

    def test_all_or_none(self) -> None:
        """Of all; of none, which waits for checks; of what is refused by either side, or has no ICE."""
        refused = self.video.replace(b"video 9", b"video 0")
        both = self.audio + self.video
        nowhere = both.replace(self.audio[-57:], b"")
        for theirs, ours in (
            (self.audio, self.audio), (both + self.found, both), (nowhere, both), (self.audio + refused, both),
            (both, self.audio + refused), (both, self.audio), (both.replace(b"a=ice-ufrag:abcd\r\n", b""), both),
            (both, both.replace(b"a=ice-ufrag:abcd\r\n", b"")), (both + b"m=\r\n" * 70, both), (b"", both), (both, b""),
        ):  # fmt: skip
            self.assertFalse(lacks_candidates(theirs, ours), theirs)

    def test_bundled(self) -> None:
        """What is carried with another medium needs none (RFC 9143 section 7.1)."""
        both = self.audio + self.video
        group = both.replace(b"t=0 0\r\n", b"t=0 0\r\na=group:BUNDLE %s\r\n")
        self.assertFalse(lacks_candidates(both, group % b"0 1"))
        self.assertTrue(lacks_candidates(both, group % b"0"))
        self.assertTrue(lacks_candidates(group % b"0 1", both))


class JoinedTests(SynchronousTestCase):
    """`has_joined` (RFC 9143 section 7.5.2; field.rst X15: Bundled media)."""

    both = CandidateTests.audio + CandidateTests.video
    ours = both.replace(b"t=0 0\r\n", b"t=0 0\r\na=group:BUNDLE 0 1\r\n") + b"a=inactive\r\n"

    def test_joined(self) -> None:
        """What was said to be carried with another, and to be inactive."""
        self.assertTrue(has_joined(self.both, self.ours))
        self.assertTrue(has_joined(self.both + b"a=sendonly\r\n", self.ours))

    def test_nothing(self) -> None:
        """What the browser itself holds or refuses; what is apart, is active, or is the first one."""
        apart, active = self.ours.replace(b"BUNDLE 0 1", b"BUNDLE 0"), self.ours.replace(b"inactive", b"sendrecv")
        first = self.ours.replace(b"BUNDLE 0 1", b"BUNDLE 1 0")
        for theirs, ours in (
            (self.both + b"a=inactive\r\n", self.ours), (self.both, self.ours.replace(b"video 9", b"video 0")),
            (self.both, apart), (self.both, active), (self.both, first), (self.both, b""), (b"", self.ours),
            (self.both, self.ours.replace(b"a=group:BUNDLE 0 1\r\n", b"")), (self.both + b"m=\r\n" * 70, self.ours),
            (CandidateTests.audio, self.ours), (self.both, b"a=group:BUNDLE 0\r\na=inactive\r\nm=\r\nm=audio\r\n"),
        ):  # fmt: skip
            self.assertFalse(has_joined(theirs, ours), ours)
