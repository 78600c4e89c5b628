"""sip.headers: NameAddr, Contact lists, Via, CSeq, bounded numbers."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.authentication import Challenge, Credentials
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import STAR, CSeq, NameAddr, Via, parse_contacts, parse_max_forwards, parse_seconds
from webrtcproxy.sip.uri import MAX_CACHED, MAX_URI, Uri


class Case(SynchronousTestCase):
    """Shared assertion."""

    def refuses(self, parse: Callable[[str], object], *texts: str, status: int = 400) -> None:
        """`parse` raises BadMessage for each of the texts."""
        for text in texts:
            with self.assertRaises(BadMessage, msg=repr(text)) as caught:
                parse(text)
            self.assertEqual(caught.exception.status, status, text)


class NameAddrTests(Case):
    """From, To, Contact, Route and their like (RFC 3261 section 20.10)."""

    def test_forms(self) -> None:
        """Display names plain and quoted, angle brackets or none, whitespace anywhere (RFC 4475 3.1.1.1, 3.1.1.6)."""
        for text, name_addr in (
            ("<sip:a@b>", NameAddr("", "sip:a@b")),
            ("sip:a@b", NameAddr("", "sip:a@b")),
            ("Alice <sip:a@b>", NameAddr("Alice", "sip:a@b")),
            ("caller<sip:a@b>", NameAddr("caller", "sip:a@b")),
            ("A<sip:a@b>", NameAddr("A", "sip:a@b")),
            (" A <sip:a@b> ", NameAddr("A", "sip:a@b")),
            ("\t<sip:a@b>", NameAddr("", "sip:a@b")),
            ("Anna  Maria\t<sip:a@b>", NameAddr("Anna  Maria", "sip:a@b")),
            ('"Alice" <sip:a@b>', NameAddr("Alice", "sip:a@b")),
            ('"Alice"<sip:a@b>', NameAddr("Alice", "sip:a@b")),
            ('"" <sip:a@b>', NameAddr("", "sip:a@b")),
            ('"J Rosenberg \\\\\\"" <sip:a@b>', NameAddr('J Rosenberg \\"', "sip:a@b")),
            ('"<sip:x@y>;tag=1" <sip:a@b>', NameAddr("<sip:x@y>;tag=1", "sip:a@b")),
            ("Bell, Alexander <sip:a@b>", NameAddr("Bell, Alexander", "sip:a@b")),
            ("Jürgen <sip:a@b>", NameAddr("Jürgen", "sip:a@b")),
            ("\udcff <sip:a@b>", NameAddr("\udcff", "sip:a@b")),
            ('"Watson" < sip:a@b >', NameAddr("Watson", "sip:a@b")),
            ("<tel:+1;phone-context=x>", NameAddr("", "tel:+1;phone-context=x")),
            ("isbn:2983792873", NameAddr("", "isbn:2983792873")),
        ):
            self.assertEqual(NameAddr.parse(text), name_addr, text)

    def test_params(self) -> None:
        """Parameters in <> are the URI's, those outside the header's, as all are without <> (RFC 3261 20.10)."""
        self.assertEqual(
            NameAddr.parse("<sip:a@b;lr?x=y> ; tag = 1;lr"),
            NameAddr("", "sip:a@b;lr?x=y", (("tag", "1"), ("lr", None))),
        )
        self.assertEqual(NameAddr.parse("sip:a@b ; tag=1"), NameAddr("", "sip:a@b", (("tag", "1"),)))
        self.assertEqual(NameAddr.parse('sip:a@b;x="<y>"'), NameAddr("", "sip:a@b", (("x", '"<y>"'),)))
        self.assertEqual(NameAddr.parse("<sip:a@b>;"), NameAddr("", "sip:a@b"))

    def test_asked(self) -> None:
        """Values are said without quotes; the tag is None where it is absent or empty."""
        contact = NameAddr.parse('<sip:a@b>;+sip.instance="<urn:uuid:1>";Expires=60;ob;TAG=x')
        self.assertEqual(contact.param("+sip.instance"), "<urn:uuid:1>")
        self.assertEqual([contact.param(name) for name in ("expires", "ob", "q")], ["60", "", None])
        self.assertEqual(contact.tag, "x")
        self.assertIsNone(NameAddr.parse("<sip:a@b>").tag)
        self.assertIsNone(NameAddr.parse("<sip:a@b>;tag=").tag)
        self.assertIsNone(NameAddr.parse("<sip:a@b;tag=1>").tag)

    def test_written(self) -> None:
        """Always with <>, since a parameter could be taken for the URI's without; names quoted and escaped."""
        for text, written in (
            ("sip:a@b;tag=1", "<sip:a@b>;tag=1"),
            ("Alice <sip:a@b>", '"Alice" <sip:a@b>'),
            ('"a\\"\\b" <sip:a@b;lr>;x="y z";f', '"a\\"b" <sip:a@b;lr>;x="y z";f'),
        ):
            self.assertEqual(str(NameAddr.parse(text)), written)
        self.assertEqual(str(NameAddr("x\r\nVia: y\0", "sip:a@b")), '"xVia: y" <sip:a@b>')

    def test_changed(self) -> None:
        """A tag or parameter is set in a copy."""
        bare = NameAddr.parse('"A" <sip:a@b>')
        self.assertEqual(str(bare.with_tag("1").with_tag("2")), '"A" <sip:a@b>;tag=2')
        self.assertEqual(str(bare.with_param("expires", "60").with_param("ob", None)), '"A" <sip:a@b>;expires=60;ob')
        self.assertEqual(bare.params, ())

    def test_address(self) -> None:
        """The URI is read when asked for, and only then found to be none."""
        self.assertEqual(NameAddr.parse("<sip:a@b;lr>;x").address, Uri("sip", "a", None, "b", None, (("lr", None),)))
        broken = NameAddr.parse("<sip:a@b@c>")
        with self.assertRaises(BadMessage):
            _ = broken.address

    def test_broken(self) -> None:
        """Open quotes and brackets, no URI, a URI that needs <> (RFC 4475 3.1.2.6, 3.1.2.13, RFC 3261 section 20)."""
        self.refuses(
            NameAddr.parse,
            *("", "Alice", "<>", "<a>", '"Mr. J. User <sip:j@b>', '"a\\" <sip:j@b>', "<sip:a@b", 'A"B <sip:a@b>'),
            *("sip:a@b?Route=x", "sip:a@b,sip:c@d", '"A" sip:a@b', "<sip:a@b>x", "<sip:a@b> <sip:c@d>", "<sip:a b>"),
            *('<sip:a@b>;x="', "sip:a <b>", "A <<sip:a@b>>", '<sip:"a"@b>', "*"),
        )

    def test_length(self) -> None:
        """A URI of more than 2048 characters is too large (513); long values are read the same as short ones."""
        longest = f"sip:{'a' * (MAX_URI - 6)}@b"
        self.assertEqual(NameAddr.parse(f"<{longest}>").uri, longest)
        self.refuses(NameAddr.parse, f"<{longest}b>", status=513)
        name = "a" * MAX_CACHED
        self.assertEqual(NameAddr.parse(f"{name} <sip:a@b>"), NameAddr(name, "sip:a@b"))


