"""The least that a gateway on Twisted can cost: TLS, WebSockets, UDP and ng as the proxy has them, and of SIP only what
the load needs to get through, by searching and replacing in what came.

It reads no message, keeps no transaction, no dialog, no binding and no record, sends nothing again, limits nothing and
trusts everybody. What the proxy costs more than this is what it does; what this costs more than another gateway, no
work on the proxy can save.

``python -m bench.floor WSS-PORT SIP-PORT NG-HOST:PORT``, in a folder with key.pem and cert.pem.
"""

# mypy: disable-error-code="no-untyped-call"
# (Autobahn is half typed)

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.internet.protocol import DatagramProtocol
from zope.interface import implementer

from webrtcproxy.media.bencode import NgValue, from_bencode, to_items
from webrtcproxy.media.profile import BROWSER, TRUNK, Profile
from webrtcproxy.transport.certificate import server_endpoint
from webrtcproxy.transport.wss.frame import frame, whole_message

HOST = "127.0.0.1"
Send = Callable[[bytes], object]

_branch = re.compile(rb";branch=z9hG4bKf(\d+)")
_address = re.compile(rb"sip:(?:[^@> ]*@)?([0-9.]+):(\d+)")
_contact = re.compile(rb"\r\nContact: <[^>]*>")
_user = re.compile(rb" sip:b(\d+)@")
_values = {name: re.compile(rb"\r\n" + name + rb":[^\r]*?" + what) for name, what in {
    b"From": rb";tag=([^;\r]*)", b"To": rb";tag=([^;\r]*)", b"Call-ID": rb" *([^\r]*)",
}.items()}  # fmt: skip


class Browser(WebSocketServerProtocol):
    """One WebSocket."""

    gateway: Floor
    number = 0

    def onConnect(self, request: object) -> str:
        """Any browser will do."""
        return "sip"

    def onOpen(self) -> None:
        """It is there."""
        self.number = self.gateway.enter(self)

    def dataReceived(self, data: bytes) -> None:
        """One message, or something for Autobahn."""
        payload = whole_message(data) if self.state == self.STATE_OPEN else None
        if payload is None:
            self._dataReceived(data)
        else:
            self.gateway.from_browser(self, payload)

    def give(self, data: bytes) -> None:
        """Send one message."""
        transport: Any = self.transport
        transport.write(frame(data))


@implementer(IProtocolNegotiationFactory)
class Browsers(WebSocketServerFactory):
    """Makes their protocols.

    :param gateway: takes what they say.
    """

    def __init__(self, gateway: Floor) -> None:
        super().__init__(protocols=["sip"])
        self.protocol: type[WebSocketServerProtocol] = type("Browser", (Browser,), {"gateway": gateway})

    def acceptableProtocols(self) -> list[bytes]:
        """What may be spoken within TLS (RFC 7301)."""
        return [b"http/1.1"]


class Engine(DatagramProtocol):
    """rtpengine."""

    noisy = False

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._cookies = count()
        self._waiting: dict[bytes, Send] = {}

    def ask(self, command: str, message: bytes, profile: Profile | None, done: Send) -> None:
        """Give a command about the call of `message`; `done` gets `message` with the SDP of the reply."""
        head, _, sdp = message.partition(b"\r\n\r\n")
        fields: dict[str, NgValue] = {
            "command": command,
            "call-id": _value(b"Call-ID", head),
            "from-tag": _value(b"From", head),
        }
        media = b""
        if command == "answer":
            fields["to-tag"] = _value(b"To", head)
        if profile is not None:
            media = profile.items("offer" if command == "offer" else "answer", sdp, encrypted=profile is TRUNK)
        cookie = b"%d" % next(self._cookies)
        self._waiting[cookie] = lambda reply: done(
            message if profile is None else _with_body(head, from_bencode(reply)[b"sdp"])
        )
        self._socket().sendto(b"%b d%b%be" % (cookie, to_items(fields), media), self._address)

    def datagramReceived(self, data: bytes, addr: tuple[str, int]) -> None:
        """A reply."""
        cookie, _, reply = data.partition(b" ")
        done = self._waiting.pop(cookie, None)
        if done is not None:
            done(reply)

    def _socket(self) -> Any:
        transport: Any = self.transport
        return transport.socket


