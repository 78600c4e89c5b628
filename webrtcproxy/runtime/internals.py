"""All uses of Twisted and Autobahn beyond their interfaces. Only this module uses names of theirs with an underscore
(tests/test_private.py). Other modules use some public names that are not documented, such as `Deferred.result`.

Each use is a shortcut past work that a SIP message does not need. The names that it relies on are checked when this
module is imported. If a version of the library lacks a name, or a method has other arguments, the documented interface
is used instead, and one line of the log says what is missing and what it costs. Figures are from bench/README.rst.
"""

# mypy: disable-error-code="no-untyped-call"
# (twisted.protocols.tls and Autobahn are half typed)

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from OpenSSL import SSL
from OpenSSL._util import lib
from twisted.application.internet import StreamServerEndpointService
from twisted.internet import tcp
from twisted.logger import ILogObserver, Logger, LogPublisher
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from webrtcproxy.runtime.shortcut import Shortcut

log = Logger()


# TCP: write at once

TCP = Shortcut(
    tcp.Server,
    ("_tempDataBuffer", "dataBuffer"),
    {},
    "what is written over TLS, and between processes, waits for the next turn of the reactor",
)


class ImmediateWriteServer(tcp.Server):
    """The server side of a TCP connection; it writes at once if nothing waits to be written.

    Twisted's class collects writes until the next turn of the reactor, and polls the socket before.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.setTcpNoDelay(True)  # one write is one message: waiting for more is pointless

    def write(self, data: bytes) -> None:
        """Send, and keep what the kernel does not accept. The reactor notices errors of the connection."""
        data = _send(self, data)
        if data:
            super().write(data)


def _send(connection: Any, data: bytes) -> bytes:
    """Pass data to the kernel if nothing waits before it.

    :returns: the data that is still to be written.
    """
    waiting = connection._tempDataBuffer or connection.dataBuffer
    if waiting or connection.disconnecting or not connection.connected:
        return data
    try:
        return data[connection.socket.send(data) :]
    except OSError:
        return data


def write_at_once(transport: Any, data: bytes) -> None:
    """Write to a Twisted connection: at once if it is a socket and nothing waits, else in Twisted's way."""
    if HAS_TCP and getattr(transport, "socket", None) is not None:
        data = _send(transport, data)
    if data:
        transport.write(data)


# TLS: one message, one record, one segment

RECORD = 1 << 14
"""Octets that a TLS record can carry (RFC 8446 section 5.1)."""

SPARE = 1024
"""Octets to read beyond the content of a record, whose overhead is less than 300."""

_HEAD = 5
_APPLICATION_DATA = 23

TLS = Shortcut(
    TLSMemoryBIOProtocol,
    ("_aborted", "_appSendBuffer", "_handshakeDone", "_lostTLSConnection", "_tlsConnection"),
    {"_flushReceiveBIO": 0, "_flushSendBIO": 0, "_tlsShutdownFinished": 1},
    "each message over TLS costs 3 microseconds more, 7 instead of 4",
)


class ImmediateWriteTLS(TLSMemoryBIOProtocol):
    """Twisted's TLS with a fast path for the usual case of a SIP connection: one message, one record, one segment.

    Twisted's class collects small writes until the next turn of the reactor, and uses an exception to notice that there
    is no more to read or to send. That suits a stream of large writes; for the messages of a call it costs more than
    the encryption. All other cases are left to Twisted.
    """

    _missing = 0
    """Octets that the last record lacks; -1 if that is unknown."""

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
            super().write(data)  # gets the same error, and handles it
            return
        record = connection.bio_read(len(data) + SPARE)
        transport: Any = self.transport
        transport.write(record)
        if len(record) == len(data) + SPARE:
            self._flushSendBIO()
        if sent < len(data):  # the peer wants smaller records (RFC 6066 section 4)
            super().write(data[sent:])

    def dataReceived(self, data: bytes) -> None:
        """Decrypt; one whole record of application data takes one read."""
        if self._missing or not _is_record(data):
            self._missing = octets_missing(data, self._missing)
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
            self._flushReceiveBIO()  # a new key, no data, or the end
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


def octets_missing(data: bytes, before: int) -> int:
    """How many octets the last TLS record of `data` lacks.

    :param before: what the last record before `data` lacked.
    :returns: -1 if a header is cut in two, and from then on.
    """
    if before < 0:
        return -1
    at, end = before, len(data)
    while at < end:
        if at + _HEAD > end:
            return -1
        at += _HEAD + int.from_bytes(data[at + 3 : at + _HEAD], "big")
    return at - end


# WebSocket: Autobahn's state machine for what is not one whole message

WEBSOCKET = Shortcut(
    WebSocketServerProtocol,
    (
        *("CONFIG_ATTRS", "current_frame", "data", "inside_message", "message_data"),
        *("_transport_details", "http_headers", "http_request_data", "http_response_data"),
    ),
    {"_dataReceived": 1, "_fail_connection": 2, "onFrameBegin": 0},
    "each WebSocket message costs 5 microseconds more or worse, each connection a tenth more memory; the rate of "
    "fragments is not limited, connections that Autobahn closes are not counted",
)

Kind = TypeVar("Kind", bound=type)


