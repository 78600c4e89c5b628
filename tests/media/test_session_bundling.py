"""The groups of media that browsers are told of by a session, whose node carries each medium by itself (RFC 9143;
field.rst X15: Bundled media)."""

from __future__ import annotations

from tests.media.cases import SessionCase
from tests.sip.sdp.test_bundling import FOUND, medium, sdp
from tests.support.sdp import lines
from webrtcproxy.media.profile import BROWSER, BROWSER_OF_TRUNK, TRUNK, Profile

AUDIO, VIDEO = medium(b"0", 5000, FOUND), medium(b"1", 5002, FOUND)
PLAIN = b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"
SOUND, PICTURES = b"m=audio 4000 RTP/AVP 0\r\n", b"m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"


class Groups(SessionCase):
    """Calls of a browser A with a trunk B, or of the trunk A with the browser B."""

    def made(self, *sections: bytes) -> None:
        """What the node makes next."""
        self.daemon.result = {b"result": b"ok", b"sdp": sdp(None, *sections)}

    def groups(self, told: bytes) -> list[str]:
        """The groups in a description."""
        return [line.partition(":")[2] for line in lines(told, "a=group")]

    def asked(self, offer: bytes, to: Profile, of: str = "A") -> bytes:
        """An offer of one of them, and what the other one is told."""
        return self.sdp_of(self.session.offer(offer, from_tag=of, branch="b1", to=to))

    def answered(self, answer: bytes, to: Profile, of: str = "B") -> bytes:
        """An answer of one of them, and what the other one is told."""
        other = "A" if of == "B" else "B"
        return self.sdp_of(self.session.answer(answer, from_tag=other, to_tag=of, branch="b1", to=to))

    def told(self) -> bytes:
        """What the node was told last."""
        said = self.last(b"sdp")[0]
        assert isinstance(said, bytes)
        return said

    def test_browser_calls(self) -> None:
        """It is told of the group that it has offered, with what it has agreed to."""
        self.made(medium(b"0", 6000))
        self.asked(sdp(b"0", AUDIO), TRUNK)
        told = self.answered(PLAIN + SOUND, BROWSER_OF_TRUNK)
        self.assertEqual(["BUNDLE 0"], self.groups(told))
        self.asked(sdp(b"0", AUDIO), TRUNK)
        self.assertEqual(["BUNDLE 0"], self.groups(self.answered(PLAIN + SOUND, BROWSER_OF_TRUNK)))
        self.made(medium(b"0", 6000), medium(b"1", 6002))
        self.asked(sdp(b"0 1", AUDIO, VIDEO), TRUNK)  # it was told of the group: the video is joined
        first, second = (command[b"sdp"] for command in self.daemon.commands[-2:])
        self.assertIn(b"sha-256 54:AB", first.partition(b"m=video")[2])  # its association is forgotten
        self.assertNotIn(b"sha-256 54:AB", second)
        told = self.answered(PLAIN + SOUND + PICTURES, BROWSER_OF_TRUNK)
        self.assertEqual(["BUNDLE 0 1"], self.groups(told))
        self.assertEqual(["a=sendrecv", "a=inactive"], [*lines(told, "a=sendrecv"), *lines(told, "a=inactive")])
        moved = self.asked(PLAIN + SOUND + PICTURES, BROWSER_OF_TRUNK, "B")
        self.assertEqual(["BUNDLE 0"], self.groups(moved))
        self.assertIn("m=video 6002 ", moved.decode())
        self.delete()

    def test_no_group(self) -> None:
        """A browser that has offered none is told of none, nor one whose media are apart, in later offers either."""
        self.made(medium(b"0", 6000), medium(b"1", 6002))
        for group in (None, b"0 1"):
            self.asked(sdp(group, AUDIO, VIDEO), TRUNK)
            self.assertEqual([], self.groups(self.answered(PLAIN + SOUND + PICTURES, BROWSER_OF_TRUNK)))
            self.assertEqual([], self.groups(self.asked(PLAIN + SOUND + PICTURES, BROWSER_OF_TRUNK, "B")))
            self.assertEqual([], self.groups(self.answered(sdp(None, AUDIO, VIDEO), TRUNK, "A")))
        self.delete()

    def test_browser_is_called(self) -> None:
        """It is offered a group of the only medium; its answer is told the node without: that has offered none."""
        self.made(medium(b"0", 6000))
        told = self.asked(PLAIN + SOUND, BROWSER_OF_TRUNK)
        self.assertEqual(["BUNDLE 0"], self.groups(told))
        answer = self.answered(sdp(b"0", AUDIO), TRUNK)
        self.assertEqual([], self.groups(answer))
        self.assertNotIn(b"BUNDLE", self.told())
        self.made(medium(b"0", 6000), medium(b"1", 6002))
        self.asked(sdp(b"0 1", AUDIO, VIDEO), TRUNK, "B")  # joined again
        self.assertEqual(["BUNDLE 0 1"], self.groups(self.answered(PLAIN + SOUND + PICTURES, BROWSER_OF_TRUNK, "A")))
        self.delete()

    def test_browser_is_called_with_several(self) -> None:
        """It is told of no group, then or later, and keeps them apart."""
        self.made(medium(b"0", 6000), medium(b"1", 6002))
        self.assertEqual([], self.groups(self.asked(PLAIN + SOUND + PICTURES, BROWSER_OF_TRUNK)))
        self.answered(sdp(None, AUDIO, VIDEO), TRUNK)
        self.assertEqual([], self.groups(self.asked(PLAIN + SOUND, BROWSER_OF_TRUNK)))
        self.delete()

    def test_node_that_bundles(self) -> None:
        """The groups of a node that names some are left as they are."""
        self.daemon.result = {b"result": b"ok", b"sdp": sdp(b"0 1", medium(b"0", 6000), medium(b"1", 6000))}
        self.assertEqual(["BUNDLE 0 1"], self.groups(self.asked(sdp(b"0 1", AUDIO, medium(b"1")), BROWSER)))
        told = self.answered(sdp(b"0 1", AUDIO, medium(b"1")), BROWSER)
        self.assertIn(b"BUNDLE 0 1", self.told())
        self.assertEqual(["BUNDLE 0 1"], self.groups(told))
        self.assertEqual([], lines(told, "a=inactive"))
        self.delete()

    def test_trunk(self) -> None:
        """A trunk is told of none."""
        self.daemon.result = {b"result": b"ok", b"sdp": PLAIN + SOUND + PICTURES}
        self.assertEqual([], self.groups(self.asked(sdp(b"0 1", AUDIO, VIDEO), TRUNK)))
        self.delete()
