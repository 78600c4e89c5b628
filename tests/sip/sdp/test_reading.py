"""What `read` makes of descriptions as peers write them (RFC 8866; corners.rst 3)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.sdp import SAMPLES, sample
from tests.support.strict_sdp import complaints
from webrtcproxy.sip.sdp.attributes import TO_BROWSER, TO_TRUNK
from webrtcproxy.sip.sdp.description import Description, Media
from webrtcproxy.sip.sdp.lines import KNOWN, MAX_KNOWN
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
                    address="192.0.2.2", of_formats=[("fmtp", "101 0-16")],
                )
            ]),
            read(PLAIN),
        )  # fmt: skip


class Trifles(ReadCase):
    """What decides nothing (field.rst C: Trifles)."""

    def test_blanks(self) -> None:
        """Blanks at the end of a line, before it, or two in a row; tabs (rtpengine refuses or misreads them)
        (field.rst W7: Blanks at the end)."""
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

    def test_blanks_around_the_sign(self) -> None:
        """They lose no line (field.rst C: Trifles)."""
        for kind in (b"a", b"c", b"m", b"o", b"s", b"t", b"v"):
            self.same(*[PLAIN.replace(kind + b"=", kind + odd) for odd in (b" = ", b" =", b"= ", b"\t=\t")])

    def test_direction(self) -> None:
        """A direction is its first word: what stands after it takes no hold away (field.rst C: Trifles)."""
        for odd in (b"sendonly;", b"sendonly hold", b"SendOnly ;", b"sendonly,", b"sendonly:", b" sendonly; x=y"):
            self.assertEqual("sendonly", audio(PLAIN + b"a=" + odd + b"\r\n").direction, odd)
            self.assertEqual([], complaints(write(read(PLAIN + b"a=" + odd + b"\r\n"))))
        for other in (b"sendonly-x", b"sendonlyhold", b"sendonly_1", b"x sendonly"):
            self.assertEqual("sendrecv", audio(PLAIN + b"a=" + other + b"\r\n").direction, other)

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
        self.same(PLAIN + b"b=AS:2147483648\r\n", PLAIN + "a=fmtp:0 caf\u00e9\r\n".encode())  # browsers refuse these
        after = read(PLAIN + b"b=AS:64\r\n")
        self.assertEqual([("AS", "64")], after.media[0].bandwidths)
        self.assertEqual([], complaints(write(after)))

    def test_head(self) -> None:
        """Nothing of the origin, the session name or the times is needed (field.rst B: Descriptions that browsers
        refuse)."""
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
        """What is refused is not looked at (RFC 3264 section 6; field.rst W6: Refused media)."""
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

    def test_ports(self) -> None:
        """A number of ports (RFC 8866 section 5.14): the first one is taken. And a port with what has no meaning
        (field.rst C: Trifles)."""
        for port in (b"5000/2", b"5000/1", b"5000/", b"5000/x", b"+5000", b"5000,", b"5000;", b"05000", b"+5000/1"):
            self.same(PLAIN.replace(b" 5000 ", b" " + port + b" "))

    def test_formats(self) -> None:
        """Payload types with commas or semicolons between, or after (field.rst C: Trifles)."""
        for formats in (b"0,101", b"0;101", b"0, 101", b"0 ,101", b",0,,101;", b"0 101,", b"0;101,0"):
            self.same(PLAIN.replace(b"AVP 0 101", b"AVP " + formats))

    def test_protocols(self) -> None:
        """Other names of protocols: as RTSP has them (RFC 2326 section 12.39), without their first words, in another
        order. One over TCP is none over UDP, and an encrypted one never becomes a plain one (field.rst C: Trifles)."""
        for protocol, names in (
            (b"RTP/AVP", "RTP/AVP/UDP udp/rtp/avp AVP avp RTP-AVP RTP/AVP/ RTP/AVP, RTP//AVP UDP/AVP RTP_AVP"),
            (b"RTP/AVPF", "RTP/AVPF/UDP UDP/RTP/AVPF AVPF"),
            (b"RTP/SAVP", "RTP/SAVP/UDP UDP/RTP/SAVP SAVP RTP/SAVP, RTP\\SAVP"),
            (b"RTP/SAVPF", "RTP/SAVPF/UDP udp/rtp/savpf savpf SAVPF;"),
            (b"UDP/TLS/RTP/SAVP", "UDP/DTLS/RTP/SAVP TLS/RTP/SAVP"),
            (b"UDP/TLS/RTP/SAVPF", "DTLS/UDP/RTP/SAVPF UDP/DTLS/SAVPF udp/tls/rtp/savpf/ UDP/TLS/RTP/SAVPF,"),
        ):
            meant = PLAIN.replace(b"RTP/AVP", protocol)
            self.same(*(PLAIN.replace(b"RTP/AVP", name.encode()) for name in names.split()), as_=meant)
        for name in ("RTP/AVP/TCP", "TCP/RTP/AVP", "UDP", "UDP/TLS/RTP/AVP", "UDPTL", "UDP/DTLS/SCTP", "RTP/SAVP/AVP"):
            self.assertEqual(name, audio(PLAIN.replace(b"RTP/AVP", name.encode())).protocol)

    def test_limits(self) -> None:
        """More than anybody needs is an error, and so is nothing."""
        medium = b"m=audio 9 RTP/AVP 0\r\n"
        read(HEAD + medium * MAX_MEDIA)
        for bad in (
            b"", HEAD, b"m=", b"m=\xff 9 RTP/AVP 0", b"m=audio x RTP/AVP 0",
            HEAD + medium * (MAX_MEDIA + 1), PLAIN + b"a=x\r\n" * MAX_LINES,
            PLAIN + b"a=" + b"x" * MAX_OCTETS, HEAD + b"m=audio 9 RTP/AVP" + b" 0" * (MAX_FORMATS + 1),
            HEAD + b"m=audio 9 RTP/AVP 0" + b",0" * MAX_FORMATS,
        ):  # fmt: skip
            self.assertRaises(BadSdp, read, bad)


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
        for mapped in (b"::ffff:192.0.2.2", b"::FFFF:c000:202", b"[::ffff:192.0.2.2]"):  # RFC 4291 section 2.5.5.2
            self.same(PLAIN.replace(c, b"c=IN IP6 " + mapped))
        six = PLAIN.replace(c, b"c=IN IP6 2001:db8::1")
        for odd in (b"2001:DB8:0::1", b"2001:db8::1/3", b"2001:db8::1%eth0", b"[2001:db8::1]"):
            self.same(six.replace(b"2001:db8::1", odd), as_=six)

    def test_of_rtcp(self) -> None:
        """RTCP may go to an address of its own (RFC 3605 section 2.1); one that is none, or to which nothing can be
        sent, is left out."""
        for said, meant in (
            (b"5001", "5001"), (b"5001 IN IP4 192.0.2.9", "5001 IN IP4 192.0.2.9"), (b"9 IN IP4 0.0.0.0", "9"),
            (b"5001 in ip6 2001:DB8:0::1", "5001 IN IP6 2001:db8::1"), (b"5001 IN IP4 300.1.1.1", "5001"),
            (b"5001 IN IP6 ::ffff:192.0.2.9", "5001 IN IP4 192.0.2.9"), (b"5001 IN IP4 host.example", "5001"),
            (b"5001 IN IP4", "5001"), (b"5001  IN  IP4  192.0.2.9 ", "5001 IN IP4 192.0.2.9"), (b"9 IN IP6 ::", "9"),
            (b"5001 IN IP4 192.0.2.9/127", "5001 IN IP4 192.0.2.9"),
        ):  # fmt: skip
            described = read(PLAIN + b"a=rtcp:" + said + b"\r\n")
            self.assertEqual([("rtcp", meant)], described.media[0].attributes, said)
            self.assertEqual(described, read(write(described)))

    def test_name(self) -> None:
        """The name of a host may stand there (RFC 8866 section 5.7; field.rst W8: Name of a host)."""
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
        """What stands for the session as a whole is that of each medium, unless that has its own (field.rst W1: No
        default candidate)."""
        ice = b"a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=ice-options:trickle\r\n"
        dtls = b"a=setup:actpass\r\na=fingerprint:sha-256 " + b":".join([b"AB"] * 32) + b"\r\n"
        video = b"m=video 9 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=ice-options:renomination\r\na=inactive\r\n"
        held = PLAIN.replace(b"t=0 0\r\n", b"t=0 0\r\na=recvonly\r\n" + ice + dtls)
        first, second = read(held + video).media
        for medium in (first, second):
            for name in ("ice-ufrag", "ice-pwd", "setup", "fingerprint"):
                self.assertTrue(medium.has(name))
        for medium, options, direction in ((first, "trickle", "recvonly"), (second, "renomination", "inactive")):
            said = [value for name, value in medium.attributes if name == "ice-options"]
            self.assertEqual(([options], direction), (said, medium.direction))

    def test_left_out(self) -> None:
        """Names that nobody needs, and values without the form that their RFC demands (field.rst X11: Streams of the
        other side)."""
        odd = (
            b"ssrc:1 cname:x", b"ssrc-group:FID 1 2", b"msid:a b", b"msid-semantic: WMS a", b"identity:x",
            b"rid:1 send", b"X-nat:1", b"tcap:1 RTP/SAVP", b"curr:qos local none", b"zrtp-hash:1.10 ab",
            b"key-mgmt:mikey AA",
            b"ptime:twenty", b"ptime:", b"rtcp:x", b"rtcp:70000", b"mid:", b"mid:a b", b"setup:maybe", b"extmap:x y",
            b"fingerprint:sha-256 xx", b"crypto:1 X", b"ice-ufrag:a b", b"rtcp-fb:0", b"framerate:fast",
            b"candidate:1 1 udp", b"rtcp-mux:yes", b"group:LS 1 2", b"label:a\xffb",
        )  # fmt: skip
        for each in odd:
            self.same(PLAIN + b"a=" + each + b"\r\n")

    def test_fingerprint(self) -> None:
        """The name of a hash that is not broken, and all of its octets, of two digits each with colons between (RFC
        8122 section 5)."""
        lengths = {"sha-1": 20, "sha-224": 28, "sha-256": 32, "sha-384": 48, "SHA-512": 64}
        for name, count in lengths.items():
            value = f"{name} " + ":".join(["aB"] * count)
            sdp = PLAIN + b"a=fingerprint:%b\r\n" % value.encode()
            self.assertEqual([("fingerprint", value)], audio(sdp).attributes)
            for other in (count - 1, count + 1, *lengths.values()):
                if other != count:
                    self.same(PLAIN + f"a=fingerprint:{name} {':'.join(['aB'] * other)}\r\n".encode())
        octets = b":".join([b"AB"] * 20)
        for odd in (
            octets, b" " + octets, b"sha-1 " + octets[:-1], b"sha-1 " + octets + b":", b"sha-1 :" + octets,
            b"sha-1 " + octets.replace(b":", b""), b"sha-1 A:" + octets[2:],
            b"sha-1 " + octets.replace(b"AB:A", b"A:BA"),
            b"sha-1 " + octets[:-2] + b":A", b"sha-1 " + octets[:-1] + b"G", b"sha-1 " + octets.replace(b":", b" "),
            b"sha-1 " + octets.replace(b":", b"."), b"sha_1 " + octets, b"sha-1 " + octets + b" x", b"sha-1",
            b"md5 " + octets[: 16 * 3 - 1], b"md2 " + octets[: 16 * 3 - 1], b"sha-3 " + octets,
        ):  # fmt: skip
            self.same(PLAIN + b"a=fingerprint:" + odd + b"\r\n")

    def test_role(self) -> None:
        """The DTLS role in any case (RFC 4145 section 4)."""
        for role in (b"active", b"Passive", b" ActPass ", b"ACTIVE"):
            medium = audio(PLAIN + b"a=setup:" + role + b"\r\n")
            self.assertEqual([("setup", role.decode().strip().lower())], medium.attributes)

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
        self.assertEqual(["0", "", "2"], [medium.mid for medium in read(two).media])


class Remembered(ReadCase):
    """What is the same in many descriptions is read once."""

    def setUp(self) -> None:
        KNOWN.clear()

    def kept(self) -> bytes:
        """All octets that are remembered."""
        return b"".join(line for lines in KNOWN.values() for line in lines)

    def test_nothing_secret(self) -> None:
        """No key of a call is remembered, however it is written, nor what nobody knows."""
        secret = b"crypto:1 X inline:" + b"a" * 40
        for line in (
            b"a=" + secret, b" a=" + secret, b"a= " + secret, b"A=" + secret, b"a=" + secret.replace(b"cry", b"Cry"),
            b"\ta=" + secret, b"a=crypto :1 X inline:" + b"a" * 40, b"a=crypto:x aaaaaa", b"a=key-mgmt:mikey aaaaaa",
            b"k=clear:aaaaaa", b" k=clear:aaaaaa", b"a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaa", b"a=ICE-PWD:aaaaaa", b"aaaaaa",
            b"a=ptime:20\x0ba=" + secret, b"a=ice-ufrag:aaaaaa ", b"o=aaaaaa 1 1 IN IP4 192.0.2.1", b"m=aaaaaa 1 x y",
        ):  # fmt: skip
            read(b"m=audio 9 RTP/SAVP 0\r\na=rtcp-mux\r\n" + line + b"\r\n")
            self.assertNotIn(b"aaaaaa", self.kept(), line)
        self.assertEqual(b"a=rtcp-mux", self.kept())

    def test_again(self) -> None:
        """A description that is read again is the same, whatever was done to the one before."""
        for name in SAMPLES:
            first, changed = read(sample(name)), read(sample(name))
            for media in changed.media:
                media.renumber(dict.fromkeys(media.formats[:1], "77"))
                media.attributes.append(("ptime", "20"))
                media.of_formats.append(("fmtp", "0 x"))
                media.codecs["0"] = "x"
                media.refuse()
            self.assertEqual(first, read(sample(name)))

    def test_bound(self) -> None:
        """Nothing grows without bound."""
        for number in range(MAX_KNOWN * 2):
            read(b"m=audio 9 RTP/AVP 0\r\na=label:%d\r\n" % number)
        self.assertLessEqual(sum(map(len, KNOWN.values())), MAX_KNOWN)
        KNOWN.clear()
        read(b"m=audio 9 RTP/AVP 0\r\na=fmtp:0 " + b"x" * 1000)
        self.assertEqual(b"", self.kept())

    def test_each_its_own(self) -> None:
        """What is not told to one is told to another, whoever's description is read first."""
        sdp = sample("chromium-audio")
        for _ in range(2):
            self.assertEqual([], read(sdp, TO_TRUNK).attributes)
            self.assertIn(("group", "BUNDLE 0"), read(sdp, TO_BROWSER).attributes)
