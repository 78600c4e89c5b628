"""sip.message: check and respond."""

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.fields import Headers
from webrtcproxy.sip.message import Request, Response, check, respond


def request(method: str = "OPTIONS", uri: str = "sip:c@d", **changes: str | None) -> Request:
    """A sound request, with some headers changed or (None) left out; ``_`` in a name stands for ``-``."""
    values: dict[str, str | None] = {
        "Via": "SIP/2.0/WSS x.invalid;branch=z9hG4bK1",
        "From": "<sip:a@b>;tag=1",
        "To": "<sip:c@d>",
        "Call-ID": "x",
        "CSeq": f"1 {method}",
        "Max-Forwards": "70",
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    return Request(method, uri, Headers([(name, value) for name, value in values.items() if value is not None]))


class CheckTests(SynchronousTestCase):
    """What every request must have (RFC 3261 section 8.1.1)."""

    def test_sound(self) -> None:
        """Sound requests pass: no Max-Forwards and tag (RFC 2543), all of sip, sips and tel, any method, STAR."""
        for sound in (
            *(request(), request(Max_Forwards=None), request(From="sip:a@b"), request(Contact="<sip:e@f>, <name:x>")),
            *(request("REGISTER", Contact="*", Expires="0"), request("!x"), request(Max_Forwards="0"), request("ACK")),
            *(
                request(uri="sips:c@d"),
                request(uri="tel:+1;phone-context=x"),
                request(To="<isbn:1>"),
                request(Via="SIP/2.0/X h"),
            ),
        ):
            check(sound)

    def test_faults(self) -> None:
        """Each fault of what the proxy needs is 400 that names its header, and can be answered."""
        for fault, why in (
            (request(Via="SIP/2.0/UDP"), "Bad Via"),
            (request(Via=None), "Missing Via"),
            (request("REGISTER", From='"a <sip:a@b>'), "Bad From"),
            (request(From=None), "Missing From"),
            (request(To='"c <sip:c@d>'), "Bad To"),
            (request("REGISTER", To="<sip:c@d"), "Bad To"),
            (request("REGISTER", To="<sip:@d>"), "Bad To"),
            (request(To=None), "Missing To"),
            (request(Call_ID=""), "Bad Call-ID"),
            (request(Call_ID=None), "Missing Call-ID"),
            (request(CSeq="1 INVITE"), "Bad CSeq"),
            (request(CSeq="1 FOO"), "Bad CSeq"),
            (request(CSeq="2147483648 OPTIONS"), "Bad CSeq"),
            (request(CSeq=None), "Missing CSeq"),
            *(
                (request(method, Expires="4294967296"), "Bad Expires")
                for method in ("REGISTER", "SUBSCRIBE", "PUBLISH")
            ),
            (request("REGISTER", Contact='<sip:a@b>, "c" <sip:a b@c>'), "Bad Contact"),
            (request("REGISTER", Contact="<sip:a@b@c>"), "Bad Contact"),
            *(
                (request(method, Contact="<sip:a@"), "Bad Contact")
                for method in ("INVITE", "UPDATE", "REFER", "NOTIFY")
            ),
            (request("INVITE", Contact="*, *"), "Bad Contact"),
            (request(uri="<sip:c@d>"), "Bad Request-URI"),
            (request(uri="sip:2001:db8::10"), "Bad Request-URI"),
            *(
                (request("INVITE", uri=uri, Contact="<sip:e@f>"), "Bad Request-URI")
                for uri in (
                    "sip:c@d?Route=%3Csip:e%3E",
                    "sip:c@d?X=a&%52oute=%3Csip:e%3E",
                    "sip:c@d;;?Replaces=x",
                    "sip:c@d?body=x",
                    "sip:c@d?t=x",
                    'sip:c@d;x="a@b"',
                    "<sip:c@d>;x",
                    "sip:2001:db8::10;;",
                    "sip:c@d:x;;",
                    'sip:"c"@d;;',
                    "sip:;;",
                )
            ),
            *((request("REGISTER", uri=uri), "Bad Request-URI") for uri in ("sip:d;;", "sip:d?X=a")),
            (request("INVITE", Via="SIP/2.0/UDP (null):5060"), "Bad Via"),
            (request("INVITE", Via="SIP/2.0/UDP (null):5060;branch"), "Bad Via"),
            (request("INVITE", Via="(null);branch=z9hG4bK1"), "Bad Via"),
        ):
            self.refused(fault, 400, why)

    def test_scheme(self) -> None:
        """A scheme that nobody here serves is 416 (RFC 3261 section 8.2.2.1, RFC 4475 3.3.2)."""
        for uri in ("urn:service:sos", "soap.beep://h", "http://h", "sipx:a@b"):
            self.refused(request(uri=uri), 416, "Unsupported URI Scheme")

    def test_too_long(self) -> None:
        """A URI that is too long is 513, wherever it stands."""
        uri = f"sip:{'a' * 2048}@b"
        self.refused(request(uri=uri), 513, "Bad Request-URI")
        self.refused(request(To=f"<{uri}>"), 513, "Bad To")
        self.refused(request("INVITE", Contact=f"<{uri}>"), 513, "Bad Contact")

    def test_never_answered(self) -> None:
        """A broken ACK or response carries no request: nothing may be sent back (RFC 3261 section 17.1.1.3)."""
        for fault in (request("ACK", CSeq="1 INVITE"), Response(200, headers=request(CSeq="x").headers)):
            with self.assertRaises(BadMessage) as caught:
                check(fault)
            self.assertEqual((caught.exception.why, caught.exception.request), ("Bad CSeq", None))

    def test_response(self) -> None:
        """A response is held to the same headers (RFC 4475 3.1.2.5)."""
        check(Response(200, headers=request(Contact="<sip:e@f>").headers))
        for headers in (request(To=None).headers, request(Via="x").headers, request(Contact="x").headers):
            self.assertRaises(BadMessage, check, Response(200, headers=headers))

    def refused(self, fault: Request, status: int, why: str) -> None:
        """`fault` is refused so, and goes with the error."""
        with self.assertRaises(BadMessage, msg=why) as caught:
            check(fault)
        self.assertEqual((caught.exception.status, caught.exception.why), (status, why))
        self.assertIs(caught.exception.request, fault)


class RespondTests(SynchronousTestCase):
    """RFC 3261 section 8.2.6."""

    def test_copied(self) -> None:
        """All Vias in order, From, To, Call-ID, CSeq as they came; nothing else (RFC 3261 section 8.2.6.2)."""
        asked = request(
            From="sip:a@b;tag=1", Subject="x", Timestamp="1", Record_Route="<sip:r;lr>", Contact="<sip:e@f>"
        )
        asked.headers.prepend("v", "SIP/2.0/UDP a, SIP/2.0/UDP b")
        response = respond(asked, 404)
        self.assertEqual(
            response.to_bytes().decode(),
            "SIP/2.0 404 Not Found\r\nVia: SIP/2.0/UDP a, SIP/2.0/UDP b\r\n"
            "Via: SIP/2.0/WSS x.invalid;branch=z9hG4bK1\r\n"
            "From: sip:a@b;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
        )

    def test_to_tag(self) -> None:
        """Ours where To has none, in any form of To; never in a 100 (RFC 3261 section 8.2.6.2)."""
        for to, answered in (
            ("<sip:c@d>", "<sip:c@d>;tag=ours"),
            ("sip:c@d", "sip:c@d;tag=ours"),
            ('"C" <sip:c@d>;x=y ;', '"C" <sip:c@d>;x=y;tag=ours'),
            ("<sip:c@d>;tag=theirs", "<sip:c@d>;tag=theirs"),
            ("sip:c@d;TAG=theirs", "sip:c@d;TAG=theirs"),
            ("<sip:c@d>;tag=;x=y", "<sip:c@d>;tag=ours;x=y"),
            ('<sip:c@d>;TAG=""', "<sip:c@d>;TAG=ours"),
            ("<sip:c@d>;tag", "<sip:c@d>;tag=ours"),
            ('"C <sip:c@d>', '"C <sip:c@d>'),
        ):
            self.assertEqual(respond(request(To=to), 200, to_tag="ours").headers.get("To"), answered)
        self.assertEqual(respond(request(), 100, to_tag="ours").headers.get("To"), "<sip:c@d>")
        self.assertEqual(respond(request(), 101, to_tag="ours").to.tag, "ours")
        self.assertEqual(respond(request(), 200).headers.get("To"), "<sip:c@d>")
        self.assertRaises(ValueError, respond, request(), 200, to_tag="a\r\nb")

    def test_original_untouched(self) -> None:
        """The request stays as it was."""
        asked = request()
        before = asked.headers.copy()
        respond(asked, 200, to_tag="ours", headers=[("Contact", "<sip:e@f>")])
        self.assertEqual(asked.headers, before)
        self.assertIsNone(asked.to.tag)

    def test_by_status(self) -> None:
        """Timestamp in a 100 (8.2.6.1), Record-Route in what may make a dialog (12.1.1)."""
        asked = request(Timestamp="1.5", Record_Route="<sip:r;lr>, <sip:s;lr>")
        for status, timestamp, route in (
            *(
                (100, True, False),
                (179, False, False),
                (180, False, True),
                (190, False, False),
                (183, False, True),
                (189, False, True),
                (199, False, False),
            ),
            *((200, False, True), (202, False, True), (299, False, True), (300, False, False), (487, False, False)),
        ):
            answer = respond(asked, status).headers
            self.assertEqual(("Timestamp" in answer, "Record-Route" in answer), (timestamp, route), status)
        self.assertEqual(respond(asked, 200).headers.lines("Record-Route"), ["<sip:r;lr>, <sip:s;lr>"])

    def test_additions(self) -> None:
        """Reason, headers and body of one's own; headers can't break their line."""
        response = respond(request(), 480, "Gone Fishing", headers=[("Retry-After", "5")], body=b"x")
        self.assertEqual(
            (response.reason, response.headers.get("Retry-After"), response.body), ("Gone Fishing", "5", b"x")
        )
        self.assertRaises(ValueError, respond, request(), 200, headers=[("Contact", "a\nb")])

    def test_broken(self) -> None:
        """A broken request is answered with what it has (RFC 4475 3.3.1)."""
        response = respond(request(From=None, To=None, Call_ID=None), 400, "Missing From", to_tag="ours")
        self.assertEqual([name for name, _ in response.headers], ["Via", "CSeq"])
        self.assertTrue(response.to_bytes().startswith(b"SIP/2.0 400 Missing From\r\n"))
