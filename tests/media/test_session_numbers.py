"""Answers that give codecs other payload types than their offer did (RFC 3264 section 6.1; field.rst D: Another
payload number)."""

from __future__ import annotations

from tests.media.cases import SessionCase
from tests.support.sdp import FINGERPRINT, lines
from webrtcproxy.config import TrunkMedia
from webrtcproxy.media.profile import BROWSER_OF_TRUNK, TRUNK, Profile, profiles_of
from webrtcproxy.runtime.errors import NgRefused


class NumberTests(SessionCase):
    """What rtpengine is told, and the browser."""

    OFFER = (
        b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0 126\r\na=rtpmap:126 telephone-event/8000\r\n"
        + FINGERPRINT
    )
    TO_TRUNK, TO_BROWSER = profiles_of(TrunkMedia(dtmf="rfc4733"))

    def told(self, number: bytes, to: Profile, to_tag: str = "B") -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Which commands an answer with this number for events makes, with the formats of each, and those of the
        answer for the browser."""
        before = len(self.daemon.commands)
        sdp = self.OFFER.replace(b"126", number).replace(b"UDP/TLS/RTP/SAVPF", b"RTP/AVP")
        given = self.sdp_of(self.session.answer(sdp, from_tag="A", to_tag=to_tag, branch="b1", to=to))
        commands = [
            (each[b"command"], lines(each[b"sdp"], "m=")[0].split(" ", 3)[3].encode())
            for each in self.daemon.commands[before:]
        ]
        return commands, lines(given, "m=")[0].split(" ", 3)[3].encode()

    def begin(self, to: Profile) -> None:
        self.daemon.keeps_formats = True
        self.sdp_of(self.session.offer(self.OFFER, from_tag="A", branch="b1", to=to))

    def test_passed(self) -> None:
        """Where packets pass as they are, rtpengine is told the number that was offered, the browser the trunk's."""
        self.begin(TRUNK)
        self.assertEqual(([(b"answer", b"0 126")], b"0 101"), self.told(b"101", BROWSER_OF_TRUNK))
        self.delete()

    def test_decoded(self) -> None:
        """Where rtpengine decodes, it sends with the numbers of the offer: it is told that again with the answer's."""
        self.begin(self.TO_TRUNK)
        told = [(b"answer", b"0 101"), (b"offer", b"0 96"), (b"answer", b"0 96")]
        self.assertEqual((told, b"0 96"), self.told(b"96", self.TO_BROWSER))
        self.assertEqual(self.daemon.commands[-2][b"flags"], [b"strip extmap", b"inject DTMF", b"port latching"])
        self.delete()

    def test_again(self) -> None:
        """The same answer again is told once; another one of a fork with the offer of its own."""
        self.begin(self.TO_TRUNK)
        self.assertEqual(([(b"answer", b"0 101")], b"0 101"), self.told(b"101", self.TO_BROWSER))
        self.told(b"96", self.TO_BROWSER)
        self.assertEqual(([(b"answer", b"0 96")], b"0 96"), self.told(b"96", self.TO_BROWSER))
        for number in (b"99", b"101"):
            told = [(b"offer", b"0 " + number), (b"answer", b"0 " + number)]
            self.assertEqual((told, b"0 " + number), self.told(number, self.TO_BROWSER, "B2"))
        self.assertEqual(([(b"answer", b"0 101")], b"0 101"), self.told(b"101", self.TO_BROWSER))
        self.delete()

    def test_next_offer(self) -> None:
        """An offer that is made again has its own numbers again."""
        for _ in range(2):
            self.begin(self.TO_TRUNK)
            self.assertEqual(3, len(self.told(b"96", self.TO_BROWSER)[0]))
        self.delete()

    def test_refused(self) -> None:
        """rtpengine refuses the offer: the answer fails, and the next one begins from the start."""
        self.begin(self.TO_TRUNK)
        sdp = self.OFFER.replace(b"126", b"96").replace(b"UDP/TLS/RTP/SAVPF", b"RTP/AVP")
        done = self.session.answer(sdp, from_tag="A", to_tag="B", branch="b1", to=self.TO_BROWSER)
        self.daemon.result = {b"result": b"error", b"error-reason": b"no"}
        self.error_of(done, NgRefused)
        self.daemon.result = None
        self.assertEqual(3, len(self.told(b"96", self.TO_BROWSER)[0]))
        self.delete()
