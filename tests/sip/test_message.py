"""sip.message.read: frames, line ends, folds, limits."""

import contextlib
import time

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import MAX_HEADERS, MAX_MESSAGE, MAX_VALUE, Request, Response, check, read
from webrtcproxy.sip.uri import MAX_URI

BASE = (
    "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n"
)
LINE = "OPTIONS sip:c@d SIP/2.0\r\n"


def options(extra: str = "", body: bytes = b"", line: str = LINE, base: str = BASE) -> bytes:
    return f"{line}{base}{extra}\r\n".encode("utf-8", "surrogateescape") + body


class Case(SynchronousTestCase):
    """Shared assertions."""

    def request(self, data: bytes) -> Request:
        """`data` is a request."""
        message = read(data)
        assert isinstance(message, Request)
        return message

    def refused(self, data: bytes, why: str, status: int = 400, *, stream: bool = False) -> Request | None:
        """`data` is refused so; what could be read of it."""
        with self.assertRaises(BadMessage, msg=repr(data[:200])) as caught:
            read(data, stream=stream)
        self.assertEqual((caught.exception.status, caught.exception.why), (status, why), data[:200])
        return caught.exception.request


class LineTests(Case):
    """Lines and their ends (RFC 3261 section 7.3.1)."""

    def test_request(self) -> None:
        """The plain case."""
        request = self.request(options("Content-Length: 2\r\n", b"hi"))
        self.assertEqual((request.method, request.uri, request.body), ("OPTIONS", "sip:c@d", b"hi"))
        self.assertEqual(
            [name for name, _ in request.headers], ["Via", "From", "To", "Call-ID", "CSeq", "Content-Length"]
        )
        self.assertEqual(request.to_bytes(), options("Content-Length: 2\r\n", b"hi"))

    def test_response(self) -> None:
        """Any reason phrase, also none (RFC 4475 3.1.1.12, 3.1.1.13)."""
        for line, status, reason in (
            *(
                ("SIP/2.0 200 OK", 200, "OK"),
                ("SIP/2.0 100 ", 100, ""),
                ("SIP/2.0 100", 100, ""),
                ("sip/2.0 699 x", 699, "x"),
            ),
            *(("SIP/2.0 200 = 2**3 \xe9\udcff", 200, "= 2**3 \xe9\udcff"), ("SIP/2.0 404 a  b ", 404, "a  b")),
        ):
            response = read(options(line=line + "\r\n"))
            assert isinstance(response, Response)
            self.assertEqual((response.status, response.reason), (status, reason))

    def test_white_space(self) -> None:
        """Space and tab before the colon, around values, and none at all."""
        lines = "subject :\t a b \t\r\nX-A:b\r\nX-B:\r\nX-C \t:  \r\nk:\r\nX-D: :a:\r\nX-E:a: b\r\n"
        request = self.request(options(lines))
        self.assertEqual(list(request.headers)[5:], [
            *(("Subject", "a b"), ("X-A", "b"), ("X-B", ""), ("X-C", ""), ("Supported", ""), ("X-D", ":a:")),
            ("X-E", "a: b"),
        ])  # fmt: skip

    def test_folds(self) -> None:
        """Continuation lines are joined by one space, whatever they begin with (RFC 3261 section 7.3.1)."""
        request = self.request(options("Subject: a\r\n b\r\n\t  c\r\n \r\nX-A:\r\n\t\r\n b\r\n"))
        self.assertEqual((request.headers.get("Subject"), request.headers.get("X-A")), ("a b c", "b"))
        self.assertEqual(self.request(options(base="Via:\r\n SIP/2.0/UDP h\r\n" + BASE)).via.host, "h")

    def test_line_ends(self) -> None:
        """Bare LF ends a line as well, also mixed; the body is not touched; empty lines may come first."""
        wanted = self.request(options("Content-Length: 6\r\n", b"\r\n\r\n\n\n"))
        for data in (
            options("Content-Length: 6\r\n").replace(b"\r\n", b"\n") + b"\r\n\r\n\n\n",
            b"\r\n\r\n\n" + options("Content-Length: 6\r\n", b"\r\n\r\n\n\n"),
            b"\r\n" + options("Content-Length: 6\n", b"\r\n\r\n\n\n"),
            options("Content-Length: 6\r\n", b"\r\n\r\n\n\n").replace(b"\r\n\r\n", b"\r\n\n", 1),
            options("Content-Length: 6\r\n", b"\r\n\r\n\n\n").replace(b"\r\n\r\n", b"\n\r\n", 1),
            options("Content-Length\n : 6\r\n", b"\r\n\r\n\n\n"),
        ):
            request = self.request(data)
            self.assertEqual((request.headers, request.body), (wanted.headers, wanted.body), data)

    def test_control(self) -> None:
        """A CR amid a line is refused: it would be a line end to somebody else."""
        for extra in ("Subject: a\rb\r\n", "Subject: a\r\r\n", "X\r: a\r\n"):
            self.refused(options(extra), "Bad Header Line")

    def test_nul(self) -> None:
        """A NUL is a blank, as all control characters are: in a header that decides nothing it costs nothing, and it is
        never sent on (field.rst H: Odd headers). Where a blank can't be, it is refused."""
        for extra, name, value in (
            ("Subject: a\0b\r\n", "Subject", "a b"),
            ("Subject: a\0\r\n", "Subject", "a"),
            ("Subject\0: a\r\n", "Subject", "a"),
            ("Subject: a\r\n\0b\r\n", "Subject", "a b"),
        ):
            request = self.request(options(extra))
            self.assertEqual(request.headers.lines(name), [value])
            self.assertNotIn(b"\0", request.to_bytes())
        self.refused(options(line="OPTIONS sip:a\0@b SIP/2.0\r\n"), "Bad Request Line")
        bad = read(options(base=BASE.replace("Call-ID: ", "Call-ID: a\0")))
        assert isinstance(bad, Request)
        self.assertRaises(BadMessage, check, bad)

    def test_quoted_nul(self) -> None:
        """A NUL behind the backslash of a quoted string is read (RFC 4475 3.1.1.2), and never sent on."""
        request = self.request(options(base=BASE.replace("To: ", 'To: "a\\\0b" ')))
        self.assertEqual(request.to.display, "a b")
        self.assertNotIn(b"\0", request.to_bytes())

    def test_octets(self) -> None:
        """Octets outside of UTF-8 survive (RFC 3261 section 25.1 has them in reason phrases and quoted strings)."""
        data = options('Subject: "\udcff\udc80" \xe9\r\nContent-Length: 1\r\n', b"\xff")
        self.assertEqual(self.request(data).to_bytes(), data)

    def test_first_line(self) -> None:
        """Method, URI, version with one space between; whitespace after is tolerated (RFC 4475 3.1.2.8 - 3.1.2.10)."""
        for line in ("OPTIONS sip:c@d SIP/2.0  ", "OPTIONS sip:c@d sip/2.0", "OPTIONS sip:c@d SIP/2.0\t"):
            self.assertEqual(self.request(options(line=line + "\r\n")).uri, "sip:c@d")
        for line in (
            *("OPTIONS  sip:c@d SIP/2.0", "OPTIONS sip:c@d  SIP/2.0", "OPTIONS sip:c@d;a b SIP/2.0", "OPTIONS SIP/2.0"),
            *(
                "OPT:IONS sip:c@d SIP/2.0",
                "OPTIONS sip:c@d HTTP/1.1",
                "OPTIONS sip:c@d",
                "OPTIONS",
                " OPTIONS a SIP/2.0",
            ),
            *("OPTIONS sip:c@d SIP/2", "OPTIONS sip:c@d SIP/2.0x", "OPTIONS sip:c@d SIP/x.y", "/ sip:c@d SIP/2.0"),
        ):
            self.refused(options(line=line + "\r\n"), "Bad Request Line")
        self.refused(b"OPTIONS sip:c@d SIP/2.0\r\n\r\n", "Bad Header Line")
        for code in ("", "20", "2000", "099", "700", "4294967301", "2x0", "-20", "+20", "٢٠٠"):
            self.refused(options(line=f"SIP/2.0 {code} OK\r\n"), "Bad Status Line")

    def test_version(self) -> None:
        """Another version is 505, where it is SIP at all (RFC 4475 3.1.2.16)."""
        for version in ("SIP/7.0", "sip/3.0", "SIP/2.1", "SIP/10.10"):
            request = self.refused(options(line=f"OPTIONS sip:c@d {version}\r\n"), "Version Not Supported", 505)
            assert request is not None
            self.assertEqual(request.cseq.method, "OPTIONS")

    def test_header_lines(self) -> None:
        """A line without colon or with anything but a token before it is left out, and noted."""
        for line in ("Subject", "Via", ": a", "a b: c", "a@b: c", "é: c", "(a): b", "X-A", ":", "Via SIP/2.0/UDP: h"):
            request = self.request(options(line + "\r\nSubject: x\r\n"))
            self.assertEqual((len(request.headers), request.headers.oddities), (6, "Bad Header Line"), line)
        self.assertEqual(self.request(options()).headers.oddities, "")


