"""Hub: the process that twistd starts if there are several workers. It carries no calls: it starts and monitors the
workers, forwards frames between them, and stops them in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from webrtcproxy.cluster.directory import SharedDirectory
from webrtcproxy.cluster.launcher import ILauncher, ProcessHandle
from webrtcproxy.cluster.link import Header
from webrtcproxy.cluster.logs import events_of
from webrtcproxy.cluster.ownership import ALL, HUB
from webrtcproxy.cluster.protocol import (
    DONE,
    DRAIN,
    FLOW_CLOSED,
    HURRY,
    LOG,
    QUERY,
    READY,
    RELOAD,
    REPLICATED,
    RESULT,
    STOP,
    WORKER_ENDED,
    WORKERS_UP,
)
from webrtcproxy.cluster.remote import RemoteFlows
from webrtcproxy.registration.location import ILocation
from webrtcproxy.runtime.child_process import Backoff
from webrtcproxy.runtime.loop_lag import HELD_UP

log = Logger()

FIRST_BACKOFF = 1.0
"""The delay between the first death of a worker and its restart, in seconds."""

WATCHDOG = 60.0
"""Seconds without a frame after which a worker counts as stuck, and is killed."""

PING_INTERVAL = 5.0
"""Seconds between two pings of a worker."""

QUERY_TIMEOUT = 2.0
"""Seconds within which the workers must answer a query."""

STOP_TIMEOUT = 5.0
"""Seconds that a worker has, after draining, to end its calls."""

CLOSING = 12.0
"""Seconds that a worker then has to close its sockets and exit."""

ENDED = "ended"
"""The name of a process's end in `WorkerProcess.when_done`; there is no frame for it."""


