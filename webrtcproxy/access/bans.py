"""Bans: the addresses that are kept out for a while, until when, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from webrtcproxy.config import BansConfig
from webrtcproxy.config.addresses import ip, network_of
from webrtcproxy.runtime.bounded import BoundedDict
from webrtcproxy.runtime.metrics import BanReason, Metrics

log = Logger()

REMEMBERED = 10_000
"""Most networks that are banned at once; with one more, the ban of the oldest ends."""

REPEATED = 86_400.0
"""Seconds after the end of a ban in which the next one of the same network is longer."""


@dataclass(frozen=True, slots=True)
class Ban:
    """The ban of one network.

    :ivar network: an IPv4 address, or a /64 of IPv6.
    :ivar since: seconds of the clock.
    :ivar until: seconds of the clock.
    :ivar times: how often it has been banned in a row.
    """

    network: str
    why: BanReason
    since: float
    until: float
    times: int


class BanReport(TypedDict):
    """A ban as ``GET /bans`` lists it.

    :ivar seconds: until its end.
    """

    network: str
    reason: BanReason
    seconds: float
    times: int


class Bans:
    """The banned networks of this process.

    :param clock: for the time.
    :param config: how long a ban lasts, and which networks are never banned.
    :param is_exempt: whether an IP address belongs to a trunk or to a reverse proxy, which is never banned either.
    :param metrics: counts the bans.
    :ivar banned: called with each network that is banned here (not where another process has banned it), its reason and
        the end in seconds from now.
    """

    def __init__(
        self,
        clock: IReactorTime,
        config: BansConfig,
        is_exempt: Callable[[str], bool] = lambda host: False,
        metrics: Metrics | None = None,
    ) -> None:
        self._clock = clock
        self._config = config
        self._is_exempt = is_exempt
        self._metrics = metrics or Metrics()
        self._bans: BoundedDict[str, Ban] = BoundedDict(REMEMBERED)
        self._watchers: list[Callable[[str], None]] = []
        self.banned: Callable[[str, BanReason, float], None] = lambda network, why, seconds: None

    def __len__(self) -> int:
        """The number of networks that are banned now."""
        now = self._clock.seconds()
        return sum(ban.until > now for ban in self._bans.values())

    def is_exempt(self, host: str) -> bool:
        """Whether an address is never banned."""
        address = ip(host)
        trusted = address is not None and any(address in network for network in self._config.trusted)
        return trusted or self._is_exempt(host)

    def remaining(self, host: str) -> float:
        """The seconds until the ban of an address ends; 0 where it is not banned."""
        if not self._bans:
            return 0.0
        ban = self._bans.get(network_of(host))
        return 0.0 if ban is None else max(0.0, ban.until - self._clock.seconds())

    def listed(self) -> list[BanReport]:
        """The bans of now, the newest last."""
        now = self._clock.seconds()
        return [
            BanReport(network=ban.network, reason=ban.why, seconds=round(ban.until - now, 1), times=ban.times)
            for ban in self._bans.values()
            if ban.until > now
        ]

    def watch(self, call: Callable[[str], None]) -> None:
        """Have `call` called with each network that is banned, to close its connections."""
        self._watchers.append(call)

    def ban(self, host: str, why: BanReason) -> None:
        """Ban an address, unless it is exempt or is banned already."""
        if self.remaining(host) or self.is_exempt(host):
            return
        network, now = network_of(host), self._clock.seconds()
        last = self._bans.get(network)
        times = 1 if last is None or last.until + REPEATED < now else last.times + 1
        seconds = min(self._config.seconds * 2 ** min(times - 1, 30), self._config.longest)
        self._add(Ban(network, why, now, now + seconds, times))
        self._metrics.banned(why)
        log.warn("Banned {network} for {seconds:.0f} s: {why}", network=network, seconds=seconds, why=why)
        self.banned(network, why, seconds)

    def ban_of_another(self, network: str, why: BanReason, seconds: float) -> None:
        """Another process has banned a network, for so many more seconds."""
        now = self._clock.seconds()
        last = self._bans.get(network)
        self._add(Ban(network, why, now, now + seconds, 1 if last is None else last.times + 1))

    def lift(self, host: str) -> bool:
        """End the ban of an address.

        :param host: an address of the banned network, or the network as `listed` has it.
        :returns: whether it was banned.
        """
        ban = self._bans.pop(network_of(host.partition("/")[0]), None)
        lifted = ban is not None and ban.until > self._clock.seconds()
        if ban is not None and lifted:
            log.warn("The ban of {network} is lifted", network=ban.network)
        return lifted

    def _add(self, ban: Ban) -> None:
        self._bans.renew(ban.network, ban)
        for call in self._watchers:
            call(ban.network)
