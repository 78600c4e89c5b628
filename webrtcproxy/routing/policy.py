"""Policy: the route of a browser's request, whether it may use a trunk's credentials, and the profile of each peer, all
from the configuration alone.

Whether something is permitted at all is decided in `admission`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from twisted.logger import Logger

from webrtcproxy.access.caller import STRANGER, Authority, Caller, authority_of
from webrtcproxy.config import Config, HostPort, Trunk
from webrtcproxy.config.addresses import plain_host
from webrtcproxy.config.headers import CREDENTIALS
from webrtcproxy.routing.admission import check_destination
from webrtcproxy.routing.peer_profile import PLACES, UNKNOWN_PEER, PeerProfile
from webrtcproxy.runtime.bounded import BoundedDict
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.telephone import plain_number
from webrtcproxy.sip.uri import bracketed, with_plain_number, without_params, without_websocket
from webrtcproxy.users.user import TrunkAccount

log = Logger()


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request of a browser goes.

    :ivar profile: the profile of the peer there: of the trunk whose section serves the host, or of an unknown peer
        where `[access] destinations` names the host.
    :ivar host: a name or an IP address (IPv6 without brackets).
    :ivar port: None for the default of the transport.
    :ivar transport: ``udp``, ``tcp`` or ``tls``; None for the one found in the DNS, else UDP.
    :ivar may_use_credentials: whether the proxy answers challenges of the trunk.
    :ivar account: the caller's own account at the trunk, with which it answers; None for that of the trunk's section.
    """

    profile: PeerProfile
    host: str
    port: int | None
    transport: str | None = None
    may_use_credentials: bool = False
    account: TrunkAccount | None = None

    @property
    def servers(self) -> tuple[HostPort, ...]:
        """The host and port, and the further servers of the trunk, in the order in which to try them."""
        return (HostPort(self.host, self.port),) if self.trunk is None else self.trunk.servers

    @property
    def trunk(self) -> Trunk | None:
        """The trunk that it leads to."""
        return self.profile.trunk

    @property
    def authority(self) -> Authority:
        """Who registers the users of the host: the trunk, or the host itself."""
        return authority_of(self.trunk, self.host)

    def uri_for(self, request: Request) -> str:
        """The Request-URI of the upstream request: the browser's, so that its digest stays valid.

        A ``tel:`` number becomes a user at the trunk's host (RFC 3261 section 19.1.6). Without ``maddr`` and ``ttl``,
        by which a trunk that is a proxy itself would send it elsewhere. Without a transport that only browsers have,
        and without the visual separators of a number, unless the browser has made its digest of them.
        """
        target, trunk = request.request_uri, self.trunk
        if target.scheme != "tel" or trunk is None:
            bare = without_params(target, PLACES) if target.params else target
            sent = with_plain_number(without_websocket(bare))
            if sent is not bare and is_in_credentials(request):
                sent = bare
            return request.uri if sent is target else str(sent)
        host = bracketed(trunk.host)
        parameters = "".join(f";{name}" if value is None else f";{name}={value}" for name, value in target.params)
        port = "" if trunk.port is None else f":{trunk.port}"
        number = plain_number(target.user or "", is_phone=True)
        return f"sip:{number}{parameters}@{host}{port};user=phone"


def is_in_credentials(request: Request) -> bool:
    """Whether the request has credentials that the browser has made for the Request-URI as it is written."""
    return any(request.uri in line for name in CREDENTIALS for line in request.headers.lines(name))


def account_of(trunk: Trunk | None, caller: Caller) -> TrunkAccount | None:
    """The own account of a caller at a trunk."""
    user = caller.user
    return None if trunk is None or user is None or not user.accounts else user.accounts.get(trunk.name)


_Routes = tuple[Route, Route]
"""The route to one place, without and with the credentials of its trunk."""


