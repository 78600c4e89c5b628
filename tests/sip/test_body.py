"""Bodies: SDP alone, or as a part of a multipart body (RFC 2046 section 5.1, RFC 5621)."""

from __future__ import annotations

from base64 import b64encode, encodebytes

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.body import sdp_of
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Headers, Request, Response

SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n"
MIXED = (
    b"a preamble\r\n--x1\r\nContent-Type: application/isup; version=x\r\n\r\n\x01\x02\r\n"
    b"--x1\r\nContent-Disposition: session\r\nc: Application/SDP;charset=utf-8\r\n\r\n" + SDP + b"\r\n--x1--\r\nend"
)


def request(kind: str, body: bytes, *headers: tuple[str, str]) -> Request:
    return Request("INVITE", "sip:a@b", Headers([("Content-Type", kind), *headers]), body)


class Found(SynchronousTestCase):
    """SDP that is there."""

    def test_alone(self) -> None:
        """The body itself, whatever the case and parameters of its type."""
        self.assertEqual(sdp_of(request("Application/SDP; x=y", SDP)), SDP)

    def test_none(self) -> None:
        """No body, no SDP; Content-Type alone says nothing."""
        self.assertEqual(sdp_of(request("application/sdp", b"")), b"")

    def test_multipart(self) -> None:
        """The first part that is SDP, without the line end that belongs to the boundary."""
        for kind in ("multipart/mixed;boundary=x1", 'multipart/alternative; a=b; Boundary="x1"'):
            self.assertEqual(sdp_of(request(kind, MIXED)), SDP)

    def test_boundary_first(self) -> None:
        """A body that begins with its boundary."""
        self.assertEqual(sdp_of(request("multipart/mixed;boundary=x1", MIXED[len("a preamble\r\n") :])), SDP)

    def test_response(self) -> None:
        """A 200 may be multipart, too."""
        response = Response(200, "", Headers([("Content-Type", "multipart/mixed;boundary=x1")]), MIXED)
        self.assertEqual(sdp_of(response), SDP)

    def test_identity(self) -> None:
        """The encoding that is none."""
        self.assertEqual(sdp_of(request("application/sdp", SDP, ("Content-Encoding", "Identity"))), SDP)

    def test_untyped(self) -> None:
        """A body without a type that begins as SDP does."""
        self.assertEqual(sdp_of(Request("INVITE", "sip:a@b", Headers(), SDP)), SDP)


