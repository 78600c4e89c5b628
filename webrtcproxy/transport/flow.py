"""Flow: a way to one peer, by which messages arrive and leave. The layers above see the sockets only as flows."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.sip.uri import SIP_PORT, SIPS_PORT, host_port


class Address(NamedTuple):
    """An IP address and a port; IPv6 without brackets."""

    host: str
    port: int


def default_port(transport: str | None) -> int:
    """The default port of SIP over a transport."""
    return SIPS_PORT if transport == "tls" else SIP_PORT


class Hop(NamedTuple):
    """A destination for a request: transport, address and port.

    :ivar transport: ``udp``, ``tcp`` or ``tls``.
    :ivar domain: the name by which it was found, which its certificate must contain (RFC 5922 section 7.3).
    """

    transport: str
    address: Address
    domain: str = ""

    def __str__(self) -> str:
        return f"{self.transport}:{host_port(*self.address)}"

    @classmethod
    def to(cls, address: str, port: int | None, transport: str | None) -> Hop:
        """The hop at an IP address; over UDP if no transport is given (RFC 3263 section 4.1).

        :param port: None for the default of the transport; 0, which is no port, means the same.
        """
        return cls(transport or "udp", Address(address, port or default_port(transport)), address)


MAX_DATAGRAM_REQUEST = 1300
"""Octets of the largest request that is sent over UDP when the MTU is unknown (RFC 3261 section 18.1.1); a MESSAGE must
not be larger (RFC 3428 section 8)."""


class Flow(Protocol):
    """A way to one peer (RFC 5626 section 3): a WebSocket or TCP connection while it is open, or a UDP socket and an
    address."""

    @property
    def reliable(self) -> bool:
        """True if the transport itself retransmits (RFC 3261 section 17)."""

    @property
    def browser(self) -> bool:
        """True for a WebSocket: the peer is a browser and its media is DTLS-SRTP with ICE."""

    @property
    def via_transport(self) -> str:
        """The transport token of our Via: ``UDP``, ``TCP``, ``TLS``, ``WS`` or ``WSS``."""

    @property
    def sent_by(self) -> str:
        """Our host[:port] in a Via and a Contact towards this peer; see ``[sip] advertise``."""

    @property
    def peer(self) -> Address:
        """The peer's address at the socket."""

    @property
    def closed(self) -> bool:
        """True once nothing can be sent any more."""

    @property
    def opened(self) -> bool:
        """False for a connection that is still being made, or could not be made."""

    def send(self, data: bytes) -> None:
        """Send one whole message.

        :raises FlowLost: the connection is closed or the kernel refused. No other exception is raised.
        """

    def on_lost(self, call: Callable[[], None]) -> Callable[[], None]:
        """Have `call` called once when the connection is lost, but never from within `send`. UDP never calls it.

        :returns: a function that withdraws the callback.
        """

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection (WebSocket close code, RFC 6455 section 7.4); does nothing on UDP."""


class Receiver(Protocol):
    """Takes the messages that the sockets read: the transaction layer."""

    def message_received(self, message: Request | Response, flow: Flow) -> None:
        """One well-formed message; the top Via of a request has its `received` and `rport` (RFC 3581)."""

    def bad_message(self, error: BadMessage, flow: Flow) -> None:
        """Octets that are not a valid message; `error.request` is what could be parsed, or None."""

    def undelivered(self, quoted: bytes, host: str, why: str) -> None:
        """A datagram was not delivered, says ICMP.

        :param quoted: its beginning, as far as the error has it.
        :param host: the IP address that it was sent to.
        """


class Outbound(Protocol):
    """Makes flows to trunks."""

    def flow_to(self, transport: str, address: Address, domain: str = "") -> Flow:
        """A flow to `address`.

        :param transport: ``udp``, ``tcp`` or ``tls``.
        :param domain: with TLS, the name that the certificate of the peer must contain; empty for its address.
        :returns: the flow; on TCP and TLS the connection is opened on the first send, and messages wait for it.
        :raises FlowLost: there is no local socket of that transport and address family.
        """
