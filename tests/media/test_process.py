"""The rtpengine that the proxy runs itself: started, watched, restarted, ended."""

from __future__ import annotations

import socket
from typing import Any

from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.support.ngwire import FakeDaemon, FakeProcess, FakeReactor
from webrtcproxy.media.process import (
    FIRST_BACKOFF,
    GRACE,
    MEDIA_PORTS,
    SLOW_START,
    RtpengineMissing,
    RtpengineProcess,
    free_ports,
    is_free,
)
from webrtcproxy.runtime.child_process import MAX_BACKOFF, MAX_LINE, STABLE


def find(program: str) -> str:
    return f"/usr/bin/{program}"


class ProcessCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.probed: list[tuple[str, int]] = []
        self.rtpengine = self.make()
        self.daemon = FakeDaemon(self.reactor, *self.rtpengine.address)

    def ports(self, host: str, count: int) -> range:
        self.probed.append((host, count))
        return range(20000, 20000 + count)

    def make(self, **options: Any) -> RtpengineProcess:
        return RtpengineProcess(self.reactor, **{"find": find, "ports": self.ports, **options})

    def start(self) -> None:
        self.rtpengine.startService()
        self.reactor.settle()

    def stop(self) -> None:
        stopped = self.rtpengine.stopService()
        self.reactor.settle()
        self.successResultOf(stopped)

    def process(self) -> FakeProcess:
        return self.reactor.processes[-1]

    def tearDown(self) -> None:
        if self.rtpengine.running:
            self.stop()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertTrue(all(port.closed for port in self.reactor.ports))
        self.assertEqual(self.flushLoggedErrors(), [])


class StartTests(ProcessCase):
    def test_arguments(self) -> None:
        """In user space, ng on loopback alone, media at the interface, no address learned by itself, in the foreground,
        bound to our life."""
        self.rtpengine = self.make(interface="media/192.0.2.1!203.0.113.7", extra=["--max-sessions=1"])
        self.start()
        self.assertEqual(
            self.process().arguments,
            [
                "/usr/bin/setpriv", "--pdeathsig", "KILL", "--", "/usr/bin/rtpengine", "--config-file=none",
                "--table=-1", "--interface=media/192.0.2.1!203.0.113.7", "--listen-ng=127.0.0.1:20000",
                "--port-min=20000", f"--port-max={19999 + MEDIA_PORTS}", "--endpoint-learning=off",
                "--foreground", "--log-stderr", "--no-log-timestamps", "--log-level=5", "--max-sessions=1",
            ],
        )  # fmt: skip
        self.assertEqual(self.rtpengine.address, ("127.0.0.1", 20000))
        self.assertEqual(self.probed[-2:], [("127.0.0.1", 1), ("192.0.2.1", MEDIA_PORTS)])

    def test_interfaces(self) -> None:
        """Ports are probed where media will be; at all addresses where a network device is named."""
        for interface, host in (("eth0", "0.0.0.0"), ("[2001:db8::1]", "2001:db8::1"), ("pub/10.0.0.1", "10.0.0.1")):
            self.make(interface=interface)
            self.assertEqual(self.probed[-1], (host, MEDIA_PORTS))

    def test_missing(self) -> None:
        """Without the program the error names the key, the Debian package and the way out."""
        error = self.assertRaises(RtpengineMissing, self.make, find=lambda program: None, binary="/opt/rtpengine")
        for part in ("[rtpengine] nodes", "/opt/rtpengine", "apt-get install rtpengine-daemon"):
            self.assertIn(part, str(error))

    def test_without_setpriv(self) -> None:
        """Where there is no setpriv it runs all the same, and a line is logged."""
        with capturedLogs() as logs:
            self.rtpengine = self.make(find=lambda program: None if program == "setpriv" else find(program))
        self.assertEqual(len(logs), 1)
        self.start()
        self.assertEqual(self.process().arguments[0], "/usr/bin/rtpengine")

    def test_ready(self) -> None:
        """It is ready when it answers a ping."""
        self.daemon.silent = True
        self.start()
        self.assertFalse(self.rtpengine.answers)
        self.daemon.silent = False
        self.reactor.advance(0.3)
        self.reactor.settle()
        self.assertTrue(self.rtpengine.answers)
        self.assertEqual(self.rtpengine.pid, self.process().pid)

    def test_slow(self) -> None:
        """One that does not answer is complained of, and waited for."""
        self.daemon.silent = True
        with capturedLogs() as logs:
            self.start()
            self.reactor.pump([0.5] * int(SLOW_START * 2 + 1))
        self.assertEqual([line["log_level"] for line in logs], [LogLevel.warn])
        self.daemon.silent = False
        self.reactor.pump([0.5] * 10)
        self.assertTrue(self.rtpengine.answers)


