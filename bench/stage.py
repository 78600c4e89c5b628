"""Everything that runs while gateways are measured."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext

from bench.gateways import Engine, Gateway, make
from bench.load import Load, Result, run
from tests.support.real.part import pause
from tests.support.real.ports import LOOPBACK, free_port

SETTLE = 1.0
"""Seconds that a gateway has from the moment when it listens: Kamailio still starts processes then."""


class Stage:
    """rtpengine, a place for SIPp, and gateways. A load that does not come out clean gets fresh ones for the next.

    :param engines: how many rtpengines.
    """

    def __init__(self, engines: int = 1) -> None:
        self._wanted = engines
        self._engines: list[Engine] = []
        self._gateways: dict[str, Gateway] = {}
        self.trunk = free_port()

    async def gateway(self, label: str) -> Gateway:
        """A running gateway."""
        addresses = [engine.address for engine in await self.engines()]
        gateway = self._gateways.get(label)
        if gateway is None or not gateway.alive:
            gateway = self._gateways[label] = make(label, addresses, f"{LOOPBACK}:{self.trunk}")
            await gateway.start()
            await pause(SETTLE)
        return gateway

    async def engines(self) -> list[Engine]:
        """The running rtpengines."""
        while len(self._engines) < self._wanted:
            engine = Engine(len(self._engines))
            await engine.start()
            self._engines.append(engine)
        return self._engines

    async def play(self, load: Load, label: str, watch: AbstractContextManager[object] | None = None) -> Result:
        """Put a load on a gateway.

        :param watch: entered for as long as the load is on.
        """
        gateway = await self.gateway(label)
        engines = [engine.pid for engine in await self.engines()]
        try:
            result = await run(load, gateway, engines, self.trunk, watch or nullcontext())
        except RuntimeError as error:
            result = Result(label, load.mode, load.rate, 0, 1, {str(error): 1})
        if result.failures:
            sys.stderr.write(f"{label}, {load}: {result.failures} failures {result.causes}\n{gateway.log()[-1500:]}\n")
            self.clear()
        return result

    def dismiss(self, label: str) -> None:
        """End a gateway."""
        gateway = self._gateways.pop(label, None)
        if gateway is not None:
            gateway.stop()

    def clear(self) -> None:
        """End all."""
        for label in list(self._gateways):
            self.dismiss(label)
        while self._engines:
            self._engines.pop().stop()
