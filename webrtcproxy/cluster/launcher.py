"""Launcher: starts a worker as a process of its own, with its sockets and one end of a link."""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from twisted.logger import Logger

from webrtcproxy.cluster.link import Link, LinkFactory, LinkUser
from webrtcproxy.cluster.listening_sockets import ListeningSockets
from webrtcproxy.cluster.protocol import START
from webrtcproxy.cluster.slot import LINK, StartOrder, WorkerSlot
from webrtcproxy.config import Config
from webrtcproxy.runtime.child_process import ChildProcess, with_death_signal

log = Logger()


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
            process = LinkedProcess(number, link, ended)
            with open(os.devnull) as nothing:  # noqa: PTH123  # its descriptor is wanted
                files = {0: nothing.fileno(), 1: "r", 2: "r", LINK: theirs.fileno(), **descriptors}
                command = self.command()
                environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
                self._reactor.spawnProcess(process, command[0], command, env=environment, childFDs=files)
        link.send({"do": START}, pickle.dumps(StartOrder(self._config, slot)))
        return process

    def command(self) -> Sequence[str]:
        """The program and its arguments. Where the hub is killed, the kernel sends the worker SIGUSR2."""
        start = "from webrtcproxy.service import run_worker; run_worker()"
        reactor = type(self._reactor).__module__
        command = (sys.executable, "-P", "-c", start, reactor)
        return with_death_signal(command, "USR2", self._find, "a worker that hangs")

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


class LinkedProcess(ChildProcess):
    """A process that runs, with its link. What it prints is the interpreter's, where there is no log yet, or no more.

    :param number: of the worker, for the log.
    :param ended: called when it has ended, with the reason, and all that it sent has been taken: what it sent last,
        changes of bindings perhaps, may wait in the link.
    """

    def __init__(self, number: int, link: Link, ended: Callable[[str], None]) -> None:
        super().__init__(
            lambda line: log.warn("worker {number}: {line}", number=number, line=line),
            lambda reason: link.when_ended().addCallback(lambda _: ended(reason.getErrorMessage())),
        )
        self._link = link

    def send(self, header: Mapping[str, object], body: bytes = b"", *, lossy: bool = False) -> bool:
        """See `ProcessHandle`."""
        return self._link.send(header, body, lossy=lossy)

    def send_raw(self, raw: bytes) -> bool:
        """See `ProcessHandle`."""
        return self._link.send_raw(raw)

    def kill(self) -> None:
        """See `ProcessHandle`."""
        self.signal("KILL")
