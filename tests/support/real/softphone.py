"""The two transports of the tests' scripted endpoints: a browser's WebSocket, and UDP."""

from collections.abc import Iterable, Mapping, Sequence
from secrets import token_hex
from typing import cast

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol, connectWS
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IReactorTime, IReactorUDP
from twisted.internet.protocol import DatagramProtocol

from tests.support.real.dialog import Calling, Dialog
from tests.support.real.ports import LOOPBACK
from tests.support.real.speech import CHROME_ANSWER, CHROME_OFFER, PLAIN_SDP, Endpoint, Message, Pairs
from webrtcproxy.sip.message import Request, Response


class Browser(Endpoint):
    """A browser's SIP over WebSocket (RFC 7118), scripted.

    :param user: its name; its address-of-record is sip:user@pbx.test.
    :param port: the proxy's, for browsers.
    :param origin: the Origin that it sends; None for none.
    :param path: of the WebSocket, with its query.
    :param protocols: the subprotocols that it offers.
    :param headers: further ones of its request for the WebSocket.
    :param address: the address of loopback that it is at.
    """

    def __init__(
        self,
        user: str,
        port: int,
        *,
        domain: str = "pbx.test",
        origin: str | None = "https://phone.test",
        password: str = "",
        path: str = "/",
        protocols: Sequence[str] = ("sip",),
        headers: Mapping[str, str] | None = None,
        address: str = LOOPBACK,
    ) -> None:
        host = f"{token_hex(6)}.invalid"
        super().__init__(user, domain, "WSS", host, f"sip:{token_hex(4)}@{host};transport=ws", password)
        self.instance = token_hex(16)
        self.closed: Deferred[tuple[int | None, str]] = Deferred()
        self._origin, self._port, self._address = origin, port, address
        self._path, self._protocols, self._headers = path, list(protocols), dict(headers or {})
        self._socket: _Socket | None = None
        self._refused: Exception | None = None

    async def connect(self) -> None:
        """Connect, with the subprotocol `sip`. Raises ConnectionError where the handshake is refused."""
        factory = WebSocketClientFactory(
            f"wss://{LOOPBACK}:{self._port}{self._path}",
            origin=self._origin,
            protocols=self._protocols,
            headers=self._headers,
        )
        factory.protocol = _Socket
        factory.setProtocolOptions(openHandshakeTimeout=5, closeHandshakeTimeout=2, autoPingInterval=0)
        factory.phone, factory.opened = self, Deferred()
        connectWS(factory, ssl.CertificateOptions(verify=False), timeout=5, bindAddress=(self._address, 0))
        self._socket = await factory.opened

    def send(self, message: Message) -> None:
        self.ladder.add(self, message, ">")
        self.send_bytes(message.to_bytes())

    def send_bytes(self, data: bytes, binary: bool = False) -> None:
        """Send one WebSocket message as it is; text, unless it is no UTF-8."""
        assert self._socket is not None, f"{self.user} is not connected"
        try:
            data.decode()
        except UnicodeDecodeError:
            binary = True
        self._socket.sendMessage(data, isBinary=binary)

    @property
    def local_port(self) -> int:
        """The port of its connection."""
        assert self._socket is not None
        port: int = self._socket.transport.getHost().port
        return port

    async def close(self) -> None:
        """Close the connection. Twice is once."""
        if self._socket is not None and not self.closed.called:
            self._socket.sendClose(1000)
            await self._gone()

    async def break_off(self) -> None:
        """Lose the connection without a word."""
        assert self._socket is not None
        self._socket.transport.abortConnection()
        await self._gone()

    async def _gone(self) -> None:
        gone: Deferred[object] = Deferred()
        self.closed.addBoth(lambda result: gone.callback(None) or result)
        await gone

    def invite(self, target: str, *, headers: Pairs = (), body: bytes = CHROME_OFFER) -> Calling:
        """Call."""
        return Calling(self, self.build("INVITE", target, headers=headers, body=body))

    def accept(self, invite: Request, body: bytes = CHROME_ANSWER) -> Dialog:
        """Answer an incoming call; its ACK is still to come."""
        return Dialog.of_callee(self, invite, self.reply(invite, 200, body=body))

    def registration(
        self, *, expires: int | None = 600, contacts: Iterable[str] | None = None, **more: object
    ) -> Request:
        """A REGISTER for its name, with its Contact and instance."""
        request = self.build("REGISTER", f"sip:{self.domain}", to=f"<{self.aor}>", **more)  # type: ignore[arg-type]
        request.headers.remove("Contact")
        own = f'<{self.contact}>;+sip.instance="<urn:uuid:{self.instance}>";reg-id=1'
        for contact in [own] if contacts is None else contacts:
            request.headers.add("Contact", contact)
        if expires is not None:
            request.headers.add("Expires", str(expires))
        return request

    async def register(self, **options: object) -> Response:
        """Register, and return the 200. AssertionError where it is another response."""
        response = await self.ask(self.registration(**options))  # type: ignore[arg-type]
        assert response.status == 200, response
        return response


