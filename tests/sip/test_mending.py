"""sip.mending: second readings of header values that are malformed and decide little."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.sip.test_message_check import request
from webrtcproxy.sip import mending
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import NameAddr
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
            ('<sip:7001@h>;x="a;tag=z', "<sip:7001@h>;x;tag=z"),
            ("<sip:7001@h>;=b;tag=z, <sip:x@y>", "<sip:7001@h>;tag=z"),
            ("<<sip:7001@h>>;tag=z", "<sip:7001@h>;tag=z"),
            ("<sip:7001@h;tag=z", "<sip:7001@h>;tag=z"),
            ("<7001@h>;tag=z", "<sip:7001@h>;tag=z"),
            ("+4930123;tag=z", "<sip:+4930123@anonymous.invalid>;tag=z"),
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
            (["x", "<sip:a@b:port>", "*", "<sip:a@>", "<tel:1 2>"], []),
            (["sip:a@b, sip:c@d:", "<sip:e@f>"], ["sip:a@b", "sip:c@d", "sip:e@f"]),
        ):
            self.assertEqual([contact.uri for contact in mending.readable_addresses(lines)], uris, lines)

    def test_via(self) -> None:
        """Without the parameters that can't be read; a branch and a sent-by must be there (RFC 4475 3.1.2.1)."""
        for text, written in (
            ("SIP/2.0/UDP h:5060;;branch=z9hG4bK1", "SIP/2.0/UDP h:5060;branch=z9hG4bK1"),
            ("SIP/2.0/UDP h:;branch=1;rport", "SIP/2.0/UDP h;branch=1;rport"),
            ('SIP/2.0/UDP h;branch=1;x="a, SIP/2.0/TCP i', "SIP/2.0/UDP h;branch=1;x"),
            ("SIP/2.0/UDP h;a b;branch=1;=", "SIP/2.0/UDP h;a;branch=1"),
        ):
            self.assertEqual(str(mending.via(text)), written)
        for text in (
            "SIP/2.0/UDP h:",
            "SIP/2.0/UDP ;branch=1",
            "SIP/2.0/UDP h:x;branch=1",
            "",
            ",",
            "SIP/2.0/UDP h;;,;,,",
        ):
            self.assertIsNone(mending.via(text), text)

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
        ):
            check(odd)
            self.assertEqual(odd.headers.oddities, oddity)
            check(odd)
            self.assertEqual(odd.headers.oddities, oddity, "once")

    def test_request_uri(self) -> None:
        """The Request-URI of what is found by its tags or its branch is not read; any other is."""
        for method in ("BYE", "ACK", "CANCEL"):
            check(request(method, "sip:token@192.0.2.1;;x"))
        self.assertRaises(BadMessage, check, request("INFO", "sip:token@192.0.2.1;;x"))

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
