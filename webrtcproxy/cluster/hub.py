"""Hub: the process that twistd starts where there are several workers. It carries no calls: it starts and watches the
workers, passes frames from one to another, and ends them in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from webrtcproxy.cluster.directory import SharedDirectory
from webrtcproxy.cluster.launcher import Launch, ProcessHandle
from webrtcproxy.cluster.link import Header
from webrtcproxy.cluster.logs import events_of
from webrtcproxy.cluster.ownership import ALL, HUB
from webrtcproxy.cluster.remote import RemoteFlows
from webrtcproxy.registration.location import ILocation

log = Logger()

SHORTEST_BREAK, LONGEST_BREAK = 1.0, 30.0
"""Seconds between the death of a worker and its next start: doubled each time."""

STABLE = 60.0
"""Seconds of life after which the break is the shortest one again."""

WATCHDOG = 60.0
"""Seconds without a word after which a worker counts as stuck, and is killed."""

PING_INTERVAL = 5.0
"""Seconds between two questions to a worker whether it lives."""

QUERY_TIMEOUT = 2.0
"""Seconds that the workers have to answer a question."""

STOP_TIMEOUT = 5.0
"""Seconds beyond the time to drain in which a worker has to end its calls."""

CLOSING = 12.0
"""Seconds that it then has to close its sockets and end."""


class WorkerProcess:
    """One worker as the hub has it: the process of now, or the time until the next one.

    :param number: from 1 on.
    :param hub: hears what it sends.
    :ivar up: it takes messages.
    """

    def __init__(self, number: int, hub: Hub, clock: IReactorTime, launch: Launch) -> None:
        self.number = number
        self.up = False
        self.running: ProcessHandle | None = None
        self.heard = 0.0
        self._hub = hub
        self._clock = clock
        self._launch = launch
        self._runs = 0
        self._since = 0.0
        self._break = SHORTEST_BREAK
        self._timer: IDelayedCall | None = None
        self._waiting: dict[str, Deferred[None]] = {}

    def start(self) -> None:
        """Start a process."""
        self._timer = None
        self._since = self.heard = self._clock.seconds()
        self._runs += 1
        try:
            self.running = self._launch(self.number, self._runs, self, self.ended)
        except OSError as why:
            self.ended(str(why))
            return
        self._hub.started(self)

    def rest(self) -> None:
        """Start no process any more."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def told(self, what: str) -> Deferred[None]:
        """Tell the process to do something.

        :returns: as `until`.
        """
        if self.running is not None:
            self.running.send({"do": what})
        return self.until(what)

    def until(self, what: str) -> Deferred[None]:
        """Fires with None when the process says that it is done with something, or is gone."""
        if self.running is None:
            return succeed(None)
        done = self._waiting[what] = Deferred()
        return done

    def done(self, what: str) -> None:
        """The process says so."""
        waiting = self._waiting.pop(what, None)
        if waiting is not None:
            waiting.callback(None)

    def frame(self, header: Header, body: bytes, raw: bytes) -> None:
        """The process sends something."""
        self.heard = self._clock.seconds()
        self._hub.frame(self, header, body, raw)

    def link_ended(self) -> None:
        """Without its link it can do nothing; it ends by itself, or else is ended."""
        if self.running is not None:
            self.rest()
            self._timer = self._clock.callLater(CLOSING, self.kill)

    def kill(self) -> None:
        """End the process at once."""
        if self.running is not None:
            self.running.kill()

    def ended(self, why: str) -> None:
        """The process is gone."""
        self.rest()
        self.running = None
        self.up = False
        self._hub.gone(self)
        for what in list(self._waiting):
            self.done(what)
        if not self._hub.running:
            return
        if self._clock.seconds() - self._since >= STABLE:
            self._break = SHORTEST_BREAK
        log.error(
            "Worker {number} is gone ({why}); started again in {seconds} s",
            number=self.number,
            why=why,
            seconds=self._break,
        )
        self._timer = self._clock.callLater(self._break, self.start)
        self._break = min(self._break * 2, LONGEST_BREAK)


@dataclass(slots=True)
class _Question:
    """A question to all workers, and what they have answered so far."""

    asked: int
    limit: IDelayedCall
    done: Deferred[dict[int, Any]] = field(default_factory=Deferred)
    answers: dict[int, Any] = field(default_factory=dict)


