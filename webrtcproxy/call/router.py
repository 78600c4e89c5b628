"""Router: what becomes of a new request. A table from method to handler; no call logic."""

from __future__ import annotations

from twisted.logger import Logger

from webrtcproxy.call.background import answer
from webrtcproxy.call.calls import Calls
from webrtcproxy.call.context import Context
from webrtcproxy.call.leg import Leg
from webrtcproxy.call.legs import Legs
from webrtcproxy.call.policy import ALLOW, ALLOW_BROWSER, EXTENSIONS, KNOWN_METHODS, SUPPORTED, hops_left
from webrtcproxy.call.registrar import Registrar
from webrtcproxy.call.replacing import replaced
from webrtcproxy.errors import Refusal
from webrtcproxy.metrics import reason_of
from webrtcproxy.sip.grammar import BadMessage
from webrtcproxy.sip.message import Request
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow

log = Logger()

RETRY_AFTER = "10"
"""Seconds after which a proxy that ends is likely to be back."""

_ABILITIES = (
    ("Accept", "application/sdp"), ("Accept-Encoding", "identity"), ("Accept-Language", "en"), SUPPORTED,
)  # fmt: skip
"""What the 200 to OPTIONS says (RFC 3261 section 11.2)."""

_REQUIRABLE = (*EXTENSIONS, "norefersub")
"""What a request may require: what the proxy does, and what a REFER leaves to the far side (RFC 4488)."""


