"""Whatever is read is written in a form that a strict reader takes, and means the same when it is read again."""

from __future__ import annotations

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.sdp import SAMPLES, sample
from tests.support.strict_sdp import complaints
from webrtcproxy.sip.sdp.description import NOWHERE
from webrtcproxy.sip.sdp.reading import BadSdp, read
from webrtcproxy.sip.sdp.writing import write

LINES = [line for name in SAMPLES for line in sample(name).splitlines()]
ODD = [
    *rb"""
    m=audio 9 RTP/AVP 0 101 101 999 x|m=video 0 RTP/AVP *|m=video 7 rtp/savpf 96|m=image 5 udptl t38
    m=audio 5/2 RTP/AVP 8|m=message 5 TCP/MSRP *|m=x 1 y|a=inactive|a=bundle-only
    c=IN IP4 host.example.net|c=IN IP6 ::1%x|s=|o=
    a=crypto:1 x y|a=rtpmap:101 /0|a=rtpmap:101|a=rtpmap:96 VP8|a=fmtp:101|a=mid:0
    a=group:BUNDLE 0 1 x|a=rtcp-fb:* nack|a=rtcp:70000 x
    """.replace(b"|", b"\n").splitlines(),
    *(b"", b"\0", b"a=mid:\xe9", b"b=AS:\xb2", b"a=label:\xc2\x85x", b"a=fmtp:0 \xe2\x80\xa8x", b"m=audio 0 \xff 0"),
    *(b"a=lang:\xc2\xa0", b"a=content:\xff"),
]
BITS = [b"", b" ", b"\t", b"/", b":", b"\xff", b"0", b"=", b"\x0b"]


def is_address(text: str) -> bool:
    """Whether this is no name."""
    return ":" in text or text[-1].isdigit()


@st.composite
def bent(draw: st.DrawFn) -> bytes:
    """A line, as somebody may have bent it."""
    line = draw(st.sampled_from(LINES + ODD) | st.binary(max_size=30))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(line)))
        line = line[:at] + draw(st.sampled_from(BITS)) + line[at + 1 :]
    return line


descriptions = st.builds(
    lambda lines, end: end.join(lines), st.lists(bent(), max_size=40), st.sampled_from([b"\r\n", b"\n", b"\r"])
)

quickly = settings(
    derandomize=True, database=None, deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow]
)  # fmt: skip


class Properties(SynchronousTestCase):
    def check(self, octets: bytes) -> None:
        try:
            first = read(octets)
        except BadSdp:
            return
        for media in first.media:
            if media.address and not is_address(media.address):
                media.address = ""  # names are resolved before anything is written
        written = write(first)
        self.assertEqual([], complaints(written))
        again = read(written)
        self.assertEqual(written, write(again))
        for media in first.media:
            media.address = media.address or NOWHERE
            media.unnamed, media.of_unnamed = {}, ()
            if not media.is_usable:
                media.refuse()
        self.assertEqual(first.media, again.media)

    @quickly
    @given(descriptions)
    @example(b"".join(line + b"\r\n" for line in LINES))
    def test_lines(self, octets: bytes) -> None:
        """Lines that were bent, and any others."""
        self.check(octets)

    @quickly
    @given(st.binary(max_size=300).map(lambda octets: b"m=audio 9 RTP/AVP 0\r\n" + octets))
    def test_octets(self, octets: bytes) -> None:
        """Any octets."""
        self.check(octets)
