"""Relay: requests within the dialogs of a call, and their true answers, both ways."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.calls.case import CallCase
from tests.support.calls.party import Party, inbound, outbound
from tests.support.configs import PBX

METHODS = ("INFO", "MESSAGE", "NOTIFY", "PUBLISH", "SUBSCRIBE", "FROBNICATE")


class Every(CallCase):
    """Every method that is not the proxy's own crosses.
    (original.rst: UPDATE with SDP, OPTIONS, MESSAGE, NOTIFY, PUBLISH)"""

    trunks = (PBX,)

    def ways(self) -> Iterator[tuple[Party, Party]]:
        """Who asks, and the other end: each side of calls both ways."""
        for call in (outbound, inbound):
            one, other = call(self.world)
            yield one, other
            yield other, one
            self.world = self.make_world()

    def test_crosses(self) -> None:
        """Body, what describes it, and what is of no leg cross; the answer with all of that, too."""
        for asker, other in self.ways():
            for method in METHODS:
                sent = asker.ask(
                    method, b"hello", ("Content-Type", "text/plain"), ("Content-Encoding", "gzip"), ("X-A", "b"),
                    ("Event", "talk"), ("Subscription-State", "active"), ("Supported", "timer, nice"),
                )  # fmt: skip
                heard = other.peer.request(method)
                self.assertEqual(
                    (heard.body, heard.content_type, heard.headers.get("X-A")), (b"hello", "text/plain", "b")
                )
                self.assertEqual(heard.headers.lines("Content-Type"), ["text/plain"])
                self.assertEqual((heard.headers.get("Event"), heard.headers.get("Content-Encoding")), ("talk", "gzip"))
                self.assertEqual(heard.headers.get("Subscription-State"), "active")
                self.assertEqual(heard.headers.all("Supported"), ["replaces", "timer", "nice"])
                self.assertEqual((heard.call_id, heard.to.tag), (other.call_id, other.local.rpartition("tag=")[2]))
                self.assertEqual("Contact" in heard.headers, method != "MESSAGE")  # RFC 3428 section 4
                other.answer(heard, 299, b"ok", ("X-C", "d"))
                answer = asker.peer.response(299)
                self.assertEqual((answer.cseq, answer.body, answer.headers.get("X-C")), (sent.cseq, b"ok", "d"))

    def test_descriptions(self) -> None:
        """What describes media crosses in offers and answers only: a request that carries it is refused, a response
        goes on without it. A description that is a part, or encoded, is one; other multipart bodies cross (field.rst
        X4: Description outside of offer and answer)."""
        parts = b"--x\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x\r\nc:Application/SDP\r\n\r\nv=0\r\n--x--\r\n"
        for asker, other in self.ways():
            for body, *headers in (
                (asker.sdp(), ("Content-Type", "application/sdp")),
                (b"\x1f\x8b", ("Content-Type", "Application/SDP ;a=b"), ("Content-Encoding", "gzip")),
                (parts, ("Content-Type", "multipart/mixed;boundary=x")),
            ):
                for method in METHODS:
                    asker.ask(method, body, *headers)
                    other.peer.silent()
                    asker.peer.heard(415)
                    asker.ask(method)
                    other.answer(other.peer.request(method), 200, body, *headers)
                    heard = asker.peer.response(200)
                    self.assertEqual((heard.body, heard.content_type), (b"", ""))
                    self.assertNotIn("Content-Encoding", heard.headers)
            asker.ask("INFO", parts.replace(b"Application/SDP", b"text/html").replace(b"v=0", b"hi"), headers[0])
            self.assertIn(b"text/html", other.peer.request("INFO").body)
            trickled = ("Content-Type", "application/trickle-ice-sdpfrag"), ("Info-Package", "trickle-ice")
            asker.ask("INFO", b"a=ice-pwd:x\r\n", *trickled)
            asker.peer.heard(469)

    def test_quoted_descriptions(self) -> None:
        """A message that is quoted crosses without its description, both ways and in responses: the rest tells how a
        REFER went, or what was sent (RFC 3420; field.rst X4: Description outside of offer and answer)."""
        quoted = b"SIP/2.0 200 OK\r\nContent-Type: application/sdp\r\n\r\n"
        for asker, other in self.ways():
            for kind in ("message/sipfrag;version=2.0", "message/sip"):
                for method in ("NOTIFY", "MESSAGE", "INFO"):
                    asker.ask(method, quoted + asker.sdp(), ("Content-Type", kind), ("Event", "x"))
                    heard = other.peer.request(method)
                    self.assertEqual((heard.body, heard.headers.get("Content-Type")), (b"SIP/2.0 200 OK\r\n", kind))
                    other.answer(heard, 200, quoted + other.sdp(), ("Content-Type", kind))
                    self.assertEqual(asker.peer.response(200).body, b"SIP/2.0 200 OK\r\n")

    def test_refused(self) -> None:
        """A refusal crosses with what explains it, and the call goes on; but a trunk gets no Contact of a browser's
        redirect (docs/access.rst: An INVITE outside of dialogs)."""
        for asker, other in self.ways():
            for method, status, header in (
                ("INFO", 469, ("Recv-Info", "x")),
                ("MESSAGE", 415, ("Accept", "text/plain")),
                ("FROBNICATE", 501, ("Allow", "INVITE, FOO")),
                ("PUBLISH", 405, ("Allow", "INVITE")),
                ("NOTIFY", 489, ("Allow-Events", "talk")),
                ("MESSAGE", 420, ("Unsupported", "nice")),
                ("MESSAGE", 302, ("Contact", "<sip:b@elsewhere.example>")),
            ):
                asker.ask(method, b"", ("Require", "nice"))
                heard = other.peer.request(method)
                self.assertEqual(heard.headers.get("Require"), "nice")
                other.answer(heard, status, b"", header)
                crossed = [] if status == 302 and other.browser else [header[1]]
                self.assertEqual(asker.peer.response(status).headers.lines(header[0]), crossed)
            other.peer.silent()

    def test_size(self) -> None:
        """A MESSAGE that UDP would have to fragment is not sent, within a call either: 513 (RFC 3428 section 8)."""
        for asker, other in self.ways():
            asker.ask("MESSAGE", b"x" * 1300, ("Content-Type", "text/plain"))
            if other.browser:
                other.answer(other.peer.request("MESSAGE"), 200)
            asker.peer.heard(200 if other.browser else 513)

    def test_required_of_the_proxy(self) -> None:
        """What is an extension of a leg does not cross: 420. (corners.rst 1: Extensions)"""
        for asker, other in self.ways():
            asker.ask("MESSAGE", b"", ("Require", "precondition, nice"))
            self.assertEqual(asker.peer.response(420).headers.get("Unsupported"), "precondition")
            other.peer.silent()

    def test_out_of_service(self) -> None:
        """503 of the far side is not the proxy's: 500, with its Retry-After. (corners.rst 1: 503 from upstream)"""
        for asker, other in self.ways():
            asker.ask("INFO")
            other.answer(other.peer.request("INFO"), 503, b"", ("Retry-After", "3"))
            self.assertEqual(asker.peer.response(500).headers.get("Retry-After"), "3")

    def test_unreachable_trunk(self) -> None:
        """No way to the trunk: 502 for the browser, and the call goes on."""
        for call in (outbound, inbound):
            self.world = self.make_world()
            one, other = call(self.world)
            asker, other = (one, other) if one.browser else (other, one)
            for broken in (True, False):
                self.world.unreachable, other.peer.flow.broken = not broken, broken
                other.peer.flow.closed = not broken
                asker.ask("INFO")
                self.assertEqual(asker.peer.response(502).reason, "Trunk Unreachable")
            self.world.unreachable = other.peer.flow.closed = False
            asker.ask("INFO")
            other.answer(other.peer.request("INFO"), 200)
            asker.peer.heard(200)

    def test_408(self) -> None:
        """408 ends the dialog that it is from, and is no answer to a request other than INVITE (RFC 4320): 504."""
        for asker, other in self.ways():
            asker.ask("INFO")
            other.answer(other.peer.request("INFO"), 408)
            asker.peer.heard(504)
            asker.answer(asker.peer.request("BYE"), 200)
            self.assertEqual(len(self.world.calls), 0)
            if asker.browser:
                self.world = self.make_world()
                return

    def test_options(self) -> None:
        """OPTIONS is answered by the proxy, which is the end of each dialog, with what it can do; in an unknown dialog
        481. (corners.rst 1: OPTIONS)"""
        for asker, other in self.ways():
            asker.ask("OPTIONS")
            self.assertIn("MESSAGE", asker.peer.response(200).headers.get("Allow") or "")
            other.peer.silent()
            asker.remote += "x"
            asker.ask("OPTIONS")
            asker.peer.heard(481)