class ValueTests(Case):
    """What all of these are."""

    def test_values(self) -> None:
        """Not to be changed, since they are kept and shared: frozen, or final for mypy where there are many; without a
        dictionary, since there are many."""
        for value in (Uri("tel", "1"), NameAddr("", ""), Via("", ""), CSeq(1, ""), Challenge(""), Credentials("")):
            self.assertFalse(hasattr(value, "__dict__"), value)
            if isinstance(value, (Uri, NameAddr, Via, CSeq)):
                continue
            with self.assertRaises(FrozenInstanceError):
                setattr(value, fields(value)[0].name, "x")


class ContactTests(Case):
    """Contact headers of one message."""

    def test_list(self) -> None:
        """Comma list and repeated header are the same, order kept."""
        contacts = parse_contacts(['"a, b" <sip:a@b;x=1,2>;q=1, sip:c@d;q=0', "", "<sip:e@f>"])
        assert contacts is not STAR
        self.assertEqual([contact.uri for contact in contacts], ["sip:a@b;x=1,2", "sip:c@d", "sip:e@f"])
        self.assertEqual(parse_contacts([]), [])

    def test_star(self) -> None:
        """``*`` stands for all bindings, and stands alone (RFC 3261 section 10.2.2)."""
        self.assertIs(parse_contacts([" * "]), STAR)
        for values in (["*", "*"], ["*, <sip:a@b>"], ["<sip:a@b>", "*"], ["*;expires=0"]):
            self.assertRaises(BadMessage, parse_contacts, values)


