"""RegisterTransaction: forwards the REGISTER of a browser, and stores the bindings that the upstream registrar accepts.

The upstream registrar decides: it authenticates the browser and grants the time. It sees one Contact of the proxy for
each address-of-record, so this Contact lasts as long as the longest of the bindings that it stands for (RFC 3261
section 10).

REGISTERs are most of the work of an idle proxy. So each is an object with a few steps, one for each wait, and not a
coroutine: the coroutines would cost more than all other work.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.access.identity import has_account
from webrtcproxy.access.login_queue import PendingLogin
from webrtcproxy.access.proofs import nonces_offered
from webrtcproxy.access.relayed_login import is_wrong, login_name
from webrtcproxy.registration.binding import Binding, Found, Key
from webrtcproxy.registration.refusal import refuse_register
from webrtcproxy.registration.relay import RegistrationRelay
from webrtcproxy.registration.request import (
    DEFAULT_EXPIRES,
    RegisterRequest,
    bindings_for,
    check_domain,
    contact_headers,
    granted_expires,
    own_contact,
    registration_result,
    response_headers,
    upstream_request,
)
from webrtcproxy.routing.authentication import Authentication
from webrtcproxy.routing.client_request import ClientRequest
from webrtcproxy.routing.failover import NextHops
from webrtcproxy.routing.policy import Route
from webrtcproxy.routing.sequence import RequestSequence
from webrtcproxy.runtime.deferred import then
from webrtcproxy.runtime.errors import Refusal, TimedOut
from webrtcproxy.sip.body import crossing_body
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transaction.deadline import NON_INVITE_DEADLINE
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow

log = Logger()

T = TypeVar("T")

SEQUENCE_LINGER = 64.0
"""Seconds for which Call-ID and CSeq of a REGISTER upstream are remembered after its end: time enough for the browser
to answer a challenge that was relayed to it."""


class RegisterTransaction:
    """One REGISTER on its way to the registrar and back. An error of a step becomes the final response, and ends it.

    :param relay: sends it.
    :param transaction: the browser's, to be answered.
    :param route: the route to the registrar.
    """

    _wanted: RegisterRequest
    _key: tuple[str, ...]

    __slots__ = (
        "_authentication", "_authority", "_done", "_expires", "_flow", "_granted", "_key", "_login", "_next_hops",
        "_own_contact", "_place", "_register_id", "_relay", "_response", "_route", "_sent", "_sequence", "_timer",
        "_transaction", "_upstream_flow", "_wanted",
    )  # fmt: skip

    def __init__(self, relay: RegistrationRelay, transaction: ServerTransaction, route: Route) -> None:
        self._relay = relay
        self._transaction = transaction
        self._route = route
        self._authority = route.authority
        self._flow = transaction.flow
        # A browser that has registered with its own password answers challenges itself: with the trunk's credentials it
        # could register any name for which they are valid.
        # One whose user has an account of its own there registers with that.
        own = route.account is not None or not relay.location.proofs.any(self._flow)
        self._authentication = Authentication(route.trunk if own else None, route.may_use_credentials, route.account)
        self._timer = relay.transactions.schedule.after(NON_INVITE_DEADLINE, self._timed_out)
        self._done = False
        self._login: PendingLogin | None = None
        self._place: PendingLogin | None = None
        self._own_contact = ""
        self._expires: int | None = 0
        self._granted = 0
        self._register_id = 0
        self._sequence: RequestSequence | None = None
        self._next_hops: NextHops | None = None
        self._upstream_flow: Flow | None = None
        self._sent: ClientRequest | None = None
        self._response: Response | None = None

    def begin(self) -> None:
        """Take the first step."""
        self._run_step(self._transaction.request, self._read)

    # The steps

    def _read(self, request: Request) -> None:
        relay = self._relay
        check_domain(request)
        wanted = self._wanted = RegisterRequest.of(request)
        account = self._route.account
        if account is not None and wanted.aor != account.aor:
            raise Refusal(403, "Address Of Another User")
        if wanted.adds:
            relay.location.check(wanted.aor, wanted.keys, self._flow)
        name = login_name(request, wanted.aor)
        if self._is_proven:
            self._log_in(name)
            return
        host = self._flow.peer.host
        place = relay.challenges.begin(host, wanted.aor, self._authority, request.call_id, bool(name))
        self._place = place
        if place is None or place.turn is None:
            self._log_in(name)
        else:
            self._wait(place.turn, lambda _: self._log_in(name))

    def _log_in(self, name: str) -> None:
        """Go on when it is the turn of the browser's login.

        :param name: the address-of-record of its credentials; empty where it has none.
        """
        if name:
            login = self._login = self._relay.logins.begin(
                self._flow.peer.host,
                name,
                self._authority,
                self._transaction.request.call_id,
                is_proven=name == self._wanted.aor and self._is_proven,
            )
            if login.turn is not None:
                self._wait(login.turn, self._find_next_hops)
                return
        self._find_next_hops(None)

    def _find_next_hops(self, _: None) -> None:
        relay = self._relay
        next_hops = relay.upstream.next_hops_without_lookup(self._route)
        if next_hops is not None:
            self._next_hops_known(next_hops)
        else:
            self._wait(Deferred.fromCoroutine(relay.upstream.look_up(self._route)), self._next_hops_known)

    def _next_hops_known(self, next_hops: NextHops) -> None:
        relay, wanted = self._relay, self._wanted
        self._next_hops = next_hops
        self._use_flow(next_hops.flow)
        if wanted.everything:
            self._send([])  # the other browsers of the AOR don't matter
        elif wanted.removes:
            self._wait(relay.directory.find(wanted.aor), self._found)
        else:
            self._intend(wanted.keys)

    def _found(self, found: Found) -> None:
        wanted = self._wanted
        staying = wanted.removes.difference(wanted.ended(found.bindings, self._transaction.flow))
        self._intend(wanted.keys - staying)

    def _intend(self, keys: Collection[Key]) -> None:
        relay, wanted = self._relay, self._wanted
        self._register_id = relay.next_id()
        needed = (wanted.seconds(()) or DEFAULT_EXPIRES) if wanted.adds else 0
        self._wait(relay.directory.intend(wanted.aor, self._register_id, keys, needed), self._send)

    def _use_flow(self, flow: Flow) -> None:
        """The registrar is reached over `flow`; the Contact that it gets leads back to the same socket."""
        self._upstream_flow = flow
        self._own_contact = own_contact(self._wanted.aor, flow, self._relay.contact_hostport(flow))

    def _send(self, others: Sequence[int]) -> None:
        """Send it; `others` are the seconds for which the other browsers of the AOR need the proxy's Contact."""
        relay, request = self._relay, self._transaction.request
        contact = self._contact(others)
        # JsSIP has a new From tag in every REGISTER: it does not tell sequences apart.
        key = self._key = "REGISTER", request.uri, self._wanted.aor, request.call_id
        sequence = self._sequence = relay.sequences.get(key)
        relay.sequences.remember(key, sequence, SEQUENCE_LINGER)
        register = upstream_request(
            request, self._route, sequence.from_tag, sequence.call_id, sequence.next_cseq(), contact
        )
        assert self._next_hops is not None
        self._sent = ClientRequest(
            relay.transactions,
            register,
            sequence,
            self._next_hops,
            authentication=self._authentication,
            contact_hostport=relay.contact_hostport,
        )
        self._wait(self._sent.final, self._on_response)

    def _on_response(self, response: Response) -> None:
        relay, authentication, sequence, sent = self._relay, self._authentication, self._sequence, self._sent
        assert sent is not None and sequence is not None
        if response.status == 408:
            raise Refusal(504, "Registrar Not Responding")
        if response.status in (401, 407) and authentication.refused:
            raise Refusal(403, "Registrar Refuses The Proxy")
        flow = sent.flow
        if flow is not self._upstream_flow:
            self._use_flow(flow)
        seconds = granted_expires(response, self._own_contact, self._expires) if response.status < 300 else 0
        relay.sequences.remember(self._key, sequence, seconds + SEQUENCE_LINGER)
        if response.status >= 300:
            self._refused(response)
            return
        place, self._place = self._place, None
        if place is not None:
            place.end(True)
        self._response = response
        self._granted = seconds
        self._store()

    # Storing what a 2xx grants. A browser lost meanwhile is not bound, but its registrar is remembered.

    def _store(self) -> None:
        wanted, directory = self._wanted, self._relay.directory
        account, proofs = self._route.account, self._relay.location.proofs
        if account is not None and not has_account(proofs, self._transaction.flow, account.aor):
            raise Refusal(403, "Address Of Another User")  # it is no longer its user's
        if wanted.adds and self._granted:
            register_id, self._register_id = self._register_id, 0  # `bind` ends the announcement
            self._wait(directory.bind(self._bindings(), register_id), self._bound)
        elif wanted.adds:
            self._wait(directory.unbind(wanted.aor, [each.key for each in wanted.adds]), self._stored)
        elif wanted.leaves:
            self._unbind()
        else:
            self._wait(directory.find(wanted.aor), self._accepted)

    def _bound(self, found: Found) -> None:
        assert self._upstream_flow is not None
        self._relay.directory.registered(self._wanted.aor, self._upstream_flow.peer.host, self._granted)
        self._stored(found)

    def _stored(self, found: Found) -> None:
        wanted = self._wanted
        if self._granted and not self._authentication.used:
            relay, flow, authority = self._relay, self._flow, self._authority
            proofs = relay.location.proofs
            proofs.accepted(flow, self._transaction.request, wanted.aor, authority, self._granted)
            if self._login is not None and self._is_proven:
                relay.challenges.logged_in(flow.peer.host, wanted.aor, authority)
                if self._route.trunk is not None:
                    is_proven = self._login.is_proven
                    self._login.end(True)
                    relay.guard.succeeded(flow.peer.host, wanted.aor, is_proven)
        if wanted.removes:
            self._unbind()
        else:
            self._accepted(found)

    def _unbind(self) -> None:
        wanted, directory = self._wanted, self._relay.directory
        if wanted.everything:
            self._wait(directory.unbind(wanted.aor), self._accepted)
        else:
            self._wait(directory.find(wanted.aor), self._unbind_ended)

    def _unbind_ended(self, found: Found) -> None:
        wanted = self._wanted
        keys = wanted.ended(found.bindings, self._transaction.flow)
        self._wait(self._relay.directory.unbind(wanted.aor, keys), self._accepted)

    def _refused(self, response: Response) -> None:
        request, flow, aor = self._transaction.request, self._flow, self._wanted.aor
        wrong = is_wrong(request, response)
        if wrong and self._login is not None:
            self._login.end(False)
        elif wrong and self._place is not None:
            self._place.end(False)
        if response.status in (401, 407):
            self._relay.location.proofs.challenged(flow, aor, self._authority, nonces_offered(response))
            if not wrong and not self._is_proven:
                place, self._place = self._place, None
                self._relay.challenges.challenged(flow.peer.host, aor, self._authority, place)
        else:
            log.info("{call}: the registrar refuses: {response}", response=response, call=request.call_id)
        self._reply(response, [])

    def _accepted(self, found: Found) -> None:
        """Answer 200 with the live bindings of the AOR as the browsers wrote them, this browser's first."""
        wanted, bindings, flow = self._wanted, found.bindings, self._flow
        if wanted.leaves and not bindings:
            assert self._upstream_flow is not None
            self._relay.directory.registered(wanted.aor, self._upstream_flow.peer.host, 0)
        if (wanted.removes or wanted.everything) and all(binding.flow is not flow for binding in bindings):
            self._relay.location.proofs.remove(flow, wanted.aor)
        assert self._response is not None
        self._reply(self._response, bindings)

    def _reply(self, response: Response, bindings: Sequence[Binding]) -> None:
        if response.status < 300:
            self._store_service_route(response, bindings)
        headers = response_headers(response, self._route)
        for name, value in contact_headers(bindings, self._wanted, self._relay.clock.seconds()):
            headers.add(name, value)
        self._done = True
        self._timer.cancel()
        self._withdraw()
        self._end_login()
        self._relay.metrics.registered(registration_result(response.status))
        self._transaction.reply(response.status, response.reason, headers, crossing_body(response))

    def _store_service_route(self, response: Response, bindings: Sequence[Binding]) -> None:
        """Store the Service-Route of this browser's registration; a REGISTER that only asks changes nothing.

        :param bindings: the live ones of the AOR.
        """
        wanted, flow = self._wanted, self._flow
        seconds = self._granted if wanted.adds else 0
        if wanted.adds or (wanted.leaves and all(binding.flow is not flow for binding in bindings)):
            routes = self._relay.location.service_routes
            routes.store(flow, wanted.aor, self._route.trunk, response.headers, seconds)

    # Between the steps

    def _wait(self, work: Deferred[T], step: Callable[[T], None]) -> None:
        """Go on with `step` when `work` has fired."""
        then(work, self._run_step, self._failed, step)

    def _run_step(self, result: T, step: Callable[[T], None]) -> None:
        if not self._done:
            try:
                step(result)
            except Exception:
                self._failed(Failure())

    def _timed_out(self) -> None:
        self._failed(Failure(TimedOut("the registrar takes too long")))

    def _failed(self, failure: Failure, step: object = None) -> None:
        """Send the browser a final response that is not the registrar's; no step follows it."""
        if self._done:
            return
        self._done = True
        self._timer.cancel()
        if self._sent is not None:
            self._sent.cancel()
        self._withdraw()
        self._end_login()
        refuse_register(self._transaction, failure, self._relay.metrics)

    def _end_login(self) -> None:
        if self._login is not None:
            self._login.end()
        if self._place is not None:
            self._place.end()

    def _withdraw(self) -> None:
        if self._register_id and self._wanted.adds:
            self._relay.directory.withdraw(self._wanted.aor, self._register_id)

    # Parts of the messages

    @property
    def _is_proven(self) -> bool:
        """Whether the browser has proven the address-of-record to this registrar."""
        return self._relay.location.proofs.has(self._flow, self._wanted.aor, self._authority)

    def _contact(self, others: Sequence[int]) -> list[tuple[str, str]]:
        """The Contact and Expires headers upstream.

        Where a browser unregisters while others need the Contact, the registrar gets a query instead: it challenges
        that in the same way, and nothing is removed.

        :param others: the remaining seconds of the other bindings of the AOR, also of those still being registered.
        """
        wanted = self._wanted
        if wanted.everything:
            return [("Contact", "*"), ("Expires", "0")]
        if wanted.adds:
            self._expires = wanted.seconds(others if self._relay.multiple else ())
        elif others or not wanted.leaves:
            return []
        if self._expires is None:
            return [("Contact", f"<{self._own_contact}>")]
        return [("Contact", f"<{self._own_contact}>;expires={self._expires}"), ("Expires", str(self._expires))]

    def _bindings(self) -> list[Binding]:
        """The bindings of the request, each for the time that it asks for, but no longer than was granted."""
        now, seconds = self._relay.clock.seconds(), self._granted
        return bindings_for(self._wanted, self._flow, self._transaction.request.call_id, now, seconds)
