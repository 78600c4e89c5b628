"""One reading of the keys at an address, over a connection in memory."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import Agent

from tests.support.authority import Authority
from tests.support.tokens import jwks, public_jwk
from webrtcproxy.config.key_set import MAX_SET
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


class AgentTests(SynchronousTestCase):
    """The client for HTTPS."""

    def test_authorities(self) -> None:
        """With authorities of one's own, or those of the system."""
        authority = Authority(Path(self.mktemp()))
        for file in (None, authority.file):
            reactor = MemoryReactorClock()
            KeyFetch(key_agent(reactor, file), Clock(), "https://127.0.0.1/k")().addErrback(lambda _: None)
            self.assertEqual(reactor.tcpClients[0][:2], ("127.0.0.1", 443))
