"""Upstream: finds the next hops of requests that the proxy sends on the SIP side, and the flows to them (RFC 3263)."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.config import Trunk
from webrtcproxy.config.addresses import ip, literal
from webrtcproxy.routing.failover import NextHops
from webrtcproxy.routing.hop_health import HopHealth
from webrtcproxy.routing.policy import Route
from webrtcproxy.runtime.errors import FlowLost, Refusal
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.uri import Uri
from webrtcproxy.transport.flow import Flow, Hop, Outbound

log = Logger()

_TRANSPORTS = frozenset({"tcp", "tls", "udp"})


class HopResolver(Protocol):
    """Turns host names into hops (:class:`webrtcproxy.transport.dns.locate.Locator`)."""

    def resolve(self, host: str, port: int | None, transport: str | None = None) -> Deferred[list[Hop]]:
        """Fires with at least one Hop, or fails with a Refusal."""


class Upstream:
    """Finds the next hops of requests on the SIP side.

    :param resolver: resolves host names.
    :param outbound: the SIP sockets.
    :param health: which hops are down.
    """

    def __init__(self, resolver: HopResolver, outbound: Outbound, health: HopHealth) -> None:
        self._resolver = resolver
        self._outbound = outbound
        self.health = health

    async def next_hops(self, route: Route) -> NextHops:
        """The next hops of `route`.

        :raises Refusal: none of its names can be resolved.
        :raises FlowLost: no local socket can send there.
        """
        return self.next_hops_without_lookup(route) or await self.look_up(route)

    async def look_up(self, route: Route) -> NextHops:
        """The next hops of `route`, where `next_hops_without_lookup` has found none; raises as `next_hops`."""
        return self._next_hops_to(route, await self.resolve(route))

    def next_hops_without_lookup(self, route: Route) -> NextHops | None:
        """The next hops of `route` where no name needs a look-up; else None.

        :raises FlowLost: no local socket can send there.
        """
        hops: list[Hop] = []
        for host, port in route.servers:
            address = literal(host)
            if address is None:
                return None
            hops.append(Hop.to(address, port, route.transport))
        return self._next_hops_to(route, hops)

    async def resolve(self, route: Route) -> list[Hop]:
        """The hops of `route`, whether up or down.

        :raises Refusal: none of its names can be resolved.
        """
        servers = route.servers
        if len(servers) == 1:
            return await self._resolver.resolve(*servers[0], route.transport)
        refusals: list[Refusal] = []

        def refused(failure: Failure) -> list[Hop]:
            if not isinstance(failure.value, Refusal):
                failure.raiseException()
            refusals.append(failure.value)
            return []

        found = await gatherResults(
            [self._resolver.resolve(*server, route.transport).addErrback(refused) for server in servers]
        )
        hops = [hop for each in found for hop in each]
        if not hops:
            raise refusals[0]
        return hops

    def hops_of_flow(self, flow: Flow, trunk: Trunk | None) -> NextHops | None:
        """The next hops of an in-dialog request over `flow`: where it may be too large for a datagram, also TCP to the
        same address. None where `flow` is the only one.

        :raises FlowLost: no local socket can send there.
        """
        if trunk is None or not trunk.tcp_over_mtu or flow.reliable:
            return None
        return NextHops(self._outbound, self.health, [Hop("udp", flow.peer)], trunk)

    def flow_to(self, hop: Hop) -> Flow:
        """The flow to one hop.

        :raises FlowLost: no local socket can send there, or it is the wildcard address, which is nobody's.
        """
        address = ip(hop.address.host)
        if address is not None and address.is_unspecified:
            raise FlowLost(f"nobody has the address {hop.address.host}")
        return self._outbound.flow_to(*hop)

    def _next_hops_to(self, route: Route, hops: list[Hop]) -> NextHops:
        return NextHops(self._outbound, self.health, hops, route.trunk)

    def flow_without_lookup(self, uri: str, last: Flow, trunk: Trunk | None = None) -> Flow | None:
        """As `flow_to_uri`, but None where the host needs a look-up or an error occurs."""
        try:
            target = Uri.parse(uri)
            host, port = target.hostport
            transport = last.via_transport.lower()
            named = _named_transport(target, transport, trunk)
            if named != transport and literal(host) is not None:
                try:
                    return self._flow_to_address(host, port, named, trunk)
                except FlowLost as why:
                    log.debug("{uri}: {why}", uri=uri, why=why)
            return self._flow_to_address(host, port, transport, trunk)
        except (BadMessage, FlowLost):
            return None

    async def flow_to_uri(self, uri: str, last: Flow, trunk: Trunk | None = None) -> Flow:
        """The flow to the next hop of a dialog on the SIP side. ``maddr`` is not followed.

        :param uri: the route or remote target. Its transport counts (RFC 3261 section 12.2.1.1, RFC 3263 section 4.1)
            where the trunk may have it and there is such a socket.
        :param last: the flow that the dialog began on. Its transport is kept where `uri` names none, and of several
            servers the one that it leads to.
        :param trunk: the trunk of the dialog. Over TLS, the certificate at an IP address, and at the server that the
            dialog began with, has to be that of the trunk, whatever name the URI has.
        :raises Refusal: the URI can't be read or its name can't be resolved.
        :raises FlowLost: no local socket can send there.
        """
        try:
            target = Uri.parse(uri)
        except BadMessage as error:
            raise Refusal(502, "Bad Contact") from error
        host, port = target.hostport
        transport = last.via_transport.lower()
        named = _named_transport(target, transport, trunk)
        if named != transport:
            try:
                return await self._flow_by(named, host, port, last, trunk)
            except FlowLost as why:
                log.debug("{uri}: {why}", uri=uri, why=why)
        return await self._flow_by(transport, host, port, last, trunk)

    async def _flow_by(self, transport: str, host: str, port: int | None, last: Flow, trunk: Trunk | None) -> Flow:
        """As `flow_to_uri`, by one transport."""
        flow = self._flow_to_address(host, port, transport, trunk)
        if flow is not None:
            return flow
        hops = self.health.in_order(await self._resolver.resolve(host, port, transport))
        hop = next((hop for hop in hops if hop.address.host == last.peer.host), hops[0])
        return self.flow_to(_of(trunk, hop) if hop.address.host == last.peer.host else hop)

    async def hosts_of(self, uri: str, last: Flow) -> frozenset[str]:
        """The IP addresses that the name of the next hop of a dialog stands for; empty where it is an address.

        :param uri: the route or remote target.
        :param last: the flow that the dialog began on, whose transport counts.
        :raises Refusal: the URI can't be read or its name can't be resolved.
        """
        try:
            host, port = Uri.parse(uri).hostport
        except BadMessage as error:
            raise Refusal(502, "Bad Contact") from error
        if literal(host) is not None:
            return frozenset()
        hops = await self._resolver.resolve(host, port, last.via_transport.lower())
        return frozenset(hop.address.host for hop in hops)

    def _flow_to_address(self, host: str, port: int | None, transport: str, trunk: Trunk | None) -> Flow | None:
        """The flow to an IP address; None for a name.

        :raises FlowLost: no local socket can send there.
        """
        address = literal(host)
        if address is None:
            return None
        return self.flow_to(_of(trunk, Hop.to(address, port, transport)))


def _named_transport(target: Uri, transport: str, trunk: Trunk | None) -> str:
    """The transport that a route or remote target names, in lower case, where that may be followed; else `transport`.
    A connection is never left for datagrams, and a trunk with a ``transport`` is reached by that one."""
    if trunk is not None and trunk.transport is not None:
        return transport
    if target.scheme == "sips":
        return "tls"
    if transport != "udp":
        return transport
    named = (target.param("transport") or "").lower()
    return named if named in _TRANSPORTS else transport


def _of(trunk: Trunk | None, hop: Hop) -> Hop:
    """`hop` with the requirement that its certificate is that of `trunk`."""
    return hop if trunk is None else Hop(hop.transport, hop.address, trunk.servers[0].host)
