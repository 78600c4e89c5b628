"""sip.salvage: what is read of a message that is malformed, and what of it is usable."""

from tests.sip.test_message import Case, options
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response, read
from webrtcproxy.sip.salvage import ENDING
from webrtcproxy.sip.stream import StreamReader

BYE = options(line="BYE sip:c@d SIP/2.0\r\n").replace(b"1 OPTIONS", b"1 BYE")
OK = options(line="SIP/2.0 200 Fine\r\n", body=b"v=0\r\n", extra="Content-Type: application/sdp\r\n")


def error_of(data: bytes, *, stream: bool = False) -> BadMessage:
    """The error with which `data` is refused."""
    try:
        read(data, stream=stream)
    except BadMessage as error:
        return error
    raise AssertionError(f"was read: {data!r}")


class RefusedTests(Case):
    """What a refused request leaves to answer."""

    def test_nothing(self) -> None:
        """No SIP, no Via, no method: nothing to answer, nothing to use."""
        for data in (
            *(
                b"",
                b"\r\n\r\n",
                b"\0\0\0\0",
                b"GET / HTTP/1.1\r\nVia: x\r\n\r\n",
                b"x",
                b"INVITE\r\n\r\n",
                b"\xff" * 100,
            ),
            options("l: 9\r\n", base="From: <sip:a@b>\r\n"),
            options("l: 9\r\n", line="OPT@IONS sip:c@d SIP/2.0\r\n"),
            options(line="SIP/2.0 99 OK\r\n"),
            options("l: 9\r\n", line="SIP/2.0 200 OK\r\n", base="From: <sip:a@b>\r\n"),
        ):
            error = error_of(data)
            self.assertEqual((error.request, error.usable), (None, False), data)
        for method in ENDING:
            self.assertIsNone(error_of(method.encode() + b" sip:c@d SIP/2.0\r\n\r\n").request)

    def test_something(self) -> None:
        """All headers that are whole, the first of the single ones, unfolded; no NUL, no CR, no body."""
        request = self.refused(
            b"\r\n"
            + options(
                "no header\r\nf: <sip:other@b>\r\nSubject: a\r\n b\0c\rd\r\n@: x\r\nl: 99\r\nX-A\t: 1\r\n", b"xyz"
            ),
            "Bad Header Line",
        )
        assert request is not None
        self.assertEqual((request.method, request.uri, request.body), ("OPTIONS", "sip:c@d", b""))
        self.assertEqual(request.headers.lines("From"), ["<sip:a@b>;tag=1"])
        self.assertEqual(request.headers.get("Subject"), "a b c d")
        self.assertEqual(request.headers.get("X-A"), "1")
        request.to_bytes()

    def test_without_end(self) -> None:
        """A request whose empty line is missing, cut off or not yet sent."""
        request = self.refused(options()[:-2], "Missing Empty Line")
        assert request is not None
        self.assertEqual(request.cseq.number, 1)

    def test_odd_first_line(self) -> None:
        """Spaces in the Request-URI (RFC 4475 3.1.2.8)."""
        request = self.refused(options(line="OPTIONS sip:c@d; lr SIP/2.0\r\n"), "Bad Request Line")
        assert request is not None
        self.assertEqual(request.uri, "sip:c@d;")

    def test_requests_are_refused(self) -> None:
        """A malformed request is for refusing, not for using: its sender learns of it."""
        for method in ("INVITE", "UPDATE", "REGISTER", "PRACK", "MESSAGE"):
            data = options("l: 9\r\n", line=f"{method} sip:c@d SIP/2.0\r\n")
            self.assertFalse(error_of(data).usable, method)


