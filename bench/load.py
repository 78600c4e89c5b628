"""One load on one gateway, and what it cost."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

from bench import meter
from bench.farend import Browsers, Caller, Registrar, Sipp, Trunk
from bench.gateways import Gateway
from tests.support.real.ports import LOOPBACK

MODES = ("calls", "register", "inbound", "idle")


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be done.

    :ivar mode: `calls` from browsers, `register`, `inbound` calls to browsers, `idle` registered browsers.
    :ivar rate: operations a second.
    :ivar seconds: how long operations are started, or browsers are idle.
    :ivar clients: browsers.
    :ivar hold: milliseconds that a call lasts.
    :ivar held: calls that are up all the time besides; they cost nothing in the result.
    :ivar after: seconds from the end of idle browsers until the memory is looked at once more.
    """

    mode: str
    rate: float = 0
    seconds: float = 10
    clients: int = 50
    hold: int = 500
    held: int = 0
    after: float = 10


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a load.

    :ivar failures: operations that failed at the browsers or at SIPp, and calls with SDP that no browser takes.
    :ivar cpu: milliseconds of the gateway per operation.
    :ivar shares: the part of it of each process of the gateway, the first one's first.
    :ivar engine_cpu: the same of rtpengine.
    :ivar browsers_cpu: the same of the load generator.
    :ivar busy: of one core, the part that the gateway took.
    :ivar p50: milliseconds from request to 200, for half of the operations.
    :ivar p99: the same for 99 %.
    :ivar memory: kB per client (PSS), for idle browsers.
    :ivar kept: kB per client that are still there when the browsers have gone.
    :ivar others: the part of the machine that others took meanwhile, 0 to 1.
    """

    gateway: str
    mode: str
    rate: float
    completed: int
    failures: int
    causes: dict[str, int] = field(default_factory=dict)
    cpu: float = 0.0
    shares: tuple[float, ...] = ()
    engine_cpu: float = 0.0
    browsers_cpu: float = 0.0
    busy: float = 0.0
    p50: float | None = None
    p99: float | None = None
    memory: float | None = None
    kept: float | None = None
    others: float = 0.0


async def run(
    load: Load, gateway: Gateway, engines: Sequence[int], trunk: int, watch: AbstractContextManager[object]
) -> Result:
    """Put a load on a gateway that runs.

    :param engines: the process ids of rtpengine.
    :param trunk: the port for SIPp.
    :param watch: entered for as long as the load is on.
    :raises RuntimeError: the browsers could not do it at all.
    """
    with ExitStack() as stack:
        far = Trunk(trunk) if load.mode == "calls" else Registrar(trunk)
        stack.callback(far.stop)
        await far.start()
        memory = meter.memory(gateway.pid)
        browsers = Browsers(
            mode=load.mode, url=f"wss://{LOOPBACK}:{gateway.wss}/", trunk=f"{LOOPBACK}:{trunk}", clients=load.clients,
            rate=load.rate, seconds=load.seconds, hold=load.hold, held=load.held,
        )  # fmt: skip
        stack.callback(browsers.stop)
        browsers.wait_for("connected")
        browsers.go_on()
        clients = browsers.wait_for("ready")["clients"]
        time.sleep(1)
        reading = _Reading([gateway.pid], engines)
        with watch:
            browsers.go_on()
            caller = await _call_in(load, far, stack, browsers)
            browsers.wait_for("done")
        spent = reading.spent()
        used = meter.memory(gateway.pid) - memory
        browsers.go_on()
        told = browsers.wait_for("results")
        browsers.stop()
        failed = far.end()
        if caller is not None:
            failed += caller.end()
        kept = None
        if load.mode == "idle":
            time.sleep(load.after)
            kept = (meter.memory(gateway.pid) - memory) / clients
        completed = told["completed"]
        failures = max(told["failed"], failed, told["attempted"] - completed) + told["faults"] + told["lost"]
        if failed and not told["failed"]:
            sys.stderr.write(f"SIPp: {(caller or far).errors()[-1500:]}\n")
        p50, p99 = _quantiles(caller) if caller is not None else (told["p50"], told["p99"])
        each = max(completed, 1) if load.mode != "idle" else load.seconds
        return Result(
            gateway.label, load.mode, load.rate, completed, failures, told["causes"],
            cpu=spent.cpu / each, engine_cpu=spent.engine / each, browsers_cpu=told["cpu"] / each,
            shares=tuple(share / each for share in spent.shares),
            busy=spent.cpu / spent.wall, p50=p50, p99=p99, others=spent.others,
            memory=used / clients if load.mode == "idle" else None, kept=kept,
        )  # fmt: skip


async def _call_in(load: Load, far: Sipp, stack: ExitStack, browsers: Browsers) -> Caller | None:
    """The calls to the browsers, where these are the load."""
    if load.mode != "inbound":
        return None
    assert isinstance(far, Registrar)
    calls = round(load.rate * load.seconds)
    caller = Caller(far.registered(), load.rate, calls, load.hold)
    stack.callback(caller.stop)
    await caller.start()
    caller.finish(load.seconds + load.hold / 1000 + 30)
    browsers.go_on()
    return caller


def _quantiles(caller: Caller) -> tuple[float | None, float | None]:
    times = sorted(caller.times())
    if not times:
        return None, None
    return times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)]


@dataclass(frozen=True, slots=True)
class _Spent:
    """CPU of gateway, each of its processes, and rtpengine, and the time that passed, in milliseconds; what others took
    of the machine."""

    cpu: float
    shares: tuple[float, ...]
    engine: float
    wall: float
    others: float


class _Reading:
    """The meters at the start of a load."""

    def __init__(self, gateway: Sequence[int], engines: Sequence[int]) -> None:
        self._processes = gateway, engines
        self._machine = meter.Machine.now()
        self._since = time.monotonic()
        self._cpu = self._used()

    def spent(self) -> _Spent:
        """From the start until now."""
        shares, engine = (
            tuple(cpu - before.get(pid, 0.0) for pid, cpu in now.items())
            for before, now in zip(self._cpu, self._used(), strict=True)
        )
        wall = (time.monotonic() - self._since) * 1000
        return _Spent(sum(shares), shares, sum(engine), wall, meter.Machine.now().others(self._machine))

    def _used(self) -> list[dict[int, float]]:
        return [
            {pid: cpu for root in roots for pid, cpu in meter.cpu_of_each(root).items()} for roots in self._processes
        ]
