"""sip.request: typed readings, and what is written."""

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.fields import Headers
from webrtcproxy.sip.headers import STAR, CSeq, NameAddr, Via
from webrtcproxy.sip.names import PHRASES
from webrtcproxy.sip.request import Message, Request, Response
from webrtcproxy.sip.uri import Uri


def request(*pairs: tuple[str, str]) -> Request:
    return Request("INVITE", "sip:bob@example.com", Headers(pairs))


class ReadingTests(SynchronousTestCase):
    """What is read when it is asked for."""

    def test_values(self) -> None:
        """Each reading in the type of its header."""
        asked = request(
            *(("Via", "SIP/2.0/UDP a;x=1, SIP/2.0/UDP b"), ("Via", "SIP/2.0/UDP c"), ("CSeq", "7 INVITE")),
            *(("Call-ID", 'a@"b'), ("From", "<sip:a@b>;tag=1"), ("To", "<sip:c@d>"), ("Max-Forwards", "69")),
            *(("Expires", "60"), ("Contact", "<sip:e@f>, <sip:g@h>"), ("Content-Type", " Application/SDP ;charset=x")),
        )
        self.assertEqual(asked.via, Via("UDP", "a", None, (("x", "1"),)))
        self.assertEqual(asked.cseq, CSeq(7, "INVITE"))
        self.assertEqual(asked.call_id, 'a@"b')
        self.assertEqual(asked.from_, NameAddr("", "sip:a@b", (("tag", "1"),)))
        self.assertEqual(asked.to, NameAddr("", "sip:c@d"))
        self.assertEqual(asked.contacts, [NameAddr("", "sip:e@f"), NameAddr("", "sip:g@h")])
        self.assertEqual((asked.max_forwards, asked.expires), (69, 60))
        self.assertEqual(asked.content_type, "application/sdp")
        self.assertEqual(asked.request_uri, Uri("sip", "bob", None, "example.com"))

    def test_absent(self) -> None:
        """What must be there raises and names the header; what may be absent is None or empty."""
        asked = request()
        for reading, why in (
            *(("via", "Missing Via"), ("cseq", "Missing CSeq"), ("call_id", "Missing Call-ID")),
            *(("from_", "Missing From"), ("to", "Missing To")),
        ):
            self.refuses(asked, reading, 400, why)
        self.assertEqual((asked.contacts, asked.max_forwards, asked.expires, asked.content_type), ([], None, None, ""))

    def test_broken(self) -> None:
        """What can't be read raises each time, and names the header."""
        long = f"<sip:{'a' * 2048}@b>"
        for name, value, reading, status in (
            *(("Via", "SIP/2.0/UDP", "via", 400), ("Via", ", ,", "via", 400), ("Via", 'SIP/2.0/UDP a,"', "via", 400)),
            *(("CSeq", "x", "cseq", 400), ("Call-ID", "", "call_id", 400), ("Call-ID", "a b", "call_id", 400)),
            *(
                ("To", '"', "to", 400),
                ("To", long, "to", 513),
                ("Contact", "x", "contacts", 400),
            ),
            *(("Contact", long, "contacts", 513), ("Contact", "*, *", "contacts", 400)),
        ):
            asked = request((name, value))
            self.refuses(asked, reading, status, f"Bad {name}")
            self.refuses(asked, reading, status, f"Bad {name}")

    def test_request_uri(self) -> None:
        """The error names the Request-URI; a new URI is read again."""
        asked = Request("INVITE", "sip:a b")
        self.refuses(asked, "request_uri", 400, "Bad Request-URI")
        asked.uri = "tel:112"
        self.assertEqual(asked.request_uri.scheme, "tel")

    def test_kept(self) -> None:
        """What was read is kept until its header changes, by whatever way and name."""
        asked = request(("f", "<sip:a@b>"), ("m", "*"), ("To", "<sip:c@d>"), ("v", "SIP/2.0/UDP a"), ("Call-ID", "x"))
        self.assertIs(asked.from_, asked.from_)
        self.assertIs(asked.via, asked.via)
        self.assertEqual((asked.call_id, asked.call_id), ("x", "x"))
        self.assertIs(asked.contacts, STAR)
        self.assertIs(asked.contacts, STAR)
        asked.headers.set("from", "<sip:e@f>")
        asked.headers.set("CONTACT", "<sip:g@h>")
        self.assertEqual(asked.from_.uri, "sip:e@f")
        contacts = asked.contacts
        assert contacts is not STAR
        contacts.clear()
        self.assertEqual(asked.contacts, [NameAddr("", "sip:g@h")], "the list was the caller's own")
        asked.headers.remove("f")
        self.refuses(asked, "from_", 400, "Missing From")

    def test_top_via(self) -> None:
        """The top Via can be replaced, others stay (RFC 3581 section 4)."""
        asked = request(("v", "SIP/2.0/UDP a;rport, SIP/2.0/UDP b"), ("Via", "SIP/2.0/UDP c"))
        asked.via = asked.via.with_param("rport", "5061")
        self.assertEqual(asked.headers.all("Via"), ["SIP/2.0/UDP a;rport=5061", "SIP/2.0/UDP b", "SIP/2.0/UDP c"])
        self.assertEqual(asked.via.rport, "5061")

    def refuses(self, message: Message, reading: str, status: int, why: str) -> None:
        """Reading raises BadMessage with this status and reason."""
        with self.assertRaises(BadMessage) as caught:
            getattr(message, reading)
        self.assertEqual((caught.exception.status, caught.exception.why), (status, why))


