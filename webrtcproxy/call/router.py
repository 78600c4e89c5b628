"""Router: hands each new request to its handler, by method and by dialog; no call logic."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.access.caller import STRANGER
from webrtcproxy.access.identity import holder
from webrtcproxy.access.login import Logins
from webrtcproxy.access.relayed_login import check_login
from webrtcproxy.call.calls import Calls
from webrtcproxy.call.refused_calls import RefusedCalls
from webrtcproxy.config.addresses import plain_host, same_hostport
from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.extensions import refuse_required
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.dialog.likely_dialog import LikelyDialogs
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.refer_target import login_for_refer
from webrtcproxy.invite.target import TargetResolver
from webrtcproxy.invite.target_set import Callees, call_targets, callees_of, request_targets
from webrtcproxy.registration.binding import Found
from webrtcproxy.registration.local_registrar import LocalRegistrar
from webrtcproxy.registration.register_transaction import RegisterTransaction
from webrtcproxy.registration.relay import RegistrationRelay
from webrtcproxy.registration.request import RegisterRequest
from webrtcproxy.routing.admission import is_heard, is_same_peer
from webrtcproxy.routing.loops import check_loop, remaining_hops
from webrtcproxy.routing.policy import Route
from webrtcproxy.runtime.deferred import then
from webrtcproxy.runtime.errors import Denied, Refusal
from webrtcproxy.sip.capabilities import KNOWN_METHODS, SUPPORTED
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.uri import Uri
from webrtcproxy.subscription.out_of_dialog import OutOfDialogRelay
from webrtcproxy.subscription.subscribe import Subscriptions
from webrtcproxy.transaction import odd_messages
from webrtcproxy.transaction.refusal_reason import reason_of
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow

log = Logger()

T = TypeVar("T")

RETRY_AFTER = "10"
"""Seconds after which a stopping proxy is likely to be available again."""

_ABILITIES = (
    ("Accept", "application/sdp"), ("Accept-Encoding", "identity"), ("Accept-Language", "en"), SUPPORTED,
)  # fmt: skip
"""Headers of the 200 to OPTIONS (RFC 3261 section 11.2)."""


class Router:
    """The user of the transaction layer (TU).

    :param context: the shared objects of the process.
    :param calls: the calls.
    :param legs: the index of dialogs.
    :param registrations: forwards REGISTERs.
    :param registrar: carries out those for domains that are served here.
    :param logins: whether a browser's user is one of these domains.
    :param out_of_dialog: relays out-of-dialog requests without a handler of their own.
    :param subscriptions: handles out-of-dialog SUBSCRIBEs and REFERs, and their NOTIFYs.
    """

    def __init__(
        self,
        context: Context,
        calls: Calls,
        legs: DialogTable,
        registrations: RegistrationRelay,
        registrar: LocalRegistrar,
        logins: Logins,
        out_of_dialog: OutOfDialogRelay,
        subscriptions: Subscriptions,
    ) -> None:
        self._context = context
        self._calls = calls
        self._legs = legs
        self._registration_relay = registrations
        self._registrar = registrar
        self._logins = logins
        self._out_of_dialog = out_of_dialog
        self._subscriptions = subscriptions
        self._refused_calls = RefusedCalls(context)
        self._metrics = context.metrics
        self._trunks_of = context.sources.trunks_of
        self._is_registrar = context.directory.is_registrar
        self._scanners = context.scanners
        self._likely = LikelyDialogs(legs, context.clock)
        self._outside = {
            "INVITE": self._invite, "REGISTER": self._register, "OPTIONS": self._options, "SUBSCRIBE": self._subscribe,
            "BYE": self._no_dialog, "UPDATE": self._no_dialog, "PRACK": self._no_dialog, "REFER": self._subscribe,
        }  # fmt: skip
        self._inside = {
            "REGISTER": self._not_here, "OPTIONS": self._options_inside, "REFER": self._refer_inside,
        }  # fmt: skip

    # From the transaction layer

    def admits(self, request: Request, flow: Flow) -> bool:
        """Whether a request is processed: its source is admitted (`is_heard`), or it is from the peer of the dialog
        that it names by its tags. Any other request gets no response."""
        if flow.browser:
            return not self._scanners.is_scanner(request, flow)
        if is_heard(flow, self._trunks_of, self._is_registrar):
            return True
        if self._scanners.is_scanner(request, flow):
            return False
        try:
            leg = self._find(request)
            if self._subscriptions.expects(request, flow) if leg is None else leg.is_from_peer(flow):
                return True
        except BadMessage:
            leg = None
        if leg is None:
            self._metrics.refused("unknown_source")
            self._scanners.ignored(request, flow)
        else:
            self._is_foreign(request, flow, leg)
        return False

    def request_arrived(self, transaction: ServerTransaction) -> None:
        """Hand a new request to its handler; a Refusal that it raises becomes the final response."""
        try:
            if transaction.request.method == "INVITE" and transaction.request.to.tag is None:
                self._refused_calls.arrived(transaction)
            self._dispatch(transaction)
        except (Refusal, BadMessage) as why:
            self._refuse(transaction, why)

    def refused(self, request: Request, flow: Flow, status: int, reason: str) -> None:
        """A request was refused without a transaction: an INVITE is an attempt all the same."""
        self._refused_calls.refused(request, flow, status, reason)

    def ack_arrived(self, ack: Request, flow: Flow) -> None:
        """The ACK for a 2xx has arrived: stop repeating the 2xx. One that does not name its dialog in full means the
        only one with its sender that has a 2xx to acknowledge."""
        leg = self._likely.leg_of(ack, flow, _awaits_ack)
        if leg is None:
            if ack.headers.oddities:
                self._metrics.refused("malformed")
        elif leg.is_from_peer(flow):
            leg.ack_arrived(ack)
            if ack.headers.oddities:
                odd_messages.log_request(ack, flow)
        else:
            self._is_foreign(ack, flow, leg)

    def hung_up(self, bye: Request, flow: Flow) -> None:
        """A BYE is refused: what it ends, ends all the same."""
        leg = self._likely.leg_of(bye, flow, _is_up)
        if leg is None or not leg.is_from_peer(flow):
            return
        log.info("{call}: ended by a BYE that is refused", call=leg.dialog.call_id)
        if leg.owner is None:
            leg.hung_up()
        else:
            leg.owner.bye_arrived(leg, Request("BYE", bye.uri, bye.headers.only({"Reason"})))

    def cancelled(self, transaction: ServerTransaction, cancel: Request) -> None:
        """A CANCEL has arrived for an INVITE without a final response."""
        leg = self._legs.find(transaction.request)
        if leg is not None and leg.owner is not None:
            leg.owner.cancelled_in_dialog(transaction, cancel)
        else:
            self._calls.cancelled(transaction, cancel)

    def owns(self, transaction: ServerTransaction, flow: Flow) -> bool:
        """Whether a CANCEL on another flow than that of the INVITE of `transaction` is from the same peer."""
        leg = self._legs.find(transaction.request) or self._calls.caller_of(transaction)
        return leg is not None and leg.is_from_peer(flow)

    def is_same_peer(self, flow: Flow, other: Flow) -> bool:
        """Whether two flows on the SIP side lead to the same peer (`admission.is_same_peer`)."""
        return is_same_peer(flow, other, self._trunks_of)

    def _is_foreign(self, request: Request, flow: Flow, leg: Leg) -> None:
        """Note a request whose sender is not known to be the peer of the dialog that it names."""
        leg.resolve_peer()
        self._scanners.foreign(request, flow)
        self._metrics.refused("foreign")
        what, host = request.method, flow.peer.host
        log.info("{call}: {what} from {host} is not from the peer", call=request.log_id, what=what, host=host)

    def _refuse(self, transaction: ServerTransaction, why: Refusal | BadMessage) -> None:
        if not isinstance(why, Denied):
            self._metrics.refused(reason_of(why.status))
        request, flow = transaction.request, transaction.flow
        if flow.browser and request.to.tag is None:
            self._scanners.refused(request, flow, why.status)
        if isinstance(why, Refusal):
            transaction.reply(why.status, why.reason, why.headers)
        else:
            transaction.reply(why.status, why.why)
        if request.method == "BYE":
            self.hung_up(request, flow)

    def _when(
        self, work: Deferred[T], transaction: ServerTransaction, step: Callable[[ServerTransaction, T], None]
    ) -> None:
        """Continue with `step` when `work` has fired, unless the request was answered meanwhile, as by a CANCEL."""
        then(work, self._go_on, self._failed, transaction, step)

    def _go_on(self, result: T, transaction: ServerTransaction, step: Callable[[ServerTransaction, T], None]) -> None:
        if transaction.answered:
            return
        try:
            step(transaction, result)
        except (Refusal, BadMessage) as why:
            self._refuse(transaction, why)
        except Exception:
            self._failed(Failure(), transaction, step)

    def _failed(self, failure: Failure, transaction: ServerTransaction, step: object) -> None:
        error, request = failure.value, transaction.request
        if isinstance(error, (Refusal, BadMessage)):
            self._refuse(transaction, error)
        else:
            log.failure("{call}: {method} could not be carried", failure, method=request.method, call=request.call_id)
            transaction.reply(500)

    # Handlers

    def _dispatch(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        refuse_required(request)
        if request.to.tag is not None:
            self._inside.get(request.method, self._relay)(transaction)
        else:
            self._check_rate(request, transaction.flow)
            self._outside.get(request.method, self._relay_out_of_dialog)(transaction)

    def _after_login(self, transaction: ServerTransaction, step: Callable[[ServerTransaction, None], None]) -> None:
        """Continue with `step` when a browser's user has proven to be one of the domain that the request concerns."""
        request, flow = transaction.request, transaction.flow
        domain = self._logins.needed(request, flow) if flow.browser else None
        if domain is None:
            step(transaction, None)
        else:
            self._when(self._logins.admit(domain, request, flow), transaction, step)

    def _check_rate(self, request: Request, flow: Flow) -> None:
        """Count a request outside of dialogs, and refuse it with 503 where there are too many of its sender."""
        context, host = self._context, flow.peer.host
        rates = context.access.rates
        if not flow.browser:
            rates.check_peer(request, host, context.sources.trunk_of(request, host))
        elif request.method == "REGISTER":
            rates.check_register(request, host, context.payer_of(request, flow))
        else:
            rates.check_browser(request, host, context.payer_of(request, flow))

    def _invite(self, transaction: ServerTransaction) -> None:
        self._refuse_while_draining()
        self._after_login(transaction, self._find_callees)

    def _check_outside(self, request: Request, flow: Flow) -> None:
        """Check a request outside of dialogs, after the login that it needs, and before its targets are sought."""
        self._logins.take_credentials(request)
        self._context.check_referrer(request, flow)
        check_login(self._context.guard, self._context.proofs, request, flow)
        check_loop(request, self._context.transactions)

    def _find_callees(self, transaction: ServerTransaction, _: None) -> None:
        self._check_outside(transaction.request, transaction.flow)
        targets = call_targets(self._context, transaction, self._legs)
        self._when(targets, transaction, self._begin_call)

    def _begin_call(self, transaction: ServerTransaction, find_targets: TargetResolver) -> None:
        self._refuse_while_draining()  # it may have begun while the directory was asked
        self._calls.begin(transaction, find_targets)

    def _subscribe(self, transaction: ServerTransaction) -> None:
        self._refuse_while_draining()
        self._after_login(transaction, self._begin_subscription)

    def _begin_subscription(self, transaction: ServerTransaction, _: None) -> None:
        self._when(self._targets(transaction), transaction, self._subscriptions.begin)

    def _relay_out_of_dialog(self, transaction: ServerTransaction) -> None:
        """Relay an out-of-dialog request and its response."""
        self._after_login(transaction, self._begin_relay)

    def _begin_relay(self, transaction: ServerTransaction, _: None) -> None:
        self._when(self._targets(transaction), transaction, self._out_of_dialog.begin)

    def _targets(self, transaction: ServerTransaction) -> Deferred[TargetResolver]:
        """Fires with the resolver for an out-of-dialog request other than INVITE."""
        request, flow = transaction.request, transaction.flow
        self._check_outside(request, flow)
        if not flow.browser and not request.request_uri.user:
            raise self._unsupported(transaction)
        return request_targets(self._context, transaction)

    def _register(self, transaction: ServerTransaction) -> None:
        request, flow = transaction.request, transaction.flow
        if not flow.browser:
            raise self._unsupported(transaction)
        if self._calls.draining and not RegisterRequest.of(request).leaves:
            self._refuse_while_draining()
        remaining_hops(request)
        context = self._context
        domain = context.domains.of(request.request_uri.hostport)
        if domain is not None:
            self._registrar.register(transaction, domain)
            return
        self._logins.take_credentials(request)
        access = context.access
        caller = holder(context.proofs, flow, request.to.address.aor)
        if caller is STRANGER:
            caller = context.proofs.caller(flow)
        route = context.policy.route(request, caller)
        permitted = access.decide(access.question(request, caller, flow.peer.host, route.trunk))
        if isinstance(permitted, Deferred):
            self._when(permitted, transaction, lambda asked, _: self._forward_register(asked, route))
        else:
            self._forward_register(transaction, route)

    def _forward_register(self, transaction: ServerTransaction, route: Route) -> None:
        RegisterTransaction(self._registration_relay, transaction, route).begin()

    def _options(self, transaction: ServerTransaction) -> None:
        """Answer OPTIONS for the proxy itself (without a user, or for an unknown user at its own address, as trunks
        ping); relay OPTIONS for a user."""
        self._refuse_while_draining()
        uri, flow = transaction.request.request_uri, transaction.flow
        if not uri.user:
            self._answer_options(transaction)
            return
        own = Uri.parse(f"sip:{flow.sent_by}").hostport
        if flow.browser and same_hostport(uri.hostport, own):
            self._answer_options(transaction)
        elif flow.browser or plain_host(uri.host) != plain_host(own[0]):
            self._relay_out_of_dialog(transaction)
        else:
            callees = callees_of(self._context, transaction.request, flow.peer.host)
            self._when(callees, transaction, self._options_for)

    def _options_for(self, transaction: ServerTransaction, callees: Callees) -> None:
        """Handle OPTIONS for one of `callees` at the proxy's own address."""
        found = gatherResults(map(self._context.directory.find, callees.aors))
        self._when(found, transaction, self._options_found)

    def _options_found(self, transaction: ServerTransaction, callees: list[Found]) -> None:
        if any(callee.known for callee in callees):
            self._relay_out_of_dialog(transaction)
        else:
            self._answer_options(transaction)

    def _answer_options(self, transaction: ServerTransaction) -> None:
        transaction.reply(200, "", (self._allow(transaction), *_ABILITIES))

    def _options_inside(self, transaction: ServerTransaction) -> None:
        """Answer OPTIONS within a dialog, too: a peer that uses it to check whether its call is alive gets 200 or 481,
        whatever the other end supports (RFC 3261 section 11)."""
        self._leg(transaction)
        self._answer_options(transaction)

    def _no_dialog(self, transaction: ServerTransaction) -> None:
        raise Refusal(481)

    def _not_here(self, transaction: ServerTransaction) -> None:
        raise self._unsupported(transaction)

    def _relay(self, transaction: ServerTransaction) -> None:
        self._pass_on(transaction, self._leg(transaction))

    def _refer_inside(self, transaction: ServerTransaction) -> None:
        """Hand a REFER to the call after the login that an INVITE of the browser to its target would need."""
        leg = self._leg(transaction)
        login = login_for_refer(self._context, self._logins, transaction, leg, self._legs)
        if login is None:
            self._pass_on(transaction, leg)
        else:
            self._when(login, transaction, lambda admitted, _: self._pass_on(admitted, leg))

    def _pass_on(self, transaction: ServerTransaction, leg: Leg) -> None:
        """Hand a request within the dialog of `leg` to its call or subscription."""
        request = transaction.request
        self._logins.take_credentials(request)
        self._context.check_referrer(request, transaction.flow, leg.user)
        if leg.owner is not None:
            leg.owner.request_in_dialog(leg, transaction)
        elif request.method == "BYE":
            transaction.reply(200)
            leg.hung_up()
        else:
            raise Refusal(481)

    def _leg(self, transaction: ServerTransaction) -> Leg:
        """The leg that an in-dialog request belongs to.

        :raises Refusal: 481 for an unknown dialog, 491 for an offer in an early dialog of the proxy's own INVITE, 500
            for a CSeq out of order.
        """
        request, flow = transaction.request, transaction.flow
        leg = self._find(request) or self._legs.early(request)
        if leg is None and request.method == "NOTIFY":
            leg = self._subscriptions.notified(transaction)
        if leg is None:
            # A 481 would end the early dialog, too; there is no session yet to change (RFC 3311 section 5.2).
            raise Refusal(491 if request.method == "UPDATE" and self._legs.is_early(request, flow) else 481)
        if not leg.is_from_peer(flow):
            self._is_foreign(request, flow, leg)
            raise Refusal(481)  # as for a dialog that does not exist, so that nothing is learned
        leg.dialog.receive(request)
        if leg.profile.flow_bound and flow is not leg.flow and leg.owner is not None:
            leg.owner.moved(leg, flow)
        return leg

    def _find(self, request: Request) -> Leg | None:
        """The leg of the call or subscription whose dialog a request names."""
        return self._legs.find(request) or self._subscriptions.legs.find(request)

    def _refuse_while_draining(self) -> None:
        """Refuse with 503 while the proxy is stopping: an INVITE is sent elsewhere then (RFC 3261 section 21.5.4)."""
        if self._calls.draining:
            raise Refusal(503, "", [("Retry-After", RETRY_AFTER)])

    def _allow(self, transaction: ServerTransaction) -> tuple[str, str]:
        return self._context.profile_of(transaction).allow

    def _unsupported(self, transaction: ServerTransaction) -> Refusal:
        """The refusal of a method that can't be relayed: 405, or 501 for an unknown one."""
        method = transaction.request.method
        name, methods = self._allow(transaction)  # may include this method, which is relayed in other cases
        allowed = ", ".join(other for other in methods.split(", ") if other != method)
        return Refusal(405 if method in KNOWN_METHODS else 501, "", [(name, allowed)])


def _awaits_ack(leg: Leg) -> bool:
    return leg.awaits_ack


def _is_up(leg: Leg) -> bool:
    return not leg.over
