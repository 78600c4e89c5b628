"""TLS as Twisted does it, on the shortest way for what a SIP connection has nearly always: one message, one record, one
segment.

Twisted's own TLS transport gathers small writes until the next turn of the reactor, has the socket polled before it
writes to it, and learns by an exception that there is no more to read or to send. For a stream of large writes that is
right; for a call's messages it costs more than the encryption does. Whatever is not the plain case is left to Twisted.
"""

# mypy: disable-error-code="no-untyped-call"
# (twisted.protocols.tls is half typed)

from __future__ import annotations

import socket
from typing import Any

from OpenSSL import SSL
from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IListeningPort,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

RECORD = 1 << 14
"""Octets that a TLS record can carry (RFC 8446 section 5.1)."""

SPARE = 1024
"""Octets that are looked for beside a record's content: its own overhead is less than 300."""

_HEAD = 5
_APPLICATION_DATA = 23


class ImmediateWriteServer(tcp.Server):
    """The server's side of a TCP connection; it writes at once where nothing waits to be written."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.setTcpNoDelay(True)  # one write is one message: there is nothing to wait for

    def write(self, data: bytes) -> None:
        """Send, or keep what the kernel does not take. What is wrong with the connection, the reactor finds out."""
        if self.connected and not (self._tempDataBuffer or self.dataBuffer or self.disconnecting):
            try:
                sent = self.socket.send(data)
            except OSError:
                sent = 0
            data = data[sent:]
        if data:
            super().write(data)


class ImmediateWriteTLS(TLSMemoryBIOProtocol):
    """TLS over one connection."""

    _missing = 0
    """Octets that the last record lacks; -1 where that is not known any more."""

    def write(self, data: bytes) -> None:
        """Encrypt and send."""
        if len(data) > RECORD or self._appSendBuffer or self.disconnecting:
            super().write(data)
            return
        if not self._handshakeDone or self._lostTLSConnection:
            super().write(data)
            return
        connection = self._tlsConnection
        try:
            sent = connection.send(data)
        except SSL.Error:
            super().write(data)  # meets the same again, and knows what to do
            return
        record = connection.bio_read(len(data) + SPARE)
        transport: Any = self.transport
        transport.write(record)
        if len(record) == len(data) + SPARE:
            self._flushSendBIO()
        if sent < len(data):  # the peer wants smaller records (RFC 6066 section 4)
            super().write(data[sent:])

    def dataReceived(self, data: bytes) -> None:
        """Decrypt; one whole record of application data is one read."""
        if self._missing or not _is_record(data):
            self._missing = _missing(data, self._missing)
            super().dataReceived(data)
            return
        if not self._handshakeDone or self._lostTLSConnection or self._appSendBuffer:
            super().dataReceived(data)
            return
        connection = self._tlsConnection
        connection.bio_write(data)
        try:
            received = connection.recv(len(data))
        except (SSL.WantReadError, SSL.ZeroReturnError):
            self._flushReceiveBIO()  # a new key, nothing at all, the end
            return
        except SSL.Error:
            self._tlsShutdownFinished(Failure())
            return
        if not self._aborted:
            ProtocolWrapper.dataReceived(self, received)


def _is_record(data: bytes) -> bool:
    """Whether `data` is one whole record of application data."""
    size = len(data)
    return size > _HEAD and data[0] == _APPLICATION_DATA and size == _HEAD + (data[3] << 8) + data[4]


def _missing(data: bytes, before: int) -> int:
    """How many octets the last TLS record of `data` lacks.

    :param before: what the last record before `data` lacked.
    :returns: -1 where a header is cut in two, and from then on.
    """
    if before < 0:
        return -1
    at, end = before, len(data)
    while at < end:
        if at + _HEAD > end:
            return -1
        at += _HEAD + int.from_bytes(data[at + 3 : at + _HEAD], "big")
    return at - end


@implementer(IStreamServerEndpoint)
class TlsEndpoint:
    """Listens with TLS.

    :param creator: makes the TLS connections.
    :param plain: where to listen.
    :param clock: for Twisted's part of it.
    """

    def __init__(
        self, creator: IOpenSSLServerConnectionCreator, plain: IStreamServerEndpoint, clock: IReactorTime
    ) -> None:
        self._creator = creator
        self._plain = plain
        self._clock = clock

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen; fires with the port."""
        tls = TLSMemoryBIOFactory(self._creator, False, factory, self._clock)
        tls.protocol = ImmediateWriteTLS
        listening: Deferred[IListeningPort] = self._plain.listen(tls)
        return listening.addCallback(immediate_write)


def immediate_write(port: IListeningPort) -> IListeningPort:
    """Have the connections of a port write at once."""
    if isinstance(port, tcp.Port) and isinstance(port.socket, socket.socket):
        port.transport = ImmediateWriteServer  # type: ignore[assignment]
    return port
