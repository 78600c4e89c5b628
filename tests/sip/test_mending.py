"""sip.mending: second readings of header values that are malformed and decide little."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.sip.test_message_check import request
from webrtcproxy.sip import mending
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.fields import Headers
from webrtcproxy.sip.headers import MAX_CSEQ, NameAddr
from webrtcproxy.sip.message import STAR, Response, check


class AddressTests(SynchronousTestCase):
    """A From or To that costs nobody a call (RFC 3261 section 20.10)."""

    def test_from(self) -> None:
        """The name without quotes, the first URI that can be read, else what there is of one, and the tag."""
        for text, written in (
            ('"Anonymous" <sip:@10.0.0.1>;tag=z', '"Anonymous" <sip:anonymous@10.0.0.1>;tag=z'),
            ("<sip:Front Desk@h>;tag=z", "<sip:Front%20Desk@h>;tag=z"),
            ('""unknown"" <sip:7001@h>;tag=z', '"unknown" <sip:7001@h>;tag=z'),
            ('"Joe <sip:7001@h>;tag=z', '"Joe" <sip:7001@h>;tag=z'),
            ('Joe "J" Smith <sip:7001@h>;tag=z', '"Joe J Smith" <sip:7001@h>;tag=z'),
            ('"Joe" Smith <sip:7001@h>;tag=z', '"Joe Smith" <sip:7001@h>;tag=z'),
            ('"a\\" <sip:7001@h>;tag=z', '"a" <sip:7001@h>;tag=z'),
            ("<sip:7001@h>;;x=;tag=z", "<sip:7001@h>;x;tag=z"),
            ("<sip:7001@h>x;tag = z", "<sip:7001@h>;tag=z"),
            ("<sip:7001@h> tag=z;x", "<sip:7001@h>;tag=z;x"),
            ('<sip:7001@h>;x="a;tag=z', "<sip:7001@h>;x;tag=z"),
            ("<sip:7001@h>;=b;tag=z, <sip:x@y>", "<sip:7001@h>;tag=z"),
            ("<<sip:7001@h>>;tag=z", "<sip:7001@h>;tag=z"),
            ("<sip:7001@h;tag=z", "<sip:7001@h>;tag=z"),
            ("<7001@h>;tag=z", "<sip:7001@h>;tag=z"),
            ("+4930123;tag=z", "<sip:+4930123@anonymous.invalid>;tag=z"),
            ('"A" +4930123;tag=z', '"A" <sip:+4930123@anonymous.invalid>;tag=z'),
            ('"x" sip:7001@h;tag=z', '"x" <sip:7001@h>;tag=z'),
            ('"x y"sip:7001@h', '"x y" <sip:7001@h>'),
            ("Front Desk sip:7001@h;tag=z", '"Front Desk" <sip:7001@h>;tag=z'),
            ('"x" tel:+49 30 123;tag=z', '"x" <tel:+4930123>;tag=z'),
            ("<tel:+49 30 123>;tag=z", "<tel:+4930123>;tag=z"),
            ("<tel: 030-123>;tag=z", "<tel:030-123>;tag=z"),
            ("<tel:>;tag=z", "<sip:anonymous@anonymous.invalid>;tag=z"),
            ('"A" nobody;tag=z', '"A" <sip:anonymous@anonymous.invalid>;tag=z'),
            ('"x" y <sip:7001@h>;tag=z', '"x y" <sip:7001@h>;tag=z'),
            ("<sip:7001@>;tag=z", "<sip:7001@anonymous.invalid>;tag=z"),
            ("<sip:7001@h:>;tag=z", "<sip:7001@h>;tag=z"),
            ("<sip:7001@h:port>;tag=z", "<sip:7001@h>;tag=z"),
            ("<sip:7001@h_ö>;tag=z", "<sip:7001@anonymous.invalid>;tag=z"),
            ("<sip:a@b@c>;tag=z", "<sip:a%40b@c>;tag=z"),
            ("sip:7001@h?a=b;tag=z", "<sip:7001@h?a=b>;tag=z"),
            ("<sip:70 01@h;;user=phone?a=b>;tag=z", "<sip:70%2001@h;user=phone>;tag=z"),
            ("Anonymous;tag=z", "<sip:anonymous@anonymous.invalid>;tag=z"),
            ("<>;tag=z", "<sip:anonymous@anonymous.invalid>;tag=z"),
            ("<<;tag=z", "<sip:anonymous@anonymous.invalid>;tag=z"),
            ("<http://x y>", "<sip:anonymous@anonymous.invalid>"),
            ("", "<sip:anonymous@anonymous.invalid>"),
        ):
            self.assertEqual(str(mending.address(text, "anonymous")), written, text)
            NameAddr.parse_party(written)

    def test_to(self) -> None:
        """A user that is missing stays so where no name is given for it."""
        self.assertEqual(str(mending.address('""x"" <sip:@h>;tag=1')), '"x" <sip:h>;tag=1')

    def test_nothing_else(self) -> None:
        """Nothing can be smuggled: no line end, bracket or quote, no second address, no header in a URI."""
        for text in (
            '"a" b <sip:x y@h>;a="b\\";c',
            '<sip:a b@h;x=">;y',
            "<sip:a b@h?Route=%3Csip:e%3E>, <sip:c@d>",
            "<\x00 sip:a b@h>",
        ):
            mended = mending.address(text)
            self.assertEqual(NameAddr.parse_party(str(mended)), mended)
            self.assertNotIn("?", mended.uri)


class OtherTests(SynchronousTestCase):
    """Contact, Via, Max-Forwards, and lists."""

    def test_contacts(self) -> None:
        """Those whose URI can be read, with the transport that it names."""
        for lines, uris in (
            (['""C"" <sip:carol@192.0.2.5>'], ["sip:carol@192.0.2.5"]),
            (["<sip:ca rol@192.0.2.5:5070;;transport=tcp>;;q=1"], ["sip:ca%20rol@192.0.2.5:5070;transport=tcp"]),
            (["<sip:carol@192.0.2.5>, <sip:x@"], ["sip:carol@192.0.2.5"]),
            (["<sip:x@, <sip:carol@192.0.2.5>;q=1"], ["sip:carol@192.0.2.5"]),
            (['"Doe, J <sip:a@b;x=1,2>, "K" <sip:c@d>'], ["sip:a@b;x=1,2", "sip:c@d"]),
            (['"C" sip:carol@192.0.2.5:5070;q=1, D E sip:d@e'], ["sip:carol@192.0.2.5:5070", "sip:d@e"]),
            (["x", '"C" nobody', "<sip:a@b:port>", "*", "<sip:a@>", "<tel:1 2>"], []),
            (["sip:a@b, sip:c@d:", "<sip:e@f>"], ["sip:a@b", "sip:c@d", "sip:e@f"]),
        ):
            self.assertEqual([contact.uri for contact in mending.readable_addresses(lines)], uris, lines)

    def test_addresses_alone(self) -> None:
        """An address or a name with dots, without a scheme, is where something is: no other word is."""
        for text, uri in (
            *(
                ("192.0.2.5:5070", "sip:192.0.2.5:5070"),
                ("192.0.2.5;x", "sip:192.0.2.5"),
                ("<h.example>", "sip:h.example"),
            ),
            *(("pbx.example.com:5070", "sip:pbx.example.com:5070"), ("<[::1]:5070;lr>", "sip:[::1]:5070;lr")),
            *(("a@192.0.2.5", "sip:a@192.0.2.5"), ("<192.0.2.5 >", "sip:192.0.2.5")),
        ):
            self.assertEqual([contact.uri for contact in mending.readable_addresses([text])], [uri], text)
        for text in ("host", "host:x", "192.0.2.5:port", "192.0.2.5:99999", "a.b:c", "..", "a..b", "[x]"):
            found = mending.readable_addresses([text])
            self.assertFalse([contact.uri for contact in found if contact.address.host], text)

    def test_routes(self) -> None:
        """What a route means is plain in all of these: the URI, and what stands after it (RFC 3261 section 20.30)."""
        for text, written in (
            ("<sip:p;lr>;=;x=", ["<sip:p;lr>;x"]),
            ("<sip:p;lr=on;;ftag=x>", ["<sip:p;lr=on;ftag=x>"]),
            ("<sip:p;;lr>", ["<sip:p;lr>"]),
            ("<sip:p:;lr>", ["<sip:p;lr>"]),
            ("sip:p;lr", ["<sip:p;lr>"]),
            ("sip:p:5070;transport=tcp;lr, sip:q;lr", ["<sip:p:5070;transport=tcp;lr>", "<sip:q;lr>"]),
            ("<sip:p;lr", ["<sip:p;lr>"]),
            ("<sip:p;lr, <sip:q;lr", ["<sip:p;lr>", "<sip:q;lr>"]),
            (",, <sip:p;;lr> , ,", ["<sip:p;lr>"]),
            ("<sip:p;lr><sip:q;lr>", ["<sip:p;lr>", "<sip:q;lr>"]),
            ("<<sip:p;lr>>", ["<sip:p;lr>"]),
            ("<sip:p ;lr>", ["<sip:p;lr>"]),
            ("<sip:p; lr ;x>", ["<sip:p;lr;x>"]),
            ('<sip:p;lr="on">', ["<sip:p;lr=on>"]),
            ("<sip:p;lr>x", ["<sip:p;lr>"]),
            ("<192.0.2.1:5070;lr>", ["<sip:192.0.2.1:5070;lr>"]),
            ("192.0.2.1;lr", ["<sip:192.0.2.1;lr>"]),
            ('"P <sip:p;lr>', ["<sip:p;lr>"]),
            ("<sip:a b@p;lr>", ["<sip:a%20b@p;lr>"]),
            ("<sip:p;lr>;y=1, <sip:q;lr>", ["<sip:p;lr>;y=1", "<sip:q;lr>"]),
            ('"Q" <sip:q;lr=on>', ['"Q" <sip:q;lr=on>']),
        ):
            headers = Headers([("Record-Route", text)])
            self.assertEqual(mending.routes(headers, "Record-Route"), written, text)
            self.assertEqual(headers.all("Record-Route"), written, text)

    def test_no_routes(self) -> None:
        """One that leads nowhere, or nobody knows where, is refused with all others: each is a part of the way."""
        for text in (
            *(
                "<<x",
                "<tel:+4930>",
                "<sip:p;lr>, <http://x>",
                "<>",
                ";lr",
                "<sip:>",
                "<sip:p:x;lr>",
                "<sip:p:99999;lr>",
            ),
            *('"', "<sip:p;lr>, x", "p;lr", "<sip:p;lr>, <mailto:a@b>", "<sip:@;lr>"),
        ):
            headers = Headers([("Record-Route", text)])
            error = self.assertRaises(BadMessage, mending.routes, headers, "Record-Route")
            self.assertEqual((error.status, error.why), (400, "Bad Record-Route"))
            self.assertEqual(headers.lines("Record-Route"), [text])

    def test_via(self) -> None:
        """Without the parameters that can't be read; a branch and a sent-by must be there (RFC 4475 3.1.2.1)."""
        for text, written in (
            ("SIP/2.0/UDP h:5060;;branch=z9hG4bK1", "SIP/2.0/UDP h:5060;branch=z9hG4bK1"),
            ("SIP/2.0/UDP h:;branch=1;rport", "SIP/2.0/UDP h;branch=1;rport"),
            ('SIP/2.0/UDP h;branch=1;x="a, SIP/2.0/TCP i', "SIP/2.0/UDP h;branch=1;x"),
            ("SIP/2.0/UDP h;a b;branch=1;=", "SIP/2.0/UDP h;a;branch=1"),
            ("SIP/2.0/UDP 2001:db8::1;rport;branch=1", "SIP/2.0/UDP [2001:db8::1];rport;branch=1"),
            ("SIP/2.0/WSS h:99999;branch=1", "SIP/2.0/WSS h:99999;branch=1"),
            ("SIP/2.0/UDP [2001:db8::1]: 65536;branch=1;;", "SIP/2.0/UDP [2001:db8::1]:65536;branch=1"),
        ):
            self.assertEqual(str(mending.via(text)), written)
        for text in (
            "SIP/2.0/UDP h:",
            "SIP/2.0/UDP ;branch=1",
            "SIP/2.0/UDP h:x;branch=1",
            "SIP/2.0/UDP h:-1;branch=1",
            "SIP/2.0/UDP 2001:db8:x::1;branch=1",
            "SIP/2.0/UDP h:9999999999;branch=1",
            "SIP/2.0/UDP h:99999",
            ":99999;branch=1",
            "SIP/2.0/UDP a..b c;branch=1",
            "",
            ",",
            "SIP/2.0/UDP h;;,;,,",
        ):
            self.assertIsNone(mending.via(text), text)

    def test_odd_via(self) -> None:
        """Of the protocol, the transport counts, of an address the zone does not: what it means is where it came from
        (RFC 5118 section 4.5)."""
        for text, written in (
            ("SIP/2.1/UDP h:5060;branch=1", "SIP/2.0/UDP h:5060;branch=1"),
            ("UDP h;branch=1", "SIP/2.0/UDP h;branch=1"),
            ("SIP/2.0/ h;branch=1", "SIP/2.0/UDP h;branch=1"),
            ("SIP/2.0/TCP [fe80::1%eth0]:5060;branch=1", "SIP/2.0/TCP [fe80::1]:5060;branch=1"),
            ("x y/tls h:;branch=1;=", "SIP/2.0/TLS h;branch=1"),
        ):
            self.assertEqual(str(mending.via(text)), written)

    def test_cseq(self) -> None:
        """One number and no other method; a BYE or a CANCEL needs neither: it is found by its tags or its branch."""
        for text, number in (
            *(("1 INFO (x)", 1), ("1 info", 1), ("01  INFO;x", 1), ("1INFO", 1), ("INFO 7", 7), ("7", 7)),
            *(('"7" INFO', 7), ("+7 INFO", 7), ("7. INFO", 7), ("7 INFO (2)", 7), ("7, INFO, BYE", 7)),
            *(("x", None), ("", None), ("-7 INFO", None), ("7 8 INFO", None), ("7 FOO", None), ("7 BYE", None)),
            *(("2147483648 INFO", None), ("7.5 INFO", None)),
        ):
            found = mending.cseq(text, "INFO")
            self.assertEqual(None if found is None else (found.number, found.method), number and (number, "INFO"), text)
        for text, number in (("x", MAX_CSEQ), ("7", 7), ("7 FOO", 7), ("99999999999 BYE", MAX_CSEQ), ("7 INFO", None)):
            found = mending.cseq(text, "BYE")
            self.assertEqual(None if found is None else found.number, number, text)

    def test_max_forwards(self) -> None:
        """A count that is too high stays high, one below zero has run out: requests in a loop end."""
        for text, hops in (("300", 255), ("99999999999", 255), ("-1", 0), ("many", 70), ("", 70), ("70;x", 70)):
            self.assertEqual(mending.max_forwards(text), hops)