class EndTests(ProcessCase):
    def test_stop(self) -> None:
        """TERM, and it is gone."""
        self.start()
        process = self.process()
        self.stop()
        self.assertEqual(process.signals, ["TERM"])
        self.assertIsNone(self.rtpengine.pid)
        self.reactor.advance(100)
        self.assertEqual(len(self.reactor.processes), 1)

    def test_stubborn(self) -> None:
        """One that does not mind TERM is killed."""
        self.reactor.stubborn = True
        self.start()
        stopped = self.rtpengine.stopService()
        self.reactor.advance(GRACE - 0.1)
        self.assertNoResult(stopped)
        self.reactor.advance(0.2)
        self.reactor.settle()
        self.successResultOf(stopped)
        self.assertEqual(self.process().signals, ["TERM", "KILL"])
        self.reactor.stubborn = False

    def test_gone_already(self) -> None:
        """It died a moment ago and nobody has told us yet: no error."""
        self.start()
        self.process().over = True
        stopped = self.rtpengine.stopService()
        self.process().end()
        self.successResultOf(stopped)

    def test_stop_while_it_starts(self) -> None:
        """One that has not answered yet is ended like any other."""
        self.daemon.silent = True
        self.start()
        self.stop()
        self.assertFalse(self.rtpengine.answers)

    def test_stop_between_two_runs(self) -> None:
        """A restart that is due is not done."""
        self.start()
        self.process().end(11)
        self.stop()
        self.reactor.advance(MAX_BACKOFF)
        self.assertEqual(len(self.reactor.processes), 1)


class RestartTests(ProcessCase):
    def breaks(self, count: int) -> list[float]:
        """How long it takes to be started again, each time that it dies at once."""
        taken = []
        for _ in range(count):
            self.process().end(11)
            began, runs = self.reactor.seconds(), len(self.reactor.processes)
            while len(self.reactor.processes) == runs:
                self.reactor.advance(0.25)
            self.reactor.settle()
            taken.append(self.reactor.seconds() - began)
        return taken

    def test_back_off(self) -> None:
        """It is started again, on the same ports, the later the more often it dies; one line in the log each time."""
        self.start()
        with capturedLogs() as logs:
            self.assertEqual(self.breaks(8), [0.5, 1, 2, 4, 8, 16, 30, 30])
        gone = [line for line in logs if "gone" in line["log_format"]]
        self.assertEqual(len(gone), 8)
        self.assertIn("signal 11", gone[0]["how"])
        self.assertEqual(len({tuple(process.arguments) for process in self.reactor.processes}), 1)

    def test_stable(self) -> None:
        """After a long life the break is short again."""
        self.start()
        self.breaks(4)
        self.reactor.advance(STABLE)
        self.assertEqual(self.breaks(1), [FIRST_BACKOFF])

    def test_clean_exit_is_an_end_too(self) -> None:
        """It has no business to end by itself."""
        self.start()
        with capturedLogs() as logs:
            self.process().end()
        self.assertEqual(logs[0]["how"], "ended")
        self.assertFalse(self.rtpengine.answers)
        self.reactor.advance(FIRST_BACKOFF)
        self.reactor.settle()
        self.assertTrue(self.rtpengine.answers)

    def test_dies_while_it_starts(self) -> None:
        """One that ends before it answers is started again."""
        self.daemon.silent = True
        self.start()
        self.process().end(1)
        self.daemon.silent = False
        self.reactor.advance(FIRST_BACKOFF)
        self.reactor.settle()
        self.assertTrue(self.rtpengine.answers)


