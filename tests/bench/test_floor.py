"""bench/floor.py: what gets through, and where to."""

from __future__ import annotations

from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from bench.floor import Browser, Engine, Floor
from tests.support.messages import request, respond
from webrtcproxy.media.bencode import from_bencode, to_bencode
from webrtcproxy.sip.message import Request, Response, read

TRUNK = ("127.0.0.1", 5080)
BROWSER_SDP = b"v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"
PLAIN = b"v=0\r\nm=audio 40000 RTP/AVP 0\r\n"


class Socket:
    """In the place of a UDP socket and its transport."""

    def __init__(self) -> None:
        self.socket = self
        self.sent: list[tuple[bytes, tuple[str, int]]] = []

    def sendto(self, data: bytes, address: tuple[str, int]) -> None:
        self.sent.append((data, address))


class Peer:
    """In the place of a browser."""

    def __init__(self) -> None:
        self.number = 0
        self.heard: list[bytes] = []

    def give(self, data: bytes) -> None:
        self.heard.append(data)


class FloorTests(SynchronousTestCase):
    """Requests and their responses."""

    def setUp(self) -> None:
        self.engine = Engine(("127.0.0.1", 2223))
        self.floor = Floor(5060, self.engine)
        self.ng, self.sip = Socket(), Socket()
        cast(Any, self.engine).transport, cast(Any, self.floor).transport = self.ng, self.sip
        self.peer = Peer()
        self.browser = cast(Browser, self.peer)
        self.peer.number = self.floor.enter(self.browser)

    def sends(self, message: Request | Response) -> None:
        self.floor.from_browser(self.browser, message.to_bytes())

    def hears(self, message: Request | Response) -> None:
        self.floor.datagramReceived(message.to_bytes(), TRUNK)

    def engine_says(self, sdp: bytes) -> dict[bytes, Any]:
        """rtpengine replies; what it was asked."""
        cookie, _, body = self.ng.sent.pop()[0].partition(b" ")
        self.engine.datagramReceived(cookie + b" " + to_bencode({"result": "ok", "sdp": sdp}), ("127.0.0.1", 2223))
        return from_bencode(body)

    def at_trunk(self) -> Request | Response:
        data, address = self.sip.sent.pop()
        self.assertEqual((address, self.sip.sent), (TRUNK, []))
        return read(data)

    def at_browser(self) -> Request | Response:
        message = read(self.peer.heard.pop())
        self.assertEqual(self.peer.heard, [])
        return message

    def test_call_out(self) -> None:
        """An INVITE has its SDP changed, and so has the 200; the BYE deletes the media; no Via of the proxy's comes
        back."""
        callee = "sip:bob@127.0.0.1:5080"
        self.sends(request("INVITE", callee, transport="WSS", contact="<sip:x@y.invalid>", body=BROWSER_SDP))
        asked = self.engine_says(PLAIN)
        self.assertEqual((asked[b"command"], asked[b"sdp"]), (b"offer", BROWSER_SDP))
        leg = self.at_trunk()
        assert isinstance(leg, Request)
        self.assertEqual((leg.body, len(leg.headers.all("Via"))), (PLAIN, 2))
        self.assertEqual(leg.headers.get("Contact"), f"<sip:b{self.peer.number}@127.0.0.1:5060>")
        self.hears(respond(leg, 180))
        self.assertEqual(len(self.at_browser().headers.all("Via")), 1)
        self.hears(respond(leg, 200, to_tag="t", body=PLAIN))
        asked = self.engine_says(BROWSER_SDP)
        self.assertEqual((asked[b"command"], asked[b"to-tag"]), (b"answer", b"t"))
        answered = self.at_browser()
        self.assertEqual((answered.body, len(answered.headers.all("Via"))), (BROWSER_SDP, 1))
        self.sends(request("BYE", callee, transport="WSS"))
        self.assertEqual(self.engine_says(b"")[b"command"], b"delete")
        bye = self.at_trunk()
        assert isinstance(bye, Request)
        self.hears(respond(bye, 200))
        self.assertEqual(len(self.at_browser().headers.all("Via")), 1)

    def test_call_in(self) -> None:
        """What the trunk sends to our Contact reaches that browser, and its answer comes back."""
        self.hears(request("INVITE", f"sip:b{self.peer.number}@127.0.0.1:5060", sent_by="127.0.0.1:5080", body=PLAIN))
        self.engine_says(BROWSER_SDP)
        leg = self.at_browser()
        assert isinstance(leg, Request)
        self.assertEqual(leg.body, BROWSER_SDP)
        self.sends(respond(leg, 200, to_tag="t", body=BROWSER_SDP))
        self.engine_says(PLAIN)
        answered = self.at_trunk()
        self.assertEqual((answered.body, len(answered.headers.all("Via"))), (PLAIN, 1))