class Hub(Service):
    """All workers.

    :param clock: runs the breaks and limits.
    :param workers: how many.
    :param launch: starts one.
    :param flows: the sockets of the workers, as the hub knows them.
    :param location: the bindings, as the hub knows them.
    :param directory: the hub's replica of what the workers share.
    :param drain: seconds that calls have to end by themselves when the hub is stopped.
    :param publish: takes the log events of the workers.
    """

    name = "hub"

    def __init__(
        self,
        clock: IReactorTime,
        workers: int,
        launch: Launch,
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
        self._questions: dict[int, _Question] = {}
        self._asked = 0
        self._pulse: IDelayedCall | None = None
        self.stopping = False
        self.workers = [WorkerProcess(number, self, clock, launch) for number in range(1, workers + 1)]

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
        self._pulse = self._clock.callLater(PING_INTERVAL, self._feel_pulse)

    def stopService(self) -> Deferred[None]:
        """Drain the workers, all of them before the sockets of any close: a call may be in one, and its browser in
        another.

        :returns: fires with None when all processes are gone.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        self.stopping = True
        if self._pulse is not None:
            self._pulse.cancel()
            self._pulse = None
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for worker in self.workers:
            worker.rest()
        await self._within(self._drain + STOP_TIMEOUT, [worker.told("drain") for worker in self.workers])
        await self._within(CLOSING, [worker.told("stop") for worker in self.workers])
        left = [worker for worker in self.workers if worker.running is not None]
        for worker in left:
            log.error("Worker {number} does not end; it is killed", number=worker.number)
            worker.kill()
        await self._within(CLOSING, [worker.until("end") for worker in left])
        self._location.stop()

    async def _within(self, seconds: float, works: list[Deferred[None]]) -> None:
        """Wait until all of them have fired, or for so long."""
        done: Deferred[None] = Deferred()
        limit = self._clock.callLater(seconds, done.callback, None)

        def all_done(_: object) -> None:
            if limit.active():
                limit.cancel()
                done.callback(None)

        DeferredList(works).addCallback(all_done)
        await done

    def _feel_pulse(self) -> None:
        self._pulse = self._clock.callLater(PING_INTERVAL, self._feel_pulse)
        now = self._clock.seconds()
        for worker in self.workers:
            if worker.running is None:
                continue
            if now - worker.heard >= WATCHDOG:
                log.error("Worker {number} is stuck; it is killed", number=worker.number)
                worker.kill()
            worker.running.send({"do": "ask", "what": "alive", "number": 0}, lossy=True)

    # From the workers

    def started(self, worker: WorkerProcess) -> None:
        """A process has begun: it is told what there is."""
        assert worker.running is not None
        for change in self._directory.changes():
            worker.running.send(change)

    def gone(self, worker: WorkerProcess) -> None:
        """A process is gone, and its sockets; the others hear it."""
        self._flows.gone(worker.number)
        self._directory.worker_ended(worker.number)
        self._tell({"do": "gone", "worker": worker.number}, self.workers)

    def frame(self, worker: WorkerProcess, header: Header, body: bytes, raw: bytes) -> None:
        """A worker sends something, to us or to others."""
        to = header.get("to", HUB)
        if to > HUB:
            other = self.workers[to - 1]
            if other.running is not None:
                other.running.send_raw(raw)
            return
        if to == ALL:
            for other in self.workers:
                if other is not worker and other.running is not None:
                    other.running.send_raw(raw)
        self._handle(worker, header, body)

    def _handle(self, worker: WorkerProcess, header: Header, body: bytes) -> None:
        what = header["do"]
        if what in ("intend", "bind", "unbind", "registered"):
            self._directory.apply(header)
        elif what == "lost":
            self._flows.lost(*header["flow"])
        elif what == "log":
            for event in events_of(worker.number, body):
                self._publish(event)
        elif what == "answer":
            self._answered(worker, header)
        elif what == "ready":
            self._ready(worker)
        elif what == "done":
            worker.done(header["what"])

    def _ready(self, worker: WorkerProcess) -> None:
        assert worker.running is not None
        worker.up = True
        log.info("Worker {number} is up, process {pid}", number=worker.number, pid=worker.running.pid)
        self._tell({"do": "up", "workers": self.up}, self.workers)

    def _tell(self, header: dict[str, object], workers: Iterable[WorkerProcess]) -> None:
        for worker in workers:
            if worker.running is not None:
                worker.running.send(header)

    # For those who want to know

    def send(self, number: int, header: dict[str, object], body: bytes) -> None:
        """Send a worker a frame that may be lost."""
        running = self.workers[number - 1].running
        if running is not None:
            running.send(header, body, lossy=True)

    def ask(self, what: str) -> Deferred[dict[int, Any]]:
        """Ask all workers something, by its name (see `webrtcproxy.cluster.worker`).

        :returns: fires with the answers that came within `QUERY_TIMEOUT` seconds, by worker number. Never fails.
        """
        self._asked += 1
        number = self._asked
        asked = [worker for worker in self.workers if worker.up]
        if not asked:
            return succeed({})
        limit = self._clock.callLater(QUERY_TIMEOUT, self._conclude, number)
        question = self._questions[number] = _Question(len(asked), limit)
        self._tell({"do": "ask", "what": what, "number": number}, asked)
        return question.done

    def _answered(self, worker: WorkerProcess, header: Header) -> None:
        question = self._questions.get(header["number"])
        if question is not None:
            question.answers[worker.number] = header["answer"]
            if len(question.answers) == question.asked:
                self._conclude(header["number"])

    def _conclude(self, number: int) -> None:
        question = self._questions.pop(number)
        if question.limit.active():
            question.limit.cancel()
        question.done.callback(question.answers)
