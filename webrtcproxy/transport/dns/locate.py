"""Locator: finds the transport, address and port of a SIP server by its host name (RFC 3263 section 4)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from random import SystemRandom
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from twisted.internet.defer import Deferred, FirstError, fail, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.names.client import Resolver as DnsClient
from twisted.names.dns import PORT as DNS_PORT
from twisted.names.dns import DNSDatagramProtocol
from twisted.python.failure import Failure

from webrtcproxy.config import SipConfig
from webrtcproxy.config.addresses import literal
from webrtcproxy.config.endpoints import split
from webrtcproxy.runtime.bounded import BoundedDict
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.uri import SIP_PORT
from webrtcproxy.transport.dns.records import Naptr, Records, Srv
from webrtcproxy.transport.dns.resolve import AddressResolver, can_be_found
from webrtcproxy.transport.flow import Address, Hop, default_port

T = TypeVar("T")

DNSDatagramProtocol.noisy = False  # each query has a socket of its own, and would log two lines

MAX_HOPS = 8
"""Servers of a name that are considered."""

PLAN_TTL = 5.0
"""Seconds for which the servers of a name are cached with their addresses; each record is cached for its time to
live."""

MAX_PLANS = 1024
"""Names whose plans are cached."""

PREFIXES: Final = {"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}
"""The prefix of a name in the SRV records of a transport (RFC 3263 section 4.1)."""

SERVICES: Final = {"sip+d2u": "udp", "sip+d2t": "tcp", "sips+d2t": "tls"}
"""The transport of each NAPTR service."""

_NO_DNS: Final = frozenset({"localhost", "local", "onion"})
"""Top-level names that are not in the DNS (RFC 6761, RFC 6762, RFC 7686)."""


class Addresses(Protocol):
    """Resolves a name to addresses: :class:`webrtcproxy.transport.dns.resolve.AddressResolver` or `DnsAddresses`."""

    def resolve(self, host: str, port: int | None) -> Deferred[list[Address]]:
        """Fires with at least one address, in the order in which to try them; fails with a Refusal."""


class DnsAddresses:
    """Finds addresses by the DNS alone, if the configuration names a DNS server.

    :param records: the DNS.
    """

    def __init__(self, records: Records) -> None:
        self._records = records

    def resolve(self, host: str, port: int | None) -> Deferred[list[Address]]:
        """See `Addresses`; IPv6 comes first (RFC 6724)."""
        return Deferred.fromCoroutine(self._resolve(host, SIP_PORT if port is None else port))

    async def _resolve(self, host: str, port: int) -> list[Address]:
        found = await _all(self._records.aaaa(host), self._records.a(host))
        addresses = [Address(address, port) for family in found for address in family]
        if not addresses:
            raise Refusal(502, f"Cannot Resolve {host}")
        return addresses


class _Server(NamedTuple):
    """A server of an SRV record, with its addresses."""

    weight: int
    hops: tuple[Hop, ...]


class _Plan(NamedTuple):
    """The servers of a name, grouped by priority."""

    servers: list[list[_Server]]
    until: float


class Locator:
    """Finds the hops of a host.

    :param clock: for `PLAN_TTL`.
    :param records: NAPTR and SRV.
    :param addresses: A and AAAA.
    :param transports: those for which there are sockets.
    :param draw: returns a random number from 0 to its argument.
    """

    def __init__(
        self,
        clock: IReactorTime,
        records: Records,
        addresses: Addresses,
        transports: Collection[str],
        draw: Callable[[int], int] = lambda most: SystemRandom().randint(0, most),
    ) -> None:
        self._clock = clock
        self._records = records
        self._addresses = addresses
        self._transports = [kind for kind in ("udp", "tcp", "tls") if kind in transports]
        self._draw = draw
        self._plans: BoundedDict[tuple[str, str | None], _Plan] = BoundedDict(MAX_PLANS)

    def resolve(self, host: str, port: int | None, transport: str | None = None) -> Deferred[list[Hop]]:
        """Find the hops to a host.

        :param host: a name or an IP address, IPv6 with or without brackets.
        :param port: None for the port from SRV, or else the default of the transport; 0 means the same.
        :param transport: None for the transport from NAPTR and SRV, or else UDP.
        :returns: fires with at least one Hop, in the order in which to try them; at once for an IP address and for a
            cached answer. Fails with a Refusal: 502 if there is no such host (RFC 3261 section 16.7 would have a 503
            here, but that says that the proxy is out of service), 500 if too many lookups are running.
        """
        address = literal(host)
        if address is not None:
            return succeed([Hop.to(address, port, transport)])
        name = host.lower().removesuffix(".")
        top = name.rpartition(".")[2]
        if not can_be_found(name):
            return fail(Refusal(502, "Cannot Resolve Host"))
        port = port or None
        if port is not None or top == name or top in _NO_DNS:
            return self._by_address(name, name, port, transport or "udp")
        plan = self._plans.get((name, transport))
        if plan is not None and plan.until > self._clock.seconds():
            return succeed(self._drawn(plan))
        return Deferred.fromCoroutine(self._by_service(name, transport))

    def address_of(self, host: str) -> Deferred[str]:
        """Find the first address of a host by its name alone, without NAPTR and SRV: that of media.

        :returns: fires with an IP address; fails as `resolve`.
        """
        return self.resolve(host, 0, "udp").addCallback(lambda hops: hops[0].address.host)

    async def _by_service(self, name: str, transport: str | None) -> list[Hop]:
        """NAPTR if the transport is open, SRV if there are records, else A and AAAA (sections 4.1, 4.2)."""
        if transport is not None:
            services = [(transport, PREFIXES[transport] + name)]
        else:
            services = self._chosen(await self._records.naptr(name))
        kind = services[0][0] if services else "udp"
        if not services:
            services = [(kind, PREFIXES[kind] + name) for kind in self._transports if kind != "tls"]
        found = await _all(*(self._records.srv(place) for _, place in services))
        if any(found):
            groups = [
                (kind, group)
                for (kind, _), records in zip(services, found, strict=True)
                for group in _by_priority(records)
            ]
            servers = await self._servers(name, groups)
        else:
            servers = [[_Server(0, tuple(await self._by_address(name, name, None, kind)))]]
        plan = _Plan(servers, self._clock.seconds() + PLAN_TTL)
        self._plans[name, transport] = plan
        return self._drawn(plan)

    def _chosen(self, records: Iterable[Naptr]) -> list[tuple[str, str]]:
        """The transports and the names of their SRV records, by preference."""
        return [
            (SERVICES[record.service], record.replacement.removesuffix("."))
            for record in sorted(records, key=lambda record: (record.order, record.preference))
            if record.flags == "s"
            and SERVICES.get(record.service) in self._transports
            and can_be_found(record.replacement.removesuffix("."))
        ]

    async def _servers(self, name: str, groups: Sequence[tuple[str, Sequence[Srv]]]) -> list[list[_Server]]:
        """The addresses of servers, by priority; a server without addresses is left out.

        :raises Refusal: 502 if no server has an address.
        """
        wanted = [(place, kind, srv) for place, (kind, group) in enumerate(groups) for srv in group][:MAX_HOPS]
        found = await gatherResults(
            [
                self._by_address(srv.target.removesuffix("."), name, srv.port, kind).addErrback(_no_hops)
                for _, kind, srv in wanted
            ]
        )
        servers: list[list[_Server]] = [[] for _ in groups]
        for (place, _, srv), hops in zip(wanted, found, strict=True):
            if hops:
                servers[place].append(_Server(srv.weight, tuple(hops)))
        if not any(servers):
            raise Refusal(502, f"Cannot Resolve {name}")
        return servers

    def _drawn(self, plan: _Plan) -> list[Hop]:
        """The hops for one request: for each priority, the servers in random order by weight (RFC 2782)."""
        hops: dict[Hop, None] = {}
        for group in plan.servers:
            left = list(group)
            while left:
                place, drawn = 0, self._draw(sum(one.weight for one in left)) if len(left) > 1 else 0
                while drawn > left[place].weight:
                    drawn -= left[place].weight
                    place += 1
                hops.update(dict.fromkeys(left.pop(place).hops))
        return list(hops)

    def _by_address(self, host: str, name: str, port: int | None, transport: str) -> Deferred[list[Hop]]:
        if not can_be_found(host):
            return fail(Refusal(502, "Cannot Resolve Host"))
        port = default_port(transport) if port is None else port
        return self._addresses.resolve(host, port).addCallback(
            lambda addresses: [Hop(transport, address, name) for address in addresses]
        )


def locator_for(sip: SipConfig, reactor: Any) -> Locator:
    """The Locator for the configuration: it uses the configured DNS server, or the system's resolver."""
    server = sip.resolver
    servers = None if server is None else [(server.host, server.port or DNS_PORT)]
    file = "/etc/resolv.conf" if server is None else None
    records = Records(reactor, lambda: DnsClient(file, servers, reactor=reactor))
    addresses = AddressResolver(reactor) if server is None else DnsAddresses(records)
    return Locator(reactor, records, addresses, {split(line)[0] for line in sip.listen})


def _by_priority(records: Sequence[Srv]) -> Iterator[list[Srv]]:
    """The servers of each priority; those of weight 0 come first, so that they are chosen at times (RFC 2782)."""
    for priority in sorted({record.priority for record in records}):
        group = [one for one in records if one.priority == priority and one.target not in ("", ".")]
        yield sorted(group, key=lambda one: one.weight > 0)


def _all(*wanted: Deferred[T]) -> Deferred[list[T]]:
    """Fires with all results; fails with the first failure."""
    return gatherResults(wanted, consumeErrors=True).addErrback(_unwrapped)


def _unwrapped(failure: Failure) -> Failure:
    error = failure.value
    return error.subFailure if isinstance(error, FirstError) else failure


def _no_hops(failure: object) -> list[Hop]:
    return []
