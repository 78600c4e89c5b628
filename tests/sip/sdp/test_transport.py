"""What a description says of the connection."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.ngnode import BROWSER_SDP, TRUNK_SDP
from webrtcproxy.sip.sdp.attributes import TO_BROWSER
from webrtcproxy.sip.sdp.reading import read
from webrtcproxy.sip.sdp.transport import ice_ufrag, keep_transport
from webrtcproxy.sip.sdp.writing import write

OLD = BROWSER_SDP % {b"port": 30000, b"version": 1}
NEW = (
    OLD.replace(b"30000", b"40000")
    .replace(b"C4w6tlXa", b"other")
    .replace(b"75:3D", b"00:00")
    .replace(b"sendrecv", b"recvonly")
    .replace(b"actpass", b"passive")
)


class Transport(SynchronousTestCase):
    def test_kept(self) -> None:
        """Address, ICE and fingerprint are those of the last description, all else is of the new one."""
        described = read(NEW, TO_BROWSER)
        keep_transport(described, OLD)
        expected = OLD.replace(b"sendrecv", b"recvonly").replace(b"actpass", b"passive")
        self.assertEqual(sorted(write(described).splitlines()), sorted(write(read(expected, TO_BROWSER)).splitlines()))

    def test_other_media(self) -> None:
        """A medium that was not there, or was refused, is refused; one that is refused now stays so."""
        video = NEW[NEW.index(b"m=audio") :].replace(b"audio", b"video")
        refused = b"m=video 0 UDP/TLS/RTP/SAVPF 0\r\n"
        for last, now, ports in (
            (OLD, NEW + video, [30000, 0]),
            (OLD + refused, NEW + video, [30000, 0]),
            (OLD + video, NEW + refused, [30000, 0]),
            (OLD + video, NEW + video, [30000, 40000]),
        ):
            described = read(now, TO_BROWSER)
            keep_transport(described, last)
            self.assertEqual(ports, [media.port for media in described.media])

    def test_ufrag(self) -> None:
        """That of the first medium that has one."""
        self.assertEqual("C4w6tlXa", ice_ufrag(read(OLD, TO_BROWSER)))
        plain = TRUNK_SDP % {b"port": 5, b"version": 1}
        self.assertEqual("", ice_ufrag(read(plain, TO_BROWSER)))
        both = plain + OLD[OLD.index(b"m=audio") :]
        self.assertEqual("C4w6tlXa", ice_ufrag(read(both, TO_BROWSER)))
