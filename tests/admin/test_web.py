"""Health and metrics over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import NOT_DONE_YET
from twisted.web.test.requesthelper import DummyRequest

from webrtcproxy.admin.web import Exposition, Health, web_service
from webrtcproxy.demo.certificate import write_certificate
from webrtcproxy.runtime.internals import TlsProtocol


class HealthTests(SynchronousTestCase):
    """What a load balancer hears."""

    def ask(self, state: dict[str, object]) -> tuple[int | None, dict[str, object]]:
        request = DummyRequest([b"health"])
        body = Health(lambda: state).render_GET(request)  # type: ignore[arg-type]
        return request.responseCode, json.loads(body)

    def test_healthy(self) -> None:
        """200, with the state."""
        self.assertEqual(self.ask({"healthy": True, "calls": 3}), (200, {"healthy": True, "calls": 3}))

    def test_unhealthy(self) -> None:
        """503 while no call could be taken."""
        self.assertEqual(self.ask({"healthy": False})[0], 503)

    def test_later(self) -> None:
        """Where several processes have to be asked, the answer comes when they have answered."""
        request, state = DummyRequest([b"health"]), Deferred[dict[str, object]]()
        self.assertEqual(Health(lambda: state).render_GET(request), NOT_DONE_YET)  # type: ignore[arg-type]
        self.assertEqual(request.written, [])
        state.callback({"healthy": False})
        self.assertEqual((request.responseCode, request.written, request.finished), (503, [b'{"healthy": false}\n'], 1))

    def test_gone_meanwhile(self) -> None:
        """One that has hung up by then gets nothing."""
        request, state = DummyRequest([b"health"]), Deferred[dict[str, object]]()
        Health(lambda: state).render_GET(request)  # type: ignore[arg-type]
        request.processingFailed(Failure(ConnectionDone()))
        state.callback({"healthy": True})
        self.assertEqual(request.written, [])


class ExpositionTests(SynchronousTestCase):
    """What Prometheus hears."""

    def test_text(self) -> None:
        """The text of the moment, as a type that Prometheus takes (it wants one that it knows since 3.0)."""
        texts = iter([b"a 1\n", b"a 2\n"])
        page = Exposition(lambda: next(texts))
        for text in (b"a 1\n", b"a 2\n"):
            request = DummyRequest([b"metrics"])
            self.assertEqual(page.render_GET(request), text)  # type: ignore[arg-type]
            (kind,) = request.responseHeaders.getRawHeaders(b"Content-Type")
            self.assertTrue(kind.startswith(b"text/plain; version=0.0.4"), kind)


class WebTests(SynchronousTestCase):
    """The port."""

    def test_listens(self) -> None:
        """It is opened by the start, with nothing but /health, /metrics and /bans on it."""
        reactor = MemoryReactorClock()
        web = web_service(reactor, ["tcp:8080:interface=127.0.0.1"], lambda: {"healthy": True}, lambda: b"", list, bool)
        self.assertEqual(reactor.tcpServers, [])
        web.privilegedStartService()
        port, site, *_ = reactor.tcpServers[0]
        self.assertEqual((port, list(site.resource.children)), (8080, [b"health", b"metrics", b"bans"]))

    def test_no_access_log(self) -> None:
        """One that asks every few seconds leaves no line in the log each time."""
        reactor = MemoryReactorClock()
        web_service(
            reactor, ["tcp:8080"], lambda: {"healthy": True}, lambda: b"a 1\n", list, bool
        ).privilegedStartService()
        site = reactor.tcpServers[0][1]
        site.doStart()
        self.addCleanup(site.doStop)
        channel = site.buildProtocol(None)
        transport = StringTransport()
        channel.makeConnection(transport)
        with capturedLogs() as captured:
            channel.dataReceived(b"GET /metrics HTTP/1.0\r\n\r\n")
        self.assertTrue(transport.value().endswith(b"\r\n\r\na 1\n"), transport.value())
        self.assertEqual(captured, [])
        channel.connectionLost(Failure(ConnectionDone()))

    def test_nothing_told(self) -> None:
        """What is not there, and what fails, tells neither a path nor a version nor a traceback."""
        reactor = MemoryReactorClock()
        web_service(
            reactor, ["tcp:8080"], lambda: {"healthy": 1 / 0}, lambda: b"a 1\n", list, bool
        ).privilegedStartService()
        site = reactor.tcpServers[0][1]
        for line in ("GET /", "GET /none", "GET /metrics/", "POST /metrics", "GET /health", "GET /..%2f", "BREW /"):
            transport = StringTransport()
            channel = site.buildProtocol(None)
            channel.makeConnection(transport)
            channel.dataReceived(f"{line} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            response = transport.value()
            self.assertRegex(response, rb"HTTP/1.1 (404|405|500|200) ", line)
            for told in (b"wisted", b"raceback", b"ZeroDivision", b".py", b"/work", b"server:"):
                self.assertNotIn(told, response.lower() if told.islower() else response, line)
            channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_tls(self) -> None:
        """An ``ssl:`` line is as for browsers: its certificate is read again, and TLS is strong
        (tests/transport/test_certificate.py)."""
        key, certificate = write_certificate(Path(self.mktemp()))
        reactor = MemoryReactorClock()
        line = f"ssl:8443:privateKey={key}:certKey={certificate}"
        web_service(reactor, [line], lambda: {"healthy": True}, lambda: b"", list, bool).privilegedStartService()
        (factory,) = (server[1] for server in reactor.tcpServers)
        self.assertIs(factory.protocol, TlsProtocol)

    def test_reload(self) -> None:
        """At SIGHUP the certificate is read again; a line without one is left alone."""
        key, certificate = write_certificate(Path(self.mktemp()))
        lines = [f"ssl:8443:privateKey={key}:certKey={certificate}", "tcp:8080"]
        web = web_service(MemoryReactorClock(), lines, lambda: {"healthy": True}, lambda: b"", list, bool)
        certificate.write_text("nothing")
        with capturedLogs() as events:
            web.reload()
        (event,) = events
        self.assertIn(str(certificate), formatEvent(event))

    def test_absent(self) -> None:
        """Without a listen line there is no port."""
        reactor = MemoryReactorClock()
        web_service(reactor, [], lambda: {"healthy": True}, lambda: b"", list, bool).privilegedStartService()
        self.assertEqual(reactor.tcpServers, [])
