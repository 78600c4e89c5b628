"""A stranger: sends what it likes from an address of its own, and looks at what comes back and when. It blocks, so that
its times are exact; tests run it in a thread."""

from __future__ import annotations

import os
import re
import socket
import ssl
import statistics
import time
from base64 import b64encode
from collections.abc import Callable, Iterable
from secrets import token_hex
from typing import NamedTuple, cast

from twisted.internet import reactor
from twisted.internet.interfaces import IReactorUDP
from twisted.internet.protocol import DatagramProtocol

from tests.support.real.digest import answer

ECHOED = ("via", "from", "to", "call-id", "cseq")
"""Headers of a response that the request has, too."""
WAIT = 5.0
"""Seconds after which there is no response where one is expected."""
SILENT = 0.15
"""The same where none is."""


class Seen(NamedTuple):
    """What can be seen of a response: status line, names of headers in order, values of those that are not echoed, and
    body; without what is random, of nonces all but their lengths. None of them where there was none."""

    status: str
    names: tuple[str, ...]
    values: tuple[str, ...]
    body: bytes


NOTHING = Seen("", (), (), b"")


def message(
    method: str,
    uri: str,
    *headers: str,
    from_: str = "sip:me@stranger.test",
    to: str = "",
    to_tag: bool = False,
    transport: str = "WSS",
    agent: str = "JsSIP 3.10.1",
    host: str = "stranger.invalid",
) -> bytes:
    """A request; what is random in it has always the same length."""
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/{transport} {host};branch=z9hG4bK{token_hex(8)};rport",
        "Max-Forwards: 70",
        f"From: <{from_}>;tag={token_hex(4)}",
        f"To: <{to or uri}>{f';tag={token_hex(4)}' if to_tag else ''}",
        f"Call-ID: {token_hex(8)}",
        f"CSeq: 1 {method}",
        f"Contact: <sip:me@stranger.invalid;transport={transport.lower()}>",
        f"User-Agent: {agent}",
        *headers,
        "Content-Length: 0",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def seen(request: bytes, response: bytes) -> Seen:
    """What a stranger sees in a response."""
    if not response:
        return NOTHING
    head, _, body = response.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    pairs = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    asked = {line.partition(": ")[0].lower() for line in request.decode().split("\r\n")}
    values = tuple(without_nonce(value) for name, value in pairs if name.lower() not in ECHOED)
    assert asked.issuperset(ECHOED)
    return Seen(status, tuple(name for name, _ in pairs), values, body)


def without_nonce(value: str) -> str:
    """A challenge with another nonce of the same length; any other value as it is."""
    return re.sub(r'\bnonce="([^"]*)"', lambda found: f'nonce="{"x" * len(found[1])}"', value)


class Stranger:
    """One address from which strangers come.

    :param host: the address, on loopback.
    :param wss: the port of the browsers.
    :param sip: the port of the trunks.
    """

    def __init__(self, host: str, wss: int, sip: int) -> None:
        self.host = host
        self._wss, self._sip = wss, sip
        self._sockets: list[socket.socket] = []

    def close(self) -> None:
        """Close all connections."""
        for each in self._sockets:
            each.close()

    def udp(self, request: bytes, wait: float = SILENT) -> bytes:
        """Send a datagram; what comes back."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
            endpoint.bind((self.host, 0))
            endpoint.settimeout(wait)
            endpoint.sendto(request, ("127.0.0.1", self._sip))
            try:
                return endpoint.recv(65536)
            except TimeoutError:
                return b""

    def tcp(self, request: bytes, wait: float = SILENT) -> bytes:
        """Send a request on a connection of its own; what comes back, nothing also where the connection is cut."""
        with socket.create_connection(("127.0.0.1", self._sip), WAIT, (self.host, 0)) as stream:
            stream.settimeout(wait)
            try:
                stream.sendall(request)
                return stream.recv(65536)
            except OSError:
                return b""

    def tls(self) -> ssl.SSLSocket:
        """A connection to the port of the browsers.

        :raises OSError: it was refused.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", self._wss), WAIT, (self.host, 0))
        self._sockets.append(plain)
        secure = context.wrap_socket(plain)
        self._sockets.append(secure)
        return secure

    def http(self, path: str, *headers: str) -> bytes:
        """GET; the whole response."""
        return self.timed_http(path, *headers)[0]

    def timed_http(self, path: str, *headers: str) -> tuple[bytes, float]:
        """The same; and the milliseconds until it, on a connection that is open already."""
        stream = self.tls()
        lines = (f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "Connection: close", "", "")
        began, data = time.perf_counter(), b""
        stream.sendall("\r\n".join(lines).encode())
        while octets := stream.recv(65536):
            data += octets
        return data, (time.perf_counter() - began) * 1000

    def browser(self) -> WebSocketOfStranger:
        """An open WebSocket."""
        return WebSocketOfStranger(self.tls())