class ViaTests(Case):
    """RFC 3261 section 20.42."""

    def test_forms(self) -> None:
        """Any transport, whitespace in odd places, IPv6 (RFC 4475 3.1.1.1, 3.1.1.10, RFC 5118 4.4)."""
        for text, via in (
            ("SIP/2.0/UDP h", Via("UDP", "h")),
            ("SIP/2.0/wss 5v8.invalid;branch=z9hG4bK1", Via("WSS", "5v8.invalid", None, (("branch", "z9hG4bK1"),))),
            ("SIP/2.0/UNKNOWN h:5080 ;a", Via("UNKNOWN", "h", 5080, (("a", None),))),
            ("SIP/2.0/TLS-SCTP h", Via("TLS-SCTP", "h")),
            ("SIP  / 2.0  / TCP     h   ;  branch  =   z1  ", Via("TCP", "h", None, (("branch", "z1"),))),
            ("SIP  /   2.0  /UDP     192.0.2.2;branch=1", Via("UDP", "192.0.2.2", None, (("branch", "1"),))),
            ("sip/2.0/udp\th : 5060", Via("UDP", "h", 5060)),
            ("SIP/2.0/UDP [2001:db8::9:1]:6050;rport", Via("UDP", "[2001:db8::9:1]", 6050, (("rport", None),))),
        ):
            self.assertEqual(Via.parse(text), via, text)

    def test_written(self) -> None:
        """One spelling for all."""
        self.assertEqual(str(Via.parse("SIP / 2.0/udp h : 5060 ; rport ; a=b")), "SIP/2.0/UDP h:5060;rport;a=b")
        self.assertEqual(str(Via("WSS", "[::1]")), "SIP/2.0/WSS [::1]")

    def test_asked(self) -> None:
        """rport without value is ``""`` (RFC 3581); received with and without brackets (RFC 5118 4.5)."""
        via = Via.parse("SIP/2.0/UDP h:1;Branch=z9hG4bK%1;rport;received=[2001:db8::9:255]")
        self.assertEqual((via.branch, via.rport, via.received), ("z9hG4bK%1", "", "2001:db8::9:255"))
        self.assertEqual((via.sent_by, via.param("RPORT"), via.param("ttl")), ("h:1", "", None))
        via = Via.parse("SIP/2.0/UDP h;rport=5061;received=2001:db8::9:255;branch=")
        self.assertEqual((via.branch, via.rport, via.received, via.sent_by), (None, "5061", "2001:db8::9:255", "h"))
        via = Via.parse("SIP/2.0/UDP h")
        self.assertEqual((via.branch, via.rport, via.received), (None, None, None))

    def test_changed(self) -> None:
        """received and rport are filled in a copy, in their places."""
        via = Via.parse("SIP/2.0/UDP h;rport;branch=1")
        filled = via.with_param("rport", "5061").with_param("received", "192.0.2.1")
        self.assertEqual(str(filled), "SIP/2.0/UDP h;rport=5061;branch=1;received=192.0.2.1")
        self.assertEqual(via.rport, "")

    def test_broken(self) -> None:
        """Another protocol, no host, nothing but semicolons after it (RFC 4475 3.1.2.1)."""
        self.refuses(
            Via.parse,
            *("", "SIP/2.0/UDP", "SIP/2.0/UDP ", "SIP/2.0/ h", "SIP/2.0 UDP h", "SIP/3.0/UDP h", "HTTP/2.0/UDP h"),
            *("SIP/2.0/U:P h", "SIP/2.0/UDP h;;", "SIP/2.0/UDP h; ;", "SIP/2.0/UDP a b", "SIP/2.0/UDP h:x"),
            *("SIP/2.0/UDP ;branch=1", "SIP/2.0/UDP 2001:db8::1", "SIP/2.0//UDP h", "SIP", "SIP/2.0/UDP h;a=b c"),
        )

    def test_length(self) -> None:
        """Long values are read the same as short ones, but not kept."""
        text = f"SIP/2.0/UDP h;branch={'a' * MAX_CACHED}"
        self.assertEqual(str(Via.parse(text)), text)
        self.assertIsNot(Via.parse(text), Via.parse(text))


class NumberTests(Case):
    """CSeq and the bounded numbers (RFC 4475 3.1.2.4)."""

    def test_cseq(self) -> None:
        """Below 2**31, leading zeros and any whitespace allowed, any method (RFC 3261 section 20.16)."""
        for text, cseq in (
            ("0009    INVITE", CSeq(9, "INVITE")),
            ("1\tRE%47IST%45R", CSeq(1, "RE%47IST%45R")),
            ("2147483647 ACK", CSeq(2**31 - 1, "ACK")),
            ("0 " + "A" * MAX_CACHED, CSeq(0, "A" * MAX_CACHED)),
        ):
            self.assertEqual(CSeq.parse(text), cseq)
        self.assertEqual(str(CSeq(9, "INVITE")), "9 INVITE")
        self.refuses(
            CSeq.parse,
            *("", "1", "INVITE", "INVITE 1", "1 INVITE x", "2147483648 INVITE", "36893488147419103232 REGISTER"),
            *("-1 INVITE", "1 IN:VITE", "1INVITE", "٣ INVITE"),
        )

    def test_max_forwards(self) -> None:
        """0 to 255 (RFC 3261 section 20.22)."""
        self.assertEqual([parse_max_forwards(text) for text in ("0", "0068", " 255 ")], [0, 68, 255])
        self.refuses(parse_max_forwards, "", "256", "300", "-1", "7 0", "x")

    def test_seconds(self) -> None:
        """0 to 2**32 - 1 (RFC 3261 section 20.19); the error names the header."""
        self.assertEqual([parse_seconds(text) for text in ("0", " 60 ", "4294967295")], [0, 60, 2**32 - 1])
        self.refuses(parse_seconds, "", "4294967296", "1" + "0" * 100, "Thu, 01 Dec 1994 16:00:00 GMT", "-1")
        with self.assertRaises(BadMessage) as caught:
            parse_seconds("x", "Min-Expires")
        self.assertEqual(caught.exception.why, "Bad Min-Expires")