class Policy:
    """Finds the routes of requests and the profiles of peers.

    :param config: the whole configuration.
    """

    REMEMBERED: ClassVar[int] = 1024
    """Most destinations whose routes are remembered; with one more, all are forgotten."""

    def __init__(self, config: Config) -> None:
        self._trunks = config.trunks
        self._profiles = {trunk.name: PeerProfile.of(trunk) for trunk in config.trunks}
        self._destinations = config.access.destinations
        self._domains = frozenset(domain.name for domain in config.domains)
        self._routes: BoundedDict[tuple[str, str, int | None], _Routes] = BoundedDict(self.REMEMBERED)
        self._has_tls = any(line.startswith("tls:") for line in config.sip.listen)
        self._credentials_for_anyone = config.access.trunk_credentials == "anyone"
        self.lets_unregistered = config.calls.limit_unregistered > 0
        self.multiple = config.registrations.multiple
        self.replaces_foreign_from = config.access.foreign_from == "replace"

    def route(self, request: Request, caller: Caller = STRANGER) -> Route:
        """The route of a browser's request, by the host and port of its Request-URI and nothing else.

        Route, Via, ``maddr`` and the ``transport`` parameter are ignored: a browser does not choose where the proxy's
        packets go.

        :param caller: on whose behalf the browser sends it.
        :raises Refusal: 403 for a host that browsers may not call, 404 for a ``tel:`` number without any trunk,
            416 for another scheme, and for ``sips:`` where the next hop is not reached over TLS (RFC 3261 section
            26.2.2).
        """
        target = request.request_uri
        if target.scheme == "tel":
            if not self._trunks:
                raise Refusal(404, "No Trunk For Telephone Numbers")
            return self._paid(self._trunk_route(self._trunk_of_caller(request)), caller)
        if target.scheme not in ("sip", "sips"):
            raise Refusal(416, "Only sip, sips And tel URIs")
        key = (target.scheme, *target.hostport)
        routes = self._routes.get(key)
        if routes is None:
            routes = self._routes[key] = self._route_to(*key)
        return self._paid(routes, caller)

    def route_to(self, trunk: str, caller: Caller) -> Route:
        """The route of a request of `caller` to a trunk.

        :param trunk: its name; it exists.
        """
        found = next(each for each in self._trunks if each.name == trunk)
        return self._paid(self._trunk_route(found), caller)

    def check_destination(self, host: str, port: int | None) -> None:
        """Check that browsers may call a host.

        :raises Refusal: 403 where they may not.
        """
        check_destination(self._destinations, self._trunks, host, port)

    def call_route(self, request: Request, caller: Caller) -> Route:
        """The route of a browser's request other than REGISTER.

        A browser that has registered nowhere with a password of its own reaches nothing, and learns nothing of what
        there is to reach, unless `[calls] limit-unregistered` lets it. One that has reaches a trunk where it may use
        that trunk.

        :raises Refusal: 403 for such a browser, and as `route`.
        """
        if not self.lets_unregistered and not caller.authorities:
            self._log_unregistered(request, "it has not registered with a password of its own")
            raise Refusal(403, "Register First")
        route = self.route(request, caller)
        trunk = route.trunk
        if trunk is not None and not self.lets_unregistered and not self.may_use_trunk_credentials(trunk, caller):
            self._log_unregistered(request, f"it has not registered at trunk {trunk.name}")
            raise Refusal(403, "Register First")
        return route

    def _log_unregistered(self, request: Request, why: str) -> None:
        log.info(
            "{call}: {method} of a browser is refused: {why}, and [calls] limit-unregistered is 0",
            call=request.log_id,
            method=request.method,
            why=why,
        )

    def may_use_trunk_credentials(self, trunk: Trunk | None, caller: Caller) -> bool:
        """Whether challenges of a trunk to the requests of `caller` are answered by the proxy: for a caller that has an
        account of its own there (`account_of`) or may use the trunk's, or for any where `[access] trunk-credentials` is
        ``anyone``."""
        if trunk is None:
            return False
        return self._credentials_for_anyone or caller.may_use(trunk) or account_of(trunk, caller) is not None

    def _paid(self, routes: _Routes, caller: Caller) -> Route:
        """The one of two routes to the same place that `caller` may take; or one with its own account there."""
        unpaid, paid = routes
        if caller is STRANGER and not self._credentials_for_anyone:
            return unpaid
        trunk = unpaid.trunk
        account = account_of(trunk, caller)
        if account is not None:
            return replace(paid, account=account)
        return paid if self.may_use_trunk_credentials(trunk, caller) else unpaid

    def _route_to(self, scheme: str, host: str, port: int | None) -> _Routes:
        if self._domains and bracketed(plain_host(host)) in self._domains:
            raise Refusal(404)  # it is served here: no server has its users, whatever the DNS says
        check_destination(self._destinations, self._trunks, host, port)
        secure = scheme == "sips"
        for trunk in self._trunks:
            if trunk.serves((host, port)):
                if secure and trunk.transport != "tls":
                    raise Refusal(416, "This Trunk Has No TLS")
                return self._trunk_route(trunk)
        if secure and not self._has_tls:
            raise Refusal(416, "No TLS Here")
        route = Route(UNKNOWN_PEER, host, port, "tls" if secure else None)
        return route, route

    def _trunk_of_caller(self, request: Request) -> Trunk:
        caller = request.from_.address
        for trunk in self._trunks:
            if caller.host and trunk.serves(caller.hostport):
                return trunk
        return self._trunks[0]

    def profile(self, trunk: Trunk | None) -> PeerProfile:
        """The profile of a peer on the SIP side that belongs to `trunk`, or has no section."""
        return UNKNOWN_PEER if trunk is None else self._profiles[trunk.name]

    def _trunk_route(self, trunk: Trunk) -> _Routes:
        host, port = trunk.servers[0]
        unpaid = Route(self._profiles[trunk.name], host, port, trunk.transport)
        return unpaid, replace(unpaid, may_use_credentials=True)