class _Silence:
    """Replaces Autobahn's logger, which has several lines for each message and quotes what peers sent."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return self._nothing

    def _nothing(self, *args: object, **kwargs: object) -> None:
        pass


class PlainWebSocket(WebSocketServerProtocol):
    """An Autobahn WebSocket with the documented interface, and `sendCloseFrame` (`sendClose` accepts no code between
    1001 and 2999). A subclass handles frames and messages."""

    log = _Silence()

    def frame_began(self) -> None:
        """A frame is arriving."""

    def message_arrived(self, payload: bytes) -> None:
        """A message is complete."""

    def failing(self, code: int, reason: str) -> None:
        """The connection is about to be closed, since the peer has violated the protocol."""

    def fail(self, code: int, reason: str) -> None:
        """Close the connection, since the peer has violated the protocol: with a close frame, unless one was sent.

        :param code: of the close frame (RFC 6455 section 7.4).
        """
        self.failing(code, reason)
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code=code, reasonUtf8=reason.encode()[:123], isReply=False)
        else:
            self.dropConnection(abort=False)

    def idle(self) -> bool:
        """Whether nothing is partly read; False if that is unknown."""
        return False

    def read(self, data: bytes) -> None:
        """Pass received octets to Autobahn."""
        super().dataReceived(data)

    def forget_handshake(self) -> None:
        """The handshake is over."""

    @classmethod
    def with_options(cls: Kind, factory: WebSocketServerFactory) -> Kind:
        """The class for connections with the options of `factory`."""
        return cls

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Autobahn has a message."""
        self.frame_began()
        self.message_arrived(payload)

    def onPing(self, payload: bytes) -> None:
        """Autobahn has a ping."""
        self.frame_began()
        super().onPing(payload)

    def onPong(self, payload: bytes) -> None:
        """Autobahn has a pong."""
        self.frame_began()


class LeanWebSocket(PlainWebSocket):
    """The same, but bypasses Autobahn's hooks for messages, which log and fire a signal for each one; and with less
    memory for each idle connection: the options are in the class, and nothing of the handshake is kept."""

    CONFIG_ATTRS: list[str] = []

    def fail(self, code: int, reason: str) -> None:
        """Close the connection, since the peer has violated the protocol."""
        self._fail_connection(code, reason)

    def _fail_connection(self, code: int = 1001, reason: str = "") -> None:
        self.failing(code, reason)
        super()._fail_connection(code, reason)

    def idle(self) -> bool:
        """Whether no frame and no message is partly read."""
        return not (self.data or self.inside_message or self.current_frame is not None)

    def read(self, data: bytes) -> None:
        """Pass received octets to Autobahn."""
        self._dataReceived(data)

    def forget_handshake(self) -> None:
        """Drop attributes that are not read again: they are a tenth of the memory of a connection."""
        del self._transport_details, self.http_headers, self.http_request_data, self.http_response_data

    @classmethod
    def with_options(cls: Kind, factory: WebSocketServerFactory) -> Kind:
        """The class for connections with the options of `factory`, which are attributes of the class."""
        names = WebSocketServerProtocol.CONFIG_ATTRS
        fixed = {name: _unbound(getattr(factory, name)) for name in names}
        return cast(Kind, type(cls.__name__, (cls,), fixed))

    def onFrameBegin(self) -> None:
        """Autobahn has read the head of a frame."""
        self.frame_began()
        super().onFrameBegin()

    def onMessageEnd(self) -> None:
        """Autobahn has read the last frame of a message."""
        parts, self.message_data = self.message_data, []
        self.message_arrived(b"".join(parts))

    def onPing(self, payload: bytes) -> None:
        """Autobahn has a ping; its frame was seen."""
        WebSocketServerProtocol.onPing(self, payload)

    def onPong(self, payload: bytes) -> None:
        """Autobahn has a pong; its frame was seen."""


def _unbound(value: object) -> object:
    """`value` as a class attribute, in a form that keeps a function from becoming a method."""
    return staticmethod(value) if callable(value) else value


# OpenSSL

SLOW_GROUPS = "clients may choose groups for TLS 1.3 that make each handshake slow"
GROUPS = Shortcut(SSL.Context, ("_context",), {}, SLOW_GROUPS)


def limit_groups(context: SSL.Context, choices: Sequence[bytes]) -> None:
    """Limit the groups with which keys are agreed on; pyOpenSSL has no interface for that.

    :param choices: lists of names, apart by colons; the first that this version of OpenSSL knows is taken.
    """
    for names in choices if HAS_GROUPS else ():
        if lib.SSL_CTX_set1_curves_list(context._context, names) == 1:
            return
        lib.ERR_clear_error()


# The log, and services

NO_LOG_LEVEL = "[logging] level has no effect"
LOG = Shortcut(LogPublisher, ("_observers",), {}, NO_LOG_LEVEL)

NO_START_ERROR = "a port of [web] listen that is taken is logged, and does not end the start"
SERVICE = Shortcut(StreamServerEndpointService, ("_raiseSynchronously",), {}, NO_START_ERROR)


def observers_of(publisher: LogPublisher) -> tuple[ILogObserver, ...]:
    """The observers of a publisher, which has no interface for that; twistd gives no other access to its observer."""
    return tuple(publisher._observers) if HAS_LOG else ()


def fail_at_start(service: StreamServerEndpointService) -> None:
    """Let the start of a service raise the error that keeps its endpoint from listening."""
    if HAS_SERVICE:
        service._raiseSynchronously = True


HAS_TCP, HAS_TLS, HAS_WEBSOCKET = TCP.usable(), TLS.usable(), WEBSOCKET.usable()
HAS_LOG, HAS_SERVICE = LOG.usable(), SERVICE.usable()
HAS_GROUPS = GROUPS.usable() and hasattr(lib, "SSL_CTX_set1_curves_list")

TcpServer: type[tcp.Server] = ImmediateWriteServer if HAS_TCP else tcp.Server
TlsProtocol: type[TLSMemoryBIOProtocol] = ImmediateWriteTLS if HAS_TLS else TLSMemoryBIOFactory.protocol
if TYPE_CHECKING:
    WebSocket = PlainWebSocket
else:
    WebSocket = LeanWebSocket if HAS_WEBSOCKET else PlainWebSocket
