"""Bodies: SDP alone, or as a part of a multipart body (RFC 2046 section 5.1, RFC 5621)."""

from __future__ import annotations

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
