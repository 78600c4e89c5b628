"""Media that are carried together, or not (RFC 9143; field.rst X15: Bundled media)."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from tests.support.sdp import FINGERPRINT
from webrtcproxy.sip.sdp.bundling import answer_groups, find_joined, groups_in, offer_group, with_other_peers
from webrtcproxy.sip.sdp.description import Description
from webrtcproxy.sip.sdp.reading import read
from webrtcproxy.sip.sdp.writing import write

FOUND = b"a=candidate:0 1 UDP 2122252543 192.0.2.9 54207 typ host\r\n"
CODECS = {b"audio": b"0", b"video": b"96\r\na=rtpmap:96 VP8/90000"}


def medium(mid: bytes, port: int = 9, more: bytes = b"", ice: bytes = b"abcd", kind: bytes = b"") -> bytes:
    """A section: audio for the mid 0, else video."""
    kind = kind or (b"audio" if mid == b"0" else b"video")
    said = b"m=%b %d UDP/TLS/RTP/SAVPF %b\r\nc=IN IP4 192.0.2.9\r\na=mid:%b\r\na=ice-ufrag:%b\r\na=ice-pwd:p\r\n"
    return said % (kind, port, CODECS[kind], mid, ice) + FINGERPRINT + b"a=setup:actpass\r\na=rtcp-mux\r\n" + more


def sdp(group: bytes | None, *sections: bytes) -> bytes:
    """A description with one group, or none."""
    named = b"" if group is None else b"a=group:BUNDLE %b\r\n" % group
    return b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nt=0 0\r\n" + named + b"".join(sections)


def of_firefox(offer: bytes) -> bytes:
    """The same offer, of Firefox."""
    return offer.replace(b"o=- ", b"o=mozilla...THIS_IS_SDPARTA-99.0 ")


def found(tags: Sequence[str] | None, group: bytes | None, *sections: bytes) -> Description:
    """An offer of a browser, with what is joined."""
    offer = read(sdp(group, *sections))
    find_joined(offer, tags)
    return offer


def joined(tags: Sequence[str] | None, group: bytes | None, *sections: bytes) -> list[str]:
    """The mids of what is joined."""
    return [media.mid for media in found(tags, group, *sections).media if media.joined]


class Joined(SynchronousTestCase):
    """What has no transport of its own in an offer."""

    audio, video = medium(b"0", 5000, FOUND), medium(b"1", 5002, FOUND)
    bare = medium(b"1")

    def test_first_offer(self) -> None:
        """What has no candidates beside one that has, as with Chromium's ``max-bundle``. The other policies have
        candidates for each."""
        self.assertEqual(["1"], joined(None, b"0 1", self.audio, self.bare))
        self.assertEqual(["1", "2"], joined(None, b"0 1 2", self.audio, self.bare, medium(b"2")))
        self.assertEqual([], joined(None, b"0 1", self.audio, self.video))
        self.assertEqual([], joined(None, b"0 1", medium(b"0"), self.bare))  # they are still to be found
        self.assertEqual([], joined(None, b"0", self.audio))

    def test_group(self) -> None:
        """It is in the group, and not refused; ICE is that of the first one of the group."""
        self.assertEqual([], joined(None, None, self.audio, self.bare))
        self.assertEqual([], joined(None, b"0", self.audio, self.bare))
        self.assertEqual([], joined(None, b"0 1", self.audio, medium(b"1", ice=b"other")))
        self.assertEqual([], joined(None, b"0 1", self.audio, medium(b"1", 0)))
        self.assertEqual([], joined(None, b"0 1", medium(b"0", 0), self.bare))
        self.assertEqual([], joined(None, b"", self.audio, self.bare))
        self.assertEqual(["2"], joined(None, b"0 1 2", medium(b"0", 0), self.video, medium(b"2")))

    def test_later_offer(self) -> None:
        """In a group that the browser was told of, all are, whatever candidates they have had (RFC 9143 section
        7.3.2); in one that it was not told of, none is."""
        for video in (self.video, self.bare):
            self.assertEqual(["1"], joined(["0"], b"0 1", self.audio, video))
            self.assertEqual([], joined([], b"0 1", self.audio, video))
            self.assertEqual(["0"], joined(["1"], b"0 1", self.audio, video))
        self.assertEqual([], joined(["7"], b"0 1", self.audio, self.bare))

    def test_bundle_only(self) -> None:
        """Firefox says so, with port 0 (RFC 9143 section 6): rtpengine would take that for refused."""
        only = medium(b"1", 0, b"a=bundle-only\r\n")
        for tags in (None, [], ["0"]):
            offer = found(tags, b"0 1", self.audio, only)
            self.assertEqual([False, True], [media.joined for media in offer.media])
            self.assertIn(b"m=video 9 ", write(offer))
            self.assertNotIn(b"bundle-only", write(offer))
        self.assertEqual([], joined(None, b"1", medium(b"0", 0), only))

    def test_not_found(self) -> None:
        """Neither port nor candidates are told, which are those of another transport: rtpengine would keep them, and
        drop the next ones. What is not joined keeps its own. In the first offer there are no credentials either: the
        next ones would restart ICE; and the address is no hold then."""
        more = FOUND + b"a=end-of-candidates\r\n"
        for tags, video in ((None, medium(b"1")), (["0"], medium(b"1", 5002, more))):
            video = video.replace(b"192.0.2.9\r\na=mid", b"0.0.0.0\r\na=ice-options:trickle\r\na=mid")
            first, told = write(found(tags, b"0 1", self.audio, video)).split(b"m=video ")
            self.assertIn(b"a=ice-ufrag:abcd\r\n", first)
            self.assertIn(FOUND, first)
            self.assertEqual(b"9 ", told[:2])
            self.assertNotIn(b"candidate", told)
            self.assertEqual(tags is not None, b"a=ice-ufrag:abcd\r\n" in told)
            self.assertEqual(tags is not None, b"ice-pwd" in told)
            self.assertEqual(tags is not None, b"ice-options" in told)
            self.assertEqual(tags is None, b"c=IN IP4 192.0.2.9\r\n" in told)

    def test_nowhere(self) -> None:
        """Where the first one has no address, as with candidates that are names, it is one that nobody has."""
        for nowhere, address in ((b"IP4 0.0.0.0", b"IP4 192.0.2.1"), (b"IP6 ::", b"IP6 2001:db8::1")):
            audio = self.audio.replace(b"IP4 192.0.2.9\r\na=mid", nowhere + b"\r\na=mid")
            first, told = write(found(None, b"0 1", audio, self.bare)).split(b"m=video ")
            self.assertIn(b"c=IN " + nowhere + b"\r\n", first)
            self.assertIn(b"c=IN " + address + b"\r\n", told)

    def test_forgotten(self) -> None:
        """The transport that a medium has had is gone once it is joined: rtpengine forgets the association of one whose
        fingerprint has changed. All else stays as it is."""
        offer = found(["0"], b"0 1", self.audio, self.bare)
        before, other = write(offer), with_other_peers(offer)
        assert other is not None
        audio, video = write(other).split(b"m=video")
        self.assertEqual(write(offer).split(b"m=video"), [audio, video.replace(b" 54:AB", b" AB:AB")])
        self.assertIn(b"a=fingerprint:sha-256 54:AB:", video)
        self.assertEqual(before, write(offer))
        self.assertIsNone(with_other_peers(found(["0"], b"0", self.audio)))
        self.assertIsNone(with_other_peers(found([], b"0 1", self.audio, self.video)))

    def test_firefox(self) -> None:
        """What it adds has a transport of its own until an answer joins it; what is ``bundle-only`` stays as it is,
        with port 0."""
        only = medium(b"1", 0, b"a=bundle-only\r\n")
        for tags in (None, [], ["0"]):
            for video in (self.video, self.bare, only):
                offer = read(of_firefox(sdp(b"0 1", self.audio, video)))
                before = write(offer)
                find_joined(offer, tags)
                self.assertEqual(before, write(offer))
                self.assertFalse(any(media.joined for media in offer.media))


class Answers(SynchronousTestCase):
    """The groups of an answer to a browser."""

    offered = (medium(b"0", 5000, FOUND), medium(b"1"))
    audio, video = medium(b"0", 6000, FOUND, b"one"), medium(b"1", 6002, FOUND, b"two")

    def answer(self, tags: Sequence[str] | None, offer: bytes, *sections: bytes) -> Description:
        """What the browser is told."""
        asked = read(offer)
        find_joined(asked, tags)
        given = read(sdp(None, *sections))
        before = write(given)
        answered = answer_groups(given, asked, tags)
        self.assertEqual(before, write(given))
        return answered

    def groups(self, tags: Sequence[str] | None, offer: bytes, *sections: bytes) -> list[list[str]]:
        """The groups that it is told."""
        return groups_in(self.answer(tags, offer, *sections))

    def test_audio(self) -> None:
        """One medium is a group by itself; there is none where none was offered."""
        for tags in (None, [], ["0"]):
            self.assertEqual([["0"]], self.groups(tags, sdp(b"0", self.offered[0]), self.audio))
            self.assertEqual([], self.groups(tags, sdp(None, self.offered[0]), self.audio))
            self.assertEqual([], self.groups(tags, sdp(b"0", self.offered[0]), medium(b"0", 0)))

    def test_apart(self) -> None:
        """Media that have a transport each stay apart, without a group: whatever is added then has one, too."""
        offer = sdp(b"0 1", self.offered[0], medium(b"1", 5002, FOUND))
        self.assertEqual([], self.groups(None, offer, self.audio, self.video))
        self.assertEqual([], self.groups([], offer, self.audio, self.video))

    def test_joined(self) -> None:
        """What is joined is in the group, with the transport of the first one and without candidates; nothing is sent
        there."""
        for tags in (None, ["0"]):
            answer = self.answer(tags, sdp(b"0 1", *self.offered), self.audio, self.video)
            self.assertEqual([["0", "1"]], groups_in(answer))
            audio, video = answer.media
            self.assertEqual(("sendrecv", "inactive"), (audio.direction, video.direction))
            self.assertEqual((6000, 6000), (audio.port, video.port))
            self.assertIn(("ice-ufrag", "one"), video.attributes)
            self.assertNotIn(("ice-ufrag", "two"), video.attributes)
            self.assertEqual((True, False), (audio.has("candidate"), video.has("candidate")))
            self.assertEqual("VP8/90000", video.codecs["96"])

    def test_refused(self) -> None:
        """What is refused is in no group. Where that is the first one, the group has the transport of the next (RFC
        9143 section 7.3.1), which it has by itself."""
        offer = sdp(b"0 1", *self.offered)
        self.assertEqual([["0"]], self.groups(None, offer, self.audio, medium(b"1", 0)))
        answer = self.answer(None, offer, medium(b"0", 0), self.video)
        self.assertEqual([["1"]], groups_in(answer))
        self.assertEqual((6002, "sendrecv"), (answer.media[1].port, answer.media[1].direction))
        self.assertEqual([], self.groups(None, offer, medium(b"0", 0), medium(b"1", 0)))

    def test_as_before(self) -> None:
        """The first one of a group stays the first one while it is there (RFC 9143 section 7.3.1)."""
        offer = sdp(b"0 1", *self.offered)
        self.assertEqual([["1", "0"]], self.groups(["1"], offer, self.audio, self.video))
        self.assertEqual([["0"]], self.groups(["1"], offer, self.audio, medium(b"1", 0)))

    def test_firefox(self) -> None:
        """It needs no group, and is told of one only where it has agreed to one."""
        for offer in (sdp(b"0", self.offered[0]), sdp(b"0 1", *self.offered)):
            for tags, groups in ((None, []), ([], []), (["0"], [["0"]])):
                self.assertEqual(groups, self.groups(tags, of_firefox(offer), self.audio, self.video))

    def test_several(self) -> None:
        """Each group by itself."""
        offer = sdp(b"0\r\na=group:BUNDLE 1", *self.offered)
        self.assertEqual([["0"], ["1"]], self.groups(None, offer, self.audio, self.video))


class Offers(SynchronousTestCase):
    """The group of an offer to a browser."""

    both = (medium(b"0", 6000), medium(b"1", 6002))

    def group(self, tags: Sequence[str] | None, *sections: bytes) -> list[list[str]]:
        """The groups that a browser is offered."""
        return groups_in(offer_group(read(sdp(None, *sections)), tags))

    def test_first(self) -> None:
        """The only medium that is not refused. Where there are several there is none: all but a browser with
        ``max-bundle`` then keep them apart."""
        self.assertEqual([["0"]], self.group(None, *self.both[:1]))
        self.assertEqual([], self.group(None, *self.both))
        self.assertEqual([["1"]], self.group(None, medium(b"0", 0), self.both[1]))
        self.assertEqual([], self.group(None, medium(b"0", 0), medium(b"1", 0)))
        self.assertEqual([], self.group(None, self.both[0].replace(b"a=mid:0\r\n", b"")))

    def test_later(self) -> None:
        """The one that is in the group, or the first one where that is refused; none where there is no group."""
        self.assertEqual([["1"]], self.group(["1"], *self.both))
        self.assertEqual([["0"]], self.group(["1"], self.both[0], medium(b"1", 0)))
        self.assertEqual([["0"], ["1"]], self.group(["0", "1"], *self.both))
        self.assertEqual([], self.group([], *self.both))