class WritingTests(SynchronousTestCase):
    """What is sent."""

    def test_request(self) -> None:
        """Start line, headers in their order, Content-Length in octets, the body (RFC 3261 section 7)."""
        asked = Request("MESSAGE", "sip:b@c", Headers([("f", "é <sip:a@b>"), ("X-A", "\udcff")]), "é".encode())
        self.assertEqual(
            asked.to_bytes(),
            b"MESSAGE sip:b@c SIP/2.0\r\nFrom: \xc3\xa9 <sip:a@b>\r\nX-A: \xff\r\nContent-Length: 2\r\n\r\n\xc3\xa9",
        )
        self.assertEqual(repr(asked), "<Request MESSAGE sip:b@c None>")

    def test_response(self) -> None:
        """The standard phrase where none is given; one of one's own is kept (RFC 3261 section 7.2)."""
        self.assertEqual(Response(486).to_bytes(), b"SIP/2.0 486 Busy Here\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(Response(486, "é").to_bytes()[:15], "SIP/2.0 486 é\r".encode())
        self.assertEqual(Response(299).to_bytes()[:14], b"SIP/2.0 299 \r\n")
        self.assertEqual(repr(Response(200, headers=Headers([("CSeq", "1 BYE")]))), "<Response 200 OK 1 BYE>")

    def test_injection(self) -> None:
        """Nothing that breaks the first line is written."""
        for method, uri in (
            *(("A B", "sip:a"), ("A", "sip:a b"), ("", "sip:a b"), ("A", "sip:a\r\nVia: x"), ("A\n", "sip:a")),
            *(("A", "sip:a\0"), ("A", "sip:a\r")),
        ):
            self.assertRaises(ValueError, Request(method, uri).to_bytes)
        for status, reason in ((99, "x"), (700, "x"), (200, "a\rb"), (200, "a\nb"), (200, "a\0b")):
            self.assertRaises(ValueError, Response(status, reason).to_bytes)

    def test_bare_message(self) -> None:
        """Only requests and responses have a first line."""
        self.assertRaises(NotImplementedError, lambda: Message().start_line)

    def test_apart(self) -> None:
        """Each message has headers of its own."""
        Request("A", "sip:a").headers.add("X-A", "1")
        Response(200).headers.add("X-A", "1")
        self.assertEqual((len(Request("A", "sip:a").headers), len(Response(200).headers)), (0, 0))

    def test_phrases(self) -> None:
        """Every phrase is ASCII that fits a status line (RFC 3261 section 21, IANA)."""
        for status, phrase in PHRASES.items():
            self.assertTrue(100 <= status <= 699 and phrase.isascii() and phrase.isprintable() and phrase, status)
