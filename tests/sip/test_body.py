"""Bodies: SDP alone, or as a part of a multipart body (RFC 2046 section 5.1, RFC 5621)."""

from __future__ import annotations

from base64 import b64encode, encodebytes

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.body import crossing_body, has_description, sdp_of
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
        """The body itself, whatever the case, the parameters and the blanks of its type."""
        for kind in ("Application/SDP; x=y", "application / sdp", "application/\tsdp ;x", "application /sdp"):
            self.assertEqual(sdp_of(request(kind, SDP)), SDP, kind)
            self.assertTrue(has_description(request(kind, SDP)), kind)

    def test_none(self) -> None:
        """No body, no SDP; Content-Type alone says nothing."""
        self.assertEqual(sdp_of(request("application/sdp", b"")), b"")

    def test_multipart(self) -> None:
        """The first part that is SDP, without the line end that belongs to the boundary."""
        for kind in ("multipart/mixed;boundary=x1", 'multipart/alternative; a=b; Boundary="x1"'):
            self.assertEqual(sdp_of(request(kind, MIXED)), SDP)
            self.assertEqual(sdp_of(request(kind, MIXED.replace(b"application/sdp", b"application / sdp"))), SDP)

    def test_boundary_first(self) -> None:
        """A body that begins with its boundary."""
        self.assertEqual(sdp_of(request("multipart/mixed;boundary=x1", MIXED[len("a preamble\r\n") :])), SDP)

    def test_response(self) -> None:
        """A 200 may be multipart, too."""
        response = Response(200, "", Headers([("Content-Type", "multipart/mixed;boundary=x1")]), MIXED)
        self.assertEqual(sdp_of(response), SDP)

    def test_identity(self) -> None:
        """The encoding that is none."""
        for encoding in ("Identity", "identity,", ",", " , identity", ""):
            self.assertEqual(sdp_of(request("application/sdp", SDP, ("Content-Encoding", encoding))), SDP, encoding)

    def test_untyped(self) -> None:
        """A body without a type, or with what is none, that begins as SDP does."""
        self.assertEqual(sdp_of(Request("INVITE", "sip:a@b", Headers(), SDP)), SDP)
        for kind in ("", "x", "/", "sdp", "application/", "application/sdp , text/plain", "?"):
            for body in (SDP, b"\r\n" + SDP):
                self.assertEqual(sdp_of(request(kind, body)), body, kind)

    def test_other_type_in_a_response(self) -> None:
        """In a response, what begins as SDP does is SDP, whatever its type says, also as a part where no other is SDP;
        a request is refused (field.rst W: Odd type of an answer)."""
        part = b"--x1\r\nContent-Type: text/plain\r\n\r\n%s\r\n"
        for kind, body in (
            *((kind, SDP) for kind in ("text/plain", "text/plain, application/sdp", "multipart/mixed", "a/b;c=d")),
            ("text/plain", b"\r\n" + SDP),
            ("multipart/mixed;boundary=x1", part % b"hi" + part % SDP + b"--x1--"),
            ("multipart/mixed;boundary=x1", part % b"v=0" + MIXED),
        ):
            headers = Headers([("Content-Type", kind)])
            self.assertEqual(sdp_of(Response(200, "", headers, body)), body if b"--" not in body else SDP, (kind, body))
            if b"preamble" not in body and kind[-15:] != "application/sdp":
                error = self.assertRaises(BadMessage, sdp_of, request(kind, body))
                self.assertEqual(error.why[-12:], "Content-Type")


