"""SIP over TLS: TCP connections with a handshake, in which the proxy authenticates the servers that it connects to (RFC
3261 section 26.3)."""

# mypy: disable-error-code="no-untyped-call"
# (twisted.protocols.tls is half typed)

from __future__ import annotations

from typing import Any, ClassVar

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
)
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from webrtcproxy.config.addresses import literal
from webrtcproxy.runtime.bounded import BoundedDict
from webrtcproxy.runtime.internals import TlsProtocol
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.transport.connection import RejectAll, TcpReactor
from webrtcproxy.transport.flow import Address, Receiver
from webrtcproxy.transport.local import LocalAddresses
from webrtcproxy.transport.sip.slots import Slots
from webrtcproxy.transport.sip.tcp import CONNECT, STRANGER, TcpConnection, TcpTransport
from webrtcproxy.transport.sip.tcp_flow import TcpFlow
from webrtcproxy.transport.sip.trunk_tls import TrunkTls
from webrtcproxy.transport.tls import describe_failure

log = Logger()

DOMAINS = 1024
"""Addresses whose authenticated domains are remembered."""


@implementer(IHandshakeListener)
class TlsConnection(TcpConnection):
    """A TCP connection that sends nothing before the handshake is done."""

    def __init__(self, owner: TlsTransport, flow: TcpFlow, first: float, stranger: bool = False) -> None:
        super().__init__(owner, flow, first, stranger)
        self._handshake_done = False
        self._authenticated = owner.authenticated
        self._count_failure = owner.handshake_failed

    def ready(self) -> None:
        """The TCP connection is made; messages wait in the flow, which is bounded."""
        self.wait(STRANGER if self.stranger else CONNECT, self._handshake_timed_out)

    def handshakeCompleted(self) -> None:
        """The handshake is done: the peer's certificate is valid."""
        self._handshake_done = True
        self._authenticated(self._flow)
        self.wait(self._first, self._idle)
        self._flow.connected(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is closed; if the handshake failed, log why."""
        flow = self._flow
        if flow.domain and (not self._handshake_done or reason.check(SSL.Error, VerificationError)):
            why = describe_failure(reason, flow.domain)
            log.warn("No TLS with {domain} ({flow}): {why}", domain=flow.domain, flow=flow, why=why)
        elif not self._handshake_done:
            log.info("No TLS with {flow}: {why}", flow=flow, why=describe_failure(reason, "us"))
            self._count_failure()
        super().connectionLost(reason)

    def _handshake_timed_out(self) -> None:
        log.info("Cutting {flow}: no handshake", flow=self._flow)
        self.abort()


class TlsTransport(TcpTransport):
    """One listening socket with TLS, and the connections that peers and the proxy have opened at its address.

    :param trunk_tls: makes the client side of TLS.
    """

    via_transport: ClassVar[str] = "TLS"

    def __init__(
        self,
        reactor: TcpReactor,
        receiver: Receiver,
        local: LocalAddresses,
        trunk_tls: TrunkTls,
        slots: Slots | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        super().__init__(reactor, receiver, local, slots, metrics)
        self._trunk_tls = trunk_tls
        self._domains: BoundedDict[str, str] = BoundedDict(DOMAINS)

    def server_factory(self, creator: IOpenSSLServerConnectionCreator) -> Any:
        """Makes the protocols of accepted connections.

        :param creator: begins the handshakes.
        """
        return self._wrapped(TLSMemoryBIOFactory(creator, False, self, self.reactor))

    def buildProtocol(self, addr: IAddress | None) -> TcpConnection | RejectAll:  # type: ignore[override]
        """A peer has connected; it is cut before TLS if there are too many."""
        return super().buildProtocol(addr) or RejectAll()

    def connection(self, flow: TcpFlow, first: float, stranger: bool = False) -> TlsConnection:
        """The protocol of a new connection."""
        return TlsConnection(self, flow, first, stranger)

    def flow_to(self, address: Address, domain: str = "") -> TcpFlow:
        """A flow to `address`, whose certificate must contain `domain`.

        Within a dialog, Contact and Route often name a trunk by its address alone, which its certificate does not
        contain: then the domain that was authenticated at that address before counts. It also counts if both domains
        belong to the same trunk.
        """
        authenticated = self._domains.get(address.host)
        if not domain or literal(domain) is not None:
            domain = authenticated or address.host
        elif authenticated is not None and self._trunk_tls.same_trunk(authenticated, domain):
            domain = authenticated
        return self._flow(address, domain)

    def authenticated(self, flow: TcpFlow) -> None:
        """The handshake of a connection is done. Called by the connection."""
        if flow.domain:
            self._domains[flow.peer.host] = flow.domain

    def handshake_failed(self) -> None:
        """The handshake of a peer that has connected has failed. Called by the connection."""
        self._metrics.refused("handshake")

    def client_factory(self, flow: TcpFlow) -> IProtocolFactory:
        """Makes the protocol of a connection that is being opened.

        :raises Exception: the files of the configuration can't be used.
        """
        return self._wrapped(
            TLSMemoryBIOFactory(self._trunk_tls.creator(flow.domain), True, super().client_factory(flow), self.reactor)
        )

    @staticmethod
    def _wrapped(factory: TLSMemoryBIOFactory) -> IProtocolFactory:
        factory.protocol = TlsProtocol
        return factory
