"""Host names of trunks to addresses: A and AAAA by way of the system, so that /etc/hosts counts (RFC 3263 section 4.2).

NAPTR and SRV stand in front of it, in :mod:`webrtcproxy.transport.dns.locate`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHostResolution,
    IReactorPluggableNameResolver,
    IReactorTime,
    IResolutionReceiver,
)
from twisted.logger import Logger
from zope.interface import implementer

from webrtcproxy.config.addresses import literal
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.uri import SIP_PORT
from webrtcproxy.transport.flow import Address

log = Logger()

POSITIVE_TTL = 30.0
"""Seconds that addresses are kept."""

NEGATIVE_TTL = 5.0
"""Seconds that a failure is kept."""

LOOKUP_TIMEOUT = 5.0
"""Seconds that a caller waits for an answer."""

MAX_NAMES = 1024
"""Names that are kept."""

MAX_LOOKUPS = 32
"""Names looked up at the same time; browsers may choose them, and each takes a thread."""

_is_name = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?").fullmatch


class ResolverReactor(IReactorPluggableNameResolver, IReactorTime):
    """What a Resolver needs of a reactor."""


class _Kept(NamedTuple):
    """What is known of a name: its addresses, none for a failure."""

    hosts: tuple[str, ...]
    until: float


class AddressResolver:
    """Looks names up, one lookup a name at a time, and keeps what it heard."""

    def __init__(self, reactor: ResolverReactor) -> None:
        self._reactor = reactor
        self._kept: dict[str, _Kept] = {}
        self._lookups: dict[str, _Lookup] = {}

    def resolve(self, host: str, port: int | None) -> Deferred[list[Address]]:
        """Find the addresses of a host.

        :param host: a name or an IP address, IPv6 with or without brackets.
        :param port: None for 5060.
        :returns: fires with at least one Address, in the order in which to try them; at once for an IP address and for
            what is still known. Fails with a Refusal: 502 where there is no such host (a 503, which RFC 3261 section
            16.7 would have here, says that we are out of service), 500 where too much is being looked up.
        """
        port = SIP_PORT if port is None else port
        address = literal(host)
        if address is not None:
            return succeed([Address(address, port)])
        name = host.lower().removesuffix(".")
        if not can_be_found(name):
            return fail(_unresolved(name))
        kept = self._kept.get(name)
        if kept is None or kept.until <= self._reactor.seconds():
            return self._wait(name, port)
        return succeed([Address(found, port) for found in kept.hosts]) if kept.hosts else fail(_unresolved(name))

    def _wait(self, name: str, port: int) -> Deferred[list[Address]]:
        """Wait for the lookup of a name that is under way, or begin one."""
        waiting: Deferred[list[Address]] = Deferred()
        lookup = self._lookups.get(name)
        if lookup is not None:
            if lookup.overdue:
                return fail(_unresolved(name))
            lookup.waiting.append((waiting, port))
            return waiting
        if len(self._lookups) >= MAX_LOOKUPS:
            return fail(Refusal(500, "Too Many Lookups"))
        lookup = self._lookups[name] = _Lookup(self, name)
        lookup.waiting.append((waiting, port))
        lookup.begin(self._reactor)
        return waiting

    def found(self, name: str, hosts: Sequence[str]) -> None:
        """A lookup has ended. For the lookup."""
        del self._lookups[name]
        if len(self._kept) >= MAX_NAMES:
            del self._kept[next(iter(self._kept))]
        self._kept.pop(name, None)
        self._kept[name] = _Kept(tuple(hosts), self._reactor.seconds() + (POSITIVE_TTL if hosts else NEGATIVE_TTL))
        if not hosts:
            log.info("There is no address for {name}", name=name)


@implementer(IResolutionReceiver)
class _Lookup:
    """One question to the system, and who waits for its answer.

    The system can't be told to give up: a lookup longer than `LOOKUP_TIMEOUT` ends for those who wait, and counts
    among those under way until the system is done.
    """

    def __init__(self, owner: AddressResolver, name: str) -> None:
        self._owner = owner
        self._name = name
        self._hosts: list[str] = []
        self._timer: IDelayedCall | None = None
        self.overdue = False
        self.waiting: list[tuple[Deferred[list[Address]], int]] = []

    def begin(self, reactor: ResolverReactor) -> None:
        """Ask."""
        self._timer = reactor.callLater(LOOKUP_TIMEOUT, self._too_late)
        try:
            reactor.nameResolver.resolveHostName(self, self._name, 0, [IPv4Address, IPv6Address])
        except Exception:
            log.failure("{name} could not be looked up", name=self._name)
            self.resolutionComplete()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """The question is out."""

    def addressResolved(self, address: IAddress) -> None:
        """An address; the order is the system's (RFC 6724)."""
        host = getattr(address, "host", "")
        if host and host not in self._hosts:
            self._hosts.append(host)

    def resolutionComplete(self) -> None:
        """The answer is whole."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._owner.found(self._name, self._hosts)
        self._answer(self._hosts)

    def _too_late(self) -> None:
        log.info("No answer yet for {name}", name=self._name)
        self.overdue = True
        self._answer(())

    def _answer(self, hosts: Sequence[str]) -> None:
        waiting, self.waiting = self.waiting, []
        for deferred, port in waiting:
            if hosts:
                deferred.callback([Address(host, port) for host in hosts])
            else:
                deferred.errback(_unresolved(self._name))


def can_be_found(name: str) -> bool:
    """Whether it makes sense to look this name up (RFC 6761 section 6.4)."""
    return _is_name(name) is not None and name.rpartition(".")[2] != "invalid"


def _unresolved(name: str) -> Refusal:
    return Refusal(502, f"Cannot Resolve {name}" if _is_name(name) else "Cannot Resolve Host")
