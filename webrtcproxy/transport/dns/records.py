"""DNS records: asked for with twisted.names, each question once at a time, and kept for as long as they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv6Address
from typing import Any, NamedTuple, Protocol

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.names import dns
from twisted.names.error import DNSNameError
from twisted.python.failure import Failure

from webrtcproxy.runtime.errors import Refusal

log = Logger()

SHORTEST, LONGEST = 5, 3600
"""Seconds that an answer is kept, whatever its time to live says."""

NEGATIVE_TTL = 60.0
"""Seconds that it is kept that there is no such record: most names have neither NAPTR nor SRV."""

FAILURE_TTL = 30.0
"""Seconds until a question is asked again that got no answer; what was known before counts until there is one (RFC
8767), and nobody waits for it."""

DNS_TIMEOUTS = (1, 2)
"""Seconds for each try of a question."""

MAX_QUESTIONS = 2048
"""Questions whose answers are kept."""

MAX_LOOKUPS = 64
"""Questions that are asked at the same time; browsers may choose the names."""

MAX_RECORDS = 32
"""Records of one answer that are looked at."""


class Naptr(NamedTuple):
    """A NAPTR record as far as RFC 3263 section 4.1 needs it."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


class Srv(NamedTuple):
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


class Asked(Protocol):
    """What answers questions: :class:`twisted.names.client.Resolver`."""

    def query(self, query: dns.Query, timeout: Sequence[int]) -> Deferred[Any]:
        """Fires with three lists of records: answers, authority, additional."""


class _Kept(NamedTuple):
    """An answer; empty where there is no such record.

    :ivar failed: there was none, the last time.
    """

    values: tuple[Any, ...]
    until: float
    failed: bool


class Records:
    """Asks, and keeps what it heard.

    :param clock: tells for how long.
    :param begin: makes what answers, with the first question: most proxies never have one.
    """

    def __init__(self, clock: IReactorTime, begin: Callable[[], Asked]) -> None:
        self._clock = clock
        self._begin = begin
        self._asked: Asked | None = None
        self._kept: dict[tuple[str, int], _Kept] = {}
        self._waiting: dict[tuple[str, int], list[Deferred[tuple[Any, ...]]]] = {}

    def naptr(self, name: str) -> Deferred[tuple[Naptr, ...]]:
        """The NAPTR records of `name`. This and the others fire with nothing where there is none, or no answer; they
        fail with a Refusal (500) where too much is being looked up."""
        return self._ask(name, dns.NAPTR)

    def srv(self, name: str) -> Deferred[tuple[Srv, ...]]:
        """The SRV records of `name`, in no order."""
        return self._ask(name, dns.SRV)

    def a(self, name: str) -> Deferred[tuple[str, ...]]:
        """The IPv4 addresses of `name`."""
        return self._ask(name, dns.A)

    def aaaa(self, name: str) -> Deferred[tuple[str, ...]]:
        """The IPv6 addresses of `name`."""
        return self._ask(name, dns.AAAA)

    def _ask(self, name: str, kind: int) -> Deferred[tuple[Any, ...]]:
        key = name, kind
        kept = self._kept.get(key)
        if kept is not None and kept.until > self._clock.seconds():
            return succeed(kept.values)
        if kept is not None and kept.failed:
            if key not in self._waiting and len(self._waiting) < MAX_LOOKUPS:
                self._begin_asking(key)
            return succeed(kept.values)
        if key not in self._waiting:
            if len(self._waiting) >= MAX_LOOKUPS:
                return fail(Refusal(500, "Too Many Lookups"))
            waiting: Deferred[tuple[Any, ...]] = Deferred()
            self._begin_asking(key, waiting)
            return waiting
        self._waiting[key].append(Deferred())
        return self._waiting[key][-1]

    def _begin_asking(self, key: tuple[str, int], *waiting: Deferred[tuple[Any, ...]]) -> None:
        self._waiting[key] = list(waiting)
        name, kind = key
        if self._asked is None:
            self._asked = self._begin()
        answer = maybeDeferred(self._asked.query, dns.Query(name.encode(), kind, dns.IN), DNS_TIMEOUTS)
        answer.addCallbacks(self._heard, self._unheard, (key,), errbackArgs=(key,))
        answer.addErrback(self._broken, key)

    def _heard(self, answer: Sequence[Sequence[Any]], key: tuple[str, int]) -> None:
        found = [record for record in answer[0][:MAX_RECORDS] if record.type == key[1]]
        seconds = min(max(SHORTEST, min(record.ttl for record in found)), LONGEST) if found else NEGATIVE_TTL
        self._keep(key, tuple(_READ[key[1]](record.payload) for record in found), seconds)

    def _unheard(self, failure: Failure, key: tuple[str, int]) -> None:
        """There is no such name; or nobody has said anything, and what was known counts on."""
        if failure.check(DNSNameError):
            self._keep(key, (), NEGATIVE_TTL)
            return
        before = self._kept.get(key)
        log.info("No answer from the DNS for {name}: {why!r}", name=key[0], why=failure.value)
        self._keep(key, () if before is None else before.values, FAILURE_TTL, failed=True)

    def _broken(self, failure: Failure, key: tuple[str, int]) -> None:
        log.failure("The answer for {name} can't be read", failure, name=key[0])
        self._keep(key, (), FAILURE_TTL)

    def _keep(self, key: tuple[str, int], values: tuple[Any, ...], seconds: float, *, failed: bool = False) -> None:
        if len(self._kept) >= MAX_QUESTIONS:
            del self._kept[next(iter(self._kept))]
        self._kept.pop(key, None)
        self._kept[key] = _Kept(values, self._clock.seconds() + seconds, failed)
        for waiting in self._waiting.pop(key, ()):
            waiting.callback(values)


def _text(octets: bytes) -> str:
    return octets.decode("ascii", "replace").lower()


_READ: dict[int, Callable[[Any], Any]] = {
    dns.NAPTR: lambda record: Naptr(
        record.order,
        record.preference,
        _text(record.flags.string),
        _text(record.service.string),
        _text(record.replacement.name),
    ),
    dns.SRV: lambda record: Srv(record.priority, record.weight, record.port, _text(record.target.name)),
    dns.A: lambda record: record.dottedQuad(),
    dns.AAAA: lambda record: str(IPv6Address(record.address)),
}
