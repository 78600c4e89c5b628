"""ICMP says that a datagram was not delivered: the request in it fails at once (RFC 3261 sections 8.1.3.1 and 18.4)."""

from __future__ import annotations

from twisted.logger import capturedLogs, formatEvent

from tests.support.calls.failing import FIRST, SECOND, Case, pbx
from webrtcproxy.sip.message import Request
from webrtcproxy.transaction.undelivered import client_key


class Undelivered(Case):
    """The next server is tried on the spot; where there is none, the caller has its final response."""

    def icmp(self, request: Request, host: str = FIRST, octets: int = 548) -> None:
        self.world.transactions.undelivered(request.to_bytes()[:octets], host, "Connection refused")

    def test_next_server(self) -> None:
        """The same request goes to the next one."""
        leg = self.call()
        with capturedLogs() as events:
            self.icmp(leg)
        self.answered_by(self.second, self.second.request("INVITE"))
        self.assertTrue(any("(Connection refused), trying" in (formatEvent(event) or "") for event in events))
        self.assert_over(self.alice, self.first, self.second)

    def test_no_other(self) -> None:
        """Without another one it is final, at once; the log names the server."""
        self.begin(pbx(FIRST))
        leg = self.call()
        with capturedLogs() as events:
            self.icmp(leg)
        self.alice.heard(502)
        texts = [formatEvent(event) or "" for event in events]
        self.assertTrue(any("failed at udp:192.0.2.50:5060 after 0.0 s, and there is no other" in one for one in texts))
        self.assert_over(self.alice, self.first)

    def test_all(self) -> None:
        """Refused by one after the other."""
        self.icmp(self.call())
        with capturedLogs() as events:
            self.icmp(self.second.request("INVITE"), SECOND)
        self.alice.heard(502)
        texts = [formatEvent(event) or "" for event in events]
        self.assertTrue(any("failed at udp:192.0.2.51:5060 after 0.0 s, and there is no other" in one for one in texts))

    def test_forged(self) -> None:
        """An error that does not quote the branch, or is about another address, is anybody's, and changes nothing."""
        leg = self.call()
        other = Request(leg.method, leg.uri, leg.headers.copy(), leg.body)
        other.headers.set("Via", (leg.headers.get("Via") or "").replace(leg.via.branch or "", "z9hG4bKother"))
        self.icmp(other)
        self.icmp(leg, octets=0)
        self.icmp(leg, octets=60)
        self.icmp(leg, host=SECOND)
        self.second.silent()
        self.alice.silent()
        self.answered_by(self.first, leg)

    def test_after_a_response(self) -> None:
        """A server that has responded is there, whatever becomes of a later datagram."""
        leg = self.call()
        self.first.answer(leg, 100)
        self.icmp(leg)
        self.second.silent()
        self.answered_by(self.first, leg)
        self.icmp(leg)

    def test_quoted(self) -> None:
        """Branch and method are those of our Via, which is the first line after the start."""
        start = b"INVITE sip:bob@pbx.example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;"
        for quoted, key in (
            (start + b"branch=z9hG4bKabc;rport\r\n", ("z9hG4bKabc", "INVITE")),
            (start + b"rport;branch=z9hG4bKabc\r\n", ("z9hG4bKabc", "INVITE")),
            (start + b"branch=z9hG4bKab", None),
            (start.replace(b"UDP", b"TCP") + b"branch=z9hG4bKabc\r\n", None),
            (b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKabc\r\n", None),
            (b"\xff" * 100, None),
        ):
            self.assertEqual(client_key(quoted), key)
