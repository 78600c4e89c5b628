"""SIP over TLS: connections of TCP behind a handshake, in which who we call shows who he is (RFC 3261 section 26.3)."""

# mypy: disable-error-code="no-untyped-call"
# (twisted.protocols.tls is half typed)

from __future__ import annotations

from typing import Any, ClassVar

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLServerConnectionCreator, IProtocolFactory
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from webrtcproxy.config.addresses import literal
from webrtcproxy.runtime.internals import TlsProtocol
from webrtcproxy.transport.connection import TcpReactor
from webrtcproxy.transport.flow import Address, Receiver
from webrtcproxy.transport.local import LocalAddresses
from webrtcproxy.transport.sip.tcp import CONNECT, TcpConnection, TcpFlow, TcpTransport
from webrtcproxy.transport.sip.trust import TrunkTls, describe_failure

log = Logger()

DOMAINS = 1024
"""Addresses whose domains are remembered."""


@implementer(IHandshakeListener)
class TlsConnection(TcpConnection):
    """Waits for the handshake before it sends."""

    def __init__(self, owner: TlsTransport, flow: TcpFlow, first: float) -> None:
        super().__init__(owner, flow, first)
        self._shaken = False
        self._proven = owner.proven

    def ready(self) -> None:
        """TCP is there; what is sent waits in the flow, which is bounded."""
        self.wait(CONNECT, self._no_handshake)

    def handshakeCompleted(self) -> None:
        """The peer is who he has to be."""
        self._shaken = True
        self._proven(self._flow)
        self.wait(self._first, self._silent)
        self._flow.connected(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone; where the handshake failed, the log says why."""
        flow = self._flow
        if flow.domain and (not self._shaken or reason.check(SSL.Error, VerificationError)):
            why = describe_failure(reason, flow.domain)
            log.warn("No TLS with {domain} ({flow}): {why}", domain=flow.domain, flow=flow, why=why)
        elif not self._shaken:
            log.info("No TLS with {flow}: {why}", flow=flow, why=describe_failure(reason, "us"))
        super().connectionLost(reason)

    def _no_handshake(self) -> None:
        log.info("Cutting {flow}: no handshake", flow=self._flow)
        self.abort()


class TlsTransport(TcpTransport):
    """One listening socket with TLS, and the connections that peers or we opened at its address.

    :param trust: whom we believe.
    """

    via_transport: ClassVar[str] = "TLS"

    def __init__(self, reactor: TcpReactor, receiver: Receiver, local: LocalAddresses, trust: TrunkTls) -> None:
        super().__init__(reactor, receiver, local)
        self._trust = trust
        self._domains: dict[str, str] = {}

    def listening(self, creator: IOpenSSLServerConnectionCreator) -> Any:
        """What listens.

        :param creator: begins the handshakes.
        """
        return self._wrapped(TLSMemoryBIOFactory(creator, False, self, self.reactor))

    def connection(self, flow: TcpFlow, first: float) -> TlsConnection:
        """The protocol of a new connection."""
        return TlsConnection(self, flow, first)

    def flow_to(self, address: Address, domain: str = "") -> TcpFlow:
        """A flow to `address`, where `domain` has to be.

        Within a dialog, Contact and Route often name a trunk by its address alone, which its certificate does not have:
        then the domain counts that has been proven there before. So it does where both are names of the same trunk.
        """
        proven = self._domains.get(address.host)
        if not domain or literal(domain) is not None:
            domain = proven or address.host
        elif proven is not None and self._trust.are_one(proven, domain):
            domain = proven
        return self._flow(address, domain)

    def proven(self, flow: TcpFlow) -> None:
        """The handshake of a connection is done. For the connection."""
        if flow.domain:
            if len(self._domains) >= DOMAINS:
                self._domains.clear()
            self._domains[flow.peer.host] = flow.domain

    def dialled(self, flow: TcpFlow) -> IProtocolFactory:
        """What a connection of ours is made with.

        :raises Exception: the files of the configuration are no use.
        """
        return self._wrapped(
            TLSMemoryBIOFactory(self._trust.creator(flow.domain), True, super().dialled(flow), self.reactor)
        )

    @staticmethod
    def _wrapped(factory: TLSMemoryBIOFactory) -> IProtocolFactory:
        factory.protocol = TlsProtocol
        return factory
