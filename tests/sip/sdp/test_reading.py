"""What `read` makes of descriptions as peers write them (RFC 8866; corners.rst 3)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.sdp import SAMPLES, sample
from tests.support.strict_sdp import complaints
from webrtcproxy.sip.sdp import reading
from webrtcproxy.sip.sdp.description import Description, Media
from webrtcproxy.sip.sdp.reading import MAX_FORMATS, MAX_LINES, MAX_MEDIA, MAX_OCTETS, BadSdp, read
from webrtcproxy.sip.sdp.writing import write

HEAD = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n"
CODECS = b"a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
PLAIN = HEAD + b"m=audio 5000 RTP/AVP 0 101\r\n" + CODECS


def audio(sdp: bytes) -> Media:
    """The first medium."""
    return read(sdp).media[0]


class ReadCase(SynchronousTestCase):
    def same(self, *sdps: bytes, as_: bytes = PLAIN) -> None:
        """Each means the same, and is written so that nobody refuses it."""
        for sdp in sdps:
            self.assertEqual(read(as_), read(sdp), sdp)
            self.assertEqual([], complaints(write(read(sdp))))

    def refused(self, description: Description, *refused: bool) -> None:
        self.assertEqual(list(refused), [media.is_refused for media in description.media])


class Samples(ReadCase):
    def test_samples(self) -> None:
        """What browsers and trunks write is read, written, and read again as the same."""
        for name in SAMPLES:
            read_once = read(sample(name))
            self.assertEqual([], complaints(write(read_once)))
            self.assertEqual(read_once, read(write(read_once)))

    def test_values(self) -> None:
        """A description to the letter."""
        self.assertEqual(
            Description([
                Media(
                    "audio", 5000, "RTP/AVP", ["0", "101"], {"0": "PCMU/8000", "101": "telephone-event/8000"},
                    address="192.0.2.2", attributes=[("fmtp", "101 0-16")],
                )
            ]),
            read(PLAIN),
        )  # fmt: skip


class Trifles(ReadCase):
    """FIELD C, W7: what decides nothing."""

    def test_blanks(self) -> None:
        """Blanks at the end of a line, before it, or two in a row; tabs (rtpengine refuses or misreads them)."""
        m = b"m=audio 5000 RTP/AVP 0 101"
        for odd in (
            m + b" ", m + b"  ", m + b"\t", b"m=audio  5000 RTP/AVP 0 101", b"m=audio 5000 RTP/AVP 0  101",
            b"m=audio\t5000\tRTP/AVP\t0\t101", b"m= audio 5000 RTP/AVP 0 101", b" " + m,
        ):  # fmt: skip
            self.same(PLAIN.replace(m, odd))
        self.same(
            PLAIN.replace(b"a=rtpmap:0 ", b" a=rtpmap:0 "),
            PLAIN.replace(b"a=rtpmap:0 ", b"a=rtpmap: 0  "),
            PLAIN.replace(b"a=rtpmap:0 PCMU/8000", b"a=rtpmap:0 PCMU / 8000 "),
            PLAIN.replace(b"a=fmtp:101 ", b"a=fmtp: 101   "),
            PLAIN.replace(b"c=IN IP4 192.0.2.2", b"c=IN  IP4 192.0.2.2  "),
        )

    def test_line_ends(self) -> None:
        """LF, CR, both mixed; none at the end; empty lines, and lines of blanks, anywhere."""
        self.same(PLAIN.replace(b"\r\n", b"\n"), PLAIN.replace(b"\r\n", b"\r"), PLAIN.rstrip(), b"\r\n" + PLAIN)
        self.same(PLAIN + b"\r\n", PLAIN + b"   \r\n", PLAIN + b"  ", PLAIN + b"\0", PLAIN.replace(b"a=", b"\r\na=", 2))
        self.same(b"\xef\xbb\xbf" + PLAIN, PLAIN.replace(b"\r\n", b"\r\r\n"))

    def test_case(self) -> None:
        """Upper and lower case where there is one spelling."""
        self.same(PLAIN.replace(b"RTP/AVP", b"rtp/avp"), PLAIN.replace(b"m=audio", b"m=AUDIO"))
        self.same(
            PLAIN.replace(b"IN IP4", b"in ip4"), PLAIN + b"a=SendRecv\r\n", PLAIN.replace(b"a=rtpmap", b"a=RTPMAP")
        )

    def test_order(self) -> None:
        """Lines in another order, and lines of no meaning."""
        moved = PLAIN.replace(b"c=IN IP4 192.0.2.2\r\n", b"").replace(b"t=0 0\r\n", b"t=0 0\r\nc=IN IP4 192.0.2.2\r\n")
        self.same(
            moved, PLAIN + b"hello\r\n", PLAIN + b"X=y\r\n", PLAIN + b"a=\r\n", PLAIN + b"=\r\n", PLAIN + b"a\r\n"
        )
        self.same(PLAIN + b"k=clear:secret\r\n", PLAIN + b"i=A title\r\n", PLAIN + b"b=AS\r\n", PLAIN + b"b=AS:x\r\n")
        after = read(PLAIN + b"b=AS:64\r\n")
        self.assertEqual([("AS", "64")], after.media[0].bandwidths)
        self.assertEqual([], complaints(write(after)))

    def test_head(self) -> None:
        """FIELD B: nothing of the origin, the session name or the times is needed."""
        for line in (b"o=- 1 1 IN IP4 192.0.2.1\r\n", b"s=-\r\n", b"t=0 0\r\n", b"v=0\r\n"):
            for other in (
                b"",
                line[:2] + b"\r\n",
                line[:2] + b" \r\n",
                line[:-2] + b" \r\n",
                line[:2] + b"\xff \xe9\r\n",
            ):
                self.same(PLAIN.replace(line, other))
        for odd in (
            b"root session 1 IN IP4 192.0.2.1",
            b"SIP GW 1 1 1 IN IP4 192.0.2.1",
            b"- 0 99999999999999999999999 IN",
        ):
            self.same(PLAIN.replace(b"- 1 1 IN IP4 192.0.2.1", odd))


class MLines(ReadCase):
    """m= lines."""

    def test_refused(self) -> None:
        """FIELD W6: what is refused is not looked at (RFC 3264 section 6)."""
        below = b" 96\r\na=rtpmap:96 VP8/90000\r\na=x"
        for formats in (b" 255", b" *", b" -", b"", b" 96 97", b" 0 0", b" \xff", below):
            described = read(PLAIN + b"m=video 0 RTP/AVP" + formats + b"\r\nc=IN IP4 nowhere\r\n")
            self.assertEqual(Media("video", 0, "RTP/AVP", ["0"], address="0.0.0.0"), described.media[1])
            written = write(described)
            self.assertTrue(written.endswith(b"m=video 0 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n"))
            self.assertEqual([], complaints(written))
        self.same(PLAIN + b"m=image 0 udptl t38\r\na=x\r\n", as_=PLAIN + b"m=image 0 udptl t38\r\n")

    def test_mid_of_refused(self) -> None:
        """It keeps its place and its mid; its group does without it (RFC 9143 section 7.3)."""
        group = PLAIN.replace(b"t=0 0\r\n", b"t=0 0\r\na=group:BUNDLE a v x\r\n") + b"a=mid:a\r\n"
        written = write(read(group + b"m=video 0 RTP/AVP 96\r\na=mid:v\r\na=rtpmap:96 VP8/90000\r\n"))
        self.assertIn(b"a=group:BUNDLE a\r\n", written)
        self.assertTrue(written.endswith(b"a=mid:v\r\n"))

    def test_bundle_only(self) -> None:
        """Port 0 does not refuse what is carried in the bundle of another (RFC 9143 section 6)."""
        video = b"m=video 0 RTP/AVP 96\r\na=bundle-only\r\na=rtpmap:96 VP8/90000\r\n"
        self.refused(read(PLAIN + video), False, False)

    def test_unreadable(self) -> None:
        """A medium whose port nobody can read is refused; it takes no other with it."""
        for line in (
            b"video",
            b"video x RTP/AVP 96",
            b"video 65536 RTP/AVP 96",
            b"video -1 RTP/AVP 96",
            b"video \xb2 x 1",
        ):
            described = read(PLAIN + b"m=" + line + b"\r\n")
            self.refused(described, False, True)
            self.assertEqual([], complaints(write(described)))

    def test_number_of_ports(self) -> None:
        """A number of ports (RFC 8866 section 5.14): the first one is taken."""
        self.same(PLAIN.replace(b" 5000 ", b" 5000/2 "))

    def test_limits(self) -> None:
        """More than anybody needs is an error, and so is nothing."""
        medium = b"m=audio 9 RTP/AVP 0\r\n"
        read(HEAD + medium * MAX_MEDIA)
        for bad in (
            b"", HEAD, b"m=", b"m=\xff 9 RTP/AVP 0", b"m=audio x RTP/AVP 0",
            HEAD + medium * (MAX_MEDIA + 1), PLAIN + b"a=x\r\n" * MAX_LINES,
            PLAIN + b"a=" + b"x" * MAX_OCTETS, HEAD + b"m=audio 9 RTP/AVP" + b" 0" * (MAX_FORMATS + 1),
        ):  # fmt: skip
            self.assertRaises(BadSdp, read, bad)


class Codecs(ReadCase):
    """Payload types and what is said about them."""

    def test_static(self) -> None:
        """A static payload type needs no rtpmap, and an unreadable one does no harm (RFC 3551 section 6)."""
        for odd in (
            b"",
            b"a=rtpmap\r\n",
            b"a=rtpmap:\r\n",
            b"a=rtpmap:0\r\n",
            b"a=rtpmap: PCMU/8000\r\n",
            b"a=rtpmap:0 /0\r\n",
        ):
            self.same(PLAIN.replace(b"a=rtpmap:0 PCMU/8000\r\n", odd))

    def test_unnamed(self) -> None:
        """A dynamic one without is left out, with what is said about it: Chromium refuses the whole description."""
        for odd in (b"", b"\r\n", b"a=rtpmap:101 /0\r\n", b"a=rtpmap:\r\n", b"a=rtpmap:1000 telephone-event/8000\r\n"):
            medium = audio(PLAIN.replace(b"a=rtpmap:101 telephone-event/8000\r\n", odd))
            self.assertEqual((["0"], ["101"], []), (medium.formats, medium.unnamed, medium.attributes))

    def test_left_out(self) -> None:
        """A rate that was left out is the usual one; opus has one form (RFC 7587 section 4.1)."""
        for codec, meant in (
            (b"telephone-event", "telephone-event/8000"), (b"telephone-event/", "telephone-event/8000"),
            (b"opus/48000", "opus/48000/2"), (b"OPUS/48000/1", "OPUS/48000/2"), (b"PCMU/8000/1", "PCMU/8000"),
            (b"L16/44100/2", "L16/44100/2"),
        ):  # fmt: skip
            described = audio(PLAIN.replace(b"telephone-event/8000", codec))
            self.assertEqual(meant, described.codecs["101"])
        video = HEAD + b"m=video 9 RTP/AVP 96\r\na=rtpmap:96 VP8\r\n"
        self.assertEqual({"96": "VP8/90000"}, audio(video).codecs)

    def test_twice(self) -> None:
        """A payload type or an rtpmap twice: the first counts; what is said about absent ones is left out."""
        more = (
            CODECS + b"a=rtpmap:0 PCMA/8000\r\na=rtpmap:99 X/8000\r\na=fmtp:98 a=b\r\na=rtcp-fb:98 nack\r\na=fmtp:\r\n"
        )
        self.same(PLAIN.replace(CODECS, more), PLAIN.replace(b"AVP 0 101", b"AVP 0 101 0 0101 00 200 x"))

    def test_no_payload_type(self) -> None:
        """A medium without any usable one is written as refused, since a browser takes no other (FIELD B)."""
        for formats in (b"", b" 101", b" 255", b" *"):
            described = read(PLAIN + b"m=video 9 RTP/AVP" + formats + b"\r\n")
            self.assertFalse(described.media[1].is_usable)
            self.assertIn(b"m=video 0 RTP/AVP 0\r\n", write(described))

    def test_other_protocols(self) -> None:
        """Formats of other protocols are words."""
        more = b"m=message 5 TCP/MSRP *\r\na=path:msrp://h:5/x;tcp\r\nm=image 6 udptl t38\r\na=T38FaxVersion:0\r\n"
        _, message, image = read(PLAIN + more).media
        self.assertEqual((["*"], [("path", "msrp://h:5/x;tcp")]), (message.formats, message.attributes))
        self.assertEqual((["t38"], [("T38FaxVersion", "0")]), (image.formats, image.attributes))


class Addresses(ReadCase):
    def test_forms(self) -> None:
        """An address is one, however it is written."""
        c = b"c=IN IP4 192.0.2.2"
        self.same(
            *(PLAIN.replace(c, odd) for odd in (
                c + b"/127", c + b"/127/3", c + b" ", b"c=192.0.2.2", b"c=IP4 192.0.2.2", b"c=IN IP6 192.0.2.2",
            )),
            PLAIN.replace(c + b"\r\n", b"").replace(b"192.0.2.1", b"192.0.2.2"),
            PLAIN.replace(c, b"c=IN IP4").replace(b"192.0.2.1", b"192.0.2.2"),
            PLAIN.replace(c, b"c=IN IP4 1.2.3").replace(b"192.0.2.1", b"192.0.2.2"),
        )  # fmt: skip
        six = PLAIN.replace(c, b"c=IN IP6 2001:db8::1")
        for odd in (b"2001:DB8:0::1", b"2001:db8::1/3", b"2001:db8::1%eth0", b"[2001:db8::1]"):
            self.same(six.replace(b"2001:db8::1", odd), as_=six)

    def test_name(self) -> None:
        """FIELD W8: the name of a host may stand there (RFC 8866 section 5.7)."""
        self.assertEqual("media.example.net", audio(PLAIN.replace(b"192.0.2.2", b"Media.Example.NET")).address)

    def test_none(self) -> None:
        """Without any, it is nowhere."""
        bare = b"m=audio 9 RTP/AVP 0\r\n"
        self.assertEqual("", audio(bare).address)
        self.assertIn(b"c=IN IP4 0.0.0.0\r\n", write(read(bare)))

    def test_of_the_medium(self) -> None:
        """That of the medium counts before that of the session; the first one of several."""
        own = PLAIN + b"c=IN IP4 192.0.2.3\r\nc=IN IP4 192.0.2.4\r\n"
        self.assertEqual("192.0.2.3", audio(own).address)


class Attributes(ReadCase):
    def test_session(self) -> None:
        """FIELD W1: what stands for the session as a whole is that of each medium, unless that has its own."""
        ice = b"a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=ice-options:trickle\r\n"
        dtls = b"a=setup:actpass\r\na=fingerprint:sha-256 " + b":".join([b"AB"] * 32) + b"\r\n"
        video = b"m=video 9 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=ice-options:renomination\r\na=inactive\r\n"
        held = PLAIN.replace(b"t=0 0\r\n", b"t=0 0\r\na=recvonly\r\n" + ice + dtls)
        first, second = read(held + video).media
        for medium in (first, second):
            for name in ("ice-ufrag", "ice-pwd", "setup", "fingerprint"):
                self.assertTrue(medium.value(name))
        self.assertEqual(("trickle", "recvonly"), (first.value("ice-options"), first.direction))
        self.assertEqual(("renomination", "inactive"), (second.value("ice-options"), second.direction))

    def test_left_out(self) -> None:
        """FIELD X11: names that nobody needs, and values without the form that their RFC demands."""
        odd = (
            b"ssrc:1 cname:x", b"ssrc-group:FID 1 2", b"msid:a b", b"msid-semantic: WMS a", b"identity:x",
            b"rid:1 send", b"X-nat:1", b"tcap:1 RTP/SAVP", b"curr:qos local none", b"zrtp-hash:1.10 ab",
            b"key-mgmt:mikey AA",
            b"ptime:twenty", b"ptime:", b"rtcp:x", b"rtcp:70000", b"mid:", b"mid:a b", b"setup:maybe", b"extmap:x y",
            b"fingerprint:sha-256 xx", b"crypto:1 X inline:short", b"ice-ufrag:a b", b"rtcp-fb:0", b"framerate:fast",
            b"candidate:1 1 udp", b"rtcp-mux:yes", b"group:LS 1 2", b"label:a\xffb",
        )  # fmt: skip
        for each in odd:
            self.same(PLAIN + b"a=" + each + b"\r\n")

    def test_mid_twice(self) -> None:
        """A mid names one medium."""
        two = (
            PLAIN
            + b"a=mid:0\r\na=mid:1\r\n"
            + PLAIN[len(HEAD) :]
            + b"a=mid:0\r\n"
            + PLAIN[len(HEAD) :]
            + b"a=mid:2\r\n"
        )
        self.assertEqual([["0"], [], ["2"]], [medium.values("mid") for medium in read(two).media])

    def test_nothing_secret_is_kept(self) -> None:
        """No key of a call stays in the cache of lines."""
        secret = b"a=crypto:1 X inline:" + b"a" * 40 + b"\r\na=ice-pwd:secret\r\na=ice-ufrag:ab\r\n"
        reading.cached_line.cache_clear()
        self.assertEqual(4, len(audio(b"m=audio 9 RTP/SAVP 0\r\na=ptime:20\r\n" + secret).attributes))
        self.assertEqual(1, reading.cached_line.cache_info().currsize)
