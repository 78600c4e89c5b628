"""The addresses of host names of trunks, A and AAAA, by the resolver of the system, so that /etc/hosts counts (RFC 3263
section 4.2). NAPTR and SRV come before that: :mod:`webrtcproxy.transport.dns.locate`.
"""

from __future__ import annotations

import re

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
from twisted.python.failure import Failure
from zope.interface import implementer

from webrtcproxy.config.addresses import literal
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.uri import SIP_PORT
from webrtcproxy.transport.dns.lookups import Lookups
from webrtcproxy.transport.flow import Address

log = Logger()

POSITIVE_TTL = 30.0
"""Seconds that addresses are kept."""

NEGATIVE_TTL = 5.0
"""Seconds that a failure is kept."""

LOOKUP_TIMEOUT = 5.0
"""Seconds that a request waits for an answer."""

MAX_NAMES = 1024
"""Names that are kept."""

MAX_LOOKUPS = 32
"""Names looked up at the same time; browsers may choose them, and each takes a thread."""

_is_name = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?").fullmatch


class ResolverReactor(IReactorPluggableNameResolver, IReactorTime):
    """What a resolver needs of a reactor."""


class AddressResolver(Lookups[str, tuple[str, ...]]):
    """Looks names up by the system, one lookup at a time for a name, and caches what it finds; nothing for a
    failure."""

    def __init__(self, reactor: ResolverReactor) -> None:
        super().__init__(reactor, MAX_NAMES, MAX_LOOKUPS)
        self._reactor = reactor

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
        return self.look_up(name).addCallback(_addresses, name, port)

    def start(self, key: str) -> None:
        """Ask the system."""
        _Lookup(self, key).start(self._reactor)

    def found(self, name: str, hosts: tuple[str, ...]) -> None:
        """A lookup has ended. For the lookup."""
        if not hosts:
            log.info("There is no address for {name}", name=name)
        self.finish(name, hosts, POSITIVE_TTL if hosts else NEGATIVE_TTL)


@implementer(IResolutionReceiver)
class _Lookup:
    """One question to the system.

    The system can't be told to stop: a lookup longer than `LOOKUP_TIMEOUT` is given up, and counts among those that run
    until the system is done.
    """

    def __init__(self, owner: AddressResolver, name: str) -> None:
        self._owner = owner
        self._name = name
        self._hosts: list[str] = []
        self._timer: IDelayedCall | None = None

    def start(self, reactor: ResolverReactor) -> None:
        """Ask."""
        self._timer = reactor.callLater(LOOKUP_TIMEOUT, self._timed_out)
        try:
            reactor.nameResolver.resolveHostName(self, self._name, 0, [IPv4Address, IPv6Address])
        except Exception:
            log.failure("{name} could not be looked up", name=self._name)
            self.resolutionComplete()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """The question is asked."""

    def addressResolved(self, address: IAddress) -> None:
        """An address; the order is the system's (RFC 6724)."""
        host = getattr(address, "host", "")
        if host and host not in self._hosts:
            self._hosts.append(host)

    def resolutionComplete(self) -> None:
        """The answer is complete."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._owner.found(self._name, tuple(self._hosts))

    def _timed_out(self) -> None:
        log.info("No answer yet for {name}", name=self._name)
        self._owner.give_up(self._name, ())


def _addresses(hosts: tuple[str, ...], name: str, port: int) -> list[Address] | Failure:
    """The result of a lookup, as `AddressResolver.resolve` has it."""
    return [Address(host, port) for host in hosts] if hosts else Failure(_unresolved(name))


def can_be_found(name: str) -> bool:
    """Whether it makes sense to look this name up (RFC 6761 section 6.4)."""
    return _is_name(name) is not None and name.rpartition(".")[2] != "invalid"


def _unresolved(name: str) -> Refusal:
    return Refusal(502, f"Cannot Resolve {name}" if _is_name(name) else "Cannot Resolve Host")
