"""One reading of the keys at an address, over a connection in memory."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols import tls
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, connect
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import Agent

from tests.support.authority import Authority
from tests.support.tokens import jwks, public_jwk
from webrtcproxy.config.key_set import MAX_SET
from webrtcproxy.demo.certificate import write_certificate
from webrtcproxy.users.key_fetch import MAX_AGE, TIMEOUT, FetchedKeys, FetchFailed, KeyFetch, key_agent

SET = jwks(public_jwk("OKP", kid="a"))
URL = "http://127.0.0.1:8080/jwks?tenant=1"


class FetchTests(SynchronousTestCase):
    """Reads once."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.result: Deferred[FetchedKeys] = KeyFetch(Agent(self.reactor), self.reactor, URL)()
        ((host, port, factory, _timeout, _bind),) = self.reactor.tcpClients
        self.assertEqual((host, port), ("127.0.0.1", 8080))
        self.protocol: Protocol = factory.buildProtocol(None)
        self.transport = StringTransport()
        self.protocol.makeConnection(self.transport)

    def respond(self, body: bytes = SET, *headers: str, status: str = "200 OK", length: int | None = None) -> None:
        """The server sends a response."""
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body) if length is None else length}\r\n"
        self.protocol.dataReceived((head + "".join(f"{line}\r\n" for line in headers) + "\r\n").encode() + body)

    def failed(self, *kinds: type[Exception]) -> str:
        """Why it has failed."""
        return self.failureResultOf(self.result, *kinds).getErrorMessage()

    def test_request(self) -> None:
        """A GET that says what it wants."""
        head = self.transport.value()
        self.assertTrue(head.startswith(b"GET /jwks?tenant=1 HTTP/1.1\r\n"), head)
        self.assertIn(b"Accept: application/jwk-set+json, application/json\r\n", head)
        self.assertIn(b"Host: 127.0.0.1:8080\r\n", head)

    def test_keys(self) -> None:
        """The keys, and how long they may be used (RFC 9111 section 5.2.2)."""
        self.respond(SET, "Cache-Control: public, max-age=300", "Content-Type: application/json")
        keys, max_age = self.successResultOf(self.result)
        self.assertEqual(([key.kid for key in keys.keys], max_age), (["a"], 300))

    def test_ages(self) -> None:
        """Absent, in quotes, forbidden, absurd, unreadable."""
        for line, age in (
            ("X: y", None), ('Cache-Control: MAX-AGE="7"', 7), ("Cache-Control: no-store", 0),
            ("Cache-Control: private, no-cache", 0), ("Cache-Control: max-age=99999999999999", MAX_AGE),
            ("Cache-Control: max-age=-1", None), ("Cache-Control: max-age=\xb2", None),
        ):  # fmt: skip
            self.setUp()
            self.respond(SET, line)
            self.assertEqual(self.successResultOf(self.result).max_age, age, line)

    def test_status(self) -> None:
        """Only a 200 has keys: a redirection is not followed, wherever it leads."""
        for status in ("404 Not Found", "500 Oops", "302 Found", "206 Partial Content"):
            self.setUp()
            self.respond(SET, "Location: http://169.254.169.254/", status=status)
            self.assertIn(status[:3], self.failed(FetchFailed))
            self.assertEqual(len(self.reactor.tcpClients), 1)

    def test_no_keys(self) -> None:
        """A page instead of keys."""
        self.respond(b"<html>")
        self.assertIn("no JSON", self.failed(FetchFailed))

    def test_size(self) -> None:
        """A response without end is cut off when it is too large."""
        self.respond(b" " * MAX_SET, length=10 * MAX_SET)
        self.assertNoResult(self.result)
        self.protocol.dataReceived(b" ")
        self.assertIn("larger", self.failed(FetchFailed))
        self.assertTrue(self.transport.disconnecting)
        self.protocol.dataReceived(b" " * 100)

    def test_time(self) -> None:
        """A response that drips is given up after five seconds in all."""
        self.respond(SET[:10], length=len(SET))
        self.reactor.advance(TIMEOUT - 0.1)
        self.assertNoResult(self.result)
        self.protocol.dataReceived(SET[10:20])
        self.reactor.advance(0.1)
        self.assertIn("5 seconds", self.failed(FetchFailed))
        self.assertTrue(self.transport.disconnecting)
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def test_silence(self) -> None:
        """So is a server that says nothing."""
        self.reactor.advance(TIMEOUT)
        self.assertIn("5 seconds", self.failed(FetchFailed))

    def test_cut_off(self) -> None:
        """Half a response is none."""
        self.respond(SET[:10], length=len(SET))
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertIn("lost", self.failed(FetchFailed))

    def test_refused(self) -> None:
        """A server that is not there."""
        reactor = MemoryReactorClock()
        result = KeyFetch(Agent(reactor), reactor, URL)()
        factory = reactor.tcpClients[0][2]
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError(111, "no")))
        reactor.advance(1)
        self.assertIn("refused", self.failureResultOf(result, FetchFailed).getErrorMessage())