class Floor(DatagramProtocol):
    """The gateway, and its socket for SIP.

    :param port: of that socket.
    """

    noisy = False

    def __init__(self, port: int, engine: Engine) -> None:
        self._port = port
        self._engine = engine
        self._numbers = count()
        self._browsers: dict[int, Browser] = {}
        self._ways: dict[bytes, Send] = {}

    def enter(self, browser: Browser) -> int:
        """A browser is there; which number it has from now on."""
        number = next(self._numbers)
        self._browsers[number] = browser
        return number

    def from_browser(self, browser: Browser, data: bytes) -> None:
        """A message from a browser."""
        data = _contact.sub(b"\r\nContact: <sip:b%d@127.0.0.1:%d>" % (browser.number, self._port), data, 1)
        if data.startswith(b"SIP/2.0 "):
            self._respond(data, TRUNK)
        else:
            found = _address.search(data)
            assert found is not None
            host, port = found[1].decode(), int(found[2])
            self._forward(data, b"UDP", browser.give, TRUNK, lambda request: self._send(request, (host, port)))

    def datagramReceived(self, data: bytes, addr: tuple[str, int]) -> None:
        """A message from the trunk."""
        if data.startswith(b"SIP/2.0 "):
            self._respond(data, BROWSER)
        elif (found := _user.search(data)) is not None:
            browser = self._browsers[int(found[1])]
            self._forward(data, b"WSS", lambda response: self._send(response, addr), BROWSER, browser.give)

    def _forward(self, data: bytes, transport: bytes, back: Send, profile: Profile, send: Send) -> None:
        """Send a request on, by `send`, so that its responses come `back`."""
        line, _, rest = data.partition(b"\r\n")
        branch = b"%d" % next(self._numbers)
        if not data.startswith(b"ACK "):
            self._ways[branch] = back
        via = b"Via: SIP/2.0/%b 127.0.0.1:%d;branch=z9hG4bKf%b" % (transport, self._port, branch)
        data = b"%b\r\n%b\r\n%b" % (line, via, rest)
        if data.startswith(b"INVITE "):
            self._engine.ask("offer", data, profile, send)
            return
        send(data)
        if data.startswith(b"BYE "):
            self._engine.ask("delete", data, None, lambda _: None)

    def _respond(self, data: bytes, profile: Profile) -> None:
        """Send a response back."""
        line, _, rest = data.partition(b"\r\n")
        via, _, rest = rest.partition(b"\r\n")
        if (found := _branch.search(via)) is None:
            return
        back = self._ways[found[1]]
        if not line.startswith(b"SIP/2.0 1"):
            del self._ways[found[1]]
        others = via[found.end() :].lstrip(b", ")
        data = b"%b\r\nVia: %b\r\n%b" % (line, others, rest) if others else b"%b\r\n%b" % (line, rest)
        if data.endswith(b"\r\n\r\n"):
            back(data)
        else:
            self._engine.ask("answer", data, profile, back)

    def _send(self, data: bytes, address: tuple[str, int]) -> None:
        transport: Any = self.transport
        transport.socket.sendto(data, address)


def _value(name: bytes, head: bytes) -> bytes:
    found = _values[name].search(head)
    return b"" if found is None else found[1]


def _with_body(head: bytes, body: bytes) -> bytes:
    at = head.index(b"Content-Length:")
    end = head.find(b"\r\n", at)
    return b"%bContent-Length: %d%b\r\n\r\n%b" % (head[:at], len(body), b"" if end < 0 else head[end:], body)


def main(wss: str, sip: str, node: str) -> None:
    """Serve until SIGTERM.

    :param wss: the port for browsers.
    :param sip: the UDP port for SIP.
    :param node: host:port of rtpengine.
    """
    from twisted.internet import reactor as made

    reactor: Any = made
    host, _, port = node.partition(":")
    engine = Engine((host, int(port)))
    floor = Floor(int(sip), engine)
    endpoint = server_endpoint(reactor, f"ssl:{wss}:interface={HOST}:privateKey=key.pem:certKey=cert.pem")
    reactor.listenUDP(0, engine, HOST, 65536)
    reactor.listenUDP(int(sip), floor, HOST, 65536)
    endpoint.listen(Browsers(floor))
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:4])
