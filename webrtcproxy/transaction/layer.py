"""Transactions: the table of all that is going on. A message finds its transaction here, or goes upward as new.

Server transactions are found by branch, sent-by and method (RFC 3261 section 17.2.3), on a connection by that too;
client transactions by our branch and the method (section 17.1.3).
"""

from __future__ import annotations

import secrets
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.errors import FlowLost
from webrtcproxy.sip.grammar import BadMessage
from webrtcproxy.sip.headers import Via
from webrtcproxy.sip.message import Request, Response, check, respond
from webrtcproxy.transaction.client import ClientTransaction, InviteClient, OnResponse, PlainClient
from webrtcproxy.transaction.pending import Pending
from webrtcproxy.transaction.server import InviteServer, Key, PlainServer, ServerTransaction
from webrtcproxy.transaction.timers import RFC3261, Timers
from webrtcproxy.transport.flow import Flow

log = Logger()

COOKIE = "z9hG4bK"
"""What a branch of RFC 3261 begins with (section 8.1.1.7)."""

_BUSY = (("Retry-After", "5"),)


class TransactionUser(Protocol):
    """Who takes what is new: :class:`webrtcproxy.call.router.Router`."""

    def admits(self, request: Request, flow: Flow) -> bool:
        """Asked before anything is answered or stored; False means silence."""

    def request_arrived(self, transaction: ServerTransaction) -> None:
        """A new request, neither ACK nor CANCEL."""

    def ack_arrived(self, ack: Request, flow: Flow) -> None:
        """The ACK of a 2xx."""

    def cancelled(self, transaction: ServerTransaction, cancel: Request) -> None:
        """An INVITE without a final response is cancelled; the CANCEL is answered, the INVITE is not."""

    def failed(self, transaction: ServerTransaction | None, failure: Failure) -> None:
        """An exception came out of the user; it is logged, and the request answered with 500."""


