"""Records: queries DNS records with twisted.names, one query at a time for each key, and caches them for their TTL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv6Address
from typing import Any, NamedTuple, Protocol

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.names import dns
from twisted.names.error import DNSNameError
from twisted.python.failure import Failure

from webrtcproxy.transport.dns.lookups import Lookups

log = Logger()

MIN_TTL, MAX_TTL = 5, 3600
"""Bounds of the seconds for which an answer is kept, whatever its time to live."""

NEGATIVE_TTL = 60.0
"""Seconds for which the absence of a record is cached: most names have neither NAPTR nor SRV."""

FAILURE_TTL = 30.0
"""Seconds until a query without a response is repeated. Until one succeeds, the previous answer is served without delay
(RFC 8767)."""

DNS_TIMEOUTS = (1, 2)
"""The timeouts of a query's attempts, in seconds."""

MAX_QUESTIONS = 2048
"""Answers that are cached."""

MAX_LOOKUPS = 64
"""Queries that run at the same time; bounded, since browsers may choose the names."""

MAX_RECORDS = 32
"""Records of one answer that are used."""


class Naptr(NamedTuple):
    """The fields of a NAPTR record that RFC 3263 section 4.1 uses."""

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


class Resolver(Protocol):
    """A DNS client: :class:`twisted.names.client.Resolver`."""

    def query(self, query: dns.Query, timeout: Sequence[int]) -> Deferred[Any]:
        """Fires with three lists of records: answers, authority, additional."""


class Records(Lookups[tuple[str, int], tuple[Any, ...]]):
    """Queries the DNS, and caches the answers. A key is a name and a record type.

    :param clock: for the time to live of records.
    :param connect: makes the resolver, at the first query: most proxies never need one.
    """

    def __init__(self, clock: IReactorTime, connect: Callable[[], Resolver]) -> None:
        super().__init__(clock, MAX_QUESTIONS, MAX_LOOKUPS)
        self._connect = connect
        self._resolver: Resolver | None = None

    def naptr(self, name: str) -> Deferred[tuple[Naptr, ...]]:
        """The NAPTR records of `name`. This and the following methods fire with an empty result if there is no record
        or no response, and fail with a Refusal (500) if too many lookups are running."""
        return self.look_up((name, dns.NAPTR))

    def srv(self, name: str) -> Deferred[tuple[Srv, ...]]:
        """The SRV records of `name`, in no order."""
        return self.look_up((name, dns.SRV))

    def a(self, name: str) -> Deferred[tuple[str, ...]]:
        """The IPv4 addresses of `name`."""
        return self.look_up((name, dns.A))

    def aaaa(self, name: str) -> Deferred[tuple[str, ...]]:
        """The IPv6 addresses of `name`."""
        return self.look_up((name, dns.AAAA))

    def start(self, key: tuple[str, int]) -> None:
        """Send the query."""
        if self._resolver is None:
            self._resolver = self._connect()
        name, kind = key
        answer = maybeDeferred(self._resolver.query, dns.Query(name.encode(), kind, dns.IN), DNS_TIMEOUTS)
        answer.addCallbacks(self._received, self._failed, (key,), errbackArgs=(key,))
        answer.addErrback(self._unreadable, key)

    def _received(self, answer: Sequence[Sequence[Any]], key: tuple[str, int]) -> None:
        found = [record for record in answer[0][:MAX_RECORDS] if record.type == key[1]]
        seconds = min(max(MIN_TTL, min(record.ttl for record in found)), MAX_TTL) if found else NEGATIVE_TTL
        self.finish(key, tuple(_READ[key[1]](record.payload) for record in found), seconds)

    def _failed(self, failure: Failure, key: tuple[str, int]) -> None:
        """The name does not exist; or there was no response, and the previous answer is still served."""
        if failure.check(DNSNameError):
            self.finish(key, (), NEGATIVE_TTL)
            return
        log.info("No answer from the DNS for {name}: {why!r}", name=key[0], why=failure.value)
        self.finish(key, self.answered(key) or (), FAILURE_TTL, stale=True)

    def _unreadable(self, failure: Failure, key: tuple[str, int]) -> None:
        log.failure("The answer for {name} can't be read", failure, name=key[0])
        self.finish(key, (), FAILURE_TTL)


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