class Multipart(SynchronousTestCase):
    """SDP wherever it is within a multipart body, as gateways and PBXs send it."""

    HEAD = b"Content-Type: application/sdp\r\n"

    def found(self, body: bytes, kind: str = "multipart/mixed;boundary=x1") -> None:
        self.assertEqual(sdp_of(request(kind, body)), SDP)

    def part(self, head: bytes, octets: bytes) -> bytes:
        return b"--x1\r\n" + head + b"\r\n" + octets + b"\r\n--x1--\r\n"

    def test_nested(self) -> None:
        """In an alternative or related part, also where that lacks its end, to a depth of three (field.rst E: SDP
        deep in a multipart body)."""
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
        """Heads and boundaries that end in LF alone, blanks after a boundary, folded heads, no end (field.rst E: SDP
        deep in a multipart body)."""
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

    def test_boundaries(self) -> None:
        """In quotes of any kind, with blanks, with a comma before it, or another one than the body has."""
        for kind, boundary in (
            ("multipart/mixed;boundary='x1'", b"x1"),
            ("multipart/mixed;boundary='x1'", b"'x1'"),
            ("multipart/mixed;boundary=x1 y", b"x1 y"),
            ('multipart/mixed; boundary = "x1 y"; z=1', b"x1 y"),
            ('multipart/mixed;boundary="x1 "', b"x1"),
            ("multipart/mixed;boundary=x1 ;z=1", b"x1"),
            ("multipart/mixed;boundary=x1 (c)", b"x1"),
            ('multipart/mixed;boundary="x1', b"x1"),
            ("multipart/mixed, boundary=x1", b"x1"),
            ("multipart/mixed;boundary=--x1", b"x1"),
            ("multipart/mixed;boundary=other", b"x1"),
        ):
            self.found(self.part(self.HEAD, SDP).replace(b"x1", boundary), kind)
            self.found(b"a preamble\r\n" + self.part(self.HEAD, SDP).replace(b"x1", boundary), kind)

    def test_empty_line(self) -> None:
        """A part may lack its empty line, its headers, or its content."""
        for body in (
            b"--x1\r\n" + self.HEAD + SDP + b"\r\n--x1--",
            b"--x1\r\n" + self.HEAD + b"Content-Disposition:\r\n session\r\n" + SDP + b"\r\n--x1--",
            b"--x1\r\n" + SDP + b"\r\n--x1--",
            b"--x1\r\n\r\n" + SDP + b"\r\n--x1--",
            b"--x1\r\n" + self.HEAD + b"--x1\r\n" + self.HEAD + b"\r\n" + SDP + b"\r\n--x1--",
            b"--x1\r\nContent-Type: text/plain\r\n--x1\r\n" + self.HEAD + b" \r\n" + SDP + b"\r\n--x1--",
            b"--x1\n" + self.HEAD.replace(b"\r", b"") + SDP + b"\n--x1--",
        ):
            self.found(body)

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
        """What stands after the sixteenth part is not looked at: bounded work, and a refusal that says so."""
        part = b"--x1\r\nContent-Type: text/plain\r\n\r\nhi\r\n"
        error = self.refused(request("multipart/mixed;boundary=x1", part * 16 + MIXED))
        self.assertEqual((error.status, error.why), (413, "Too Many Parts"))
        self.assertEqual(sdp_of(request("multipart/mixed;boundary=x1", part * 14 + MIXED)), SDP)
        self.assertEqual(self.refused(request("multipart/mixed;boundary=x1", part * 16 + b"--x1--")).status, 415)


