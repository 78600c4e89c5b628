"""SIP over UDP: a socket, and the flows through it (RFC 3261 section 18, RFC 3581)."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.error import MessageLengthError
from twisted.internet.interfaces import IHalfCloseableDescriptor, IUDPTransport
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import alsoProvides

from webrtcproxy.runtime.bounded import BoundedDict
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, read
from webrtcproxy.sip.stream import PING, PONG
from webrtcproxy.transport.flow import Address, Receiver
from webrtcproxy.transport.local import LocalAddresses
from webrtcproxy.transport.sip.icmp import ask_for_errors, read_errors
from webrtcproxy.transport.source import stamp_received, unmapped

log = Logger()

MAX_DATAGRAM = 65536
"""Octets for `listenUDP`, which truncates datagrams at 8192 by default."""

RECEIVE_BUFFER = 4 * 1024 * 1024
"""Octets of kernel buffer to request; the kernel grants what `net.core.rmem_max` allows."""

FLOWS = 4096
"""Flows that one socket caches; they are values, so a dropped one is simply made again."""

KEEP_ALIVES = frozenset((b"", b"\0", PONG, PING, b"\0\0\0\0"))


def _ignore(reason: Failure) -> None:
    """UDP has no half to close."""


def _nothing() -> None:
    """The withdrawal of a callback that is never called."""


class UdpFlow:
    """A UDP socket, the address of the peer, and the destination of messages.

    The two differ for a request without `rport`: its response goes to the source address but to the port of its
    sent-by, or 5060 (RFC 3261 section 18.2.2). So the flow of a request is the flow of its responses, and its sender is
    `peer`. `maddr` is ignored: it would let any sender direct our responses to a third party.

    :param transport: the socket.
    :param peer: the source address of the peer, on which its permissions depend.
    :param destination: of messages: the peer's address, and its port or that of its sent-by.
    """

    __slots__ = ("_destination", "_hash", "_transport", "peer", "sent_by")

    reliable = False
    opened = True
    browser = False
    via_transport = "UDP"

    def __init__(self, transport: UdpTransport, peer: Address, destination: tuple[str, int], sent_by: str) -> None:
        self._transport = transport
        self._destination = destination
        self._hash = hash((id(transport), peer, destination))
        self.peer = peer
        self.sent_by = sent_by

    @property
    def closed(self) -> bool:
        """True once the socket is closed."""
        return self._transport.closed

    def send(self, data: bytes) -> None:
        """Send one message.

        :raises FlowLost: the kernel refused, or the socket is closed.
        """
        self._transport.send(data, self._destination)

    def on_lost(self, call: Callable[[], None]) -> Callable[[], None]:
        """Nothing happens: UDP has no connection to lose."""
        return _nothing

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Does nothing."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UdpFlow):
            return NotImplemented
        if self is other:
            return True
        return (self._transport, self.peer, self._destination) == (other._transport, other.peer, other._destination)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"<UdpFlow to {self._destination[0]} port {self._destination[1]}>"


class UdpTransport(DatagramProtocol):
    """One UDP socket.

    :param receiver: takes the messages.
    :param local: determines our sent-by.
    """

    noisy = False

    def __init__(self, receiver: Receiver, local: LocalAddresses) -> None:
        self._receiver = receiver
        self._local = local
        self._flows: BoundedDict[tuple[str, int, int], UdpFlow] = BoundedDict(FLOWS)
        self._kernel: socket.socket | None = None
        self._has_read = False
        self.closed = True
        self.address = Address("", 0)
        self.stopped: Callable[[], None] = _nothing

    def startProtocol(self) -> None:
        """The socket is bound."""
        transport = self._socket()
        host = transport.getHost()
        self.address = Address(host.host, host.port)
        self._flows.clear()
        self.closed = False
        self._kernel = kernel = getattr(transport, "socket", None)
        if kernel is not None:
            kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, RECEIVE_BUFFER)
            self._take_errors(transport, kernel)

    def stopProtocol(self) -> None:
        """The socket is closed."""
        self.closed = True
        self._kernel = None
        self.stopped()

    def flow_to(self, address: Address) -> UdpFlow:
        """The flow to `address`; the same value for the same address."""
        return self._flow(address.host, address.port, address.port)

    def send(self, data: bytes, destination: tuple[str, int]) -> None:
        """Write one datagram.

        :raises FlowLost: it could not be sent: a full buffer, a firewall, no route, too many octets.
        """
        if self.closed:
            raise FlowLost("the socket is closed")
        try:
            if self._kernel is None:
                self._socket().write(data, destination)
                return
            try:
                self._kernel.sendto(data, destination)  # Twisted checks three times whether this is an IP address
            except OSError:
                self._kernel.sendto(data, destination)  # the error may have been that of an earlier datagram
        except (OSError, MessageLengthError, ValueError, OverflowError) as error:
            raise FlowLost(f"{destination[0]} port {destination[1]}: {error}") from error

    def _take_errors(self, port: Any, kernel: socket.socket) -> None:
        """Have the ICMP errors of the socket read: without that, its reactor would close it with the first one."""
        read = port.doRead

        def do_read() -> None:
            self._has_read = False
            try:
                read()
            except OSError as error:
                log.debug("{flow}: {why}", flow=self.address, why=error)
            if not self._has_read and not self.closed:
                self._read_errors()

        def read_lost(reason: Failure) -> None:
            if self.closed or not self._read_errors():
                port.connectionLost(reason)
            elif not self.closed:
                port.startReading()

        port.doRead = do_read
        port.readConnectionLost = read_lost
        port.writeConnectionLost = _ignore
        alsoProvides(port, IHalfCloseableDescriptor)
        ask_for_errors(kernel)

    def _read_errors(self) -> bool:
        """Take the ICMP errors that wait.

        :returns: whether there was any.
        """
        errors = [] if self._kernel is None else list(read_errors(self._kernel))
        for undelivered in filter(None, errors):
            quoted, host, why = undelivered
            try:
                self._receiver.undelivered(quoted, unmapped(host), why)
            except Exception:
                log.failure("An ICMP error could not be handled")
        return bool(errors)

    def datagramReceived(self, data: bytes, addr: tuple[str, int]) -> None:
        """A datagram from `addr` has arrived."""
        self._has_read = True
        if data in KEEP_ALIVES:
            return
        try:
            self._received(data, addr[0], addr[1])
        except Exception:
            log.failure("A datagram from {host} port {port} could not be handled", host=addr[0], port=addr[1])

    def _received(self, data: bytes, host: str, port: int) -> None:
        try:
            message = read(data)
        except BadMessage as error:
            self._receiver.bad_message(error, self._reply_flow(error.request, host, port))
            return
        self._receiver.message_received(message, self._reply_flow(message, host, port))

    def _reply_flow(self, message: object, host: str, port: int) -> UdpFlow:
        """Fill in the top Via of a request. Returns the flow of its responses; for a response, that of its source."""
        reply_port = None
        if isinstance(message, Request):
            reply_port = stamp_received(message, Address(unmapped(host), port))
        return self._flow(host, port, reply_port or port)

    def _flow(self, host: str, port: int, reply_port: int) -> UdpFlow:
        key = host, port, reply_port
        flow = self._flows.get(key)
        if flow is None:
            sent_by = self._local.sent_by(self.address, host)
            flow = self._flows[key] = UdpFlow(self, Address(unmapped(host), port), (host, reply_port), sent_by)
        return flow

    def _socket(self) -> IUDPTransport:
        transport: IUDPTransport | None = self.transport
        if transport is None:
            raise FlowLost("the socket is closed")
        return transport
