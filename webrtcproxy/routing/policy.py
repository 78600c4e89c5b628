"""What the configuration allows: where a browser's request goes, and which headers cross from one leg to the other.

Pure functions of the configuration: no memory, no I/O.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import ClassVar

from webrtcproxy.config import Config, HostPort, Trunk
from webrtcproxy.config.headers import CREDENTIALS, OF_THE_LEG
from webrtcproxy.media.profile import BROWSER, BROWSER_OF_TRUNK, TRUNK, Profile, profiles_of
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Headers, Message, Request

METHODS = (
    "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "MESSAGE", "UPDATE", "PRACK", "REFER", "SUBSCRIBE", "NOTIFY",
    "PUBLISH",
)  # fmt: skip
"""The methods that the proxy carries in both directions, beside those that it has never heard of."""

ALLOW = ("Allow", ", ".join(METHODS))
"""What a trunk may send, and what either side may send within a call."""
ALLOW_BROWSER = ("Allow", ", ".join((*METHODS, "REGISTER")))
"""What a browser may send."""

KNOWN_METHODS = frozenset((*METHODS, "REGISTER"))
"""Methods that exist: refused with 405 where they can't be carried, while a made-up one gets 501 (RFC 3261 8.2.1)."""

OPTION_100REL = "100rel"
"""Reliable provisional responses (RFC 3262)."""
EXTENSIONS = ("replaces", "timer", OPTION_100REL)
"""Option tags of the extensions that the proxy supports on each of its legs (RFC 3261 section 19.2)."""
SUPPORTED = ("Supported", ", ".join(EXTENSIONS))
"""What tells them to a peer (RFC 3261 section 20.37)."""
SUPPORTED_WITHIN = ("Supported", ", ".join(name for name in EXTENSIONS if name != OPTION_100REL))
"""The same for who is to send no reliable provisional response: within a call there is no need of any."""
_IDENTITY = frozenset({"P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Diversion"})

_ASSERTED = ("P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID")
"""Those of the sender himself."""

TO_TRUNK = OF_THE_LEG | _IDENTITY
"""What stays behind when a message of a browser goes to a trunk."""
TO_BROWSER = OF_THE_LEG | CREDENTIALS
"""What stays behind when a message of a trunk goes to a browser."""


class _DeniedNames:
    """Header names that stay behind, with those that a trunk's section names.

    :param names: canonical names.
    :param patterns: names in lower case, or the beginning of one and ``*``.
    """

    def __init__(self, names: frozenset[str], patterns: tuple[str, ...]) -> None:
        self._names = names
        self._more = frozenset(patterns)
        self._beginnings = tuple(pattern[:-1] for pattern in patterns if pattern.endswith("*"))

    def __contains__(self, name: object) -> bool:
        if name in self._names or not isinstance(name, str):
            return True
        lower = name.lower()
        return lower in self._more or lower.startswith(self._beginnings)


@dataclass(frozen=True, slots=True)
class HeaderPolicy:
    """Which headers cross to one trunk and from it; made once for each trunk.

    :ivar to_trunk: the names that do not cross towards it.
    :ivar to_browser: the names that do not cross from it towards a browser.
    :ivar sets: name and value of what each request that crosses to it has, in place of what crossed.
    """

    to_trunk: Container[str] = TO_TRUNK
    to_browser: Container[str] = TO_BROWSER
    sets: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def of(trunk: Trunk) -> HeaderPolicy:
        """What the trunk's section says."""
        to_trunk = OF_THE_LEG if trunk.pass_identity else TO_TRUNK
        if not trunk.strip:
            return HeaderPolicy(to_trunk, TO_BROWSER, trunk.set)
        return HeaderPolicy(_DeniedNames(to_trunk, trunk.strip), _DeniedNames(TO_BROWSER, trunk.strip), trunk.set)


DEFAULT_HEADER_POLICY = HeaderPolicy()
"""Of a browser, and of a peer without a section."""


