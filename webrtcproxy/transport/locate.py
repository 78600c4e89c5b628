"""Locating SIP servers: which transport, address and port a host name stands for (RFC 3263 section 4)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from random import SystemRandom
from typing import Final, Protocol, TypeVar

from twisted.internet.defer import Deferred, FirstError, fail, gatherResults, succeed
from twisted.python.failure import Failure

from webrtcproxy.config.addresses import literal
from webrtcproxy.errors import Refusal
from webrtcproxy.sip.uri import SIP_PORT
from webrtcproxy.transport.dns import Naptr, Records, Srv
from webrtcproxy.transport.flow import Address, Hop, default_port
from webrtcproxy.transport.resolve import can_be_found

T = TypeVar("T")

TARGETS = 8
"""Targets of a name that are looked at."""

PREFIXES: Final = {"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}
"""What stands in front of a name in the SRV records of a transport (RFC 3263 section 4.1)."""

SERVICES: Final = {"sip+d2u": "udp", "sip+d2t": "tcp", "sips+d2t": "tls"}
"""The services of NAPTR records, and the transports that they mean."""

_NO_DNS: Final = frozenset({"localhost", "local", "onion"})
"""Top-level names that the DNS has nothing to say about (RFC 6761, RFC 6762, RFC 7686)."""


class Addresses(Protocol):
    """Gives the addresses of a name: :class:`webrtcproxy.transport.resolve.Resolver` or `DnsAddresses`."""

    def resolve(self, host: str, port: int | None) -> Deferred[list[Address]]:
        """Fires with at least one address, in the order in which to try them; fails with a Refusal."""


class DnsAddresses:
    """Addresses by the DNS alone, where the configuration names a server of its own.

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


class Locator:
    """Finds the targets of a host.

    :param records: NAPTR and SRV.
    :param addresses: A and AAAA.
    :param transports: those that we have sockets for, the preferred one first.
    :param draw: a random number from 0 to the one that is given.
    """

    def __init__(
        self,
        records: Records,
        addresses: Addresses,
        transports: Collection[str],
        draw: Callable[[int], int] = lambda most: SystemRandom().randint(0, most),
    ) -> None:
        self._records = records
        self._addresses = addresses
        self._transports = [kind for kind in ("udp", "tcp", "tls") if kind in transports]
        self._draw = draw

    def resolve(self, host: str, port: int | None, transport: str | None = None) -> Deferred[list[Hop]]:
        """Find where a host is.

        :param host: a name or an IP address, IPv6 with or without brackets.
        :param port: None: what SRV says, else that of the transport.
        :param transport: None: what NAPTR and SRV say, else UDP.
        :returns: fires with at least one Hop, in the order in which to try them; at once for an IP address and for what
            is still known. Fails with a Refusal: 502 where there is no such host (a 503, which RFC 3261 section 16.7
            would have here, says that we are out of service), 500 where too much is being looked up.
        """
        address = literal(host)
        if address is not None:
            return succeed([Hop.to(address, port, transport)])
        name = host.lower().removesuffix(".")
        top = name.rpartition(".")[2]
        if not can_be_found(name):
            return fail(Refusal(502, "Cannot Resolve Host"))
        if port is not None or top == name or top in _NO_DNS:
            return self._by_address(name, name, port, transport or "udp")
        return Deferred.fromCoroutine(self._by_service(name, transport))

    async def _by_service(self, name: str, transport: str | None) -> list[Hop]:
        """NAPTR where the transport is open, SRV where there is some, else A and AAAA (sections 4.1, 4.2)."""
        if transport is not None:
            services = [(transport, PREFIXES[transport] + name)]
        else:
            services = self._chosen(await self._records.naptr(name))
            transport = services[0][0] if services else "udp"
        if not services:
            services = [(kind, PREFIXES[kind] + name) for kind in self._transports if kind != "tls"]
        found = await _all(*(self._records.srv(place) for _, place in services))
        servers = [
            (kind, server)
            for (kind, _), records in zip(services, found, strict=True)
            for server in self._in_order(records)
        ]
        if not servers:
            return await self._by_address(name, name, None, transport)
        return await self._at(name, [(kind, srv) for kind, srv in servers if srv.target not in ("", ".")][:TARGETS])

    def _chosen(self, records: Iterable[Naptr]) -> list[tuple[str, str]]:
        """The transports and the names of their SRV records, by preference."""
        return [
            (SERVICES[record.service], record.replacement.removesuffix("."))
            for record in sorted(records, key=lambda record: (record.order, record.preference))
            if record.flags == "s"
            and SERVICES.get(record.service) in self._transports
            and can_be_found(record.replacement.removesuffix("."))
        ]

    def _in_order(self, records: Sequence[Srv]) -> list[Srv]:
        """By priority; within one, drawn by weight (RFC 2782)."""
        ordered: list[Srv] = []
        for priority in sorted({record.priority for record in records}):
            # those without weight first, so that they are drawn now and then
            left = sorted((one for one in records if one.priority == priority), key=lambda one: one.weight > 0)
            while left:
                drawn = self._draw(sum(one.weight for one in left))
                place = 0
                while drawn > left[place].weight:
                    drawn -= left[place].weight
                    place += 1
                ordered.append(left.pop(place))
        return ordered

    async def _at(self, name: str, servers: Sequence[tuple[str, Srv]]) -> list[Hop]:
        """The addresses of servers; one that has none is left out."""
        looked_up = [
            self._by_address(srv.target.removesuffix("."), name, srv.port, kind).addErrback(_none)
            for kind, srv in servers
        ]
        found = await gatherResults(looked_up)
        hops = [hop for hops in found for hop in hops]
        if not hops:
            raise Refusal(502, f"Cannot Resolve {name}")
        return list(dict.fromkeys(hops))

    def _by_address(self, host: str, name: str, port: int | None, transport: str) -> Deferred[list[Hop]]:
        if not can_be_found(host):
            return fail(Refusal(502, "Cannot Resolve Host"))
        port = default_port(transport) if port is None else port
        return self._addresses.resolve(host, port).addCallback(
            lambda addresses: [Hop(transport, address, name) for address in addresses]
        )


def _all(*wanted: Deferred[T]) -> Deferred[list[T]]:
    """Fires with all results; fails as the first that fails."""
    return gatherResults(wanted, consumeErrors=True).addErrback(_unwrapped)


def _unwrapped(failure: Failure) -> Failure:
    error = failure.value
    return error.subFailure if isinstance(error, FirstError) else failure


def _none(failure: object) -> list[Hop]:
    return []
