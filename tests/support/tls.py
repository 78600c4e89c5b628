"""TLS in memory: our server, a client that is OpenSSL itself, and what stands on top of both."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.wire import Wire
from webrtcproxy.demo.certificate import write_certificate
from webrtcproxy.runtime.internals import ImmediateWriteTLS
from webrtcproxy.transport.certificate import KeyFiles, ReloadingCertificate


class App(Protocol):
    """What is on top: it keeps what it gets.

    :ivar first: written as soon as it is connected.
    """

    first: tuple[bytes, ...] = ()

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.lost: Failure | None = None
        self.on_data = self.got.append

    def connectionMade(self) -> None:
        for data in self.first:
            self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        self.on_data(data)

    def connectionLost(self, reason: Failure = CONNECTION_LOST) -> None:
        self.lost = reason


class Producer:
    """Notes what it is told."""

    def __init__(self, told: list[str]) -> None:
        self._told = told

    def pauseProducing(self) -> None:
        self._told.append("pause")

    def resumeProducing(self) -> None:
        self._told.append("resume")

    def stopProducing(self) -> None:
        self._told.append("stop")


class CountingTLS(ImmediateWriteTLS):
    """Counts how often reading takes Twisted's way."""

    long_ways = 0

    def _flushReceiveBIO(self) -> None:
        self.long_ways += 1
        super()._flushReceiveBIO()


class Segments(Wire):
    """A connection that keeps each write apart."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        super().write(data)


class Sparing:
    """A TLS connection whose peer takes small records only (RFC 6066 section 4): one `send`, one record."""

    def __init__(self, connection: SSL.Connection, most: int) -> None:
        self._connection = connection
        self._most = most

    def send(self, data: bytes) -> int:
        return self._connection.send(data[: self._most])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class SparingCertificate(ReloadingCertificate):
    """Makes such connections."""

    def serverConnectionForTLS(self, tlsProtocol: Any) -> Any:
        return Sparing(super().serverConnectionForTLS(tlsProtocol), 512)


def records(data: bytes) -> list[bytes]:
    """The TLS records of `data`."""
    found = []
    while data:
        size = 5 + int.from_bytes(data[3:5], "big")
        found.append(data[:size])
        data = data[size:]
    return found


class TlsCase(SynchronousTestCase):
    """A server in memory, and a client that is OpenSSL itself."""

    version = SSL.TLS1_3_VERSION
    protocol: Any = CountingTLS

    def setUp(self) -> None:
        key, certificate = write_certificate(Path(self.mktemp()).absolute(), ["phone.example"])
        self.files = KeyFiles(key, certificate)
        self.start()

    def start(self, *first: bytes, kind: type[ReloadingCertificate] = ReloadingCertificate) -> None:
        """Connect, as far as TCP."""
        self.clock = clock = Clock()
        self.app = App()
        self.app.first = first
        factory = Factory()
        factory.buildProtocol = lambda address: self.app  # type: ignore[method-assign,assignment]
        tls = TLSMemoryBIOFactory(kind(clock, self.files), False, factory, clock)
        tls.protocol = self.protocol
        self.wire = Segments()
        self.server = tls.buildProtocol(self.wire.getPeer())
        self.wire.attach(self.server)
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(self.version)
        context.set_max_proto_version(self.version)
        self.client = SSL.Connection(context, None)
        self.client.set_connect_state()
        self.heard = b""

    def shake(self, size: int = 0) -> None:
        """Shake hands, `size` octets at a time; what the server wrote so far is read."""
        for _ in range(4):
            with contextlib.suppress(SSL.WantReadError):
                self.client.do_handshake()
            self.wire.deliver(self.pending(), size)
            self.hear()
        self.assertEqual(self.client.get_protocol_version(), self.version)
        self.server.long_ways = 0
        self.wire.writes.clear()

    def pending(self) -> bytes:
        """What the client wants to send."""
        data = b""
        with contextlib.suppress(SSL.WantReadError):
            while True:
                data += self.client.bio_read(65536)
        return data

    def seal(self, *messages: bytes) -> bytes:
        """The client's records with these messages."""
        for message in messages:
            while message:
                message = message[self.client.send(message) :]
        return self.pending()

    def hear(self) -> bytes:
        """All that the client has received."""
        data = self.wire.take()
        if data:
            self.client.bio_write(data)
        with contextlib.suppress(SSL.WantReadError):
            while True:
                self.heard += self.client.recv(65536)
        return self.heard

    def end(self) -> type[BaseException] | None:
        """How the connection ends for the server's side, when the reactor has turned."""
        self.wire.settle()
        return None if self.app.lost is None else self.app.lost.type