class Multipart(SynchronousTestCase):
    """SDP wherever it is within a multipart body, as gateways and PBXs send it."""

    HEAD = b"Content-Type: application/sdp\r\n"

    def found(self, body: bytes, kind: str = "multipart/mixed;boundary=x1") -> None:
        self.assertEqual(sdp_of(request(kind, body)), SDP)

    def part(self, head: bytes, octets: bytes) -> bytes:
        return b"--x1\r\n" + head + b"\r\n" + octets + b"\r\n--x1--\r\n"

    def test_nested(self) -> None:
        """In an alternative or related part, also where that lacks its end, to a depth of three."""
        inner = b"--in\r\nContent-Type: text/plain\r\n\r\nhi\r\n--in\r\n" + self.HEAD + b"\r\n" + SDP + b"\r\n--in--"
        for kind in (b"multipart/alternative;boundary=in", b'Multipart/Related; type=x; Boundary="in"'):
            self.found(self.part(b"Content-Type: " + kind + b"\r\n", inner))
        deep = inner.replace(b"text/plain\r\n\r\nhi", b"multipart/mixed;boundary=n\r\n\r\nhi")
        self.found(
            self.part(
                b"Content-Type: multipart/mixed;boundary=o\r\n", b"--o\r\nc: multipart/a;boundary=in\r\n\r\n" + deep
            )
        )
        deeper = b"--p\r\nc: multipart/mixed;boundary=o\r\n\r\n--o\r\nc: multipart/a;boundary=in\r\n\r\n" + inner
        too_deep = request("multipart/mixed;boundary=x1", self.part(b"c: multipart/mixed;boundary=p\r\n", deeper))
        self.assertRaises(BadMessage, sdp_of, too_deep)

    def test_line_ends(self) -> None:
        """Heads and boundaries that end in LF alone, blanks after a boundary, folded heads, no end."""
        for body in (
            b"--x1\nContent-Type: application/sdp\n\n" + SDP + b"\n--x1--\n",
            b"--x1\r\nContent-Type: application/sdp\n\n" + SDP + b"\r\n--x1--\r\n",
            b"--x1 \t\r\n" + self.HEAD + b"\r\n" + SDP + b"\r\n--x1--",
            self.part(b"Content-Type:\r\n\tapplication/sdp\r\n", SDP),
            self.part(b"X: y\nContent-Type:\n application/sdp\r\n", SDP),
            b"--x1\r\n" + self.HEAD + b"\r\n" + SDP,
            b"--x1\r\n--x1\r\n\r\nhi\r\n" + self.part(self.HEAD, SDP),
            self.part(self.HEAD, SDP) + b"--x1\r\n" + self.HEAD + b"\r\nv=after the end\r\n--x1--",
        ):
            self.found(body)
        self.found(self.part(self.HEAD, SDP).replace(b"x1", b"a;b'c"), 'multipart/mixed; boundary = "a;b\'c"')
        self.found(
            self.part(b"Content-Type: text/plain\r\n", b"--x1y\r\n").replace(b"\r\n--x1--\r\n", b"")
            + b"\r\n"
            + self.part(self.HEAD, SDP)
        )

    def test_encodings(self) -> None:
        """The transfer encodings of MIME; one that is unknown or broken leaves no SDP."""
        for encoding, octets in (
            (b"base64", encodebytes(SDP)),
            (b"BASE64", b64encode(SDP)),
            (b"quoted-printable", SDP.replace(b"=", b"=3D")),
            (b"7bit", SDP),
        ):
            self.found(self.part(self.HEAD + b"Content-Transfer-Encoding: " + encoding + b"\r\n", octets))
        for head, octets in (
            (b"Content-Transfer-Encoding: base64\r\n", b"AAAAA"),
            (b"Content-Transfer-Encoding: x\r\n", SDP),
            (b"Content-Encoding: gzip\r\n", SDP),
        ):
            self.assertRaises(
                BadMessage, sdp_of, request("multipart/mixed;boundary=x1", self.part(self.HEAD + head, octets))
            )

    def test_disposition(self) -> None:
        """The one of the session, then one without a disposition, then the first (RFC 5621 section 4.2)."""
        session, render = (
            b"Content-Disposition: " + kind for kind in (b"session;handling=required\r\n", b"render\r\n")
        )
        for first, second in ((render, session), (render, b""), (b"", session)):
            self.found(b"--x1\r\n" + self.HEAD + first + b"\r\nv=other\r\n" + self.part(self.HEAD + second, SDP))
        self.found(self.part(self.HEAD + render, SDP))


class Refused(SynchronousTestCase):
    """Bodies that can't be used."""

    def refused(self, message: Request | Response) -> BadMessage:
        return self.assertRaises(BadMessage, sdp_of, message)

    def test_other_type(self) -> None:
        """415, and the request to answer to; for a response there is none."""
        message = request("application/xml", b"<x/>")
        error = self.refused(message)
        self.assertEqual((error.status, error.why), (415, "Unsupported Content-Type"))
        self.assertIs(error.request, message)
        self.assertIsNone(self.refused(Response(200, "", Headers(), b"x")).request)

    def test_encoded(self) -> None:
        """Content-Encoding that we don't know: 415 (RFC 3261 section 8.2.3)."""
        error = self.refused(request("application/sdp", SDP, ("Content-Encoding", "gzip")))
        self.assertEqual((error.status, error.why), (415, "Unsupported Content-Encoding"))

    def test_no_sdp_inside(self) -> None:
        """A multipart body without SDP, or whose parts have no headers."""
        for body in (b"--x1\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x1--\r\n", b"--x1\r\nnothing\r\n--x1--", b"x"):
            self.assertEqual(self.refused(request("multipart/mixed;boundary=x1", body)).status, 415)

    def test_no_boundary(self) -> None:
        """A multipart body that does not say where its parts end: 400."""
        error = self.refused(request("multipart/mixed;x=y", MIXED))
        self.assertEqual((error.status, error.why), (400, "Bad Content-Type"))
        self.assertEqual(self.refused(Response(200, "", Headers([("Content-Type", "multipart/x")]), b"x")).status, 400)

    def test_many_parts(self) -> None:
        """What stands after the sixteenth part is not looked at: bounded work."""
        body = b"--x1\r\nContent-Type: text/plain\r\n\r\nhi\r\n" * 40 + MIXED
        self.assertEqual(self.refused(request("multipart/mixed;boundary=x1", body)).status, 415)
