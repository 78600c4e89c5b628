"""Trunks at work: the way to them, who may call in from them, and their digest challenges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import ClassVar, Protocol

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.config import HostPort, Trunk
from webrtcproxy.config.addresses import literal
from webrtcproxy.routing.failover import ClientRequest, NextHops, TargetHealth
from webrtcproxy.routing.policy import Route
from webrtcproxy.runtime.errors import FlowLost, Refusal
from webrtcproxy.sip.digest import authorize, choose
from webrtcproxy.sip.grammar import BadMessage
from webrtcproxy.sip.headers import Challenge, parse_challenges
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.sip.uri import SIP_PORT, Uri
from webrtcproxy.transaction.client import OnResponse
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transport.flow import Flow, Hop, Outbound

log = Logger()

_Question = tuple[str, int | None, str | None]
"""What a `HopResolver` is asked: host, port, transport."""


class HopResolver(Protocol):
    """Turns host names into targets (:class:`webrtcproxy.transport.dns.locate.Locator`)."""

    def resolve(self, host: str, port: int | None, transport: str | None = None) -> Deferred[list[Hop]]:
        """Fires with at least one Hop, or fails with a Refusal."""


class Upstream:
    """Makes the ways for what leaves on the SIP side.

    :param resolver: for names.
    :param outbound: the SIP sockets.
    :param standing: what is known of targets.
    """

    def __init__(self, resolver: HopResolver, outbound: Outbound, standing: TargetHealth) -> None:
        self._resolver = resolver
        self._outbound = outbound
        self.standing = standing

    async def way(self, route: Route) -> NextHops:
        """The way along `route`.

        :raises Refusal: no name of it can be resolved.
        :raises FlowLost: no socket of ours can send there.
        """
        return self.ready(route) or self._way(route, await self.hops(route))

    def ready(self, route: Route) -> NextHops | None:
        """The way along `route`, where nothing needs a look-up; else None.

        :raises FlowLost: no socket of ours can send there.
        """
        hops: list[Hop] = []
        for host, port in route.places:
            address = literal(host)
            if address is None:
                return None
            hops.append(Hop.to(address, port, route.transport))
        return self._way(route, hops)

    async def hops(self, route: Route) -> list[Hop]:
        """The targets along `route`, whatever is known of them.

        :raises Refusal: no name of it can be resolved.
        """
        places = route.places
        if len(places) == 1:
            return await self._resolver.resolve(*places[0], route.transport)
        refusals: list[Refusal] = []

        def refused(failure: Failure) -> list[Hop]:
            if not isinstance(failure.value, Refusal):
                failure.raiseException()
            refusals.append(failure.value)
            return []

        found = await gatherResults(
            [self._resolver.resolve(*place, route.transport).addErrback(refused) for place in places]
        )
        hops = [hop for each in found for hop in each]
        if not hops:
            raise refusals[0]
        return hops

    def send(
        self,
        transactions: Transactions,
        request: Request,
        flow: Flow,
        trunk: Trunk | None,
        on_provisional: OnResponse | None = None,
        on_answer: OnResponse | None = None,
    ) -> ClientRequest:
        """Send a request within a dialog along `flow`; by TCP where it is too large for that, and `trunk` has it."""
        way = self.along(flow, trunk)
        if way is None:
            return transactions.request(request, flow, on_provisional=on_provisional, on_answer=on_answer)
        return way.request(transactions, request, on_provisional=on_provisional, on_answer=on_answer)

    def along(self, flow: Flow, trunk: Trunk | None) -> NextHops | None:
        """The way that `flow` leads, and TCP to the same place for what is too large; None where it is this flow or
        nothing.

        :raises FlowLost: no socket of ours can send there.
        """
        if trunk is None or not trunk.large or flow.reliable:
            return None
        return NextHops(self._outbound, self.standing, [Hop("udp", flow.peer)], trunk)

    def flow_to(self, hop: Hop) -> Flow:
        """The flow to one target.

        :raises FlowLost: no socket of ours can send there.
        """
        return self._outbound.flow_to(*hop)

    def _way(self, route: Route, hops: list[Hop]) -> NextHops:
        return NextHops(self._outbound, self.standing, hops, route.trunk)

    def at_once(self, uri: str, last: Flow, trunk: Trunk | None = None) -> Flow | None:
        """The flow as `toward` gives it, where its host needs no look-up and all is well; else None."""
        try:
            host, port = Uri.parse(uri).hostport
            return self._at_once(host, port, last.via_transport.lower(), trunk)
        except (BadMessage, FlowLost):
            return None

    async def toward(self, uri: str, last: Flow, trunk: Trunk | None = None) -> Flow:
        """The flow to the next hop of a dialog on the SIP side. ``maddr`` is not followed.

        :param uri: the route or remote target.
        :param last: the flow that the dialog began on; the transport stays that one, and of several servers the one
            that it leads to.
        :param trunk: whose dialog it is. Over TLS it is he who has to be at an address, and at the server that the
            dialog began with, by whatever name he calls that.
        :raises Refusal: the URI can't be read or its name can't be resolved.
        :raises FlowLost: no socket of ours can send there.
        """
        try:
            target = Uri.parse(uri)
        except BadMessage as error:
            raise Refusal(502, "Bad Contact") from error
        host, port = target.hostport
        transport = last.via_transport.lower()
        flow = self._at_once(host, port, transport, trunk)
        if flow is not None:
            return flow
        hops = self.standing.in_order(await self._resolver.resolve(host, port, transport))
        hop = next((hop for hop in hops if hop.address.host == last.peer.host), hops[0])
        return self.flow_to(_of(trunk, hop) if hop.address.host == last.peer.host else hop)

    def _at_once(self, host: str, port: int | None, transport: str, trunk: Trunk | None) -> Flow | None:
        """The flow to an IP address; None for a name.

        :raises FlowLost: no socket of ours can send there.
        """
        address = literal(host)
        if address is None:
            return None
        return self.flow_to(_of(trunk, Hop.to(address, port, transport)))


def _of(trunk: Trunk | None, hop: Hop) -> Hop:
    """`hop` where `trunk` has to be."""
    return hop if trunk is None else hop._replace(domain=trunk.places[0].host)


class Sources:
    """Which addresses belong to which trunk: its `sources`, or what its host and proxy resolve to.

    :param trunks: the configured trunks.
    :param resolver: for their names.
    """

    REMEMBERED: ClassVar[int] = 4096
    """Addresses whose trunks are remembered; past that the memory starts anew."""

    def __init__(self, trunks: Sequence[Trunk], resolver: HopResolver) -> None:
        self._trunks = trunks
        self._resolver = resolver
        self._found: dict[_Question, frozenset[str]] = {}
        self._resolved: dict[str, frozenset[str]] = {}
        self._lost: set[str] = set()
        self._known: dict[str, tuple[Trunk, ...]] = {}

    def trunks_of(self, host: str) -> tuple[Trunk, ...]:
        """The trunks that may call in from the address `host`; one dictionary look-up when it is known."""
        trunks = self._known.get(host)
        if trunks is None:
            if len(self._known) >= self.REMEMBERED:
                self._known.clear()
            trunks = self._known[host] = tuple(trunk for trunk in self._trunks if self._belongs(host, trunk))
        return trunks

    def trunk_of(self, request: Request, host: str) -> Trunk | None:
        """The trunk that a request from outside a dialog comes from; None where none is at the address `host`.

        Of several trunks at one address, it is the one that serves the host in From or in the Request-URI, else the
        first.
        """
        trunks = self.trunks_of(host)
        if len(trunks) > 1:
            places = request.from_.address.hostport, request.target.hostport
            return next((trunk for place in places for trunk in trunks if trunk.serves(place)), trunks[0])
        return trunks[0] if trunks else None

    def refresh(self) -> Deferred[None]:
        """Resolve the names of the trunks that have no `sources`. To be called at start and every minute.

        :returns: a Deferred that fires with None; a name that can't be resolved keeps the addresses that it had.
        """
        wanted = [self._resolve(trunk) for trunk in self._trunks if trunk.sources is None]
        return gatherResults(wanted).addCallback(lambda _: self._known.clear())

    def _belongs(self, host: str, trunk: Trunk) -> bool:
        if trunk.sources is None:
            return host in self._resolved.get(trunk.name, ())
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in trunk.sources)

    def _resolve(self, trunk: Trunk) -> Deferred[None]:
        """Its own addresses, and those that SRV has in their place."""
        places = dict.fromkeys((HostPort(trunk.host, trunk.port), *trunk.proxy))
        questions: list[_Question] = [(place.host, SIP_PORT, None) for place in places]
        questions += [(*place, trunk.transport) for place in places if place.port is None]
        looked_up = [self._addresses(*question) for question in questions]
        return gatherResults(looked_up).addCallback(self._learn, trunk, questions)

    def _addresses(self, host: str, port: int | None, transport: str | None) -> Deferred[frozenset[str]]:
        found = self._resolver.resolve(host, port, transport)
        return found.addCallbacks(lambda hops: frozenset(hop.address.host for hop in hops), lambda _: frozenset())

    def _learn(self, found: list[frozenset[str]], trunk: Trunk, questions: list[_Question]) -> None:
        """What a question had for an answer before counts on where it has none now; where all have none, that is told
        once."""
        self._found.update(
            (question, addresses) for question, addresses in zip(questions, found, strict=True) if addresses
        )
        self._resolved[trunk.name] = frozenset().union(*(self._found.get(question, ()) for question in questions))
        if any(found):
            self._lost.discard(trunk.name)
        elif trunk.name not in self._lost:
            self._lost.add(trunk.name)
            log.warn("Trunk {trunk}: its names can't be resolved, and it has no `sources`", trunk=trunk.name)


class Authentication:
    """The trunk's credentials at work in one dialog or REGISTER (RFC 3261 section 22, RFC 7616).

    What is counted begins anew with each request that gets another answer than a challenge: a trunk may well have a
    nonce of its own for every request of a long call.

    :param trunk: the trunk that the requests go to, or None: then every challenge is the browser's.
    :param allowed: whether the browser may use the trunk's credentials.
    :ivar trunk: as given.
    :ivar used: a challenge was answered.
    :ivar spent: the trunk refused the credentials.
    """

    TRIES: ClassVar[int] = 2
    """Answers to one realm in a row at most; a nonce that is called stale does not count (RFC 7616 section 3.3)."""
    ROUNDS: ClassVar[int] = 6
    """Answers in a row at most, whatever the far side says."""

    def __init__(self, trunk: Trunk | None, allowed: bool) -> None:
        self.trunk = trunk
        self._account = trunk if trunk is not None and trunk.username and trunk.password else None
        self._allowed = allowed
        self._answered: dict[tuple[str, str], _AnsweredChallenge] = {}
        self._rounds = 0
        self.used = False
        self.spent = False

    def answer(self, request: Request, response: Response) -> Request | None:
        """The request to send next, when the proxy answers a challenge by itself.

        :param request: the request that was challenged, as it was sent.
        :param response: any final response.
        :returns: the request with credentials and the next CSeq, or None: the response is for the browser.
        """
        if response.status not in (401, 407):
            self.begin_anew()
            return None
        if self._account is None:
            return None
        answers = [
            (name, challenge)
            for asking, name in _CREDENTIALS.items()
            for challenge in _challenges(response, asking, self._account.realm)
        ]
        if answers and not self._allowed:
            log.info(
                "A challenge of trunk {trunk} to {method} is left to the browser, which has not registered on this"
                " connection with a password of its own ([access] trunk-credentials = registered)",
                trunk=self._account.name,
                method=request.method,
            )
            return None
        if not answers or not all(self._may_answer(name, challenge) for name, challenge in answers):
            return None
        self._rounds += 1
        self.used = True
        again = Request(request.method, request.uri, request.headers.copy(), request.body)
        again.headers.remove("Via")
        again.headers.set("CSeq", f"{request.cseq.number + 1} {request.method}")
        self.prepare(again)
        return again

    def prepare(self, request: Request) -> None:
        """Put the credentials for all challenges so far into a request, each with its next nonce count."""
        for name in _CREDENTIALS.values():
            if any(header == name for header, _ in self._answered):
                request.headers.remove(name)
        for (name, _), answered in self._answered.items():
            request.headers.add(name, self._credentials(answered, request))

    def begin_anew(self) -> None:
        """The credentials are good, or were not asked for; or another target asks, which has a nonce of its own."""
        self._rounds = 0
        for answered in self._answered.values():
            answered.tries = 0

    def _may_answer(self, name: str, challenge: Challenge) -> bool:
        """Whether to answer: not the same nonce twice, no third time what was refused twice, and not for ever."""
        key = name, challenge.params["realm"]
        before = self._answered.get(key)
        stale = challenge.params.get("stale", "").lower() == "true"
        tries = 1 if before is None else before.tries + (not stale)
        same = before is not None and challenge.params["nonce"] == before.challenge.params["nonce"]
        if same or tries > self.TRIES or self._rounds >= self.ROUNDS:
            self.spent = True
            assert self._account is not None
            log.error(
                "Trunk {trunk} refuses its username and password in realm {realm!r}",
                trunk=self._account.name,
                realm=challenge.params["realm"],
            )
            return False
        self._answered[key] = _AnsweredChallenge(challenge, tries)
        return True

    def _credentials(self, answered: _AnsweredChallenge, request: Request) -> str:
        assert self._account is not None and self._account.username is not None and self._account.password is not None
        answered.count += 1
        return str(
            authorize(
                answered.challenge,
                request.method,
                request.uri,
                self._account.username,
                self._account.password,
                body=request.body,
                count=answered.count,
            )
        )


@dataclass(slots=True)
class _AnsweredChallenge:
    """A challenge that was answered.

    :ivar tries: answers to its realm in a row.
    :ivar count: requests with its nonce.
    """

    challenge: Challenge
    tries: int
    count: int = 0


_CREDENTIALS = {"WWW-Authenticate": "Authorization", "Proxy-Authenticate": "Proxy-Authorization"}


def _challenges(response: Response, name: str, realm: str | None) -> list[Challenge]:
    try:
        return choose(parse_challenges(response.headers.lines(name)), realm)
    except BadMessage:
        return []
