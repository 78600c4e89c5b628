"""Registrar: forwards the REGISTERs of browsers, and stores what the registrar upstream has accepted.

The registrar upstream decides: it authenticates the browser and says how long. It sees one Contact of the proxy's for
each address-of-record, so this Contact lives as long as the longest of the browsers behind it (RFC 3261 section 10).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from webrtcproxy.call.binding import Binding
from webrtcproxy.call.location import ILocation
from webrtcproxy.call.pairing import Pairings
from webrtcproxy.call.patience import Patience
from webrtcproxy.call.policy import Route
from webrtcproxy.call.registration import (
    DEFAULT,
    Registration,
    check_domain,
    granted,
    own_contact,
    told,
    upstream_request,
)
from webrtcproxy.call.trunk import Authentication, Upstream
from webrtcproxy.errors import FlowLost, Refusal, TimedOut
from webrtcproxy.metrics import Metrics
from webrtcproxy.sip.grammar import BadMessage
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow

log = Logger()

REMEMBERED = 64.0
"""Seconds for which the upstream side of a REGISTER is remembered beyond its end: a challenge is answered by then."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of a REGISTER upstream.

    :ivar host: the registrar's IP address.
    :ivar seconds: how long a 2xx binds our Contact.
    :ivar proof: whether the browser, not the proxy, has satisfied a configured trunk.
    """

    response: Response
    host: str
    seconds: int
    proof: bool


class Registrar:
    """Carries REGISTERs.

    :param transactions: sends.
    :param location: keeps the bindings.
    :param upstream: makes the flow towards a registrar.
    :param pairings: keep Call-ID and CSeq upstream over challenges and refreshes.
    :param clock: tells the time, and when to stop waiting.
    :param multiple: all browsers of a user are kept; the same as `location` has it.
    :param metrics: counts the answers.
    :param place: host:port under which the registrar on a flow shall reach us. It does not depend on the process, where
        there are several: a registrar that saw one Contact of each would fork to all of them.
    """

    def __init__(
        self,
        transactions: Transactions,
        location: ILocation,
        upstream: Upstream,
        pairings: Pairings,
        clock: IReactorTime,
        multiple: bool,
        metrics: Metrics | None = None,
        place: Callable[[Flow], str] = lambda flow: flow.sent_by,
    ) -> None:
        self._transactions = transactions
        self._location = location
        self._upstream = upstream
        self._pairings = pairings
        self._clock = clock
        self._multiple = multiple
        self._metrics = metrics or Metrics()
        self._place = place
        self._on_the_way: dict[str, list[int]] = {}

    async def register(self, transaction: ServerTransaction, route: Route, credentials_allowed: bool) -> None:
        """Forward the REGISTER of `transaction` and answer it.

        :param route: where to.
        :param credentials_allowed: whether the trunk's credentials may be used for this browser.
        :raises Refusal: to be answered by the caller; it has been logged.
        :raises BadMessage: the request can't be read; to be answered by the caller.
        """
        request, flow = transaction.request, transaction.flow
        # A browser that has registered with a password of its own answers for itself: with the trunk's credentials it
        # could register under any name that they are good for.
        trunk = None if self._location.proven(flow) else route.trunk
        authentication = Authentication(trunk, credentials_allowed)
        try:
            check_domain(request)
            asked = Registration.of(request)
            if asked.adds:
                self._location.check(asked.aor, [wanted.key for wanted in asked.adds], flow)
            outcome = await self._forward(asked, request, route, authentication)
            response = outcome.response
            headers = told(response, route)
            if response.status < 300:
                await self._accepted(asked, transaction, outcome)
                for value in await self._listed(asked):
                    headers.add("Contact", value)
        except (Refusal, BadMessage) as why:
            log.info("{call}: REGISTER is refused: {why}", why=why, call=request.call_id)
            self._metrics.registered(why.status)
            raise
        if response.status >= 300 and response.status not in (401, 407):
            log.info("{call}: the registrar refuses: {response}", response=response, call=request.call_id)
        self._metrics.registered(response.status)
        transaction.reply(response.status, response.reason, headers, response.body)

    # Upstream

    async def _forward(
        self, asked: Registration, request: Request, route: Route, authentication: Authentication
    ) -> _Outcome:
        """Send the request on, until there is a response for the browser.

        :raises Refusal: 502 for a registrar that can't be reached, 504 for a silent one, 403 where it refuses the
            proxy's credentials.
        """
        key = ("REGISTER", request.uri, asked.aor, request.call_id)  # JsSIP has a new From tag in every REGISTER
        patience = Patience(self._transactions.schedule)
        try:
            flow = self._upstream.ready(route)
            if flow is None:
                flow = await patience.wait(Deferred.fromCoroutine(self._upstream.flow(route)))
            own = own_contact(asked.aor, flow, self._place(flow))
            contact, seconds = await self._contact(asked, own)
            pair = self._pairings.take(key)
            self._pairings.keep(key, pair, REMEMBERED)
            sent = upstream_request(request, route, pair.from_tag, pair.call_id, pair.next_cseq(), contact)
            with self._adding(asked, seconds):
                response = await patience.wait(self._transactions.request(sent, flow).final)
                while (again := authentication.answer(sent, response)) is not None:
                    sent = again
                    sent.headers.set("CSeq", f"{pair.next_cseq()} REGISTER")
                    response = await patience.wait(self._transactions.request(sent, flow).final)
        except FlowLost as lost:
            raise Refusal(502, "Registrar Unreachable") from lost
        except TimedOut as late:
            raise Refusal(504, "Registrar Not Responding") from late
        finally:
            patience.end()
        if response.status == 408:
            raise Refusal(504, "Registrar Not Responding")
        if response.status in (401, 407) and authentication.spent:
            raise Refusal(403, "Registrar Refuses The Proxy")
        lasting = granted(response, own, seconds) if response.status < 300 else 0
        self._pairings.keep(key, pair, lasting + REMEMBERED)
        return _Outcome(response, flow.peer.host, lasting, route.trunk is not None and not authentication.used)

    async def _contact(self, asked: Registration, own: str) -> tuple[list[tuple[str, str]], int | None]:
        """The Contact and Expires headers upstream, and the seconds in them.

        While other browsers need our Contact, one that leaves only asks: a query has to be authenticated all the same,
        and takes nothing away.
        """
        if asked.everything:
            return [("Contact", "*"), ("Expires", "0")], 0
        others = await self._others(asked)
        if asked.adds:
            seconds = asked.seconds(others if self._multiple else ())
        elif asked.leaves and not others:
            seconds = 0
        else:
            return [], 0
        if seconds is None:
            return [("Contact", f"<{own}>")], None
        return [("Contact", f"<{own}>;expires={seconds}"), ("Expires", str(seconds))], seconds

    async def _others(self, asked: Registration) -> list[int]:
        """The seconds that the other bindings of the AOR still have, or will have if the registrar agrees."""
        keys = asked.keys
        bindings = await self._location.bindings(asked.aor)
        remaining = [self._remaining(binding) for binding in bindings if binding.key not in keys]
        return remaining + self._on_the_way.get(asked.aor, [])

    @contextmanager
    def _adding(self, asked: Registration, seconds: int | None) -> Iterator[None]:
        """Note a binding that is on its way to the registrar for as long as that lasts."""
        if not asked.adds:
            yield
            return
        adding = DEFAULT if seconds is None else seconds
        on_the_way = self._on_the_way.setdefault(asked.aor, [])
        on_the_way.append(adding)
        try:
            yield
        finally:
            on_the_way.remove(adding)
            if not on_the_way:
                del self._on_the_way[asked.aor]

    # What was accepted

    async def _accepted(self, asked: Registration, transaction: ServerTransaction, outcome: _Outcome) -> None:
        """Store what a 2xx means. A browser that is lost meanwhile is not bound, but its registrar is remembered."""
        location, flow, aor = self._location, transaction.flow, asked.aor
        if asked.adds:
            if outcome.seconds:
                location.bind(self._bindings(asked, transaction, outcome.seconds))
                location.registered(aor, outcome.host, outcome.seconds)
            else:
                location.unbind(aor, asked.keys)
            if outcome.proof:
                location.prove(aor, flow, outcome.seconds)
        location.unbind(aor, None if asked.everything else asked.removes)
        left = await location.bindings(aor)
        if asked.leaves and not left:
            location.registered(aor, outcome.host, 0)
        if (asked.removes or asked.everything) and all(binding.flow is not flow for binding in left):
            location.prove(aor, flow, 0)

    def _bindings(self, asked: Registration, transaction: ServerTransaction, seconds: int) -> list[Binding]:
        """The bindings of `asked`, each as long as it asked for but no longer than `seconds`."""
        now = self._clock.seconds()
        return [
            Binding(
                asked.aor,
                *wanted.key,
                contact=wanted.value.uri,
                value=wanted.value,
                flow=transaction.flow,
                expires_at=now + (seconds if wanted.seconds is None else min(seconds, wanted.seconds)),
                q=wanted.q,
                call_id=transaction.request.call_id,
            )
            for wanted in asked.adds
        ]

    async def _listed(self, asked: Registration) -> list[str]:
        """The Contacts of a 200: the live bindings of the AOR as the browsers wrote them, this browser's first."""
        keys = asked.keys
        bindings = sorted(await self._location.bindings(asked.aor), key=lambda binding: binding.key not in keys)
        return [str(binding.value.with_param("expires", str(self._remaining(binding)))) for binding in bindings]

    def _remaining(self, binding: Binding) -> int:
        return math.ceil(binding.expires_at - self._clock.seconds())
