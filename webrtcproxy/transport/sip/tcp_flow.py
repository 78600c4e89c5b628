"""TcpFlow: the flow of a TCP connection, which the first message opens if the proxy connects (RFC 3261 section 18)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.transport.connection import Connection
from webrtcproxy.transport.flow import Address

QUEUE = 256 * 1024
"""Octets that may wait for a connection that is being opened."""


class Writer(Protocol):
    """The protocol of a connection, as its flow uses it."""

    def write(self, data: bytes) -> None:
        """Write one message.

        :raises FlowLost: the peer does not read.
        """

    def close(self) -> None:
        """Close the connection when everything is written."""


class TcpFlow(Connection):
    """One TCP connection. The first `send` on a flow of ours opens it, and messages wait until it is made.

    :param via_transport: ``TCP`` or ``TLS``.
    :param connect: opens the connection; None if the peer has opened it.
    :param domain: the name that the certificate of the peer must contain, if we open the connection over TLS.
    :ivar opened: whether the connection has been made.
    """

    __slots__ = ("_closed", "_connect", "_protocol", "_queue", "_queued", "domain", "opened")

    browser = False

    def __init__(
        self,
        clock: IReactorTime,
        peer: Address,
        sent_by: str,
        connect: Callable[[TcpFlow], None] | None = None,
        via_transport: str = "TCP",
        domain: str = "",
    ) -> None:
        super().__init__(clock, peer, sent_by, via_transport)
        self.domain = domain
        self._connect = connect
        self._protocol: Writer | None = None
        self._queue: list[bytes] = []
        self._queued = 0
        self._closed = False
        self.opened = False

    @property
    def closed(self) -> bool:
        """True once nothing can be sent any more."""
        return self._closed

    def send(self, data: bytes) -> None:
        """Send one message, or queue it while the connection is being opened.

        :raises FlowLost: the connection is closed, or too many octets wait.
        """
        if self._closed:
            raise FlowLost(f"{self!r} is closed")
        if self._protocol is not None:
            self._protocol.write(data)
            return
        self._queued += len(data)
        if self._queued > QUEUE:
            raise FlowLost(f"too much waits for {self!r}")
        self._queue.append(data)
        connect, self._connect = self._connect, None
        if connect is not None:
            connect(self)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection when everything is written; `code` and `reason` are for WebSockets."""
        self._closed = True
        if self._protocol is not None:
            self._protocol.close()

    def connected(self, protocol: Writer) -> None:
        """The connection is made: send the queued messages. Called by the protocol."""
        self._protocol = protocol
        self.opened = True
        waiting, self._queue = self._queue, []
        for data in waiting:
            protocol.write(data)
        if self._closed:
            protocol.close()

    def connection_lost(self) -> None:
        """The connection is closed, or could not be made. Called by the protocol."""
        self._closed = True
        self._protocol = None
        self._queue = []
        super().connection_lost()

    def __repr__(self) -> str:
        return f"<{self.via_transport.capitalize()}Flow {self.peer.host} port {self.peer.port}>"