class WebSocketOfStranger:
    """A WebSocket without a browser: no Origin, no state.

    :param stream: the TLS connection.
    """

    def __init__(self, stream: ssl.SSLSocket) -> None:
        self._stream = stream
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = b64encode(os.urandom(16)).decode()
        stream.sendall(
            "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: sip\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            octets = stream.recv(65536)
            if not octets:
                raise ConnectionError("closed during the handshake")
            head += octets
        if b" 101 " not in head.partition(b"\r\n")[0]:
            raise ConnectionError(head.partition(b"\r\n")[0].decode())

    def send(self, request: bytes) -> None:
        """Send one message."""
        length = len(request)
        head = bytes([0x81, 0x80 | length]) if length < 126 else bytes([0x81, 0xFE]) + length.to_bytes(2, "big")
        self._stream.sendall(head + bytes(4) + request)

    def receive(self, wait: float = WAIT) -> bytes:
        """The next message; empty where none comes in that time.

        :raises ConnectionError: the connection is closed.
        """
        self._stream.settimeout(wait)
        try:
            first, second = self._read(2)
            length = second & 0x7F
            if length == 126:
                length = int.from_bytes(self._read(2), "big")
            payload = self._read(length)
        except TimeoutError:
            return b""
        if first & 0x0F == 8:
            raise ConnectionError("closed")
        return payload if first & 0x0F in (1, 2) else self.receive(wait)

    def ask(self, request: bytes, wait: float = WAIT) -> tuple[Seen, float]:
        """Send a request; what is seen of its final response, and the milliseconds until it."""
        began = time.perf_counter()
        self.send(request)
        while (response := self.receive(wait)).startswith(b"SIP/2.0 1"):
            pass
        took = (time.perf_counter() - began) * 1000
        if b" INVITE\r\n" in response:
            self.send(_ack(request, response))
        return seen(request, response), took

    def challenge(self, request: bytes, algorithm: str = "") -> str:
        """Send a REGISTER; the first challenge with that algorithm in the response, empty where it has none."""
        self.send(request)
        for line in self.receive().decode().split("\r\n"):
            if line.lower().startswith("www-authenticate: ") and algorithm in line:
                return line.partition(": ")[2]
        return ""

    def log_in(self, user: str, password: str, domain: str = "pbx.test") -> int:
        """REGISTER, after a challenge; the last status, 0 for none."""
        found, _ = self.timed_login(user, password, domain)
        return int(found.status.split()[1]) if found.status else 0

    def timed_login(
        self, user: str, password: str, domain: str = "pbx.test", algorithm: str = ""
    ) -> tuple[Seen, float]:
        """The same, by the first challenge with that algorithm; what is seen of the last response, and the milliseconds
        until it."""
        uri, aor = f"sip:{domain}", f"sip:{user}@{domain}"
        challenge = self.challenge(message("REGISTER", uri, from_=aor, to=aor), algorithm)
        credentials = f"Authorization: {answer(challenge, 'REGISTER', uri, user, password)}" if challenge else "X-No: 1"
        return self.ask(message("REGISTER", uri, credentials, from_=aor, to=aor))

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            octets = self._stream.recv(count - len(data))
            if not octets:
                raise ConnectionError("closed")
            data += octets
        return data


class Disguise(DatagramProtocol):
    """Sends on what a tool sends, from another address: sipvicious 0.3.8 does not bind to the one that it is given.

    :param host: the address, on loopback.
    :param sip: the port of the trunks.
    :ivar port: where the tool has to send to.
    :ivar sent: how many datagrams the tool has sent.
    :ivar answers: what has come back.
    """

    def __init__(self, host: str, sip: int) -> None:
        self._sip = sip
        self._tool = ("", 0)
        self._outside = _Outside(self)
        self.sent = 0
        self.answers: list[bytes] = []
        datagrams = cast(IReactorUDP, reactor)
        self._ports = [datagrams.listenUDP(0, self, "127.0.0.1"), datagrams.listenUDP(0, self._outside, host)]
        self.port: int = self._ports[0].getHost().port

    def datagramReceived(self, data: bytes, addr: tuple[str, int]) -> None:
        self._tool = addr
        self.sent += 1
        self._outside.transport.write(data, ("127.0.0.1", self._sip))

    def answered(self, data: bytes) -> None:
        """Something has come back."""
        self.answers.append(data)
        self.transport.write(data, self._tool)

    async def close(self) -> None:
        """Close both sockets."""
        for port in self._ports:
            await port.stopListening()


class _Outside(DatagramProtocol):
    def __init__(self, disguise: Disguise) -> None:
        self._disguise = disguise

    def datagramReceived(self, data: bytes, addr: tuple[str, int]) -> None:
        self._disguise.answered(data)


def _ack(invite: bytes, response: bytes) -> bytes:
    """The ACK of a final response other than 2xx."""
    to = next(line for line in response.decode().split("\r\n") if line.startswith("To: "))
    lines = invite.decode().replace("INVITE", "ACK").split("\r\n")
    return "\r\n".join(to if line.startswith("To: ") else line for line in lines).encode()


def times_differ(one: Iterable[float], other: Iterable[float], limit: float = 2.5) -> bool:
    """Whether two series of times, taken in turn, differ: by their medians, so that a pause of the machine does not
    count.

    :param limit: milliseconds.
    """
    return abs(statistics.median(one) - statistics.median(other)) > limit


def in_turn(asks: list[Callable[[], float]], rounds: int) -> list[list[float]]:
    """The times of several questions, each asked once in each round."""
    taken: list[list[float]] = [[] for _ in asks]
    for number in range(rounds):
        for index in range(len(asks)):
            at = (index + number) % len(asks)
            taken[at].append(asks[at]())
    return taken
