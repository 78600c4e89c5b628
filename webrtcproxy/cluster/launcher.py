"""Launcher: starts a worker process with its sockets and one end of a link to the hub."""

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
    """The part of a running worker process that the hub uses."""

    def send(self, header: Mapping[str, object], body: bytes = b"", *, lossy: bool = False) -> bool:
        """Send a frame; False if the worker has ended or, with `lossy`, does not keep up."""

    def send_raw(self, raw: bytes) -> bool:
        """Forward a frame from another link."""

    def kill(self) -> None:
        """Kill the process."""

    @property
    def pid(self) -> int:
        """The process id."""


class ILauncher(Protocol):
    """Starts workers."""

    def __call__(self, number: int, run: int, user: LinkUser, ended: Callable[[str], None]) -> ProcessHandle:
        """Start a worker.

        :param run: how many processes had this number before.
        :param user: gets its frames.
        :param ended: called when its process has ended, with the reason.
        :raises OSError: it can't be started now.
        """


class Launcher:
    """Starts workers with the interpreter and the packages of this process.

    :param reactor: for processes and sockets.
    :param sockets: the sockets.
    :param config: of each worker.
    :param instance: a name that no other proxy has, or empty.
    :param find: returns the path of a program, or None.
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
            with open(os.devnull) as nothing:  # noqa: PTH123  # a file for its descriptor
                files = {0: nothing.fileno(), 1: "r", 2: "r", LINK: theirs.fileno(), **descriptors}
                command = self.command()
                environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
                self._reactor.spawnProcess(process, command[0], command, env=environment, childFDs=files)
        link.send({"do": START}, pickle.dumps(StartOrder(self._config, slot)))
        return process

    def command(self) -> Sequence[str]:
        """The program and its arguments. If the hub is killed, the kernel sends the worker SIGUSR2."""
        start = "from webrtcproxy.service import run_worker; run_worker()"
        reactor = type(self._reactor).__module__
        command = (sys.executable, "-P", "-c", start, reactor)
        return with_death_signal(command, "USR2", self._find, "a worker that hangs")

    def _slot(self, number: int, run: int) -> tuple[WorkerSlot, dict[int, int]]:
        """The slot, with its descriptor numbers in the worker, and the hub's descriptors that are copied to them."""
        own = self._sockets.own[number - 1]
        here = [*own.wss, *own.sip, *self._sockets.shared.values()]
        there = list(range(LINK + 1, LINK + 1 + len(here)))
        wss, sip = len(own.wss), len(own.sip)
        slot = WorkerSlot(
            number,
            run,
            self._instance,
            tuple(there[:wss]),
            tuple(there[wss : wss + sip]),
            dict(zip(self._sockets.shared, there[wss + sip :], strict=True)),
        )
        return slot, {descriptor: each.fileno() for descriptor, each in zip(there, here, strict=True)}


class LinkedProcess(ChildProcess):
    """A running process with its link. Its output is logged here: the interpreter prints before the worker's log exists
    and after it has ended.

    :param number: of the worker, for the log.
    :param ended: called with the reason when it has ended, and after all of its frames: its last ones, perhaps changes
        of bindings, may still wait in the link.
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
