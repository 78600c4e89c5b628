"""A peer of the transports in memory: a WebSocket client that may break every rule, and transports that record."""

from __future__ import annotations

import base64
import struct
from typing import NamedTuple

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from webrtcproxy.sip.message import Message, Request, respond

KEY = base64.b64encode(bytes(16)).decode()

OPTIONS = (
    b"OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=z9hG4bKabc\r\nMax-Forwards: 70\r\n"
    b"From: <sip:me@example.com>;tag=1\r\nTo: <sip:a@example.com>\r\nCall-ID: one\r\nCSeq: 1 OPTIONS\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def options(transport: str = "WSS", sent_by: str = "x.invalid") -> bytes:
    """A small request."""
    return OPTIONS % (transport.encode(), sent_by.encode())


class Recorder:
    """A Receiver that keeps what it gets, and answers each request and each bad one."""

    def __init__(self, answer: bool = True) -> None:
        self.messages: list[tuple[Message, object]] = []
        self.errors: list[tuple[object, object]] = []
        self.undelivered_datagrams: list[tuple[bytes, str, str]] = []
        self.answer = answer

    def message_received(self, message, flow) -> None:
        self.messages.append((message, flow))
        if self.answer and isinstance(message, Request):
            flow.send(respond(message, 200).to_bytes())

    def bad_message(self, error, flow) -> None:
        self.errors.append((error, flow))
        if self.answer and error.request is not None:
            flow.send(respond(error.request, error.status, error.why).to_bytes())

    def undelivered(self, quoted: bytes, host: str, why: str) -> None:
        self.undelivered_datagrams.append((quoted, host, why))

    @property
    def flow(self):
        """The flow of the last message."""
        return self.messages[-1][1]


class Wire(StringTransport):
    """A connection in memory. What the other side wrote is `value()`; its protocol is told of the end by `settle`."""

    def __init__(self, peer: str = "192.0.2.7", port: int = 40000, host: str = "192.0.2.1") -> None:
        kind = IPv6Address if ":" in peer else IPv4Address
        super().__init__(hostAddress=kind("TCP", host, 443), peerAddress=kind("TCP", peer, port))
        self.protocol = None
        self.aborted = False
        self.closed = False
        self.reading = True
        self.full = False

    def attach(self, protocol) -> Wire:
        """Connect."""
        self.protocol = protocol
        protocol.makeConnection(self)
        return self

    def deliver(self, data: bytes, size: int = 0) -> None:
        """The peer has sent this, perhaps `size` octets at a time."""
        step = size or len(data) or 1
        for start in range(0, len(data), step):
            if not self.closed:
                self.protocol.dataReceived(data[start : start + step])

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True

    def abortConnection(self) -> None:
        self.aborted = True
        self.disconnecting = True

    def setTcpNoDelay(self, enabled) -> None:
        pass

    def setTcpKeepAlive(self, enabled) -> None:
        pass

    def write(self, data: bytes) -> None:
        if not self.disconnecting:
            super().write(data)
            if self.full and self.producer is not None:
                self.producer.pauseProducing()

    def stop_reading(self) -> None:
        """The peer's window is shut: everything waits from here on."""
        self.full = True

    def read_all(self) -> None:
        """The peer has read all that waited."""
        self.full = False
        self.producer.resumeProducing()

    def take(self) -> bytes:
        """What was written since the last time."""
        data = self.value()
        self.clear()
        return data

    def lose(self) -> None:
        """The connection is closed."""
        if not self.closed:
            self.closed = True
            reason = ConnectionAborted() if self.aborted else ConnectionDone()
            self.protocol.connectionLost(Failure(reason))

    def settle(self) -> None:
        """What a reactor does in its next turn: end the connection if our side wanted that."""
        if self.disconnecting:
            self.lose()


class Frame(NamedTuple):
    """A WebSocket frame of the server."""

    opcode: int
    payload: bytes
    fin: bool = True
    masked: bool = False

    @property
    def code(self) -> int:
        """The close code."""
        return struct.unpack("!H", self.payload[:2])[0]


def frame(payload: bytes, opcode: int = 1, *, fin: bool = True, mask: bool = True, length: int | None = None) -> bytes:
    """A frame of a client; `length` lies about its length."""
    size = len(payload) if length is None else length
    first = bytes([(0x80 if fin else 0) | opcode])
    flag = 0x80 if mask else 0
    if size < 126:
        head = first + bytes([flag | size])
    elif size < 65536:
        head = first + bytes([flag | 126]) + struct.pack("!H", size)
    else:
        head = first + bytes([flag | 127]) + struct.pack("!Q", size)
    if not mask:
        return head + payload
    key = b"\x01\x02\x03\x04"
    return head + key + bytes(octet ^ key[place % 4] for place, octet in enumerate(payload))


def frames(data: bytes) -> list[Frame]:
    """The frames of a server."""
    found = []
    while data:
        size, start = data[1] & 0x7F, 2
        if size == 126:
            size, start = struct.unpack("!H", data[2:4])[0], 4
        elif size == 127:
            size, start = struct.unpack("!Q", data[2:10])[0], 10
        found.append(Frame(data[0] & 0x0F, data[start : start + size], bool(data[0] & 0x80), bool(data[1] & 0x80)))
        data = data[start + size :]
    return found


def upgrade(path: str = "/", **headers: str | None) -> bytes:
    """An upgrade request; a header that is None is left out. ``_`` in names stands for ``-``."""
    wanted = {
        "Host": "phone.example.com",
        "Upgrade": "websocket",
        "Connection": "keep-alive, Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Protocol": "sip",
        "Origin": "https://phone.example.com",
        "User-Agent": "Test",
    }
    for name, value in headers.items():
        spelled = "-".join(part.capitalize() for part in name.split("_")).replace("Websocket", "WebSocket")
        wanted[spelled] = value
    lines = [f"{name}: {value}" for name, value in wanted.items() if value is not None]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode()
