"""Dialog: tags, route sets, CSeq and remote target (RFC 3261 section 12)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.dialog.dialog import Dialog
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Request, Response, read

INVITE = b"""\
INVITE sip:bob@pbx.example.com SIP/2.0\r
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r
Record-Route: <sip:near.example.com;lr>, <sip:far.example.com;lr>\r
From: "Alice" <sip:alice@pbx.example.com>;tag=hers\r
To: <sip:bob@pbx.example.com>\r
Call-ID: c1\r
CSeq: 7 INVITE\r
Contact: <sip:alice@192.0.2.1:5070>\r
Content-Length: 0\r
\r
"""
OK = b"""\
SIP/2.0 200 OK\r
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r
%sFrom: "Alice" <sip:alice@pbx.example.com>;tag=hers\r
To: <sip:bob@pbx.example.com>;tag=his\r
Call-ID: c1\r
CSeq: 7 INVITE\r
Contact: <sip:bob@192.0.2.2:5080>\r
Content-Length: 0\r
\r
"""
PEER = ("192.0.2.2", 5060)


def request(data: bytes = INVITE) -> Request:
    message = read(data)
    assert isinstance(message, Request)
    return message


def response(*routes: bytes) -> Response:
    message = read(OK % b"".join(b"Record-Route: %s\r\n" % route for route in routes))
    assert isinstance(message, Response)
    return message


class Opened(SynchronousTestCase):
    """How a dialog begins."""

    def test_as_answering_side(self) -> None:
        """Our tag in To, their tag in From; Record-Route as it stands (section 12.1.1)."""
        dialog = Dialog.from_request(request(), "ours", "<sip:t@192.0.2.9>")
        self.assertEqual((dialog.call_id, dialog.local_tag, dialog.remote_tag), ("c1", "ours", "hers"))
        self.assertEqual(dialog.route_set, ("<sip:near.example.com;lr>", "<sip:far.example.com;lr>"))
        self.assertEqual(dialog.remote_target, "sip:alice@192.0.2.1:5070")
        bye = dialog.request("BYE")
        self.assertEqual(bye.headers.get("From"), "<sip:bob@pbx.example.com>;tag=ours")
        self.assertEqual(bye.headers.get("To"), '"Alice" <sip:alice@pbx.example.com>;tag=hers')
        self.assertEqual(bye.uri, "sip:alice@192.0.2.1:5070")
        self.assertEqual(bye.headers.lines("Route"), ["<sip:near.example.com;lr>", "<sip:far.example.com;lr>"])
        self.assertEqual(dialog.next_hop, "sip:near.example.com;lr")

    def test_as_asking_side(self) -> None:
        """Record-Route reversed, CSeq goes on from the INVITE (section 12.1.2)."""
        dialog = Dialog.from_response(request(), response(b"<sip:p1;lr>", b"<sip:p2;lr>"), "<sip:t@192.0.2.9>", PEER)
        self.assertEqual(dialog.route_set, ("<sip:p2;lr>", "<sip:p1;lr>"))
        bye = dialog.request("BYE")
        self.assertEqual(str(bye.cseq), "8 BYE")
        self.assertEqual(bye.headers.get("To"), "<sip:bob@pbx.example.com>;tag=his")
        self.assertEqual(bye.uri, "sip:bob@192.0.2.2:5080")

    def test_target_that_leads_nowhere(self) -> None:
        """A response whose Contact is missing or leads nowhere goes by its route set, or where the request went; the
        2xx of an early dialog by what that has (field.rst V: Odd Contact)."""
        for text in (None, "<tel:+4930>", "<<", "<mailto:a@b>", "*", ""):
            for routes, route_set in (((), ("<sip:192.0.2.2:5060;lr>",)), ((b"<sip:p1;lr>",), ("<sip:p1;lr>",))):
                odd = response(*routes)
                odd.headers.remove("Contact")
                if text is not None:
                    odd.headers.add("Contact", text)
                dialog = Dialog.from_response(request(), odd, "<sip:t@192.0.2.9>", PEER)
                self.assertEqual((dialog.remote_target, dialog.route_set), ("sip:bob@pbx.example.com", route_set))
                self.assertEqual(
                    Dialog.from_response(request(), odd, "<sip:t@h>", None).route_set, route_set[: len(routes)]
                )
                early = Dialog.from_response(request(), response(b"<sip:p0;lr>"), "<sip:t@192.0.2.9>", PEER)
                early.confirm(odd)
                self.assertEqual(early.remote_target, "sip:bob@192.0.2.2:5080")
                self.assertEqual(early.route_set, route_set if routes else ("<sip:p0;lr>",))

    def test_rfc_2543_peer(self) -> None:
        """A caller without a From tag counts as one with an empty tag (section 12.1.1)."""
        dialog = Dialog.from_request(request(INVITE.replace(b";tag=hers", b"")), "ours", "<sip:t@h>")
        self.assertEqual(dialog.remote_tag, "")


class Going(SynchronousTestCase):
    """Requests within the dialog."""

    def setUp(self) -> None:
        self.dialog = Dialog.from_response(request(), response(), "<sip:t@192.0.2.9>", PEER)

    def test_ack_has_the_number_of_the_invite(self) -> None:
        """ACK for a 2xx: same CSeq number, method ACK, and it does not count (section 13.2.2.4)."""
        self.assertEqual(str(self.dialog.ack(7).cseq), "7 ACK")
        self.assertEqual(str(self.dialog.request("INFO").cseq), "8 INFO")

    def test_contact(self) -> None:
        """A request that may refresh the target carries our Contact; BYE does not."""
        self.assertEqual(self.dialog.request("INFO").headers.get("Contact"), "<sip:t@192.0.2.9>")
        self.assertNotIn("Contact", self.dialog.request("BYE").headers)

    def test_strict_router(self) -> None:
        """A first route without `lr` becomes the Request-URI, the target the last Route (section 12.2.1.1)."""
        dialog = Dialog.from_response(request(), response(b"<sip:loose;lr>", b"<sip:strict>"), "<sip:t@h>", PEER)
        bye = dialog.request("BYE")
        self.assertEqual(bye.uri, "sip:strict")
        self.assertEqual(bye.headers.lines("Route"), ["<sip:loose;lr>", "<sip:bob@192.0.2.2:5080>"])
        self.assertEqual(dialog.next_hop, "sip:strict")

    def test_cseq_order(self) -> None:
        """Gaps are accepted, a lower number gets 500 (section 12.2.2)."""
        dialog = Dialog.from_request(request(), "ours", "<sip:t@h>")
        later = request(INVITE.replace(b"7 INVITE", b"20 INVITE"))
        dialog.receive(later)
        error = self.assertRaises(Refusal, dialog.receive, request(INVITE.replace(b"7 INVITE", b"19 INVITE")))
        self.assertEqual(error.status, 500)
