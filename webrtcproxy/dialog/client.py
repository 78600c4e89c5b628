"""DialogClient: the client side of a leg: sends requests and ACKs within its dialog (RFC 3261 sections 12.2.1 and
13.2.2.4)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Protocol

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.config.headers import CREDENTIALS
from webrtcproxy.dialog.background import background
from webrtcproxy.dialog.connected_identity import ConnectedIdentity
from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.dialog import Dialog
from webrtcproxy.dialog.session_timer import REFRESHING, SessionTimer
from webrtcproxy.routing.authentication import Authentication
from webrtcproxy.routing.client_request import ClientRequest
from webrtcproxy.routing.failover import resent
from webrtcproxy.routing.peer_profile import PeerProfile
from webrtcproxy.runtime.errors import FlowLost, Refusal
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Message, Request, Response
from webrtcproxy.sip.sdp.rewriting import refuse_all
from webrtcproxy.transport.flow import Flow
from webrtcproxy.users.user import TrunkAccount

log = Logger()

HeaderList = Iterable[tuple[str, str]]

_CREDENTIALS = ("Authorization", "Proxy-Authorization")


class RequestObserver(Protocol):
    """Observes an in-dialog request beyond its final response."""

    def sent(self, request: ClientRequest) -> None:
        """The request was sent."""

    def progress(self, response: Response) -> None:
        """A 101 to 199 to an INVITE has arrived."""

    def answered_again(self, response: Response) -> None:
        """A retransmission of the 2xx to an INVITE has arrived."""


class DialogClient:
    """Sends within one dialog.

    :param context: the shared objects of the process.
    :param dialog: the dialog.
    :param flow: the flow that reached the peer last. A browser is reached only there; a trunk at its dialog's next hop,
        and by the flow that the dialog began on where that hop can't be reached.
    :param profile: the profile of the peer.
    :param authentication: answers challenges with the trunk's credentials, where they may be used.
    :ivar over: whether the dialog has ended, or its BYE awaits an ACK: nothing else is sent.
    :ivar session_timer: how long the session lasts without a refresh.
    :ivar identity: who the peer says it is, and whom it was shown.
    """

    def __init__(
        self, context: Context, dialog: Dialog, flow: Flow, profile: PeerProfile, authentication: Authentication | None
    ) -> None:
        self.dialog = dialog
        self.flow = flow
        self.profile = profile
        self.over = False
        self.session_timer = SessionTimer(context.clock, context.limits.session_expires)
        self._context = context
        self._authentication = authentication
        self._called_in = False
        self._resolved: frozenset[str] = frozenset()
        self._resolving = False
        self._dead_hop = ""
        self.identity = ConnectedIdentity()
        self._allow: list[str] = []
        self._rseq = 0
        self._ack: Request | None = None
        self._held_ack: tuple[Request, bytes] | None = None
        self._watched_ack: Request | None = None

    # What the peer supports

    def learn(self, message: Message, within: bool = False) -> None:
        """Note the methods that the peer supports, where `message` has Allow (RFC 3261 section 20.5), and who it says
        it is.

        :param within: whether the message is within the dialog; else it belongs to the INVITE that has begun it.
        """
        self.identity.learn(message, within)
        allow = message.headers.lines("Allow")
        if allow:
            self._allow = allow

    @property
    def takes_update(self) -> bool:
        """Whether the peer lists UPDATE in its Allow (RFC 3311 section 4)."""
        return self.takes("UPDATE")

    def refuses(self, method: str) -> bool:
        """Whether the peer has sent Allow without this method."""
        return bool(self._allow) and not self.takes(method)

    def takes(self, method: str) -> bool:
        """Whether the peer has sent Allow with this method."""
        return any(name.strip() == method for line in self._allow for name in line.split(","))

    def answer_challenges(self, allowed: bool, account: TrunkAccount | None = None) -> None:
        """Answer challenges of the trunk that has called with the credentials of its section. They go to its servers
        only: an address of its `sources` may be anybody's who is allowed to call in, and could use a digest elsewhere.

        :param allowed: whether the peer of the other leg may use them; else challenges are relayed to it.
        :param account: that peer's own, in place of the section's.
        """
        self._authentication = Authentication(self.profile.trunk, allowed, account)
        self._called_in = True

    # Requests

    def send_request(
        self,
        method: str,
        headers: HeaderList = (),
        body: bytes = b"",
        content_type: str = "",
        observer: RequestObserver | None = None,
        own: bool = False,
    ) -> Deferred[Response]:
        """Send a request within the dialog.

        :param content_type: of the body, where it is not among `headers`.
        :param observer: gets all other events of the request, and sends the ACK for the 2xx to an INVITE.
        :param own: whether the proxy sends it for itself, to keep or to end what it has with the peer; a BYE always is.
        :returns: fires with the final response; challenges are answered where the leg may use its trunk's credentials,
            and those to the proxy's own requests in any case.
            Fails with FlowLost (the peer can't be reached), TimedOut (no response within 64*T1) or Refusal (its host
            name can't be resolved).
        """
        request = self.dialog.request(method)
        for name, value in headers:
            request.headers.add(name, value)
        if method in REFRESHING:
            for name, value in self.session_timer.proposal():
                request.headers.add(name, value)
        if body:
            request.body = body
            if content_type:
                request.headers.set("Content-Type", content_type)
        flow = self._flow_without_lookup()
        if flow is None:
            return Deferred.fromCoroutine(self.flow_to_peer()).addCallback(self._send_towards, request, observer, own)
        return self._send_towards(flow, request, observer, own)

    def _send_towards(
        self, flow: Flow, request: Request, observer: RequestObserver | None, own: bool
    ) -> Deferred[Response]:
        final = self._transact(flow, request, observer, own)
        return final.addCallback(self._refreshed) if request.method in REFRESHING else final

    def _transact(
        self, flow: Flow, request: Request, observer: RequestObserver | None, own: bool
    ) -> Deferred[Response]:
        if observer is not None and self.over:  # it ended during the look-up of its host
            return fail(Refusal(481))
        context, refreshing = self._context, request.method in REFRESHING
        authentication = self._authentication
        if authentication is not None:
            if not self._is_trunk(flow):
                authentication = None
            elif own or request.method == "BYE":
                authentication = authentication.own
        sent = ClientRequest(
            context.transactions,
            request,
            self.dialog,
            context.upstream.hops_of_flow(flow, self.profile.trunk) or flow,
            authentication=authentication,
            session_interval=self.session_timer if refreshing else None,
            on_retry=None if observer is None else self._is_open,
            on_provisional=None if observer is None else observer.progress,
            on_answer=None if observer is None else observer.answered_again,
        )
        if observer is not None:
            observer.sent(sent)
        if flow == self.flow:
            return sent.final
        return sent.final.addErrback(self._request_lost, sent, self.dialog.next_hop, observer, own)

    def _request_lost(
        self, failure: Failure, sent: ClientRequest, hop: str, observer: RequestObserver | None, own: bool
    ) -> Deferred[Response]:
        """The next hop can't be reached: send the request by the flow that the dialog began on."""
        if failure.check(FlowLost) is None or not self._leave(hop, failure.value):
            return fail(failure)
        request = resent(sent.request)
        if "Contact" in request.headers:
            request.headers.set("Contact", self.dialog.contact)
        return self._transact(self.flow, request, observer, own)

    def _is_open(self) -> bool:
        return not self.over

    def _refreshed(self, response: Response) -> Response:
        """Take the final response to an INVITE or UPDATE: the Contact of a 2xx becomes the remote target (RFC 3261
        section 12.2.1.2)."""
        self.session_timer.answered(response)
        if response.status >= 300:
            return response
        self.learn(response, within=True)
        try:
            self.dialog.refresh(response)
        except BadMessage as error:
            log.info("{call}: the remote target stays: {why}", why=error.why, call=self.dialog.call_id)
        return response

    def is_next_rseq(self, rseq: int) -> bool:
        """Whether a reliable response to the leg's INVITE is the next one in order, neither a repeat nor ahead of
        another one (RFC 3262 section 4). If so, it is counted."""
        if self._rseq and rseq != self._rseq + 1:
            return False
        self._rseq = rseq
        return True

    # ACKs

    def acknowledge(self, invite: Request, answer: bytes = b"") -> None:
        """Send the ACK for a 2xx to `invite`; called again for each repeat of the 2xx (RFC 3261 section 13.2.2.4).

        :param answer: the SDP of the first ACK, where the 2xx had the offer; repeated ACKs have it, too. While this ACK
            is held, no ACK is sent.
        """
        if self._held_ack is not None:
            if not answer:
                return
            self._held_ack = None
        if self._ack is None or self._ack.cseq.number != invite.cseq.number:
            self._ack = self.dialog.ack(invite.cseq.number)
            if answer:
                self._ack.body = answer
                self._ack.headers.set("Content-Type", "application/sdp")
        flow = self._flow_without_lookup()
        if flow is None:
            background(self._acknowledge(invite), "The ACK", self.dialog.call_id)
        else:
            self._send_ack(invite, flow)

    def hold_ack(self, invite: Request, offer: bytes) -> None:
        """Hold the ACK for a 2xx with an offer until the answer is known. Where the dialog ends before that, the answer
        refuses all media (RFC 3261 section 13.2.2.4)."""
        self._held_ack = invite, offer

    def send_held_ack(self, answer: bytes = b"") -> None:
        """Send the held ACK, if any, with `answer`, or with an answer that refuses all media."""
        if self._held_ack is not None:
            invite, offer = self._held_ack
            self.acknowledge(invite, answer or refuse_all(offer))

    async def _acknowledge(self, invite: Request) -> None:
        try:
            self._send_ack(invite, await self.flow_to_peer())
        except (FlowLost, Refusal) as why:
            self._ack_failed(why)

    def _send_ack(self, invite: Request, flow: Flow) -> None:
        ack = self._ack
        if ack is None or ack.cseq.number != invite.cseq.number:
            return
        if "Via" not in ack.headers:  # it was not sent before
            headers = invite.headers
            if headers.has_any(CREDENTIALS) and self._is_trunk(flow):
                for name in _CREDENTIALS:
                    ack.headers.remove(name)
                    for value in headers.lines(name):
                        ack.headers.add(name, value)
        if not self._context.transactions.send_ack(ack, flow):
            self._ack_lost(invite, flow, self.dialog.next_hop)
        elif not flow.opened and flow != self.flow and self._watched_ack is not ack:
            self._watched_ack = ack
            schedule, timers = self._context.transactions.schedule, self._context.transactions.timers
            lost = partial(self._connection_lost, invite, flow, self.dialog.next_hop)
            schedule.after(timers.timeout_64t1, flow.on_lost(lost))

    def _connection_lost(self, invite: Request, flow: Flow, hop: str) -> None:
        """The connection of an ACK is lost; one that could not be made has not brought it."""
        if not flow.opened:
            self._ack_lost(invite, flow, hop)

    def _ack_lost(self, invite: Request, flow: Flow, hop: str) -> None:
        """The ACK could not be sent by `flow`: send it by the flow that the dialog began on."""
        ack = self._ack
        if ack is None or ack.cseq.number != invite.cseq.number or self.profile.flow_bound:
            return
        if flow == self.flow or not self._leave(hop, f"{flow!r} is lost"):
            self._ack_failed(f"{flow!r} is lost")
            return
        ack.headers.remove("Via")
        self._send_ack(invite, self.flow)

    def _ack_failed(self, why: object) -> None:
        log.warn("{call}: the ACK has no way: {why}", why=why, call=self.dialog.call_id)
        self.unreachable()

    def unreachable(self) -> None:
        """The ACK for a 2xx can't be sent to the peer by any flow."""

    # The flow to the peer

    def _flow_without_lookup(self) -> Flow | None:
        """The flow to the peer; None where it needs a look-up, or none can be found."""
        if self.profile.flow_bound or (self.flow.reliable and not self.flow.closed):
            return self.flow
        if self._dead_hop and self._dead_hop == self.dialog.next_hop and not self.flow.closed:
            return self.flow
        return self._context.upstream.flow_without_lookup(self.dialog.next_hop, self.flow, self.profile.trunk)

    async def flow_to_peer(self) -> Flow:
        """The flow to the peer: to the next hop of the dialog, or else the one that the dialog began on. That one is
        closed where this raises.

        :raises Refusal: its host name can't be resolved.
        :raises FlowLost: no local socket can send there.
        """
        flow = self._flow_without_lookup()
        if flow is None:
            hop = self.dialog.next_hop
            try:
                flow = await self._context.upstream.flow_to_uri(hop, self.flow, self.profile.trunk)
            except (FlowLost, Refusal) as why:
                if not self._leave(hop, why):
                    raise
                return self.flow
            self._resolved |= {flow.peer.host}
        return flow

    def _leave(self, hop: str, why: object) -> bool:
        """A next hop can't be reached: from now on, the flow that the dialog began on is used in place of it.

        :returns: False where that is closed.
        """
        if self.flow.closed:
            return False
        if self._dead_hop != hop:
            self._dead_hop = hop
            log.warn(
                "{call}: {hop} can't be reached, going on by {flow}: {why}",
                hop=hop,
                flow=self.flow,
                why=why,
                call=self.dialog.call_id,
            )
        return True

    def names(self, host: str) -> bool:
        """Whether the IP address `host` is one that the peer itself has named: that of the next hop or of the remote
        target, or one that the name of the next hop was resolved to."""
        return host in self._resolved or self.dialog.names(host)

    def resolve_peer(self) -> None:
        """Resolve the name of the next hop, once for each dialog: a message has come from an address that may be the
        peer's, and a repeat of it is then taken. No effect where the next hop is an address, and for a browser."""
        if not self._resolving and not self.profile.flow_bound:
            self._resolving = True
            background(self._resolve_peer(), "The look-up of the peer", self.dialog.call_id)

    async def _resolve_peer(self) -> None:
        with suppress(Refusal):
            self._resolved |= await self._context.upstream.hosts_of(self.dialog.next_hop, self.flow)

    def _is_trunk(self, flow: Flow) -> bool:
        """Whether `flow` leads to the host that the INVITE was sent to, or to another server of the same trunk.

        The Contact of a response may lead anywhere; credentials are not sent there. An address that is only among the
        `sources` of the trunk is no server of it.
        """
        host, sources = flow.peer.host, self._context.sources
        trunk = None if self._authentication is None else self._authentication.trunk
        if self._called_in:
            return trunk is not None and sources.is_server(trunk, host)
        return host == self.flow.peer.host or (trunk is not None and sources.is_server(trunk, host))
