"""AddressResolver: finds the addresses of trunks with the system's resolver, so that /etc/hosts counts (RFC 3263
section 4.2). NAPTR and SRV come first: :mod:`webrtcproxy.transport.dns.locate`.
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
"""Seconds for which addresses are cached."""

NEGATIVE_TTL = 5.0
"""Seconds for which a failure is cached."""

LOOKUP_TIMEOUT = 5.0
"""Seconds that a request waits for its lookup."""

MAX_NAMES = 1024
"""Names that are cached."""

MAX_LOOKUPS = 32
"""Lookups at the same time; bounded, since browsers may choose the names, and each takes a thread."""

_is_name = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?").fullmatch


class ResolverReactor(IReactorPluggableNameResolver, IReactorTime):
    """The part of a reactor that a resolver uses."""


class AddressResolver(Lookups[str, tuple[str, ...]]):
    """Looks names up with the system's resolver, one lookup at a time for each name, and caches the addresses; a failed
    lookup has an empty result."""

    def __init__(self, reactor: ResolverReactor) -> None:
        super().__init__(reactor, MAX_NAMES, MAX_LOOKUPS)
        self._reactor = reactor

    def resolve(self, host: str, port: int | None) -> Deferred[list[Address]]:
        """Find the addresses of a host.

        :param host: a name or an IP address, IPv6 with or without brackets.
        :param port: None for 5060.
        :returns: fires with at least one Address, in the order in which to try them; at once for an IP address and for
            a cached answer. Fails with a Refusal: 502 if there is no such host (RFC 3261 section 16.7 would have a 503
            here, but that says that the proxy is out of service), 500 if too many lookups are running.
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
        """Start a lookup with the system's resolver."""
        _Lookup(self, key).start(self._reactor)

    def found(self, name: str, hosts: tuple[str, ...]) -> None:
        """A lookup has ended. Called by the lookup."""
        if not hosts:
            log.info("There is no address for {name}", name=name)
        self.finish(name, hosts, POSITIVE_TTL if hosts else NEGATIVE_TTL)


@implementer(IResolutionReceiver)
class _Lookup:
    """One lookup with the system's resolver.

    It can't be stopped: a lookup that takes longer than `LOOKUP_TIMEOUT` is abandoned, and counts as running until the
    system is done.
    """

    def __init__(self, owner: AddressResolver, name: str) -> None:
        self._owner = owner
        self._name = name
        self._hosts: list[str] = []
        self._timer: IDelayedCall | None = None

    def start(self, reactor: ResolverReactor) -> None:
        """Start the lookup."""
        self._timer = reactor.callLater(LOOKUP_TIMEOUT, self._timed_out)
        try:
            reactor.nameResolver.resolveHostName(self, self._name, 0, [IPv4Address, IPv6Address])
        except Exception:
            log.failure("{name} could not be looked up", name=self._name)
            self.resolutionComplete()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """The lookup has begun."""

    def addressResolved(self, address: IAddress) -> None:
        """An address was found; the order is the system's (RFC 6724)."""
        host = getattr(address, "host", "")
        if host and host not in self._hosts:
            self._hosts.append(host)

    def resolutionComplete(self) -> None:
        """All addresses were found."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._owner.found(self._name, tuple(self._hosts))

    def _timed_out(self) -> None:
        log.info("No answer yet for {name}", name=self._name)
        self._owner.give_up(self._name, ())


def _addresses(hosts: tuple[str, ...], name: str, port: int) -> list[Address] | Failure:
    """The result of a lookup, in the form of `AddressResolver.resolve`."""
    return [Address(host, port) for host in hosts] if hosts else Failure(_unresolved(name))


def can_be_found(name: str) -> bool:
    """Whether it makes sense to look this name up (RFC 6761 section 6.4)."""
    return _is_name(name) is not None and name.rpartition(".")[2] != "invalid"


def _unresolved(name: str) -> Refusal:
    return Refusal(502, f"Cannot Resolve {name}" if _is_name(name) else "Cannot Resolve Host")
