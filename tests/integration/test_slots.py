"""Strangers at the port for SIP over TCP and TLS, with a real proxy and real connections (docs/access.rst)."""

from __future__ import annotations

import socket
import ssl
from typing import ClassVar

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.support.real.ports import LOOPBACK, free_port
from tests.support.real.proxy import Proxy, without_media
from tests.support.wire import options
from webrtcproxy.transport.sip.slots import STRANGERS, STRANGERS_PER_ADDRESS
from webrtcproxy.transport.sip.tcp import STRANGER

TRUNK = "127.0.2.1"


class StrangersTests(TestCase):
    """A trunk at 127.0.2.1; everybody else at addresses of their own."""

    timeout = 60
    workers: ClassVar = 1
    kind: ClassVar = "tcp"

    async def setUp(self) -> None:
        self.port = free_port()
        files = ":privateKey=key.pem:certKey=cert.pem" if self.kind == "tls" else ""
        listen = f"{self.kind}:{self.port}:interface={LOOPBACK}{files}"
        self.proxy = Proxy(without_media(TRUNK, listen, f"transport = {self.kind}", self.workers))
        self.addCleanup(self.proxy.stop)
        await self.proxy.start()

    def connect(self, source: str) -> socket.socket | None:
        """A connection from this address, which has sent a whole message; None where it was refused."""
        try:
            connection = socket.create_connection((LOOPBACK, self.port), 10, (source, 0))
            self.addCleanup(connection.close)
            if self.kind == "tls":
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                connection = context.wrap_socket(connection)
                self.addCleanup(connection.close)
            connection.sendall(options(self.kind.upper(), source))
        except OSError:
            return None
        return connection

    def ended(self, connection: socket.socket, seconds: float) -> bool:
        """Whether the proxy has ended a connection within this time."""
        connection.settimeout(max(seconds, 0.01))
        try:
            return connection.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    def flood(self) -> tuple[int, int, bytes]:
        """Strangers take what they get; then the trunk sends a request.

        :returns: how many strangers had a connection, how many of these still had one when their time was over, and
            what the trunk was answered.
        """
        sources = [f"127.0.3.{number}" for number in range(1, STRANGERS // STRANGERS_PER_ADDRESS + 11)]
        strangers = [self.connect(source) for source in sources for _ in range(STRANGERS_PER_ADDRESS + 1)]
        trunk = self.connect(TRUNK)
        assert trunk is not None, "the trunk was refused"
        trunk.settimeout(10)
        answer = trunk.recv(1000)
        there = [one for one in strangers if one is not None and not self.ended(one, 0)]
        left = [one for one in there if not self.ended(one, STRANGER + 2)]
        self.assertFalse(self.ended(trunk, 0.2))
        return len(there), len(left), answer

    async def test_flood(self) -> None:
        """Strangers get their share, a few each, and lose it within seconds whatever they send; the trunk is
        answered."""
        there, left, answer = await deferToThread(self.flood)
        self.assertLessEqual(there, STRANGERS * self.workers)
        self.assertGreater(there, 0)
        self.assertEqual(left, 0)
        self.assertTrue(answer.startswith(b"SIP/2.0 404 "), answer)  # there is no such user; a stranger hears nothing
        if self.workers == 1:  # else the kernel may spread them so that none was one too many
            samples = await self.proxy.samples()
            self.assertGreater(samples['refused_total{reason="connections_limit"}'], 0)
        self.proxy.assert_clean()


class OverTls(StrangersTests):
    """The same, where each connection costs a handshake."""

    kind = "tls"


class Workers(StrangersTests):
    """The same with several processes, each of which has slots of its own."""

    workers = 2