class _Socket(WebSocketClientProtocol):
    def onOpen(self) -> None:
        self.factory.opened.callback(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if payload.strip(b"\r\n"):
            self.factory.phone.heard(payload)

    def onClose(self, wasClean: bool, code: int | None, reason: str) -> None:
        if not self.factory.opened.called:
            self.factory.opened.errback(ConnectionError(reason))
        if not self.factory.phone.closed.called:
            self.factory.phone.closed.callback((self.remoteCloseCode, reason))


class Peer(Endpoint, DatagramProtocol):
    """A SIP endpoint over UDP, scripted: a trunk, a registrar, or a stranger.

    :param address: the address of loopback that it is at.
    :param proxy: where the proxy's UDP socket is.
    """

    def __init__(self, address: str, port: int, proxy: tuple[str, int]) -> None:
        super().__init__("trunk", f"{address}:{port}", "UDP", f"{address}:{port}", f"sip:trunk@{address}:{port}")
        self.host, self.port, self.proxy = address, port, proxy
        self._sources: dict[str, tuple[str, int]] = {}
        self._listening: IListeningPort | None = None

    def listen(self) -> None:
        """Open the socket."""
        self._listening = cast(IReactorUDP, reactor).listenUDP(self.port, self, self.host, maxPacketSize=65536)

    async def close(self) -> None:
        """Close the socket. Twice is once."""
        if self._listening is not None:
            listening, self._listening = self._listening, None
            await listening.stopListening()

    def datagramReceived(self, data: bytes, address: tuple[str, int]) -> None:
        if data.strip(b"\r\n\0"):
            self._latest = address
            self.heard(data)

    def heard(self, data: bytes) -> None:
        """Take a datagram; a reply to a request goes to where it came from (RFC 3581)."""
        branch = data.partition(b"branch=")[2].partition(b"\r\n")[0].partition(b";")[0].decode()
        self._sources[branch] = self._latest
        super().heard(data)

    def send(self, message: Message) -> None:
        self.ladder.add(self, message, ">")
        branch = message.via.branch or ""
        self.send_bytes(message.to_bytes(), self._sources.get(branch) if isinstance(message, Response) else None)

    def send_bytes(self, data: bytes, to: tuple[str, int] | None = None) -> None:
        """Send one datagram, to the proxy where nothing else is said."""
        if self._listening is not None:
            self.transport.write(data, to or self.proxy)

    def later(self, seconds: float, message: Message) -> None:
        """Send it in a while."""
        cast(IReactorTime, reactor).callLater(seconds, self.send, message)

    def invite(self, target: str, *, headers: Pairs = (), body: bytes = PLAIN_SDP) -> Calling:
        """Call in."""
        return Calling(self, self.build("INVITE", target, headers=headers, body=body))

    def accept(self, invite: Request, body: bytes = PLAIN_SDP) -> Dialog:
        """Answer an incoming call; its ACK is still to come."""
        return Dialog.of_callee(self, invite, self.reply(invite, 200, body=body))
