"""The connection under TLS, and the endpoint: with a kernel that takes what it is told to, and with a real one."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.internet.ssl import Certificate, optionsForClientTLS
from twisted.internet.task import deferLater
from twisted.internet.testing import MemoryReactor, MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.support.tls import App, Producer
from webrtcproxy.demo.certificate import write_certificate
from webrtcproxy.runtime.internals import ImmediateWriteServer, ImmediateWriteTLS
from webrtcproxy.transport.certificate import server_endpoint


class FakeKernel:
    """A connected socket that takes as much as it is told to.

    :ivar takes: for each `send` the octets that it takes, or what it raises; everything when there is no more.
    """

    def __init__(self, *takes: int | OSError) -> None:
        self.takes = list(takes)
        self.sent = b""
        self.options: list[tuple[int, ...]] = []

    def send(self, data: bytes) -> int:
        most = self.takes.pop(0) if self.takes else len(data)
        if isinstance(most, OSError):
            raise most
        self.sent += bytes(data[:most])
        return min(most, len(data))

    def setsockopt(self, *option: int) -> None:
        self.options.append(option)

    def fileno(self) -> int:
        return -1

    def setblocking(self, flag: bool) -> None:
        pass

    def shutdown(self, how: int) -> None:
        pass

    def close(self) -> None:
        pass


class ImmediateWrite(SynchronousTestCase):
    """The TCP connection under TLS."""

    def connection(self, *takes: int | OSError) -> ImmediateWriteServer:
        """A connection whose kernel takes so much at a time."""
        self.kernel = FakeKernel(*takes)
        self.reactor = MemoryReactor()
        self.app = App()
        made = ImmediateWriteServer(self.kernel, self.app, ("192.0.2.7", 40000), None, 0, self.reactor)
        self.app.makeConnection(made)
        return made

    def waits(self, connection: ImmediateWriteServer) -> bool:
        """Whether the reactor is to tell when the socket takes more."""
        return connection in self.reactor.getWriters()

    def test_at_once(self) -> None:
        """What the kernel takes is gone when `write` returns; small segments do not wait for an acknowledgement."""
        connection = self.connection()
        for data in (b"one ", b"two"):
            connection.write(data)
        self.assertEqual((self.kernel.sent, self.waits(connection)), (b"one two", False))
        self.assertEqual(len(self.kernel.options), 1)

    def test_nothing(self) -> None:
        """Nothing to write is nothing to wait for."""
        connection = self.connection()
        connection.write(b"")
        self.assertEqual((self.kernel.sent, self.waits(connection)), (b"", False))

    def test_some(self) -> None:
        """What the kernel does not take waits for the reactor, and all that is written meanwhile waits after it."""
        connection = self.connection(3)
        connection.write(b"one two ")
        self.assertEqual((self.kernel.sent, self.waits(connection)), (b"one", True))
        connection.write(b"three ")
        connection.write(b"four")
        self.assertEqual(self.kernel.sent, b"one")
        self.kernel.takes = [4, 1]
        while self.waits(connection):
            connection.doWrite()
        self.assertEqual(self.kernel.sent, b"one two three four")
        connection.write(b".")
        self.assertEqual((self.kernel.sent, self.waits(connection)), (b"one two three four.", False))

    def test_between(self) -> None:
        """The reactor has written some of what waits: the next write still waits after the rest."""
        connection = self.connection(OSError(errno.EAGAIN, "full"))
        connection.write(b"one two ")
        self.kernel.takes = [4]
        connection.doWrite()
        connection.write(b"three")
        self.assertEqual(self.kernel.sent, b"one ")
        while self.waits(connection):
            connection.doWrite()
        self.assertEqual(self.kernel.sent, b"one two three")

    def test_full(self) -> None:
        """A kernel that takes nothing is no error."""
        for code in (errno.EAGAIN, errno.ENOBUFS, errno.EINTR):
            connection = self.connection(OSError(code, "full"))
            connection.write(b"hello")
            self.assertEqual((self.kernel.sent, self.waits(connection)), (b"", True))
            connection.doWrite()
            self.assertEqual((self.kernel.sent, self.waits(connection)), (b"hello", False))

    def test_gone(self) -> None:
        """A broken connection shows when the reactor writes, and not to the one that writes first."""
        broken = OSError(errno.EPIPE, "broken pipe")
        connection = self.connection(broken, broken)
        connection.write(b"hello")
        self.assertEqual((self.waits(connection), self.app.lost), (True, None))
        self.assertIs(connection.doWrite(), CONNECTION_LOST)

    def test_closing(self) -> None:
        """When the connection is to be closed after what waits, nothing overtakes that."""
        connection = self.connection(2)
        connection.write(b"hello ")
        connection.loseConnection()
        self.assertEqual(self.kernel.sent, b"he")
        while self.waits(connection):
            connection.doWrite()
        self.assertEqual(self.kernel.sent, b"hello ")

    def test_closed(self) -> None:
        """Nothing is sent after the end."""
        connection = self.connection()
        connection.connectionLost(Failure(CONNECTION_LOST))
        connection.write(b"late")
        self.assertEqual((self.kernel.sent, self.waits(connection)), (b"", False))
        self.assertIsNotNone(self.app.lost)

    def test_producer(self) -> None:
        """Much that waits pauses the producer, until it is gone."""
        connection = self.connection(OSError(errno.EAGAIN, "full"))
        told: list[str] = []
        connection.registerProducer(Producer(told), True)
        connection.write(b"x" * (connection.bufferSize + 1))
        self.assertEqual(told, ["pause"])
        while self.waits(connection):
            connection.doWrite()
        self.assertEqual(told, ["pause", "resume"])


class Endpoint(SynchronousTestCase):
    """`TlsEndpoint`, as `server_endpoint` gives it."""

    def test_in_memory(self) -> None:
        """It listens where the plain endpoint does, with our TLS; a port that is not Twisted's own stays as it
        is."""
        key, certificate = write_certificate(Path(self.mktemp()).absolute(), ["phone.example"])
        reactor = MemoryReactorClock()
        endpoint = server_endpoint(reactor, f"ssl:8443:privateKey={key}:certKey={certificate}")
        self.successResultOf(endpoint.listen(Factory.forProtocol(App)))
        factory = reactor.tcpServers[0][1]
        self.assertIsInstance(factory.buildProtocol(None), ImmediateWriteTLS)


class OpensslClient(ProcessProtocol):
    """`openssl s_client`.

    :ivar heard: all that it has printed.
    """

    def __init__(self) -> None:
        self.heard = b""
        self.over = False

    def childDataReceived(self, descriptor: int, data: bytes) -> None:
        self.heard += data

    def processEnded(self, reason: Failure) -> None:
        self.over = True

    def say(self, data: bytes) -> None:
        """Type something."""
        self.transport.write(data)

    async def hears(self, data: bytes, times: int = 1) -> None:
        """Wait until it has printed this so often."""
        while self.heard.count(data) < times:
            await turn()

    async def end(self) -> None:
        """End it."""
        if not self.over:
            self.transport.signalProcess("KILL")
        while not self.over:
            await turn()


def turn() -> Deferred[None]:
    """Let the reactor turn for a while."""
    return deferLater(reactor, 0.005)


class Loopback(TestCase):
    """Real sockets, and `openssl s_client` for what no library lets us do."""

    timeout = 20

    async def listen(self) -> int:
        """Listen with `self.app` on top; the port."""
        key, self.certificate = write_certificate(Path(self.mktemp()).absolute(), ["localhost"])
        self.app = App()
        factory = Factory()
        factory.noisy = False
        factory.buildProtocol = lambda address: self.app  # type: ignore[method-assign,assignment]
        endpoint = server_endpoint(reactor, f"ssl:0:interface=127.0.0.1:privateKey={key}:certKey={self.certificate}")
        port = await endpoint.listen(factory)
        self.addCleanup(port.stopListening)
        return port.getHost().port

    async def openssl(self, *options: str) -> OpensslClient:
        """A client with these options."""
        if shutil.which("openssl") is None:
            self.fail("there is no openssl command")
        client = OpensslClient()
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{await self.listen()}", *options]
        reactor.spawnProcess(client, command[0], command, env=None)
        self.addCleanup(self.settle)
        self.addCleanup(lambda: Deferred.fromCoroutine(client.end()))
        return client

    async def settle(self) -> None:
        """Wait until the server's side has seen the end."""
        while self.app.connected and self.app.lost is None:
            await turn()

    def echo(self) -> None:
        """Have the app answer each message."""

        def answer(data: bytes) -> None:
            self.app.got.append(data)
            self.app.transport.write(b"re: " + data)

        self.app.on_data = answer

    async def test_transport(self) -> None:
        """A connection that comes in gets our transports."""
        client = await self.openssl("-quiet")
        self.echo()
        client.say(b"hello\n")
        await client.hears(b"re: hello\n")
        tls = self.app.transport
        self.assertIsInstance(tls, ImmediateWriteTLS)
        self.assertIsInstance(tls.transport, ImmediateWriteServer)
        self.assertTrue(tls.transport.getTcpNoDelay())

    async def test_key_update(self) -> None:
        """TLS 1.3: the client takes a new key, and asks us for one; what is said before and after it is heard
        (RFC 8446 section 4.6.3)."""
        client = await self.openssl("-tls1_3")
        self.echo()
        for number, ask in enumerate((b"k\n", b"K\n", b"K\n")):
            client.say(b"%d hello\n" % number)
            await client.hears(b"re: %d hello\n" % number)
            client.say(ask)
            await client.hears(b"KEYUPDATE\n", number + 1)
        client.say(b"bye\n")
        await client.hears(b"re: bye\n")
        self.assertEqual(self.app.got, [b"0 hello\n", b"1 hello\n", b"2 hello\n", b"bye\n"])

    async def test_renegotiation(self) -> None:
        """TLS 1.2: a client that wants to renegotiate is refused, in good order."""
        client = await self.openssl("-tls1_2")
        self.echo()
        client.say(b"hello\n")
        await client.hears(b"re: hello\n")
        client.say(b"R\n")
        await client.hears(b"RENEGOTIATING\n")
        await client.hears(b"no renegotiation")
        await self.settle()
        self.assertEqual(self.app.got, [b"hello\n"])

    async def test_small_records(self) -> None:
        """A client that wants records of 512 octets (RFC 6066 section 4) gets all of each message."""
        client = await self.openssl("-quiet", "-maxfraglen", "512")
        message = b"".join(b"%5d\n" % number for number in range(1000))
        self.app.on_data = lambda data: self.app.transport.writeSequence([message, b"end\n"])  # type: ignore[assignment]
        for number in (1, 2):
            client.say(b"go\n")
            await client.hears(b"end\n", number)
        self.assertIn((message + b"end\n") * 2, client.heard)

    async def test_padding(self) -> None:
        """Records that are padded (RFC 8446 section 5.4)."""
        client = await self.openssl("-quiet", "-tls1_3", "-record_padding", "1024")
        self.echo()
        for word in (b"one\n", b"two\n"):
            client.say(word)
            await client.hears(b"re: " + word)

    async def test_slow_reader(self) -> None:
        """The peer doesn't read for a while: the kernel takes no more, all else waits in order, the producer is paused;
        then everything arrives."""
        port = await self.listen()
        trust = Certificate.loadPEM(self.certificate.read_bytes())
        plain = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        client = await connectProtocol(wrapClientTLS(optionsForClientTLS("localhost", trust), plain), App())
        client.transport.write(b"hello")
        while not self.app.got:
            await turn()
        client.transport.pauseProducing()
        told: list[str] = []
        self.app.transport.registerProducer(Producer(told), True)
        messages = [b"%d " % number * 400 for number in range(5000)]
        for message in messages:
            self.app.transport.write(message)
        self.assertEqual(told, ["pause"])
        client.transport.resumeProducing()
        while sum(map(len, client.got)) < sum(map(len, messages)):
            await turn()
        self.assertEqual(b"".join(client.got), b"".join(messages))
        self.assertEqual(told, ["pause", "resume"])
        self.app.transport.unregisterProducer()
        client.transport.loseConnection()
        while self.app.lost is None or client.lost is None:
            await turn()