class WorkerProcess:
    """One worker, from the hub's view: its current process, or the delay until the next one.

    :param number: from 1 on.
    :param hub: gets its frames.
    :ivar up: whether it takes messages.
    """

    def __init__(self, number: int, hub: Hub, clock: IReactorTime, launcher: ILauncher) -> None:
        self.number = number
        self.up = False
        self.process: ProcessHandle | None = None
        self.last_received = 0.0
        self._hub = hub
        self._clock = clock
        self._launcher = launcher
        self._runs = 0
        self._backoff = Backoff(clock, FIRST_BACKOFF)
        self._timer: IDelayedCall | None = None
        self._waiting: dict[str, Deferred[None]] = {}

    def start(self) -> None:
        """Start a process."""
        self._timer = None
        self.last_received = self._clock.seconds()
        self._backoff.started()
        self._runs += 1
        try:
            self.process = self._launcher(self.number, self._runs, self, self.ended)
        except OSError as why:
            self.ended(str(why))
            return
        self._hub.process_started(self)

    def cancel_start(self) -> None:
        """Cancel a pending restart."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def command(self, what: str) -> Deferred[None]:
        """Send the process a command, a frame without fields.

        :returns: as `until`.
        """
        if self.process is not None:
            self.process.send({"do": what})
        return self.when_done(what)

    def when_done(self, what: str) -> Deferred[None]:
        """Fires with None when the process has reported that it is done with a command, or has ended."""
        if self.process is None:
            return succeed(None)
        done = self._waiting[what] = Deferred()
        return done

    def done(self, what: str) -> None:
        """The process has reported that it is done with a command."""
        waiting = self._waiting.pop(what, None)
        if waiting is not None:
            waiting.callback(None)

    def frame(self, header: Header, body: bytes, raw: bytes) -> None:
        """The process has sent a frame."""
        self.last_received = self._clock.seconds()
        self._hub.frame(self, header, body, raw)

    def link_ended(self) -> None:
        """The link is closed. The process can do nothing without it: it ends by itself, or is killed."""
        if self.process is not None:
            self.cancel_start()
            self._timer = self._clock.callLater(CLOSING, self.kill)

    def kill(self) -> None:
        """End the process at once."""
        if self.process is not None:
            self.process.kill()

    def ended(self, why: str) -> None:
        """The process has ended."""
        self.cancel_start()
        self.process = None
        self.up = False
        self._hub.process_ended(self)
        for what in list(self._waiting):
            self.done(what)
        if not self._hub.running:
            return
        seconds = self._backoff.ended()
        log.error(
            "Worker {number} has ended ({why}); restarting in {seconds} s",
            number=self.number,
            why=why,
            seconds=seconds,
        )
        self._timer = self._clock.callLater(seconds, self.start)


@dataclass(slots=True)
class _Query:
    """A query to all workers, and the answers so far."""

    expected: int
    limit: IDelayedCall
    done: Deferred[dict[int, Any]] = field(default_factory=Deferred)
    results: dict[int, Any] = field(default_factory=dict)


class Hub(Service):
    """All workers.

    :param clock: runs delays and timeouts.
    :param workers: how many.
    :param launcher: starts a worker.
    :param flows: the flows of the workers.
    :param location: the bindings, as the hub knows them.
    :param directory: the hub's replica of the directory.
    :param drain: seconds that calls have to end by themselves when the hub is stopped.
    :param publish: gets the log events of the workers.
    """

    name = "hub"

    def __init__(
        self,
        clock: IReactorTime,
        workers: int,
        launcher: ILauncher,
        flows: RemoteFlows,
        location: ILocation,
        directory: SharedDirectory,
        drain: float,
        publish: Callable[[Any], None],
    ) -> None:
        self._clock = clock
        self._flows = flows
        self._location = location
        self._directory = directory
        self._drain = drain
        self._publish = publish
        self._queries: dict[int, _Query] = {}
        self._query_number = 0
        self._ping_timer: IDelayedCall | None = None
        self._ping_due = 0.0
        self._limit: IDelayedCall | None = None
        self.stopping = False
        self.workers = [WorkerProcess(number, self, clock, launcher) for number in range(1, workers + 1)]

    @property
    def up(self) -> list[int]:
        """The numbers of the workers that take messages."""
        return [worker.number for worker in self.workers if worker.up]

    # Start and end

    def startService(self) -> None:
        """Start the workers."""
        super().startService()  # type: ignore[no-untyped-call]
        for worker in self.workers:
            worker.start()
        self._wait_for_ping()

    def stopService(self) -> Deferred[None]:
        """Drain all workers before any of them closes its sockets: a call may be in one worker, and its browser in
        another.

        :returns: fires with None when all processes have ended.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        self.stopping = True
        if self._ping_timer is not None:
            self._ping_timer.cancel()
            self._ping_timer = None
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for worker in self.workers:
            worker.cancel_start()
        await self._within(self._drain + STOP_TIMEOUT, [worker.command(DRAIN) for worker in self.workers])
        await self._within(CLOSING, [worker.command(STOP) for worker in self.workers])
        left = [worker for worker in self.workers if worker.process is not None]
        for worker in left:
            log.error("Worker {number} does not end; it is killed", number=worker.number)
            worker.kill()
        await self._within(CLOSING, [worker.when_done(ENDED) for worker in left])
        self._location.stop()

    def hurry(self) -> None:
        """While it ends: calls have no more time to end by themselves, nor their BYEs to be answered."""
        self._send_to({"do": HURRY}, self.workers)
        limit = self._limit
        if limit is not None and limit.active() and limit.getTime() - self._clock.seconds() > STOP_TIMEOUT:
            limit.reset(STOP_TIMEOUT)

    def reload(self) -> None:
        """Have all workers read their files again."""
        self._send_to({"do": RELOAD}, self.workers)

    async def _within(self, seconds: float, works: list[Deferred[None]]) -> None:
        """Wait until all of them have fired, or the time is over."""
        done: Deferred[None] = Deferred()
        limit = self._limit = self._clock.callLater(seconds, done.callback, None)

        def all_done(_: object) -> None:
            if limit.active():
                limit.cancel()
                done.callback(None)

        DeferredList(works).addCallback(all_done)
        await done

    def _wait_for_ping(self) -> None:
        self._ping_due = self._clock.seconds() + PING_INTERVAL
        self._ping_timer = self._clock.callLater(PING_INTERVAL, self._ping)

    def _ping(self) -> None:
        now = self._clock.seconds()
        held_up = now - self._ping_due >= HELD_UP  # then nothing was read meanwhile, whatever they have sent
        self._wait_for_ping()
        for worker in self.workers:
            if worker.process is None:
                continue
            if held_up:
                worker.last_received = now
            if now - worker.last_received >= WATCHDOG:
                log.error("Worker {number} is stuck; it is killed", number=worker.number)
                worker.kill()
            worker.process.send({"do": QUERY, "what": "alive", "number": 0}, lossy=True)

    # From the workers

    def process_started(self, worker: WorkerProcess) -> None:
        """A process was started: send it the state of the directory."""
        assert worker.process is not None
        for change in self._directory.changes():
            worker.process.send(change)

    def process_ended(self, worker: WorkerProcess) -> None:
        """A process has ended, and its sockets are closed: notify the others."""
        self._flows.worker_ended(worker.number)
        self._directory.worker_ended(worker.number)
        self._send_to({"do": WORKER_ENDED, "worker": worker.number}, self.workers)

    def frame(self, worker: WorkerProcess, header: Header, body: bytes, raw: bytes) -> None:
        """A worker has sent a frame, to the hub or to others."""
        to = header.get("to", HUB)
        if to > HUB:
            other = self.workers[to - 1]
            if other.process is not None:
                other.process.send_raw(raw)
            return
        if to == ALL:
            for other in self.workers:
                if other is not worker and other.process is not None:
                    other.process.send_raw(raw)
        self._handle(worker, header, body)

    def _handle(self, worker: WorkerProcess, header: Header, body: bytes) -> None:
        what = header["do"]
        if what in REPLICATED:
            self._directory.apply(header)
        elif what == FLOW_CLOSED:
            self._flows.closed(*header["flow"])
        elif what == LOG:
            for event in events_of(worker.number, body):
                self._publish(event)
        elif what == RESULT:
            self._result(worker, header)
        elif what == READY:
            self._ready(worker)
        elif what == DONE:
            worker.done(header["what"])

    def _ready(self, worker: WorkerProcess) -> None:
        assert worker.process is not None
        worker.up = True
        log.info("Worker {number} is up, process {pid}", number=worker.number, pid=worker.process.pid)
        self._send_to({"do": WORKERS_UP, "workers": self.up}, self.workers)

    def _send_to(self, header: dict[str, object], workers: Iterable[WorkerProcess]) -> None:
        for worker in workers:
            if worker.process is not None:
                worker.process.send(header)

    # Queries

    def send(self, number: int, header: dict[str, object], body: bytes) -> None:
        """Send a worker a frame that may be dropped."""
        process = self.workers[number - 1].process
        if process is not None:
            process.send(header, body, lossy=True)

    def query_all(self, what: str, about: str | None = None) -> Deferred[dict[int, Any]]:
        """Send a query to all workers.

        :param what: one of the queries of `webrtcproxy.cluster.worker`.
        :param about: its argument, if it has one.
        :returns: fires with the answers that arrive within `QUERY_TIMEOUT` seconds, by worker number. Never fails.
        """
        self._query_number += 1
        number = self._query_number
        asked = [worker for worker in self.workers if worker.up]
        if not asked:
            return succeed({})
        limit = self._clock.callLater(QUERY_TIMEOUT, self._conclude, number)
        query = self._queries[number] = _Query(len(asked), limit)
        header: dict[str, object] = {"do": QUERY, "what": what, "number": number}
        self._send_to(header if about is None else {**header, "about": about}, asked)
        return query.done

    def _result(self, worker: WorkerProcess, header: Header) -> None:
        query = self._queries.get(header["number"])
        if query is not None:
            query.results[worker.number] = header["result"]
            if len(query.results) == query.expected:
                self._conclude(header["number"])

    def _conclude(self, number: int) -> None:
        query = self._queries.pop(number)
        if query.limit.active():
            query.limit.cancel()
        query.done.callback(query.results)