class Outside(SynchronousTestCase):
    """Outside of offer and answer no media are described (field.rst X4: Description outside of offer and answer)."""

    SECRET = SDP + b"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=ice-pwd:secret\r\n"

    def crossed(self, kind: str, body: bytes, *headers: tuple[str, str]) -> bytes | None:
        """What crosses of a body; None where it has a description."""
        message = request(kind, body, *headers)
        crossing = crossing_body(message)
        if has_description(message):
            self.assertEqual(crossing, b"", kind)
            return None
        return crossing

    def test_descriptions(self) -> None:
        """By their type, or by their look, whatever the type says."""
        for kind in (
            *("application/sdp", "Application / SDP;x=y", "application/trickle-ice-sdpfrag", "application/x-sdp"),
            *("text/plain", "application/octet-stream", "application/json", "", "?", "nothing"),
        ):
            for body in (
                self.SECRET,
                b"\r\n" + self.SECRET,
                self.SECRET.replace(b"\r\n", b"\n"),
                b"hi\r\n" + self.SECRET,
            ):
                self.assertIsNone(self.crossed(kind, body), kind)
        for line in (
            *(
                b"a=ice-ufrag:x",
                b"A=ICE-PWD:x",
                b" a=fingerprint:sha-256 AB",
                b"a=candidate:1 1 UDP 1 10.0.0.1 9 typ host",
            ),
            *(
                b"m=audio 9 RTP/AVP 0",
                b"c=IN IP4 10.0.0.1",
                b"c = IN IP4 10.0.0.1",
                b"a=crypto:1 x inline:y",
                b"v=0\r\no=- 1 1 IN IP4 10.0.0.1",
            ),
        ):
            self.assertIsNone(self.crossed("text/plain", b"x\r\n" + line + b"\r\n"), line)

    def test_others(self) -> None:
        """Whatever else there is crosses to the octet."""
        for kind, body in (
            *(("text/plain", b"v=0, a=1\r\nv=0\r\nm=3 kg"), ("application/dtmf-relay", b"Signal=5\r\n")),
            *(
                ("message/sipfrag", b"SIP/2.0 200 OK\r\n"),
                ("message/cpim", b"From: a\r\n\r\nContent-Type: b/c\r\n\r\nhi"),
            ),
            *(("multipart/mixed;boundary=x", b"--x\r\nc: a/b\r\n\r\nhi\r\n--x--\r\n"), ("multipart/mixed", b"what?")),
            ("multipart/mixed;boundary=x", b"--x\r\nc: a/b\r\nContent-Encoding: gzip\r\n\r\n\x1f\r\n--x--"),
            *(("application/xml", b"<a=b>"), ("application/octet-stream", bytes(range(256)))),
        ):
            self.assertEqual(self.crossed(kind, body), body, kind)
        self.assertEqual(self.crossed("text/plain", b"\x1f\x8b", ("Content-Encoding", "gzip")), b"\x1f\x8b")

    def test_quoted(self) -> None:
        """A message that is quoted goes without its body: the status of a REFER's call is there (RFC 3420)."""
        head = b"SIP/2.0 200 OK\r\nTo: <sip:a@b>\r\n"
        for kind in ("message/sipfrag;version=2.0", "Message/SIP", "message / sip"):
            for more in (
                b"Content-Type: application/sdp\r\nContent-Length: 9\r\n\r\n" + self.SECRET,
                b"c: multipart/mixed\r\n ;boundary=x\r\n\r\n--x\r\nc: application/sdp\r\n\r\n" + self.SECRET + b"--x--",
                b"\r\n" + self.SECRET,
                self.SECRET,
                b"Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b",
            ):
                for body in (head + more, (head + more).replace(b"\r\n", b"\n"), b"\r\n" + head + more):
                    self.assertEqual(self.crossed(kind, body), head, body)
        invite = b"INVITE sip:a@b SIP/2.0\r\n"
        self.assertEqual(self.crossed("message/sip", invite + b"l: 3\r\n\r\n" + self.SECRET), invite)

    def test_parts(self) -> None:
        """The same in a part; a part that is a description keeps all of the body back, however it is encoded."""
        kind = "multipart/mixed;boundary=x"
        text, end = b"--x\r\nContent-Type: text/plain\r\n\r\nhi\r\n", b"\r\n--x--\r\n"
        quoted = b"--x\r\nc: message/sipfrag\r\n\r\nSIP/2.0 200 OK\r\n"
        self.assertEqual(self.crossed(kind, text + quoted + b"\r\n" + self.SECRET + end), text + quoted + end)
        encoded = encodebytes(self.SECRET)
        inner = b"--x\r\nc: multipart/a;boundary=y\r\n\r\n--y\r\nc: application/sdp\r\n\r\nx\r\n--y--"
        for part in (
            b"--x\r\nContent-Type: application/sdp\r\n\r\nx",
            b"--x\r\nContent-Type: text/plain\r\n\r\n" + self.SECRET,
            b"--x\r\n" + self.SECRET,
            b"--x\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded,
            b"--x\r\nc: message/sipfrag\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded,
            b"--x\r\nc: message/sipfrag\r\nContent-Encoding: gzip\r\n\r\n\x1f",
            inner,
            text * 17,
        ):
            self.assertIsNone(self.crossed(kind, text + part + end), part)
        self.assertIsNone(self.crossed(kind, self.SECRET + text + end))
        self.assertIsNone(self.crossed("multipart/mixed", b"--z\r\nContent-Type: application/sdp\r\n\r\nx"))
        self.assertIsNone(self.crossed(kind, b"\x1f\x8b", ("Content-Encoding", "gzip")))
        self.assertIsNone(self.crossed("message/sip", b"\x1f\x8b", ("Content-Encoding", "gzip")))
        self.assertEqual(crossing_body(request(kind, b"")), b"")