class CheckTests(SynchronousTestCase):
    """What decides nothing kills nothing: the message is read, and its oddities are noted for the log."""

    def test_taken(self) -> None:
        """A request is taken with each of these."""
        for odd, oddity in (
            (request("INVITE", From='""u"" <sip:a@b>;tag=1', Contact="<sip:e@f>"), "Bad From"),
            (request("REGISTER", Max_Forwards="300"), "Bad Max-Forwards"),
            (request("INVITE", Expires="Thu, 01 Dec 2027 16:00:00 GMT"), "Bad Expires"),
            (request("BYE", Expires="", To='""c"" <sip:c@d>;tag=2'), "Bad To, Bad Expires"),
            (request("CANCEL", To='"c <sip:c@d>'), "Bad To"),
            (request("MESSAGE", To="<sip:c d@e>"), "Bad To"),
            (request("INVITE", Contact="<sip:a b@c>, <sip:x@"), "Bad Contact"),
            (request("INVITE", Contact="<sip:a@b@c>, <sip:d@e>"), "Bad Contact"),
            (request("INVITE", Via="SIP/2.0/UDP h:;branch=z9hG4bK1"), "Bad Via"),
            (request("INVITE", Via="SIP/2.0/UDP (null):5060;branch=z9hG4bK1"), "Bad Via"),
        ):
            check(odd)
            self.assertEqual(odd.headers.oddities, oddity)
            check(odd)
            self.assertEqual(odd.headers.oddities, oddity, "once")

    def test_request_uri(self) -> None:
        """The Request-URI of what is found by its tags or its branch is not read; any other is."""
        for method in ("BYE", "ACK", "CANCEL"):
            check(request(method, "sip:token@192.0.2.1;;x"))
        self.assertRaises(BadMessage, check, request("INFO", "sip:token@192.0.2.1:;x"))

    def test_after_the_request_uri(self) -> None:
        """What is malformed after a URI that is right, and headers that decide nothing, are taken out of a Request-URI
        (field.rst T: Odd INVITE)."""
        for method, uri, mended in (
            ("INVITE", "sip:c@d;;", "sip:c@d"),
            ("INVITE", "sip:c@d:5070;lr;;x=1;", "sip:c@d:5070;lr;x=1"),
            ("INVITE", 'sip:c@d;x="a";user=phone', "sip:c@d;x=a;user=phone"),
            ("INVITE", "sip:c@d?X=a", "sip:c@d"),
            ("OPTIONS", "sips:[::1];lr?X=a&Y-Z=b", "sips:[::1];lr"),
            ("INFO", "sip:c;e?f@d;;?X", "sip:c;e?f@d"),
            ("INVITE", 'tel:+49;;x="a"', "tel:+49;x=a"),
        ):
            odd = request(method, uri, **({"Contact": "<sip:e@f>"} if method == "INVITE" else {}))
            for _ in range(2):
                check(odd)
                self.assertEqual((odd.uri, odd.headers.oddities), (mended, "Bad Request-URI"))

    def test_unread(self) -> None:
        """A Contact that decides nothing is not read."""
        for method in ("BYE", "ACK", "CANCEL", "OPTIONS", "MESSAGE", "INFO", "PRACK"):
            odd = request(method, Contact="<<")
            check(odd)
            self.assertEqual(odd.headers.oddities, "")

    def test_kept(self) -> None:
        """The Contacts that can be read are those of the message from then on."""
        odd = request("INVITE", Contact="<sip:a@b@c>, <sip:d@e>, <sip:f@")
        check(odd)
        contacts = odd.contacts
        assert contacts is not STAR
        self.assertEqual([contact.uri for contact in contacts], ["sip:a%40b@c", "sip:d@e"])

    def test_response(self) -> None:
        """So is a response, with any To; not without a Contact that can be read, where it has one."""
        odd = Response(200, headers=request(To='"c <sip:c@d>;tag=2', Contact='""x"" <sip:e@f>').headers)
        check(odd)
        self.assertEqual((odd.to.tag, odd.headers.oddities), ("2", "Bad To, Bad Contact"))
        self.assertRaises(BadMessage, check, Response(200, headers=request(Contact="<<").headers))
