"""LoginGuard: how long a login has to wait after failed ones, and from when on an address is banned.

What counts is who fails where: a user at an address (of IPv6: at a /64), called a pair here.

- A pair that has logged in before is *known*. It waits for its own failures only, so that nobody at another address
  can lock the user out, and its failures do not count for the others at its address.
- A login on a connection that has *proven* the same user waits for failures on such connections only, so that nobody
  at the same address can lock out who is connected.
- Any other pair waits for its own failures and for those of its address, whichever user they were for. It also waits
  for those of its user at any address, but only where its own address has failures: whoever gives the right password
  first is never delayed.
- An address of many known users, as of a company, may have more failures: a few pages with old passwords must not keep
  the others out who come back after a restart, when nobody is known yet.
- Who has a whole IPv6 site, 65,536 networks, has no more tries at one user without a delay than who has some addresses:
  the failures of a user at all networks of a site delay the next one, even at a network that has never failed.
- A user who logs in takes back his own failures at this address, and nobody else's: who has one account can not wash
  away his guesses for others.
- An address with too many failures is banned. Where users are known at it, the ban is for all others at it only: their
  logins are refused unseen, but it may connect.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import Final, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from webrtcproxy.access.bans import Bans
from webrtcproxy.config import BansConfig, Config, Network
from webrtcproxy.config.addresses import ip, network_of, site_of
from webrtcproxy.config.endpoints import split, unescape
from webrtcproxy.runtime.bounded import BoundedDict
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.runtime.metrics import BanReason, Metrics

log = Logger()

_K = TypeVar("_K")

FREE = 3
"""Failures of an address, or of a pair, that delay nothing."""

USERS_PER_FAILURE = 10
"""Known users of an address for which it may have one failure more."""

FREE_OF_USER = 10
"""Failures of a user, at all addresses, or at all networks of an IPv6 site, that delay nothing."""

SLOWEST = 60.0
"""The longest delay in seconds; each failure doubles it, beginning with one second."""

SLOWEST_KNOWN = 15.0
"""The longest delay of a known pair."""

EARLY = 5
"""Logins that come too early and count towards a ban like one failure."""

FORGIVEN = 300.0
"""Seconds in which one failure is forgiven."""

KNOWN = 30 * 86_400.0
"""Seconds for which a pair is known after a login."""

NEWS = 86_400.0
"""Seconds after which a further login of a known pair is told to the other processes."""

REMEMBERED = 20_000
"""Most addresses, users and pairs with failures, and addresses with known users, that are remembered."""

USERS_OF_ADDRESS = 5_000
"""Most known users of one address."""

TARGETS = 50
"""Targets of one address that are remembered; beyond them, each one counts."""

_LOOPBACK: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

_PairKey = tuple[str, str, bool]
"""Network, address-of-record, and whether on connections that have proven it."""

LONGEST_NAME = 256
"""Characters of an address-of-record, or of a target, that are looked at."""


class _Failures:
    """Failures that are forgiven one by one.

    :ivar at: when the last one was.
    :ivar early: logins since then that were refused because they came too early.
    :ivar targets: what a stranger has tried without success.
    """

    __slots__ = ("_count", "at", "early", "targets")

    def __init__(self) -> None:
        self._count = 0.0
        self.at = 0.0
        self.early = 0
        self.targets: set[str] = set()

    def left(self, now: float) -> float:
        """Those that are not forgiven yet."""
        return max(0.0, self._count - (now - self.at) / FORGIVEN)

    def add(self, now: float) -> None:
        self._count = self.left(now) + 1
        self.at = now
        self.early = 0

    def take_back(self, count: float, now: float) -> None:
        """Forgive so many at once; the time of the last one stays."""
        self._count = max(0.0, self.left(now) - count) + (now - self.at) / FORGIVEN

    def wait(self, slowest: float, now: float, free: int = FREE) -> float:
        """The seconds until the next login, after as many failures as there were at the last one."""
        return max(0.0, self.at + _pause(self._count, free, slowest) - now)


def _pause(count: float, free: int, slowest: float) -> float:
    """The seconds that have to lie between the last of so many failures and the next login."""
    whole = round(count)
    return 0.0 if whole < free else min(2.0 ** min(whole - free, 30), slowest)


class LoginGuard:
    """Delays logins after failed ones, and bans addresses.

    :param clock: for the time.
    :param config: when and for how long addresses are banned.
    :param bans: the bans; None for new ones.
    :param metrics: counts failed logins.
    :ivar clock: the same clock.
    :ivar bans: the bans.
    :ivar logged_in: called with network and address-of-record of a pair that has become known here, or has not been
        for a day: for the other processes.
    """

    def __init__(
        self, clock: IReactorTime, config: BansConfig, bans: Bans | None = None, metrics: Metrics | None = None
    ) -> None:
        self.clock = clock
        self._after = config.after
        self._metrics = metrics or Metrics()
        self.bans = Bans(clock, config, metrics=self._metrics) if bans is None else bans
        self._of_networks: BoundedDict[str, _Failures] = BoundedDict(REMEMBERED)
        self._of_users: BoundedDict[str, _Failures] = BoundedDict(REMEMBERED)
        self._of_sites: BoundedDict[tuple[str, str], _Failures] = BoundedDict(REMEMBERED)
        self._of_pairs: BoundedDict[_PairKey, _Failures] = BoundedDict(REMEMBERED)
        self._known: BoundedDict[str, BoundedDict[str, float]] = BoundedDict(REMEMBERED)
        self.logged_in: Callable[[str, str], None] = lambda network, aor: None

    # Queries

    def delay(self, host: str, aor: str, is_proven: bool = False) -> float:
        """How long a login is not looked at: it is to be refused with Retry-After, the same for users that exist and
        those that do not.

        :param host: the IP address of the browser.
        :param aor: the address-of-record of the user, as the browser names it.
        :param is_proven: whether the browser has proven it on its connection.
        :returns: seconds, 0 normally.
        """
        network, aor = network_of(host), aor[:LONGEST_NAME]
        own, of_network = self._of_pairs.get((network, aor, is_proven)), self._of_networks.get(network)
        ban = self.bans.remaining(host)
        if own is None and of_network is None and not ban and not self._of_sites:
            return 0.0  # nearly always
        now = self.clock.seconds()
        if is_proven or self._is_known(network, aor, now):
            return 0.0 if own is None else own.wait(SLOWEST_KNOWN, now)
        if ban:
            return ban
        of_site = self._of_sites.get((site_of(host), aor)) if self._of_sites else None
        wait = 0.0 if of_site is None else of_site.wait(SLOWEST, now, FREE_OF_USER)
        failures = of_network or own
        if failures is None:
            return wait
        wait = max(wait, failures.wait(SLOWEST, now, FREE + self._allowance(network)))
        if own is not None:
            wait = max(wait, own.wait(SLOWEST, now))
        of_user = self._of_users.get(aor)
        if of_user is not None and failures.left(now):
            wait = max(wait, failures.at + _pause(of_user.left(now), FREE_OF_USER, SLOWEST) - now)
        return wait

    def knows(self, host: str, aor: str) -> bool:
        """Whether a user has logged in from an address before."""
        users = self._known.get(network_of(host))
        return users is not None and users.get(aor[:LONGEST_NAME], 0.0) > self.clock.seconds()

    def check(
        self, host: str, aor: str, what: str, status: int = 503, is_proven: bool = False, is_early: bool = True
    ) -> None:
        """Check that a login may be looked at; parameters as of `delay`. One that comes too early does not prolong the
        delay, but `EARLY` of them count towards a ban like one failure.

        :param what: what logs in, for the log: the Call-ID of a request, or ``HTTP``.
        :param status: of the refusal: 503 in SIP, 429 in HTTP.
        :param is_early: False where it came before the failures, and has waited for its turn since.
        :raises Refusal: with Retry-After where it has to wait.
        """
        delay = self.delay(host, aor, is_proven)
        if delay > 0:
            if is_early and not is_proven:
                self._came_early(host, aor)
            self._metrics.refused("login_delay")
            log.info(
                "{call}: a login of {aor} from {host} has to wait {delay} s after failed ones ([bans])",
                call=what,
                aor=aor,
                host=host,
                delay=math.ceil(delay),
            )
            raise Refusal(status, "Too Many Failed Logins", [("Retry-After", str(math.ceil(delay)))])

    def is_banned(self, host: str) -> bool:
        """Whether an address may not even connect: it is banned, and no user is known there."""
        return self.bans.remaining(host) > 0 and not self._has_known(network_of(host))

    # Changes

    def failed(self, host: str, aor: str, is_proven: bool = False) -> None:
        """A login has failed, or was forged.

        :param host: the IP address of the browser; it must be certain, so never that of a datagram.
        :param aor: the address-of-record that it was for; it need not exist.
        :param is_proven: whether the browser has proven it on its connection.
        """
        network, now = network_of(host), self.clock.seconds()
        aor = aor[:LONGEST_NAME]
        self._metrics.login_failed()
        _counted(self._of_pairs, (network, aor, is_proven), now)
        if is_proven or self._is_known(network, aor, now) or self.bans.is_exempt(host):
            return
        _counted(self._of_users, aor, now)
        site = site_of(host)
        if site:
            _counted(self._of_sites, (site, aor), now)
        self._charge(host, network, now, "logins")

    def probed(self, host: str, target: str) -> None:
        """A stranger has tried to reach something, and was refused. Each target counts once: a page that is not logged
        in may try the same one again and again.

        :param host: its IP address; it must be certain, so never that of a datagram.
        :param target: a Request-URI, or the Call-ID of a dialog that is not the stranger's.
        """
        network, target = network_of(host), target[:LONGEST_NAME]
        failures = self._of_networks.get(network)
        if (failures is not None and target in failures.targets) or self.bans.is_exempt(host):
            return
        self._charge(host, network, self.clock.seconds(), "probes")
        targets = self._of_networks[network].targets
        if len(targets) < TARGETS:
            targets.add(target)

    def succeeded(self, host: str, aor: str, is_proven: bool = False) -> None:
        """A login has succeeded: the user has proven a secret, at a trunk or a domain that is served here.

        :param host: the IP address of the browser.
        :param aor: the address-of-record of the user.
        :param is_proven: whether the browser had proven it on its connection before.
        """
        network, now = network_of(host), self.clock.seconds()
        aor = aor[:LONGEST_NAME]
        self._of_pairs.pop((network, aor, True), None)
        users = self._known.get(network)
        is_news = users is None or users.get(aor, 0.0) < now + KNOWN - NEWS
        if not is_proven:
            self._take_back(network, aor, now)
        self._remember(network, aor, now)
        if is_news:
            self.logged_in(network, aor)

    def logged_in_elsewhere(self, network: str, aor: str) -> None:
        """A login has succeeded in another process; `logged_in` has told it."""
        now = self.clock.seconds()
        self._take_back(network, aor, now)
        self._remember(network, aor, now)

    def lift(self, host: str) -> bool:
        """End the ban of an address, and forget its failures.

        :param host: the address, or the network as `Bans.listed` has it.
        :returns: whether it was banned.
        """
        network = network_of(host.partition("/")[0])
        self._of_networks.pop(network, None)
        for pair in [pair for pair in self._of_pairs if pair[0] == network]:
            del self._of_pairs[pair]
        site = site_of(host.partition("/")[0])
        for of_site in [of_site for of_site in self._of_sites if of_site[0] == site]:
            del self._of_sites[of_site]
        return self.bans.lift(host)

    def _take_back(self, network: str, aor: str, now: float) -> None:
        """Forgive the failures of a pair."""
        own = self._of_pairs.pop((network, aor, False), None)
        if own is not None:
            for failures in (self._of_networks.get(network), self._of_users.get(aor)):
                if failures is not None:
                    failures.take_back(own.left(now), now)

    def _remember(self, network: str, aor: str, now: float) -> None:
        """A pair is known from now on."""
        users = self._known.get(network)
        if users is None:
            users = BoundedDict(USERS_OF_ADDRESS)
        users.renew(aor, now + KNOWN)
        while users[oldest := next(iter(users))] <= now:
            del users[oldest]
        self._known.renew(network, users)

    def _came_early(self, host: str, aor: str) -> None:
        failures = self._of_networks.get(network_of(host))
        if failures is None or not self._after or self.knows(host, aor) or self.bans.remaining(host):
            return
        failures.early += 1
        may = self._after + self._allowance(network_of(host))
        if failures.left(self.clock.seconds()) + failures.early / EARLY >= may:
            self.bans.ban(host, "logins")

    def _charge(self, host: str, network: str, now: float, why: BanReason) -> None:
        failures = _counted(self._of_networks, network, now)
        if self._after and failures.left(now) >= self._after + self._allowance(network):
            failures.take_back(failures.left(now) - min(FREE, self._after - 1), now)
            self.bans.ban(host, why)

    def _allowance(self, network: str) -> int:
        """The failures that an address may have beyond others, for its known users."""
        users = self._known.get(network)
        return 0 if users is None else len(users) // USERS_PER_FAILURE

    def _is_known(self, network: str, aor: str, now: float) -> bool:
        users = self._known.get(network)
        return users is not None and users.get(aor, 0.0) > now

    def _has_known(self, network: str) -> bool:
        users = self._known.get(network)
        now = self.clock.seconds()
        return users is not None and any(until > now for until in users.values())


def _counted(table: BoundedDict[_K, _Failures], key: _K, now: float) -> _Failures:
    """Add one failure to a key of a table."""
    failures = table.get(key) or _Failures()
    failures.add(now)
    table.renew(key, failures)
    return failures


def guard_of(
    config: Config, clock: IReactorTime, trunks_of: Callable[[str], Sequence[object]], metrics: Metrics
) -> LoginGuard:
    """The guard of a proxy: it never bans trunks and reverse proxies.

    :param trunks_of: returns the trunks that an IP address belongs to.
    """
    proxies = _reverse_proxies(config)

    def is_exempt(host: str) -> bool:
        address = ip(host)
        return bool(trunks_of(host)) or (address is not None and any(address in network for network in proxies))

    return LoginGuard(clock, config.bans, Bans(clock, config.bans, is_exempt, metrics), metrics)


def _reverse_proxies(config: Config) -> tuple[Network, ...]:
    """Where reverse proxies are: ``trusted-proxies``. Where there are none, but the port of the browsers is on loopback
    only and without TLS, there is one in front that nobody has named: all browsers seem to be there."""
    wss = config.wss
    if wss.trusted_proxies or not all(split(line)[0].startswith("tcp") for line in wss.listen):
        return wss.trusted_proxies
    hosts = [part.partition("=")[2] for line in wss.listen for part in split(line) if part.startswith("interface=")]
    local = [address is not None and address.is_loopback for address in map(ip, map(unescape, hosts))]
    return _LOOPBACK if len(local) == len(wss.listen) and all(local) else ()
