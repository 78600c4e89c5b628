"""Launcher: the command, the descriptors and the first order of a worker; its process as the hub sees it."""

from __future__ import annotations

import os
import pickle
import socket
import sys
from struct import unpack
from types import SimpleNamespace
from typing import Any

from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import IProtocol
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.configs import config
from webrtcproxy.cluster.launcher import Launcher, LinkedProcess
from webrtcproxy.cluster.link import Header
from webrtcproxy.cluster.slot import LINK, StartOrder
from webrtcproxy.runtime.child_process import MAX_LINE

SETPRIV = "/usr/bin/setpriv"


class Running:
    """The transport of a process."""

    pid = 4711

    def __init__(self) -> None:
        self.signals: list[str] = []
        self.ended = False

    def signalProcess(self, signal: str) -> None:
        if self.ended:
            raise ProcessExitedAlready
        self.signals.append(signal)


class Reactor:
    """Notes what is spawned; the link is a string."""

    def __init__(self) -> None:
        self.spawned: list[tuple[LinkedProcess, str, list[str], dict[str, str], dict[int, Any]]] = []
        self.link = StringTransport()
        self.protocol: IProtocol | None = None
        self.fails = False

    def adoptStreamConnection(self, descriptor: int, family: int, factory: Any) -> None:
        assert family == socket.AF_UNIX
        os.fstat(descriptor)
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.link)

    def spawnProcess(
        self,
        process: LinkedProcess,
        program: str,
        command: list[str],
        env: dict[str, str],
        childFDs: dict[int, Any],
    ) -> None:
        if self.fails:
            raise OSError("no more processes")
        process.makeConnection(Running())
        self.spawned.append((process, program, command, env, childFDs))


class LauncherCase(SynchronousTestCase):
    """A proxy with two workers; each has a socket for browsers and one for SIP, and one UDP socket is shared."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.found: str | None = SETPRIV
        self.ended: list[str] = []
        self.frames: list[Header] = []
        self.lost = 0
        sockets = [self.socket() for _ in range(5)]
        own = [SimpleNamespace(wss=[sockets[0]], sip=[sockets[1]]), SimpleNamespace(wss=[sockets[2]], sip=[sockets[3]])]
        self.numbers = [each.fileno() for each in sockets]
        places: Any = SimpleNamespace(own=own, shared={7: sockets[4]})
        self.config = config()
        self.launch = Launcher(self.reactor, places, self.config, "abc", lambda program: self.found)

    def socket(self) -> socket.socket:
        made = socket.socket()
        self.addCleanup(made.close)
        return made

    def frame(self, header: Header, body: bytes, raw: bytes) -> None:
        self.frames.append(header)

    def link_ended(self) -> None:
        self.lost += 1

    def start(self) -> LinkedProcess:
        """Start worker 2, the fourth of its number."""
        process = self.launch(2, 3, self, self.ended.append)
        assert isinstance(process, LinkedProcess)
        return process


class Start(LauncherCase):
    """What the new process gets."""

    def test_command(self) -> None:
        """This interpreter, without its working folder in the path; it ends with the hub, where setpriv is there."""
        self.start()
        _, program, command, environment, _ = self.reactor.spawned[0]
        self.assertEqual((program, command[:4]), (SETPRIV, [SETPRIV, "--pdeathsig", "USR2", "--"]))
        self.assertEqual(command[4:7], [sys.executable, "-P", "-c"])
        self.assertEqual(command[-1], type(self.reactor).__module__)
        self.assertEqual(environment["PYTHONPATH"].split(os.pathsep), [path for path in sys.path if path])

    def test_without_setpriv(self) -> None:
        """Without setpriv it starts all the same, and the log says what is missing."""
        self.found = None
        with capturedLogs() as events:
            self.start()
        self.assertEqual(self.reactor.spawned[0][1], sys.executable)
        self.assertIn("setpriv", str(formatEvent(events[0])))

    def test_descriptors(self) -> None:
        """Its own sockets and the shared one, by the numbers of its slot; standard output and error are read."""
        self.start()
        files = self.reactor.spawned[0][-1]
        self.assertEqual((files[1], files[2]), ("r", "r"))
        self.assertEqual([files[LINK + 1], files[LINK + 2], files[LINK + 3]], self.numbers[2:])
        self.assertEqual(sorted(files), [0, 1, 2, LINK, LINK + 1, LINK + 2, LINK + 3])

    def test_order(self) -> None:
        """The first frame is its order: configuration, number, how many there were before, its name and descriptors."""
        self.start()
        data = self.reactor.link.value()
        self.assertEqual(unpack("!I", data[:4])[0], len(data) - 4)
        line, _, body = data[4:].partition(b"\n")
        self.assertEqual(line, b'{"do":"start"}')
        order = pickle.loads(body)
        assert isinstance(order, StartOrder)
        self.assertEqual(order.config, self.config)
        slot = order.slot
        self.assertEqual((slot.number, slot.run, slot.instance), (2, 3, "abc"))
        self.assertEqual((slot.wss, slot.sip, slot.shared), ((LINK + 1,), (LINK + 2,), {7: LINK + 3}))

    def test_no_more_processes(self) -> None:
        """Where it can't be started, the caller learns why."""
        self.reactor.fails = True
        self.assertRaises(OSError, self.start)


class Started(LauncherCase):
    """A process that was started."""

    def test_frames(self) -> None:
        """What is sent leaves by the link; what comes by it reaches its user."""
        process = self.start()
        self.reactor.link.clear()
        self.assertTrue(process.send({"do": "drain"}))
        self.assertTrue(process.send_raw(b'{"do":"up"}\nx'))
        self.assertEqual(self.reactor.link.value(), b'\0\0\0\x0f{"do":"drain"}\n\0\0\0\x0d{"do":"up"}\nx')
        assert self.reactor.protocol is not None
        self.reactor.protocol.dataReceived(b'\0\0\0\x0f{"do":"ready"}\n')
        self.assertEqual(self.frames, [{"do": "ready"}])

    def test_kill(self) -> None:
        """It is killed by signal, also where it has ended already; its process id is known."""
        process = self.start()
        self.assertEqual(process.pid, Running.pid)
        process.kill()
        transport: Any = process.transport
        self.assertEqual(transport.signals, ["KILL"])
        transport.ended = True
        process.kill()

    def test_prints(self) -> None:
        """What it prints is logged line by line with its number, long lines cut, octets that are no UTF-8 replaced."""
        process = self.start()
        with capturedLogs() as events:
            process.outReceived(b"one\ntw")
            process.errReceived(b"o\n\xff" + b"x" * MAX_LINE)
            process.errReceived(b"yy\n")
        lines = [str(formatEvent(event)) for event in events]
        self.assertEqual(lines[:2], ["worker 2: one", "worker 2: two"])
        self.assertEqual(lines[2], "worker 2: \N{REPLACEMENT CHARACTER}" + "x" * (MAX_LINE - 1))

    def test_end(self) -> None:
        """Its end is told when all that it sent by the link is read."""
        process = self.start()
        process.processEnded(Failure(ProcessDone(None)))
        self.assertEqual(self.ended, [])
        protocol: Any = self.reactor.protocol
        protocol.dataReceived(b'\0\0\0\x0d{"do":"last"}')
        protocol.connectionLost(Failure(ProcessDone(None)))
        self.assertEqual((self.frames, self.lost, len(self.ended)), ([{"do": "last"}], 1, 1))