class ControlTests(Case):
    """Control characters in headers (RFC 3261 section 25.1: none but in an escape of a quoted string)."""

    def test_blanks(self) -> None:
        """Escape, bell, backspace, delete and the C1 controls in UTF-8 are read as blanks: a terminal, a log or the
        display of a phone might obey them. The text about them stays, and so do umlauts and the body."""
        for control in ("\x1b", "\x07", "\x08", "\x7f", "\x01", "\x1f", "\x0b", "\x80", "\x85", "\x9b"):
            for quoted in (f'"a{control}b é"', f'"a\\{control}b é"'):
                request = self.request(options(f"P-X: {quoted} <sip:a@b>\r\n", f"c{control}d".encode()))
                value = request.headers.get("P-X") or ""
                self.assertEqual(NameAddr.parse(value).display, "a b é", repr(control))
                self.assertEqual(request.body, f"c{control}d".encode())
        self.assertEqual(self.request(options("Subject: a\tb\r\n")).headers.get("Subject"), "a\tb")

    def test_elsewhere(self) -> None:
        """Where a blank can't be, there is no such message: in the start line, a name, a Call-ID."""
        self.refused(options().replace(b"OPTIONS sip", b"OPTIONS s\x07ip"), "Bad Request Line")
        self.assertEqual(self.request(options("Sub\x1bject: a\r\n")).headers.oddities, "Bad Header Line")
        call_id = read(options().replace(b"Call-ID: ", b"Call-ID: a\x08"))
        self.assertRaises(BadMessage, lambda: call_id.call_id)


