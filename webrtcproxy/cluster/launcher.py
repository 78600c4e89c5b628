"""Launcher: starts a worker as a process of its own, with its sockets and one end of a link."""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.cluster.link import Link, LinkFactory, LinkUser
from webrtcproxy.cluster.listening_sockets import ListeningSockets
from webrtcproxy.cluster.protocol import START
from webrtcproxy.cluster.slot import LINK, StartOrder, WorkerSlot
from webrtcproxy.config import Config

log = Logger()

LONGEST_LINE = 8192
"""Octets of a line that a worker prints; what is longer is cut."""


class ProcessHandle(Protocol):
    """A worker that runs, as the hub needs it."""

    def send(self, header: Mapping[str, object], body: bytes = b"", *, lossy: bool = False) -> bool:
        """Send a frame; False where the worker has ended or, with `lossy`, does not keep up."""

    def send_raw(self, raw: bytes) -> bool:
        """Send a frame that came by another link."""

    def kill(self) -> None:
        """End it at once."""

    @property
    def pid(self) -> int:
        """Its process id."""


class ILauncher(Protocol):
    """Starts workers."""

    def __call__(self, number: int, run: int, user: LinkUser, ended: Callable[[str], None]) -> ProcessHandle:
        """Start one.

        :param run: how many there were of this number before.
        :param user: takes what it sends.
        :param ended: called when its process has ended, with the reason.
        :raises OSError: it can't be started now.
        """


class Launcher:
    """Starts them with the interpreter and the packages of this process.

    :param reactor: for processes and sockets.
    :param sockets: the sockets.
    :param config: of each worker.
    :param instance: a name of this proxy that no other has.
    :param find: finds the path of a program, or None.
    """

    def __init__(
        self,
        reactor: Any,
        sockets: ListeningSockets,
        config: Config,
        instance: str,
        find: Callable[[str], str | None] = shutil.which,
    ) -> None:
        self._reactor = reactor
        self._sockets = sockets
        self._config = config
        self._instance = instance
        self._find = find

    def __call__(self, number: int, run: int, user: LinkUser, ended: Callable[[str], None]) -> ProcessHandle:
        """See `ILauncher`."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            slot, descriptors = self._slot(number, run)
            link = Link(user)
            self._reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, LinkFactory(lambda: link))
            process = Process(number, link, ended)
            with open(os.devnull) as nothing:  # noqa: PTH123  # its descriptor is wanted
                files = {0: nothing.fileno(), 1: "r", 2: "r", LINK: theirs.fileno(), **descriptors}
                command = self.command()
                environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
                self._reactor.spawnProcess(process, command[0], command, env=environment, childFDs=files)
        link.send({"do": START}, pickle.dumps(StartOrder(self._config, slot)))
        return process

    def command(self) -> Sequence[str]:
        """The program and its arguments. Where the hub is killed, the kernel sends the worker SIGUSR2."""
        setpriv = self._find("setpriv")
        if setpriv is None:
            log.warn("there is no setpriv (Debian: util-linux): a worker that hangs would outlive us")
        start = "from webrtcproxy.service import run_worker; run_worker()"
        reactor = type(self._reactor).__module__
        bound = () if setpriv is None else (setpriv, "--pdeathsig", "USR2", "--")
        return (*bound, sys.executable, "-P", "-c", start, reactor)

    def _slot(self, number: int, run: int) -> tuple[WorkerSlot, dict[int, int]]:
        """The slot, with descriptors as they are in the worker, and those of the hub that they are copies of."""
        own = self._sockets.own[number - 1]
        here = [*own.wss, *own.sip, *self._sockets.shared.values()]
        there = list(range(LINK + 1, LINK + 1 + len(here)))
        wss, sip = len(own.wss), len(own.sip)
        slot = WorkerSlot(
            number,
            run,
            f"{self._instance}w{number}",
            tuple(there[:wss]),
            tuple(there[wss : wss + sip]),
            dict(zip(self._sockets.shared, there[wss + sip :], strict=True)),
        )
        return slot, {descriptor: each.fileno() for descriptor, each in zip(there, here, strict=True)}


class Process(ProcessProtocol):
    """A process that runs, with its link.

    :param number: of the worker, for the log.
    :param ended: called when it has ended, with the reason.
    """

    def __init__(self, number: int, link: Link, ended: Callable[[str], None]) -> None:
        self._number = number
        self._link = link
        self._ended = ended
        self._rest = b""

    def send(self, header: Mapping[str, object], body: bytes = b"", *, lossy: bool = False) -> bool:
        """See `ProcessHandle`."""
        return self._link.send(header, body, lossy=lossy)

    def send_raw(self, raw: bytes) -> bool:
        """See `ProcessHandle`."""
        return self._link.send_raw(raw)

    def kill(self) -> None:
        """See `ProcessHandle`."""
        with suppress(ProcessExitedAlready):  # its end is about to be reported
            self.transport.signalProcess("KILL")  # type: ignore[union-attr]

    @property
    def pid(self) -> int:
        """See `ProcessHandle`."""
        pid: int = self.transport.pid  # type: ignore[union-attr]
        return pid

    def outReceived(self, data: bytes) -> None:
        """It prints nothing by itself; what it prints all the same is the interpreter's."""
        self.errReceived(data)

    def errReceived(self, data: bytes) -> None:
        """What the interpreter says where there is no log yet, or no more."""
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            log.warn(
                "worker {number}: {line}", number=self._number, line=line[:LONGEST_LINE].decode("utf-8", "replace")
            )
        self._rest = rest[:LONGEST_LINE]

    def processEnded(self, reason: Failure) -> None:
        """It has ended. What it sent last, changes of bindings perhaps, may wait in the link."""
        self._link.when_ended().addCallback(lambda _: self._ended(reason.getErrorMessage()))