class LogTests(ProcessCase):
    def logged(self, *chunks: bytes) -> list[tuple[LogLevel, str]]:
        self.start()
        with capturedLogs() as logs:
            for chunk in chunks:
                self.process().protocol.childDataReceived(2, chunk)
        return [(line["log_level"], line["line"]) for line in logs]

    def test_levels(self) -> None:
        """Its warnings and errors are our warnings, the rest is for debugging."""
        self.assertEqual(
            self.logged(
                b"NOTICE: [wrp-1]: [core] Creating new call\nWARNING: [core] odd\n",
                b"ERR: [core] bad\nCRIT: [core] worse\n\nplain\n",
            ),
            [
                (LogLevel.debug, "NOTICE: [wrp-1]: [core] Creating new call"),
                (LogLevel.warn, "WARNING: [core] odd"),
                (LogLevel.warn, "ERR: [core] bad"),
                (LogLevel.warn, "CRIT: [core] worse"),
                (LogLevel.debug, "plain"),
            ],
        )

    def test_unknown_key(self) -> None:
        """That this version does not know a key of the profiles is no warning: it would come with every call."""
        line = "WARNING: [control] Unknown dictionary key encountered: 'bundle'"
        self.assertEqual(self.logged(line.encode() + b"\n"), [(LogLevel.debug, line)])

    def test_pieces(self) -> None:
        """Lines come in pieces, and in no known encoding."""
        self.assertEqual(self.logged(b"INFO: a", b"b\xff\nINFO: c"), [(LogLevel.debug, "INFO: ab\ufffd")])
        with capturedLogs() as logs:
            self.process().end()
        self.assertEqual(logs[0]["line"], "INFO: c")

    def test_bounds(self) -> None:
        """A line without end does not fill our memory."""
        self.assertEqual(self.logged(*[b"x" * MAX_LINE] * 10), [])
        child: Any = self.process().protocol
        self.assertEqual(len(child._rest), MAX_LINE)
        with capturedLogs() as logs:
            child.childDataReceived(2, b"\n")
        self.assertEqual(len(logs[0]["line"]), MAX_LINE)

    def test_standard_output(self) -> None:
        """What it writes there is read, too."""
        self.start()
        with capturedLogs() as logs:
            self.process().protocol.childDataReceived(1, b"hello\n")
        self.assertEqual(logs[0]["line"], "hello")


class PortTests(SynchronousTestCase):
    def test_free(self) -> None:
        """A port is free when a UDP socket can be bound to it."""
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family, socket.SOCK_DGRAM) as taken:
                taken.bind((host, 0))
                port = taken.getsockname()[1]
                self.assertFalse(is_free(host, port))
            self.assertTrue(is_free(host, port))

    def test_row(self) -> None:
        """Ports come in a row, the first even; a row with a taken one is passed over."""
        asked: list[int] = []

        def free(host: str, port: int) -> bool:
            asked.append(port)
            return len(asked) > 3

        ports = free_ports("127.0.0.1", 4, free)
        self.assertEqual((len(ports), ports[0] % 2), (4, 0))
        self.assertEqual(len(asked), 7)

    def test_real(self) -> None:
        """On this host there are some."""
        self.assertEqual(len(free_ports("127.0.0.1", 10)), 10)

    def test_none(self) -> None:
        """An address that is not ours has none, and the error names it."""
        self.assertIn("192.0.2.99", str(self.assertRaises(OSError, free_ports, "192.0.2.99", 1)))