class CountTests(Case):
    """What must be there once (RFC 3261 section 8.1.1)."""

    def test_missing(self) -> None:
        """Via, From, To, Call-ID and CSeq: the error names the one that lacks."""
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            base = "".join(line + "\r\n" for line in BASE.split("\r\n") if line and not line.startswith(name + ":"))
            request = self.refused(options(base=base), f"Missing {name}")
            self.assertEqual(request is None, name == "Via", "nobody can be answered without a Via")

    def test_multiple(self) -> None:
        """A single header twice, also by its compact name, counts once where both say the same, and is noted; lists may
        repeat."""
        for written, name, value in (
            *(("f", "From", "<sip:a@b>;tag=1"), ("To", "To", "<sip:c@d>"), ("i", "Call-ID", "x")),
            *(("CSEQ", "CSeq", "1 OPTIONS"), ("max-forwards", "Max-Forwards", "1"), ("l", "Content-Length", "0")),
            *(("Expires", "Expires", "1"), ("c", "Content-Type", "a/b"), ("c", "Content-Type", "A/B")),
        ):
            request = self.request(
                options(f"{written}: {value}\r\n{name}: {value.lower()}\r\n".replace("options", "OPTIONS"))
            )
            self.assertEqual(len(request.headers.lines(name)), 1)
            self.assertEqual(request.headers.oddities, f"Multiple {name}")
        self.assertEqual(len(self.request(options("v: SIP/2.0/UDP b\r\nRoute: <a>\r\nroute: <b>\r\n")).headers), 8)

    def test_contradiction(self) -> None:
        """Where the two differ, and decide something, the request is refused (RFC 4475 3.3.8, 3.3.9)."""
        for name, one, other in (
            *(
                ("From", "<sip:a@b>;tag=2", ""),
                ("To", "<sip:a@b>", ""),
                ("Call-ID", "y", ""),
                ("CSeq", "2 OPTIONS", ""),
            ),
            *(("Content-Length", "0", "1"), ("Content-Type", "a/b", "a/c")),
        ):
            more = f"{name}: {one}\r\n" + (f"{name}: {other}\r\n" if other else "")
            self.assertIsNotNone(self.refused(options(more, b"x"), f"Multiple {name}"))
        register = options("Expires: 1\r\nExpires: 2\r\n", line="REGISTER sip:d SIP/2.0\r\n")
        self.refused(register, "Multiple Expires")

    def test_first_counts(self) -> None:
        """Where nothing depends on it, the first of two counts."""
        request = self.request(options("Max-Forwards: 5\r\nMax-Forwards: 6\r\nExpires: 1\r\nExpires: x\r\n"))
        self.assertEqual((request.max_forwards, request.expires), (5, 1))