@dataclass(frozen=True, slots=True)
class PeerProfile:
    """What holds for the messages and the media of one peer, whoever calls whom.

    :ivar browser: whether it is a browser.
    :ivar trunk: the trunk that it is of, where it has a section.
    :ivar headers: which headers cross to it and from it.
    :ivar own_profile: how SDP towards it is made, where it is no browser; `profile_from` has the whole answer.
    :ivar for_browsers: how SDP of its own is made for a browser.
    """

    browser: bool
    trunk: Trunk | None
    headers: HeaderPolicy
    own_profile: Profile
    for_browsers: Profile

    @staticmethod
    def of(trunk: Trunk) -> PeerProfile:
        """What the trunk's section says."""
        return PeerProfile(False, trunk, HeaderPolicy.of(trunk), *profiles_of(trunk.media))

    def profile_from(self, source: PeerProfile) -> Profile:
        """How SDP of another peer is made for this one."""
        return source.for_browsers if self.browser else self.own_profile


BROWSER_PEER = PeerProfile(True, None, DEFAULT_HEADER_POLICY, BROWSER, BROWSER)
"""Of a WebSocket peer."""
UNKNOWN_PEER = PeerProfile(False, None, DEFAULT_HEADER_POLICY, TRUNK, BROWSER_OF_TRUNK)
"""Of a peer on the SIP side that has no section."""


def filter_headers(message: Message, source: PeerProfile, target: PeerProfile) -> Headers:
    """The headers of `message` that cross from one peer to another, order and spelling kept.

    The policy is a deny-list: what is not known to belong to a leg crosses.
    """
    if target.browser:
        crossed = message.headers.without(source.headers.to_browser)
        if "Privacy" in crossed and _keeps_identity(crossed):
            for name in _ASSERTED:
                crossed.remove(name)
        return crossed
    policy = target.headers
    crossed = message.headers.without(policy.to_trunk)
    if policy.sets and isinstance(message, Request):
        for name, value in policy.sets:
            crossed.set(name, value)
    return crossed


def _keeps_identity(headers: Headers) -> bool:
    """Whether the sender wants his identity kept from whom the network does not trust (RFC 3325 section 7)."""
    wishes = ";".join(headers.lines("Privacy")).lower().split(";")
    return "id" in map(str.strip, wishes)


def order_challenges(headers: Headers) -> None:
    """Put the challenges that a browser can answer last: JsSIP and SIP.js know MD5 only, and look at the last challenge
    of a response. The others keep the server's order of preference (RFC 8760 section 2.4)."""
    for name in ("WWW-Authenticate", "Proxy-Authenticate"):
        challenges = headers.lines(name)
        if len(challenges) > 1:
            headers.remove(name)
            for challenge in sorted(challenges, key=_is_md5):
                headers.add(name, challenge)