class ResponseTests(Case):
    """A response is used as far as it can be read."""

    def usable(self, data: bytes, *, stream: bool = False) -> Response:
        error = error_of(data, stream=stream)
        self.assertTrue(error.usable, data)
        assert isinstance(error.request, Response)
        error.request.to_bytes()
        return error.request

    def test_contradictions(self) -> None:
        """Of two different single headers, the first counts."""
        for line in ("To: <sip:x@y>;tag=9", "CSeq: 9 BYE", "Call-ID: z", "From: <sip:x@y>", "Content-Type: text/plain"):
            response = self.usable(OK.replace(b"\r\n\r\n", f"\r\n{line}\r\n\r\n".encode(), 1))
            self.assertEqual((response.status, response.reason, response.body), (200, "Fine", b"v=0\r\n"))
            self.assertEqual(
                (response.to.tag, response.cseq.number, response.content_type), (None, 1, "application/sdp")
            )

    def test_length(self) -> None:
        """The body is what is there, where Content-Length is no number, too large, or contradicts itself."""
        for lengths in ("l: ++5", "l: 99", "l: -1", "l: 5\r\nl: 2", "l: 2\r\nContent-Length: 5"):
            response = self.usable(OK.replace(b"\r\n\r\n", f"\r\n{lengths}\r\n\r\n".encode(), 1))
            self.assertEqual(response.body, b"v=0\r\n", lengths)
        lines = b"l: 2\r\nFrom: <sip:x@y>\r\n\r\n"
        self.assertEqual(self.usable(OK.replace(b"\r\n\r\n", b"\r\n" + lines, 1)).body, b"v=")

    def test_missing(self) -> None:
        """A header that every message has may be missing, but for Via."""
        for name in ("From", "To", "Call-ID", "CSeq"):
            lines = OK.split(b"\r\n")
            response = self.usable(b"\r\n".join(line for line in lines if not line.startswith(name.encode() + b":")))
            self.assertEqual((response.via.branch, name in response.headers), ("z9hG4bK1", False))

    def test_lines(self) -> None:
        """CR and NUL within a line are blanks, a line that is too long or one too many is left out, the end may be
        missing."""
        self.assertEqual(
            self.usable(OK.replace(b"Call-ID: x", b"Call-ID: x\r\nSubject: a\rb\0c")).headers.get("Subject"), "a b c"
        )
        long = OK.replace(b"Call-ID: x", b"Call-ID: x\r\nSubject: " + b"a" * 9000)
        self.assertNotIn("Subject", self.usable(long).headers)
        self.assertEqual(self.usable(OK.replace(b"\r\n\r\n", b"\r\n" + b"A: b\r\n" * 300 + b"\r\n")).status, 200)
        self.assertEqual(self.usable(OK.partition(b"\r\n\r\n")[0]).body, b"")

    def test_stream(self) -> None:
        """On a stream, the response whose length is unknown is the last one."""
        reader = StreamReader()
        with self.assertRaises(BadMessage) as caught:
            reader.feed(OK)
        self.assertIsInstance(caught.exception.request, Response)
        self.assertTrue(caught.exception.usable)


class UnusableTests(Case):
    """A response that can't be used is there for the log."""

    def test_left(self) -> None:
        """Without a status or a Via nobody knows what it says, or to what."""
        for data in (
            OK.replace(b"200 Fine", b"20 Fine"),
            OK.replace(b"200 Fine", b"Fine"),
            OK.replace(b"200 Fine", b"4294967301 Fine"),
            OK.replace(b"Via:", b"Vai:"),
        ):
            error = error_of(data)
            self.assertEqual((error.request, error.usable), (None, False))
            assert isinstance(error.unusable, Response)
            self.assertEqual((error.unusable.status, error.unusable.log_id), (0, "x"))


class EndingTests(Case):
    """BYE, CANCEL and ACK end something: they are used where they name transaction and dialog."""

    def test_used(self) -> None:
        """Contradictions and lengths are no reason to refuse them."""
        for method in ("BYE", "CANCEL", "ACK"):
            named = BYE.replace(b"BYE", method.encode())
            for lines in (
                "l: 9",
                "l: ++0",
                "l: 0\r\nl: 2",
                "From: <sip:x@y>",
                "c: a/b\r\nc: b/c",
            ):
                error = error_of(named.replace(b"\r\n\r\n", f"\r\n{lines}\r\n\r\n".encode()))
                self.assertTrue(error.usable, lines)
                assert isinstance(error.request, Request)
                self.assertEqual((error.request.method, error.request.from_.tag), (method, "1"))

    def test_body_of_an_ack(self) -> None:
        """An ACK may have the answer: as much of it as is there."""
        error = error_of(BYE.replace(b"BYE", b"ACK").replace(b"\r\n\r\n", b"\r\nl: 99\r\n\r\nv=0\r\n"))
        assert isinstance(error.request, Request)
        self.assertEqual(error.request.body, b"v=0\r\n")

    def test_not_used(self) -> None:
        """Not where the request line is malformed, where it is another version's, or where a header that it needs is
        missing (field.rst P: Odd end); but an ACK is, which nobody could be told about (field.rst Q: Odd ACK). What can
        be read of it is there."""
        for change in (
            *(
                (b"sip:c@d", b"sip:c@d x"),
                (b"SIP/2.0\r\n", b"SIP/7.0\r\n"),
                (b"Call-ID: x\r\n", b""),
                (b"To: <sip:c@d>\r\n", b""),
                (b"CSeq: 1 BYE\r\n", b""),
                (b"Via: ", b"X: "),
                (b" sip:c@d SIP/2.0\r\n", b"\r\n"),
            ),
        ):
            for method in ("BYE", "CANCEL", "ACK"):
                data = BYE.replace(*change).replace(b"BYE", method.encode())
                error = error_of(data)
                is_taken = method == "ACK" and b"7.0" not in change[1]
                self.assertEqual(error.usable, is_taken, data)
                assert isinstance(error.request, Request)
                self.assertEqual(error.request.method, method)