class LengthTests(Case):
    """Content-Length and limits (RFC 3261 sections 18.3 and 20.14)."""

    def test_datagram(self) -> None:
        """Absent: to the end; less: the rest is no message (RFC 4475 3.1.1.8); more: 400 (3.1.2.2); in octets."""
        self.assertEqual(self.request(options("", b"abc")).body, b"abc")
        self.assertEqual(self.request(options("l: 2\r\n", b"abc")).body, b"ab")
        self.assertEqual(self.request(options("l: 2\r\n", "éé".encode())).body, "é".encode())
        self.assertEqual(self.request(options("l: 000\r\n", options())).body, b"")
        for length in (
            "4",
            "-999",
            "-",
            "3 3",
            "3,2",
            "3,",
            "++3",
            "+ 3",
            "+-3",
            "99999999999999999999",
            "65537",
        ):
            request = self.refused(options(f"l: {length}\r\n", b"abc"), "Bad Content-Length")
            assert request is not None
            self.assertEqual(request.body, b"")

    def test_plain_all_the_same(self) -> None:
        """A plus sign, and the same twice, leave no doubt; an empty one of a datagram is none (field.rst T: Odd
        INVITE)."""
        self.assertEqual(read(options("l:\r\n", b"abc")).body, b"abc")
        self.refused(options("l:\r\n", b"abc"), "Bad Content-Length", stream=True)
        for length in ("+2", "2, 2", "2,+2 ,\t2", "02"):
            for stream in (False, True):
                data = options(f"l: {length}\r\n", b"abc")
                self.assertEqual(read(data, stream=stream).body, b"ab", length)

    def test_no_number(self) -> None:
        """One that is no number says nothing: a datagram is the frame, and the message notes it. On a stream nobody
        knows where it ends (field.rst T: Odd INVITE)."""
        for length in ("x", "none", "(null)", "%d", "3 octets", "٣", "1.5", "0x3"):
            message = self.request(options(f"l: {length}\r\n", b"abc"))
            self.assertEqual((message.body, message.headers.oddities), (b"abc", "Bad Content-Length"), length)
            self.assertIn(b"Content-Length: 3\r\n", message.to_bytes())
            self.refused(options(f"l: {length}\r\n", b"abc"), "Bad Content-Length", stream=True)

    def test_stream(self) -> None:
        """On a stream it must be there (RFC 3261 section 18.3)."""
        self.refused(options(), "Missing Content-Length", stream=True)
        self.assertEqual(read(options("l: 3\r\n", b"abc"), stream=True).body, b"abc")

    def test_framed(self) -> None:
        """Where the frame is the message, all that follows the headers is the body (RFC 7118 section 5)."""
        for length in ("l: 2\r\n", "l: 3\r\n", "l: 4\r\n", "l: x\r\n", ""):
            self.assertEqual(read(options(length, b"abc"), framed=True).body, b"abc")

    def test_limits(self) -> None:
        """64 KiB a message, 200 header lines of 8 KiB, 2 KiB a URI: more is nobody's SIP."""
        self.assertEqual((MAX_MESSAGE, MAX_HEADERS, MAX_VALUE, MAX_URI), (65536, 200, 8192, 2048))

    def test_message(self) -> None:
        """64 KiB of message, and what is longer can be answered 513."""
        room = MAX_MESSAGE - len(options())
        self.assertEqual(len(self.request(options("", b"x" * room)).body), room)
        request = self.refused(options("", b"x" * (room + 1)), "Message Too Large", 513)
        assert request is not None
        self.assertEqual((request.method, request.call_id, request.body), ("OPTIONS", "x", b""))

    def test_headers(self) -> None:
        """200 header lines of 8 KiB."""
        room = MAX_HEADERS - 5
        self.assertEqual(len(self.request(options("X-A: b\r\n" * room)).headers), MAX_HEADERS)
        request = self.refused(options("X-A: b\r\n" * (room + 1)), "Too Many Headers", 513)
        assert request is not None
        self.assertEqual(len(request.headers), MAX_HEADERS)
        self.assertEqual(len(self.request(options(f"X-A: {'b' * (MAX_VALUE - 5)}\r\n")).headers), 6)
        for extra in (f"X-A: {'b' * (MAX_VALUE - 4)}\r\n", "X-A: b\r\n" + " b\r\n" * 190 + f" {'b' * MAX_VALUE}\r\n"):
            request = self.refused(options(extra), "Header Too Long", 513)
            assert request is not None
            self.assertEqual(request.call_id, "x")

    def test_uri(self) -> None:
        """A Request-URI of 2048 characters."""
        uri = "sip:c@" + "d" * (2048 - 6)
        self.assertEqual(self.request(options(line=f"OPTIONS {uri} SIP/2.0\r\n")).uri, uri)
        self.refused(options(line=f"OPTIONS {uri}d SIP/2.0\r\n"), "Request-URI Too Long", 513)

    def test_linear(self) -> None:
        """Nothing that fits into 64 KiB takes long: folds, whitespace, line ends, colons, commas, quotes."""
        for filling in (
            b" ",
            b"\r\n ",
            b"\r\n\t",
            b"\n",
            b"\r\n",
            b"\r",
            b":",
            b",",
            b'"',
            b"\\",
            b"<",
            b";",
            b"a:b\r\n",
            b"\0",
        ):
            fill = filling * (60000 // len(filling))
            for data in (
                options() + fill,
                LINE.encode() + fill + BASE.encode() + b"\r\n",
                fill,
                options()[:-2] + b"Via:" + fill,
            ):
                began = time.process_time()
                with contextlib.suppress(BadMessage):
                    _ = read(data).via
                self.assertLess(time.process_time() - began, 0.5, (filling, data[:30]))