class Transactions:
    """The transaction layer; it is the `Receiver` of the transports.

    :param clock: runs all timers.
    :param user: may be set later, before the first message.
    :param timers: T1, T2, T4.
    :param last_resort: seconds until an INVITE without a final response is given up as a fault of ours.
    :param per_flow: server transactions that one connection may have at once.
    :param total: server transactions at once; past either, new requests get 503.
    """

    def __init__(
        self,
        clock: IReactorTime,
        user: TransactionUser | None = None,
        timers: Timers = RFC3261,
        *,
        last_resort: float = 300.0,
        per_flow: int = 200,
        total: int = 50_000,
    ) -> None:
        self.user = user
        self.timers = timers
        self.last_resort = last_resort
        self._pending = Pending(clock, timers, last_resort, self._guard)
        self.wait = self._pending.wait
        self.wait_no_more = self._pending.wait_no_more
        self.limit = self._pending.limit
        self._per_flow = per_flow
        self._total = total
        self._servers: dict[Key, ServerTransaction] = {}
        self._clients: dict[tuple[str, str], ClientTransaction] = {}
        self._originals: dict[Key, ServerTransaction] = {}
        self._connections: dict[Flow, set[ClientTransaction | ServerTransaction]] = {}
        self.refused = 0

    def __len__(self) -> int:
        return len(self._servers) + len(self._clients)

    def stop(self) -> None:
        """Forget every transaction, as the proxy stops; who waits for a `final` waits in vain."""
        self._pending.stop()
        self._servers.clear()
        self._clients.clear()
        self._originals.clear()
        self._connections.clear()

    # From the transports

    def message_received(self, message: Request | Response, flow: Flow) -> None:
        """One message; whatever goes wrong with it stays with it."""
        try:
            if isinstance(message, Response):
                self._response(message, flow)
            else:
                self._request(message, flow)
        except BadMessage as error:
            if isinstance(message, Request):
                error.request = message
                self.bad_message(error, flow)
        except Exception:
            log.failure("{call}: a message could not be handled", call=message.headers.get("Call-ID") or "-")

    def bad_message(self, error: BadMessage, flow: Flow) -> None:
        """Refuse what can't be read, where enough of it can to answer; no transaction is made (section 8.2.7)."""
        request = error.request
        try:
            if request is None or request.method == "ACK" or "Via" not in request.headers:
                return
            assert self.user is not None
            if self.user.admits(request, flow):
                flow.send(respond(request, error.status, error.why, to_tag=secrets.token_hex(10)).to_bytes())
        except (BadMessage, FlowLost, ValueError) as why:
            log.debug("A refusal could not be sent: {why}", why=why)
        except Exception:
            log.failure("A bad message could not be refused")

    # From above

    def request(
        self,
        request: Request,
        flow: Flow,
        *,
        on_provisional: OnResponse | None = None,
        on_answer: OnResponse | None = None,
    ) -> ClientTransaction:
        """Send a request in a transaction of its own.

        :param request: without Via; ours is put on top of it.
        :param on_provisional: told of each 101 to 199 to an INVITE.
        :param on_answer: told of each further 2xx to an INVITE: repeats, and answers of other forks.
        :returns: the transaction, whose `final` fires with the final response.
        """
        branch = self._stamp(request, flow)
        transaction: ClientTransaction
        if request.method == "INVITE":
            transaction = InviteClient(self, request, flow, branch, on_provisional, on_answer)
        else:
            transaction = PlainClient(self, request, flow, branch)
        self._start(transaction, request.method)
        return transaction

    def send_ack(self, ack: Request, flow: Flow) -> None:
        """Send the ACK of a 2xx, without Via, on a branch of its own (section 13.2.2.4); never raises."""
        ack.headers.remove("Via")
        self._stamp(ack, flow)
        try:
            flow.send(ack.to_bytes())
        except FlowLost as why:
            log.debug("{call}: the ACK has no way: {why}", call=ack.call_id, why=why)

    def sent(self, request: Request) -> bool:
        """Whether `request` is an INVITE of ours that came back with the same Request-URI: a loop, not a spiral."""
        for value in request.headers.all("Via"):
            client = self._clients.get((Via.parse(value).branch or "", "INVITE"))
            if client is not None and client.request.uri == request.uri:
                return True
        return False

    # From the transactions

    def start_cancel(self, cancel: Request, flow: Flow) -> None:
        """Send a CANCEL, whose Via stands already; what becomes of it, the INVITE tells."""
        transaction = PlainClient(self, cancel, flow, cancel.via.branch or "")
        transaction.final.addErrback(lambda failure: None)
        self._start(transaction, "CANCEL")

    def gone(self, transaction: ClientTransaction | ServerTransaction) -> None:
        """A transaction is terminated."""
        self._pending.forget(transaction)
        if isinstance(transaction, ServerTransaction):
            self._servers.pop(transaction.key, None)
            if self._originals.get(transaction.merge_key) is transaction:
                del self._originals[transaction.merge_key]
        else:
            self._clients.pop((transaction.branch, transaction.request.method), None)
        members = self._connections.get(transaction.flow)
        if members is not None:
            members.discard(transaction)

    # Requests

    def _request(self, request: Request, flow: Flow) -> None:
        method = request.method
        key = _server_key(request, flow)
        known = self._servers.get(key)
        if method == "ACK":
            self._ack(request, flow, known)
            return
        if known is not None:
            known.retransmitted()
            return
        check(request)
        assert self.user is not None
        if not self.user.admits(request, flow):
            return
        if method == "CANCEL":
            self._cancel(request, flow, key)
            return
        merge_key = _merge_key(request, flow)
        if request.to.tag is None and merge_key in self._originals:
            self._refuse(request, flow, 482)
            return
        if self._full(flow):
            self.refused += 1
            self._refuse(request, flow, 503)
            return
        kind = InviteServer if method == "INVITE" else PlainServer
        transaction = self._serve(kind(self, request, flow, key, merge_key))
        self._hand_up(transaction)

    def _ack(self, ack: Request, flow: Flow, known: ServerTransaction | None) -> None:
        if isinstance(known, InviteServer) and known.acknowledged():
            return
        assert self.user is not None
        if self.user.admits(ack, flow):
            self.user.ack_arrived(ack, flow)

    def _cancel(self, cancel: Request, flow: Flow, key: Key) -> None:
        """Section 9.2: 200 where there is an INVITE, whatever its state; it is stopped only without a final response.

        A CANCEL that has another branch or sent-by still counts by Call-ID, From tag, CSeq number and Request-URI.
        """
        invite = self._servers.get((*key[:2], "INVITE", *key[3:])) or self._originals.get(_merge_key(cancel, flow))
        transaction = self._serve(PlainServer(self, cancel, flow, key, ()))
        if not isinstance(invite, InviteServer):
            transaction.reply(481)
            return
        transaction.to_tag = invite.to_tag
        transaction.reply(200)
        if not invite.answered:
            self._guard(self._user_cancelled, invite, cancel)

    def _user_cancelled(self, invite: ServerTransaction, cancel: Request) -> None:
        assert self.user is not None
        self.user.cancelled(invite, cancel)

    def _serve(self, transaction: ServerTransaction) -> ServerTransaction:
        self._servers[transaction.key] = transaction
        if transaction.merge_key:
            self._originals.setdefault(transaction.merge_key, transaction)
        self._follow(transaction)
        transaction.start()
        return transaction

    def _hand_up(self, transaction: ServerTransaction) -> None:
        """The wall: an exception out of the user ends at the request that caused it."""
        assert self.user is not None
        try:
            self.user.request_arrived(transaction)
        except Exception:
            failure = Failure()
            log.failure("{call}: {method} broke", failure, call=transaction.call_id, method=transaction.request.method)
            if not transaction.answered:
                transaction.reply(500)
            self.user.failed(transaction, failure)

    def _refuse(self, request: Request, flow: Flow, status: int) -> None:
        headers = _BUSY if status == 503 else ()
        try:
            flow.send(respond(request, status, to_tag=secrets.token_hex(10), headers=headers).to_bytes())
        except FlowLost as why:
            log.debug("{call}: a refusal has no way: {why}", call=request.call_id, why=why)

    def _full(self, flow: Flow) -> bool:
        members = self._connections.get(flow)
        return len(self._servers) >= self._total or (members is not None and len(members) >= self._per_flow)

    # Responses

    def _response(self, response: Response, flow: Flow) -> None:
        """Section 17.1.3. A response without our branch is nobody's, and on a connection it must come the same way."""
        client = self._clients.get((response.via.branch or "", response.cseq.method))
        if client is not None and (client.flow is flow or not (client.flow.reliable or flow.reliable)):
            client.receive(response)

    def _stamp(self, request: Request, flow: Flow) -> str:
        branch = COOKIE + secrets.token_hex(12)
        rport = "" if flow.reliable else ";rport"
        request.headers.prepend("Via", f"SIP/2.0/{flow.via_transport} {flow.sent_by};branch={branch}{rport}")
        return branch

    def _start(self, transaction: ClientTransaction, method: str) -> None:
        self._clients[transaction.branch, method] = transaction
        self._follow(transaction)
        transaction.start()

    # Connections

    def _follow(self, transaction: ClientTransaction | ServerTransaction) -> None:
        """On a connection, a transaction hears of its loss; one subscription a connection."""
        flow = transaction.flow
        if not flow.reliable:
            return
        members = self._connections.get(flow)
        if members is None:
            members = self._connections[flow] = set()
            flow.on_lost(lambda: self._lost(flow))
        members.add(transaction)

    def _lost(self, flow: Flow) -> None:
        for transaction in self._connections.pop(flow, ()):
            self._guard(transaction.flow_lost)

    def _guard(self, call: object, *arguments: object) -> None:
        """Call something that may run the user's code; an exception is logged and goes no further."""
        try:
            call(*arguments)  # type: ignore[operator]
        except Exception:
            log.failure("A transaction could not go on")


def _server_key(request: Request, flow: Flow) -> Key:
    """What a retransmission, an ACK and a CANCEL have in common with their request; ACK looks for its INVITE."""
    via = request.via
    branch = via.branch or ""
    method = "INVITE" if request.method == "ACK" else request.method
    connection = flow if flow.reliable else None
    if branch.startswith(COOKIE) and len(branch) > len(COOKIE):
        return branch, via.sent_by.lower(), method, connection
    # A peer of RFC 2543 (section 17.2.3): its requests differ in nothing but the method, and the To tag of the ACK.
    same = (branch, request.uri, request.from_.tag, request.call_id, request.cseq.number)
    return same, via.sent_by.lower(), method, connection


def _merge_key(request: Request, flow: Flow) -> Key:
    """The same request that came by two ways has this in common (section 8.2.2.2); for another Request-URI it is a
    spiral."""
    method = "INVITE" if request.method == "CANCEL" else request.method
    connection = flow if flow.reliable else None
    return method, request.call_id, request.from_.tag, request.cseq.number, request.uri, connection
