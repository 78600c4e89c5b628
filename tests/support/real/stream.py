"""A scripted SIP endpoint over TCP or TLS: a trunk."""

from __future__ import annotations

from typing import Any, cast

from OpenSSL.SSL import Connection
from twisted.internet import reactor
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.interfaces import IListeningPort, IReactorSSL, IReactorTCP
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.python.failure import Failure

from tests.support.real.dialog import Calling, Dialog
from tests.support.real.ports import LOOPBACK
from tests.support.real.speech import PLAIN_SDP, Endpoint, Message, Pairs
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.sip.stream import PING, StreamReader


class StreamPeer(Endpoint):
    """Listens on loopback. A response goes by the connection that its request came by, a request by the last one.

    :param port: where it listens.
    :param pair: its certificate and key; None for TCP.
    :ivar connections: those that were made to it, or by it, so far.
    """

    def __init__(self, port: int, pair: PrivateCertificate | None = None) -> None:
        kind = "TCP" if pair is None else "TLS"
        place = f"{LOOPBACK}:{port}"
        super().__init__("trunk", place, kind, place, f"sip:trunk@{place};transport={kind.lower()}")
        self.port = port
        self.connections: list[_Connection] = []
        self._pair = pair
        self._listening: IListeningPort | None = None
        self._ways: dict[str, _Connection] = {}

    def listen(self) -> None:
        """Open the socket."""
        factory = Factory.forProtocol(lambda: _Connection(self))  # type: ignore[arg-type]
        factory.noisy = False
        if self._pair is None:
            self._listening = cast(IReactorTCP, reactor).listenTCP(self.port, factory, interface=LOOPBACK)
        else:
            context = self._pair.options()
            self._listening = cast(IReactorSSL, reactor).listenSSL(self.port, factory, context, interface=LOOPBACK)

    async def connect(self, port: int) -> None:
        """Connect to the proxy, whose certificate is not looked at."""
        endpoint: Any = HostnameEndpoint(reactor, LOOPBACK, port)
        if self._pair is not None:
            endpoint = wrapClientTLS(_Blind(), endpoint)
        await connectProtocol(endpoint, _Connection(self))

    async def close(self) -> None:
        """Close everything. Twice is once."""
        if self._listening is not None:
            listening, self._listening = self._listening, None
            await listening.stopListening()
        for connection in self.connections:
            connection.abort()

    def send(self, message: Message) -> None:
        self.ladder.add(self, message, ">")
        way = self._ways.get(message.via.branch or "") if isinstance(message, Response) else None
        (way or self.connections[-1]).transport.write(message.to_bytes())  # type: ignore[union-attr]

    def arrived(self, data: bytes, connection: _Connection) -> None:
        """A message came by one of the connections."""
        branch = data.partition(b"branch=")[2].partition(b"\r\n")[0].partition(b";")[0].decode()
        self._ways[branch] = connection
        self.heard(data)

    def invite(self, target: str, *, headers: Pairs = (), body: bytes = PLAIN_SDP) -> Calling:
        """Call in."""
        return Calling(self, self.build("INVITE", target, headers=headers, body=body))

    def accept(self, invite: Request, body: bytes = PLAIN_SDP) -> Dialog:
        """Answer an incoming call; its ACK is still to come."""
        return Dialog.of_callee(self, invite, self.reply(invite, 200, body=body))


class _Connection(Protocol):
    def __init__(self, peer: StreamPeer) -> None:
        self._peer = peer
        self._reader = StreamReader()
        self.open = False

    def connectionMade(self) -> None:
        self.open = True
        self._peer.connections.append(self)

    def dataReceived(self, data: bytes) -> None:
        for item in self._reader.feed(data):
            if item != PING:
                self._peer.arrived(item, self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.open = False

    def abort(self) -> None:
        """End it without a word; one that is over stays so."""
        if self.open:
            transport: Any = self.transport
            transport.abortConnection()


class _Blind(CertificateOptions):
    """Believes anybody."""

    def clientConnectionForTLS(self, protocol: Any) -> Any:
        return Connection(self.getContext(), None)