def _is_md5(challenge: str) -> bool:
    """Whether a challenge is for MD5, which is also what one without an algorithm is for."""
    text = challenge.lower().replace(" ", "").replace('"', "")
    return "algorithm=md5" in text or "algorithm=" not in text


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request of a browser goes.

    :ivar terms: what holds there: those of the trunk whose section says so, or of a stranger where
        `[access] destinations` names the host.
    :ivar host: a name or an IP address (IPv6 without brackets).
    :ivar port: None for the default of the transport.
    :ivar transport: ``udp``, ``tcp`` or ``tls``; None for what the DNS says, else UDP.
    """

    terms: PeerProfile
    host: str
    port: int | None
    transport: str | None = None

    @property
    def places(self) -> tuple[HostPort, ...]:
        """The host and port, and what else the trunk is reached by, in the order in which to try."""
        return (HostPort(self.host, self.port),) if self.trunk is None else self.trunk.places

    @property
    def trunk(self) -> Trunk | None:
        """The trunk that it leads to."""
        return self.terms.trunk


class Policy:
    """Answers what a request may do, by the configuration alone.

    :param config: the whole configuration.
    """

    REMEMBERED: ClassVar[int] = 1024
    """Places whose routes are remembered; past that the memory starts anew."""

    def __init__(self, config: Config) -> None:
        self._trunks = config.trunks
        self._terms = {trunk.name: PeerProfile.of(trunk) for trunk in config.trunks}
        self._destinations = config.access.destinations
        self._routes: dict[tuple[str, str, int | None], Route] = {}
        self._has_tls = any(line.startswith("tls:") for line in config.sip.listen)
        self.credentials_for_anyone = config.access.trunk_credentials == "anyone"
        self.multiple = config.registrations.multiple

    def route(self, request: Request) -> Route:
        """The route of a browser's request, by the host and port of its Request-URI and nothing else.

        Route, Via, maddr and the ``transport`` parameter are not looked at: a browser does not choose where the
        proxy's packets go.

        :raises Refusal: 403 for a host that browsers may not call, 404 for a ``tel:`` number without any trunk,
            416 for another scheme, and for ``sips:`` where the next hop is not reached over TLS (RFC 3261 section
            26.2.2).
        """
        target = request.target
        if target.scheme == "tel":
            if not self._trunks:
                raise Refusal(404, "No Trunk For Telephone Numbers")
            return self._trunk_route(self._trunk_of_caller(request))
        if target.scheme not in ("sip", "sips"):
            raise Refusal(416, "Only sip, sips And tel URIs")
        place = (target.scheme, *target.hostport)
        route = self._routes.get(place)
        if route is None:
            route = self._route_to(*place)
            if len(self._routes) >= self.REMEMBERED:
                self._routes.clear()
            self._routes[place] = route
        return route

    def _route_to(self, scheme: str, host: str, port: int | None) -> Route:
        if not self._destinations.allows(host, port, self._trunks):
            raise Refusal(403, "Destination Not Allowed")
        secure = scheme == "sips"
        for trunk in self._trunks:
            if trunk.serves((host, port)):
                if secure and trunk.transport != "tls":
                    raise Refusal(416, "This Trunk Has No TLS")
                return self._trunk_route(trunk)
        if secure and not self._has_tls:
            raise Refusal(416, "No TLS Here")
        return Route(UNKNOWN_PEER, host, port, "tls" if secure else None)

    def request_uri(self, request: Request, route: Route) -> str:
        """The Request-URI that upstream sees: what the browser wrote, so that its digest stays valid.

        A ``tel:`` number becomes a user at the trunk's host (RFC 3261 section 19.1.6).
        """
        target = request.target
        if target.scheme != "tel" or route.trunk is None:
            return request.uri
        trunk = route.trunk
        host = f"[{trunk.host}]" if ":" in trunk.host else trunk.host
        parameters = "".join(f";{name}" if value is None else f";{name}={value}" for name, value in target.params)
        port = "" if trunk.port is None else f":{trunk.port}"
        return f"sip:{target.user}{parameters}@{host}{port};user=phone"

    def _trunk_of_caller(self, request: Request) -> Trunk:
        caller = request.from_.address
        for trunk in self._trunks:
            if caller.host and trunk.serves(caller.hostport):
                return trunk
        return self._trunks[0]

    def terms(self, trunk: Trunk | None) -> PeerProfile:
        """What holds for a peer on the SIP side that is of `trunk`, or has no section."""
        return UNKNOWN_PEER if trunk is None else self._terms[trunk.name]

    def _trunk_route(self, trunk: Trunk) -> Route:
        host, port = trunk.places[0]
        return Route(self._terms[trunk.name], host, port, trunk.transport)


def remaining_hops(request: Request) -> int:
    """How many hops a request may still make, where the proxy counts as one (RFC 3261 section 16.6 step 3).

    :raises Refusal: 483 where there is none left.
    """
    hops = 70 if request.max_forwards is None else request.max_forwards
    if hops == 0:
        raise Refusal(483)
    return hops