class Server(Protocol):
    """Answers any request with the keys."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(SET) + SET)


class AgentTests(SynchronousTestCase):
    """The client for HTTPS, with a real handshake: which certificates of a server it takes."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.authority = Authority(self.folder)

    def why_not(self, pair: tuple[Path, Path], authorities: Path | None) -> str:
        """Why a server with this key and certificate is refused; empty where its keys were read."""
        reactor = MemoryReactorClock()
        self.patch(tls, "_get_default_clock", lambda: reactor)  # that of what is written to TLS
        result = KeyFetch(key_agent(reactor, authorities), reactor, "https://127.0.0.1/k")()
        ((host, port, factory, _timeout, _bind),) = reactor.tcpClients
        self.assertEqual((host, port), ("127.0.0.1", 443))
        options = PrivateCertificate.loadPEM(b"\n".join(file.read_bytes() for file in pair)).options()
        server = tls.TLSMemoryBIOFactory(options, False, Factory.forProtocol(Server)).buildProtocol(None)
        client = factory.buildProtocol(None)
        pump = connect(server, FakeTransport(server, True), client, FakeTransport(client, False), clock=reactor)
        pump.flush()
        said: list[str] = []
        result.addCallbacks(lambda _: said.append(""), lambda failure: said.append(str(failure.value)))
        for transport in (pump.clientIO, pump.serverIO):
            transport.abortConnection()
        pump.flush()
        (why,) = said
        return why

    def test_authorities(self) -> None:
        """With authorities of one's own, only what one of them has issued is taken."""
        issued, own = self.authority.issue("127.0.0.1"), write_certificate(self.folder / "own")
        other = Authority(self.folder / "other").issue("127.0.0.1")
        self.assertEqual(self.why_not(issued, self.authority.file), "")
        self.assertEqual(self.why_not(own, own[1]), "")
        for pair in (other, own):
            self.assertIn("certificate verify failed", self.why_not(pair, self.authority.file))

    def test_several_authorities(self) -> None:
        """All the authorities in the file count, not only the first."""
        second = Authority(self.folder, "second")
        both = self.folder / "both.pem"
        both.write_bytes(self.authority.file.read_bytes() + second.file.read_bytes())
        for number, authority in enumerate((self.authority, second)):
            self.assertEqual(self.why_not(authority.issue("127.0.0.1"), both), "", number)

    def test_of_system(self) -> None:
        """Without any, those of the system count, which have issued neither of these."""
        for pair in (self.authority.issue("127.0.0.1"), write_certificate(self.folder / "own")):
            self.assertIn("certificate verify failed", self.why_not(pair, None))

    def test_other_name(self) -> None:
        """The certificate has to be that of the host in the address (RFC 9110 section 4.3.4), and may not be over."""
        for pair, why in (
            (self.authority.issue("192.0.2.7"), "IPAddressMismatch"),
            (self.authority.issue("127.0.0.1", expired=True), "certificate verify failed"),
        ):
            self.assertIn(why, self.why_not(pair, self.authority.file))
