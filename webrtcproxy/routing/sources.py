"""Sources: which IP addresses belong to which trunk, and so from where calls are accepted."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import ClassVar

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from webrtcproxy.config import HostPort, Trunk
from webrtcproxy.routing.upstream import HopResolver
from webrtcproxy.runtime.bounded import BoundedDict
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.uri import SIP_PORT, Uri

log = Logger()


_Question = tuple[str, int | None, str | None]
"""The arguments of a query to a `HopResolver`: host, port, transport."""


class Sources:
    """Which addresses belong to which trunk: its `sources`, or what its host and proxy resolve to.

    :param trunks: the configured trunks.
    :param resolver: for their names.
    """

    REMEMBERED: ClassVar[int] = 4096
    """Most addresses whose trunks are remembered; with one more, all are forgotten."""

    def __init__(self, trunks: Sequence[Trunk], resolver: HopResolver) -> None:
        self._trunks = trunks
        self._resolver = resolver
        self._found: dict[_Question, frozenset[str]] = {}
        self._resolved: dict[str, frozenset[str]] = {}
        self._lost: set[str] = set()
        self._known: BoundedDict[str, tuple[Trunk, ...]] = BoundedDict(self.REMEMBERED)

    def trunks_of(self, host: str) -> tuple[Trunk, ...]:
        """The trunks that may send calls from the IP address `host`; one dictionary look-up where it is remembered."""
        trunks = self._known.get(host)
        if trunks is None:
            trunks = self._known[host] = tuple(trunk for trunk in self._trunks if self._belongs(host, trunk))
        return trunks

    def trunk_of(self, request: Request, host: str, callee: str = "") -> Trunk | None:
        """The trunk that an out-of-dialog request comes from; None where no trunk has the address `host`.

        Of several trunks with the same address, it is the one that serves the domain of the callee, the host in From,
        or that in the Request-URI; else the first.

        :param callee: the address-of-record that has registered the Contact in the Request-URI; empty where there is
            none, or it is not known.
        """
        trunks = self.trunks_of(host)
        if len(trunks) > 1:
            domain = callee.rpartition("@")[2]
            places = [Uri.parse(f"sip:{domain}").hostport] if domain else []
            places += request.from_.address.hostport, request.request_uri.hostport
            return next((trunk for place in places for trunk in trunks if trunk.serves(place)), trunks[0])
        return trunks[0] if trunks else None

    def is_server(self, trunk: Trunk, host: str) -> bool:
        """True where the IP address `host` is a server of `trunk`: its host, its proxies, or what they resolve to. An
        address that is only among its `sources` is none."""
        return host in self._resolved.get(trunk.name, ())

    def refresh(self) -> Deferred[None]:
        """Resolve the names of the trunks that have no `sources`, or have a password. Must be called at start and
        every few seconds. What is found counts at once, however long other names take.

        :returns: a Deferred that fires with None; a name that can't be resolved keeps the addresses that it had.
        """
        wanted = [self._resolve(trunk) for trunk in self._trunks if trunk.sources is None or trunk.password]
        return gatherResults(wanted).addCallback(lambda _: None)

    def _belongs(self, host: str, trunk: Trunk) -> bool:
        if trunk.sources is None:
            return host in self._resolved.get(trunk.name, ())
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in trunk.sources)

    def _resolve(self, trunk: Trunk) -> Deferred[None]:
        """Resolve the addresses of its names, and those that SRV records give in their place."""
        places = dict.fromkeys((HostPort(trunk.host, trunk.port), *trunk.proxy))
        questions: list[_Question] = [(place.host, SIP_PORT, None) for place in places]
        questions += [(*place, trunk.transport) for place in places if place.port is None]
        looked_up = [
            self._addresses(*question).addCallback(self._store, question, trunk, questions) for question in questions
        ]
        return gatherResults(looked_up).addCallback(self._all_looked_up, trunk)

    def _addresses(self, host: str, port: int | None, transport: str | None) -> Deferred[frozenset[str]]:
        found = self._resolver.resolve(host, port, transport)
        return found.addCallbacks(lambda hops: frozenset(hop.address.host for hop in hops), lambda _: frozenset())

    def _store(
        self, addresses: frozenset[str], question: _Question, trunk: Trunk, questions: list[_Question]
    ) -> frozenset[str]:
        """Store the addresses that one query has found; one without a result keeps its previous one."""
        if addresses:
            self._found[question] = addresses
        resolved: frozenset[str] = frozenset().union(*(self._found.get(each, ()) for each in questions))
        if resolved != self._resolved.get(trunk.name):
            self._resolved[trunk.name] = resolved
            self._known.clear()
        return addresses

    def _all_looked_up(self, found: list[frozenset[str]], trunk: Trunk) -> None:
        """Where no query has found anything, log that once."""
        if any(found):
            self._lost.discard(trunk.name)
        elif trunk.sources is None and trunk.name not in self._lost:
            self._lost.add(trunk.name)
            log.warn("Trunk {trunk}: its names can't be resolved, and it has no `sources`", trunk=trunk.name)
