"""Phones for system tests: a browser that speaks SIP over WebSocket, and a SIP endpoint on a UDP socket."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple
from urllib.parse import urlsplit

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from OpenSSL.SSL import Connection
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.ssl import CertificateOptions
from twisted.python.failure import Failure
from zope.interface import implementer

from webrtcproxy.sip.message import Request, Response, read
from webrtcproxy.transport.flow import Address


class Refused(Exception):
    """The WebSocket was not opened; the text has the HTTP status."""


class Closed(NamedTuple):
    """How a WebSocket ended.

    :ivar clean: with a closing handshake.
    :ivar code: the close code, 1006 for none.
    """

    clean: bool
    code: int
    reason: str


class Mailbox:
    """What has arrived, to be waited for in order."""

    def __init__(self) -> None:
        self._items: deque[object] = deque()
        self._waiting: deque[Deferred] = deque()
        self._end: Exception | None = None

    def put(self, item: object) -> None:
        """One more."""
        if self._waiting:
            self._waiting.popleft().callback(item)
        else:
            self._items.append(item)

    def take(self) -> Deferred:
        """Fires with the next; fails once there will be none."""
        if self._items:
            return succeed(self._items.popleft())
        if self._end is not None:
            return fail(self._end)
        waiting: Deferred = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def end(self, why: Exception) -> None:
        """There will be no more."""
        self._end = why
        while self._waiting:
            self._waiting.popleft().errback(why)

    def __len__(self) -> int:
        return len(self._items)


class Browser:
    """One WebSocket with subprotocol ``sip``, as a page has it. Made by `connect`."""

    def __init__(self, protocol: _Client) -> None:
        self._protocol = protocol
        self._mail = Mailbox()
        self._end: Closed | None = None
        self._waiting: list[Deferred[Closed]] = []

    @property
    def closed(self) -> Deferred[Closed]:
        """Fires with a `Closed` when the connection is gone."""
        waiting: Deferred[Closed] = Deferred()
        if self._end is not None:
            return succeed(self._end)
        self._waiting.append(waiting)
        return waiting

    @classmethod
    def connect(
        cls, reactor, url: str, *, origin: str | None = "", protocols=("sip",), headers=None, timeout: float = 10
    ) -> Deferred[Browser]:
        """Open a WebSocket; a certificate is not checked.

        :param url: ``wss://HOST:PORT/PATH`` or ``ws://...``; HOST an IPv4 address or localhost.
        :param origin: the Origin header; empty for the page of that host, None for no such header.
        :returns: fires with a Browser, fails with `Refused`.
        """
        parts = urlsplit(url)
        secure = parts.scheme == "wss"
        if origin == "":
            origin = f"http{'s' if secure else ''}://{parts.netloc}"
        factory = WebSocketClientFactory(
            url, origin=origin, protocols=list(protocols), headers=headers or {}, reactor=reactor
        )
        factory.setProtocolOptions(openHandshakeTimeout=timeout)
        factory.protocol = _Client
        factory.noisy = False
        host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
        endpoint = TCP4ClientEndpoint(reactor, host, parts.port or (443 if secure else 80))
        if secure:
            endpoint = wrapClientTLS(_Trusting(), endpoint)

        def connected(protocol: _Client) -> Deferred[Browser]:
            return protocol.opened

        return endpoint.connect(factory).addCallback(connected)

    def send(self, message: Request | Response | bytes, *, binary: bool = False) -> None:
        """Send one message."""
        data = message if isinstance(message, bytes) else message.to_bytes()
        self._protocol.sendMessage(data, binary)

    def receive(self) -> Deferred:
        """Fires with the next message, a Request or a Response; fails once the connection is gone."""
        return self._mail.take().addCallback(lambda item: read(item[0]))

    def receive_raw(self) -> Deferred:
        """Fires with the next payload and whether it was binary."""
        return self._mail.take()

    @property
    def unread(self) -> int:
        """Messages that nobody has taken yet."""
        return len(self._mail)

    def close(self, code: int = 1000) -> Deferred[Closed]:
        """Close as a page does; fires when the connection is gone."""
        if self._end is None:
            self._protocol.sendClose(code)
        return self.closed

    def abort(self) -> Deferred[Closed]:
        """Be gone without a word; fires when the connection is gone."""
        if self._end is None:
            self._protocol.transport.abortConnection()
        return self.closed

    def pause(self) -> None:
        """Stop reading."""
        self._protocol.transport.pauseProducing()

    def write_raw(self, data: bytes) -> None:
        """Write octets that need not be frames."""
        self._protocol.transport.write(data)

    def arrived(self, payload: bytes, binary: bool) -> None:
        """A message is here. For the protocol."""
        self._mail.put((payload, binary))

    def ended(self, how: Closed) -> None:
        """The connection is gone. For the protocol."""
        self._mail.end(ConnectionError(f"closed: {how}"))
        self._end = how
        for waiting in self._waiting:
            waiting.callback(how)


@implementer(IOpenSSLClientConnectionCreator)
class _Trusting:
    """Makes TLS connections that check no certificate."""

    def __init__(self) -> None:
        self._options = CertificateOptions()

    def clientConnectionForTLS(self, protocol):
        """A handshake begins."""
        return Connection(self._options.getContext(), None)


class _Client(WebSocketClientProtocol):
    def __init__(self) -> None:
        super().__init__()
        self.opened: Deferred[Browser] = Deferred()
        self._browser: Browser | None = None

    def onOpen(self) -> None:
        self._browser = Browser(self)
        self.opened.callback(self._browser)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self._browser.arrived(payload, isBinary)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if self._browser is None:
            self.opened.errback(Failure(Refused(reason)))
        else:
            self._browser.ended(Closed(wasClean, code or 1005, reason or ""))


class UdpPhone(DatagramProtocol):
    """A SIP endpoint on a UDP socket: a trunk, a PBX, or somebody that has no business here."""

    noisy = False

    def __init__(self) -> None:
        self._mail = Mailbox()

    @classmethod
    def listen(cls, reactor, interface: str = "127.0.0.1", port: int = 0) -> UdpPhone:
        """Open one."""
        phone = cls()
        phone._port = reactor.listenUDP(port, phone, interface, 65536)
        return phone

    @property
    def address(self) -> Address:
        """Where it is."""
        where = self._port.getHost()
        return Address(where.host, where.port)

    def send(self, message: Request | Response | bytes, to: Address) -> None:
        """Send one message."""
        self.transport.write(message if isinstance(message, bytes) else message.to_bytes(), tuple(to))

    def receive(self) -> Deferred:
        """Fires with the next message, a Request or a Response."""
        return self._mail.take().addCallback(lambda item: read(item[0]))

    def receive_raw(self) -> Deferred:
        """Fires with the next datagram and whom it is from."""
        return self._mail.take()

    @property
    def unread(self) -> int:
        """Messages that nobody has taken yet."""
        return len(self._mail)

    def datagramReceived(self, data: bytes, addr: tuple[str, int]) -> None:
        self._mail.put((data, Address(*addr[:2])))

    def close(self) -> Deferred:
        """Fires when the socket is closed."""
        return self._port.stopListening()
