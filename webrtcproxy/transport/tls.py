"""TlsEndpoint: a server endpoint with TLS whose connections write at once instead of in the next reactor turn."""

# mypy: disable-error-code="no-untyped-call"
# (twisted.protocols.tls is half typed)

from __future__ import annotations

import socket

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IListeningPort,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from webrtcproxy.runtime.internals import TcpServer, TlsProtocol


@implementer(IStreamServerEndpoint)
class TlsEndpoint:
    """Listens with TLS.

    :param creator: makes the TLS connections.
    :param plain: the underlying endpoint.
    :param clock: for Twisted's part of TLS.
    """

    def __init__(
        self, creator: IOpenSSLServerConnectionCreator, plain: IStreamServerEndpoint, clock: IReactorTime
    ) -> None:
        self.creator = creator
        self._plain = plain
        self._clock = clock

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen; fires with the port."""
        tls = TLSMemoryBIOFactory(self.creator, False, factory, self._clock)
        tls.protocol = TlsProtocol
        listening: Deferred[IListeningPort] = self._plain.listen(tls)
        return listening.addCallback(immediate_write)


def immediate_write(port: IListeningPort) -> IListeningPort:
    """Let the connections of a port write at once, if it is one of Twisted's own classes."""
    if isinstance(port, tcp.Port) and isinstance(port.socket, socket.socket):
        port.transport = TcpServer
    return port


def describe_failure(failure: Failure, domain: str) -> str:
    """Why a handshake failed, for the log."""
    error = failure.value
    if isinstance(error, VerificationError):
        return f"its certificate does not name {domain}"
    if isinstance(error, SSL.Error) and error.args and error.args[0]:
        return ", ".join(str(part[-1]) for part in error.args[0])
    return failure.getErrorMessage()