class Router:
    """The user of the transaction layer.

    :param context: what calls work with.
    :param calls: the calls.
    :param legs: the index of dialogs.
    :param registrar: forwards registrations.
    """

    def __init__(self, context: Context, calls: Calls, legs: Legs, registrar: Registrar) -> None:
        self._context = context
        self._calls = calls
        self._legs = legs
        self._registrar = registrar
        self._metrics = context.metrics
        self._outside = {"INVITE": self._invite, "REGISTER": self._register, "OPTIONS": self._options}
        self._inside = {"BYE": self._relay, "INFO": self._relay, "MESSAGE": self._relay, "INVITE": self._relay,
                        "UPDATE": self._relay, "REFER": self._relay, "NOTIFY": self._relay, "SUBSCRIBE": self._relay,
                        "OPTIONS": self._options_inside}  # fmt: skip

    # From the transaction layer

    def admits(self, request: Request, flow: Flow) -> bool:
        """Browsers are let in by their handshake; on the SIP side only trunks, the registrars of bindings, and who
        knows the tags of a dialog are heard. Anybody else gets no answer."""
        if flow.browser:
            return True
        host = flow.peer.host
        if self._context.sources.trunks_of(host) or self._context.location.is_registrar(host):
            return True
        try:
            known = self._legs.find(request) is not None
        except BadMessage:
            known = False
        if not known:
            self._metrics.refused("unknown_source")
        return known

    def request_arrived(self, transaction: ServerTransaction) -> None:
        """Hand a new request to its handler; a Refusal out of it becomes the final response."""
        try:
            self._dispatch(transaction)
        except Refusal as refusal:
            self._metrics.refused(reason_of(refusal.status))
            transaction.reply(refusal.status, refusal.reason, refusal.headers)
        except BadMessage as error:
            self._metrics.refused(reason_of(error.status))
            transaction.reply(error.status, error.why)

    def ack_arrived(self, ack: Request, flow: Flow) -> None:
        """The ACK of a 2xx stops its repeats."""
        try:
            leg = self._legs.find(ack)
        except BadMessage:
            return
        if leg is not None and leg.browser == flow.browser:
            leg.acknowledged(ack)

    def cancelled(self, transaction: ServerTransaction, cancel: Request) -> None:
        """A CANCEL for an INVITE without a final response."""
        leg = self._legs.find(transaction.request)
        if leg is not None and leg.owner is not None:
            leg.owner.cancelled_in_dialog(transaction, cancel)
        else:
            self._calls.cancelled(transaction, cancel)

    # Handlers

    def _dispatch(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        _refuse_extensions(request)
        inside = request.to.tag is not None
        handler = (self._inside if inside else self._outside).get(request.method)
        if handler is None:
            name, methods = _allow(transaction)  # of which this one may be carried elsewhere, but not here
            allowed = ", ".join(method for method in methods.split(", ") if method != request.method)
            raise Refusal(405 if request.method in KNOWN_METHODS else 501, "", [(name, allowed)])
        handler(transaction)

    def _invite(self, transaction: ServerTransaction) -> None:
        self._refuse_while_draining()
        request, flow = transaction.request, transaction.flow
        self._refuse_loop(request)
        taken = replaced(request, flow, self._legs, self._context)
        if taken is not None:
            self._calls.replacing(transaction, *taken)
        elif flow.browser:
            self._calls.outbound(transaction, self._context.policy.route(request))
        else:
            self._calls.inbound(transaction, self._callees(request, flow.peer.host))

    def _callees(self, request: Request, host: str) -> list[str]:
        """The addresses-of-record that an INVITE from the SIP side may be for: the one that our Contact stands for, or
        a user at the trunk that it comes from."""
        target = request.target
        location = self._context.location
        trunks = self._context.sources.trunks_of(host)
        aor = location.aor_of(target.user or "")
        if aor is not None:
            if trunks or location.registered_at(aor, host):
                return [aor]
            raise Refusal(403, "Not The Registrar Of This User")
        if not trunks or not target.user:
            raise Refusal(404)
        places = (trunk.host if trunk.port is None else f"{trunk.host}:{trunk.port}" for trunk in trunks)
        user = target.aor.partition("@")[0]
        return [target.aor, *(f"{user}@{place}" for place in places)]

    def _register(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        if not transaction.flow.browser:
            raise Refusal(405, "", [ALLOW])
        hops_left(request)
        context = self._context
        route = context.policy.route(request)
        allowed = context.policy.credentials_for_anyone or context.location.proven(transaction.flow)
        answer(self._registrar.register(transaction, route, allowed), transaction)

    def _options(self, transaction: ServerTransaction) -> None:
        self._refuse_while_draining()
        transaction.reply(200, "", (_allow(transaction), *_ABILITIES))

    def _options_inside(self, transaction: ServerTransaction) -> None:
        self._leg(transaction)
        transaction.reply(200, "", (_allow(transaction), *_ABILITIES))

    def _relay(self, transaction: ServerTransaction) -> None:
        leg = self._leg(transaction)
        if leg.owner is not None:
            leg.owner.request_in_dialog(leg, transaction)
        elif transaction.request.method == "BYE":
            transaction.reply(200)
            leg.hung_up()
        else:
            raise Refusal(481)

    def _leg(self, transaction: ServerTransaction) -> Leg:
        """The leg that a request within a dialog belongs to.

        :raises Refusal: 481 where there is none, 491 for UPDATE where we are calling, 500 for a CSeq out of order.
        """
        request, flow = transaction.request, transaction.flow
        leg = self._legs.find(request)
        if leg is None or leg.browser != flow.browser:
            # A 481 would end the early dialog, too; the session is not there to be changed (RFC 3311 section 5.2).
            raise Refusal(491 if request.method == "UPDATE" and self._legs.is_early(request) else 481)
        leg.dialog.receive(request)
        if leg.browser and flow is not leg.flow and leg.owner is not None:
            leg.owner.moved(leg, flow)
        return leg

    def _refuse_while_draining(self) -> None:
        """503 while the proxy ends: who asks, with an INVITE or OPTIONS, is to try elsewhere (RFC 3261 21.5.4)."""
        if self._calls.draining:
            raise Refusal(503, "", [("Retry-After", RETRY_AFTER)])

    def _refuse_loop(self, request: Request) -> None:
        """483 where the request has gone far enough; 482 where it is one that we sent, come back unchanged. Coming back
        for another Request-URI is a spiral, and fine (RFC 3261 section 16.3)."""
        hops_left(request)
        if self._context.transactions.sent(request):
            raise Refusal(482)


def _allow(transaction: ServerTransaction) -> tuple[str, str]:
    return ALLOW_BROWSER if transaction.flow.browser else ALLOW


def _refuse_extensions(request: Request) -> None:
    """420 for every extension that is required of us and that we do not support (RFC 3261 section 8.2.2.3)."""
    required = [*request.headers.all("Require"), *request.headers.all("Proxy-Require")]
    unsupported = [name for name in required if name and name not in _REQUIRABLE]
    if unsupported:
        raise Refusal(420, "", [("Unsupported", ", ".join(unsupported))])
