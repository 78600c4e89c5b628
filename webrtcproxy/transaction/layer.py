"""The transaction layer: matches each message to its transaction, or passes it to the user as a new one.

A server transaction is found by its key (:mod:`webrtcproxy.transaction.match`); a client transaction by the branch of
our Via and the method (RFC 3261 section 17.1.3).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.runtime.ids import random_token
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.runtime.schedule import Schedule
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response, check, respond
from webrtcproxy.sip.salvage import ENDING
from webrtcproxy.transaction import odd_messages
from webrtcproxy.transaction.client import ClientMachine, ClientTransaction, InviteClient, NonInviteClient, OnResponse
from webrtcproxy.transaction.likely_client import likely_client, log_unusable
from webrtcproxy.transaction.likely_invite import likely_invite
from webrtcproxy.transaction.match import (
    BRANCH_PREFIX,
    Key,
    branches_of_ours,
    has_cookie,
    invite_key,
    is_repeat,
    key_of,
    merge_key,
    rfc2543_key,
)
from webrtcproxy.transaction.refusal_reason import reason_of
from webrtcproxy.transaction.server import InviteServer, NonInviteServer, ServerMachine, ServerTransaction
from webrtcproxy.transaction.table import Table, TransactionLimits
from webrtcproxy.transaction.timers import RFC3261, Timers
from webrtcproxy.transaction.undelivered import client_key
from webrtcproxy.transaction.user import NoUser, TransactionUser
from webrtcproxy.transport.flow import Flow

log = Logger()

RETRY_AFTER = "5"
"""The Retry-After of a 503 for too many transactions, in seconds."""


class Transactions:
    """The transaction layer; it is the `Receiver` of the transports.

    :param clock: runs all timers.
    :param user: may be set later; until then no request is answered.
    :param timers: T1, T2, T4.
    :param limits: of server transactions; beyond them, new requests get 503.
    :param last_resort: seconds until an INVITE that its user has not answered gets a 500, and an error is logged.
    :param metrics: counts refused requests.
    :param mark: the text before the random part of a branch or tag; it names the process if there are several.
    """

    def __init__(
        self,
        clock: IReactorTime,
        user: TransactionUser | None = None,
        timers: Timers = RFC3261,
        *,
        limits: TransactionLimits = TransactionLimits(),  # noqa: B008  # a value
        last_resort: float = 300.0,
        metrics: Metrics | None = None,
        mark: str = "",
    ) -> None:
        self.user: TransactionUser = user or NoUser()
        self.timers = timers
        self.last_resort = last_resort
        self.mark = mark
        self.schedule = Schedule(clock)
        self._metrics = metrics or Metrics()
        self._table = Table(limits)
        self._branch_prefix = BRANCH_PREFIX + mark
        self._secret = secrets.token_bytes(16)
        self._stopped = False

    def __len__(self) -> int:
        """How many transactions there are, including those that only absorb retransmissions."""
        return len(self._table)

    @property
    def servers(self) -> int:
        """How many of them are server transactions."""
        return len(self._table.servers)

    @property
    def clients(self) -> int:
        """How many of them are client transactions."""
        return len(self._table.clients)

    def stop(self) -> None:
        """End every transaction because the proxy stops: each pending `final`, and each later one, fails with
        FlowLost."""
        self._stopped = True
        self._table.clear()
        self.schedule.clear()

    # From the transports

    def message_received(self, message: Request | Response, flow: Flow) -> None:
        """Handle one message; never raises."""
        try:
            if self._stopped:
                return
            if isinstance(message, Response):
                self._response(message, flow)
            else:
                self._request(message, flow)
        except BadMessage as error:
            error.request = message
            self.bad_message(error, flow)
        except Exception:
            log.failure("{call}: a message could not be handled", call=message.log_id)

    def bad_message(self, error: BadMessage, flow: Flow) -> None:
        """Refuse a malformed message if enough of it can be parsed for a response; no transaction is made (section
        8.2.7). One that is usable all the same is used, and what a BYE or CANCEL ends, ends in any case; others are
        counted, and not logged: anybody can send them. Never raises."""
        request = error.request
        if isinstance(error.unusable, Response):
            log_unusable(error.unusable, error.why, self._table, flow)
        if error.usable and isinstance(request, (Request, Response)):
            request.headers.note(error.why)
            self.message_received(request, flow)
            return
        if not isinstance(request, Request) or request.method == "ACK" or not _has_effect(request):
            self._metrics.refused("malformed")
            return
        try:
            if self.user.admits(request, flow):
                self._metrics.refused(reason_of(error.status))
                odd_messages.log_refusal(request, flow, error)
                self._refuse(request, flow, error.status, error.why)
                self._end_all_the_same(request, flow)
        except BadMessage:
            pass
        except Exception:
            log.failure("{call}: a bad message could not be refused", call=request.log_id)

    def undelivered(self, quoted: bytes, host: str, why: str) -> None:
        """A datagram was not delivered: the request in it has failed, unless a response has come (RFC 3261 sections
        8.1.3.1 and 18.4). Never raises."""
        key = client_key(quoted)
        machine = None if key is None else self._table.clients.get(key)
        if machine is not None and not machine.flow.reliable and machine.flow.peer.host == host:
            machine.undelivered(why)

    # From above

    def request(
        self,
        request: Request,
        flow: Flow,
        *,
        on_provisional: OnResponse | None = None,
        on_answer: OnResponse | None = None,
    ) -> ClientTransaction:
        """Send a request in a client transaction of its own.

        :param request: gets our Via on top; from then on it belongs to the transaction.
        :param on_provisional: called with each 101 to 199 to an INVITE.
        :param on_answer: called with each further 2xx to an INVITE, for 64*T1: retransmissions, and the 2xx of other
            forks.
        :returns: the transaction, whose `final` fires with the final response.
        :raises ValueError: the request can't be serialised.
        """
        key = self._stamp(request, flow), request.method
        machine: ClientMachine
        if request.method == "INVITE":
            machine = InviteClient(self, request, flow, key, on_provisional, on_answer)
        else:
            machine = NonInviteClient(self, request, flow, key)
        return self._start(machine)

    def send_ack(self, ack: Request, flow: Flow) -> bool:
        """Send the ACK of a 2xx; never raises. The same ACK, sent again for a retransmission of the 2xx, keeps its
        branch.

        :param ack: gets our Via, with a branch of its own (section 13.2.2.4).
        :returns: False where the flow is lost.
        """
        if "Via" not in ack.headers:
            self._stamp(ack, flow)
        try:
            flow.send(ack.to_bytes())
        except FlowLost as why:
            log.debug("{call}: the ACK was not sent: {why}", call=ack.log_id, why=why)
            return False
        except ValueError:
            log.failure("{call}: the ACK can't be written", call=ack.log_id)
        return True

    def is_loop(self, request: Request) -> bool:
        """Whether `request` was sent from here and has come back with the same Request-URI. With another Request-URI it
        is a spiral, which is legal (section 16.3).
        """
        for line in request.headers.lines("Via"):
            for branch in branches_of_ours(line) if BRANCH_PREFIX in line else ():
                machine = self._table.clients.get((branch, request.method))
                if machine is not None and machine.request_uri == request.uri:
                    return True
        return False

    # From the machines

    def server_answered(self, machine: ServerMachine) -> None:
        """The request of a machine has its final response."""
        self._table.answered(machine)

    def server_ended(self, machine: ServerMachine) -> None:
        """The machine is terminated."""
        self._table.remove_server(machine)

    def client_ended(self, machine: ClientMachine) -> None:
        """The machine is terminated."""
        self._table.remove_client(machine)

    def send_cancel(self, cancel: Request, flow: Flow) -> None:
        """Send a CANCEL, which has the Via of its INVITE. Its response is ignored: that to the INVITE counts."""
        machine = NonInviteClient(self, cancel, flow, (cancel.via.branch or "", "CANCEL"))
        self._start(machine).final.addErrback(lambda _: None)

    def notify_user(self, user: OnResponse, response: Response) -> None:
        """Call the user with a response; an exception is logged."""
        self._guarded(None, response.log_id, user, response)

    # Requests

    def _request(self, request: Request, flow: Flow) -> None:
        method = request.method
        if method == "ACK":
            self._ack(request, flow)
            return
        key = key_of(request, flow)
        machine = self._table.servers.get(key)
        if machine is not None:
            machine.retransmitted()
        elif self.user.admits(request, flow):
            check(request)
            if method == "CANCEL":
                self._cancel(request, flow, key)
            else:
                self._new(request, flow, key)
            if request.headers.oddities:
                odd_messages.log_request(request, flow)

    def _new(self, request: Request, flow: Flow, key: Key) -> None:
        table = self._table
        merged = merge_key(request)
        first = table.by_merge_key.get(merged)
        if first is not None:
            if is_repeat(first.key, key) and not flow.reliable and self.user.is_same_peer(flow, first.source_flow):
                first.retransmitted()
                return
            if request.to.tag is None:
                self._refuse(request, flow, 482)  # section 8.2.2.2
                return
        if table.is_full(flow):
            self._metrics.refused("transactions_limit")
            self._refuse(request, flow, 503, retry_after=RETRY_AFTER)
            self._end_all_the_same(request, flow)
            return
        kind = InviteServer if request.method == "INVITE" else NonInviteServer
        machine = kind(self, request, flow, key, merged)
        transaction = machine.transaction
        assert transaction is not None
        table.add_server(machine)
        machine.start()
        self._guarded(transaction, request.call_id, self.user.request_arrived, transaction)

    def _ack(self, ack: Request, flow: Flow) -> None:
        """An ACK of a final response other than 2xx belongs to the machine of its INVITE, any other to the user: also
        one that names no transaction."""
        try:
            machine = self._table.servers.get(key_of(ack, flow))
            if machine is None and not has_cookie(ack.via):
                machine = self._rfc2543_ack(ack, flow)
        except BadMessage as error:
            machine = None
            ack.headers.note(error.why)
        if isinstance(machine, InviteServer) and machine.ack_received():
            return
        if self.user.admits(ack, flow):
            self._guarded(None, ack.log_id, self.user.ack_arrived, ack, flow)

    def _rfc2543_ack(self, ack: Request, flow: Flow) -> ServerMachine | None:
        """The INVITE of an ACK of RFC 2543, which has the To tag of our response (section 17.2.3)."""
        machine = self._table.servers.get(rfc2543_key(ack, flow, None))
        return machine if machine is not None and machine.to_tag == ack.to.tag else None

    def _cancel(self, cancel: Request, flow: Flow, key: Key) -> None:
        """Section 9.2: a 200 if the INVITE exists, in any state; the user is notified, once, if the INVITE has no final
        response.

        The CANCEL has no transaction of its own: its retransmissions get the same response for as long as the INVITE
        exists. If its branch, sent-by or flow is not that of its INVITE, it is matched by the merge key, and has to be
        from the same peer.
        """
        machine = self._table.servers.get(invite_key(key))
        if machine is None:
            machine = self._table.by_merge_key.get(merge_key(cancel))
            if machine is not None and not self._may_cancel(machine, cancel, flow):
                machine = None
        if not isinstance(machine, InviteServer):
            self._refuse(cancel, flow, 481)
            return
        self._send(respond(cancel, 200, to_tag=machine.to_tag), flow)
        self._cancelled(machine, cancel)

    def _cancelled(self, machine: InviteServer, cancel: Request) -> None:
        transaction = machine.transaction
        if transaction is not None and not machine.cancelled:
            machine.cancelled = True
            self._guarded(transaction, cancel.log_id, self.user.cancelled, transaction, cancel)

    def _end_all_the_same(self, request: Request, flow: Flow) -> None:
        """A request has been refused. If it is a BYE or a CANCEL, and it is plain what that ends, it ends: whoever has
        sent it is gone."""
        if request.method == "BYE":
            self._guarded(None, request.log_id, self.user.hung_up, request, flow)
        elif request.method == "CANCEL":
            found = likely_invite(request, self._table, flow)
            if found is not None:
                self._cancelled(found, request)

    def _may_cancel(self, machine: ServerMachine, cancel: Request, flow: Flow) -> bool:
        """Whether `cancel` is from the sender of the INVITE of `machine`. Its final response then goes where the CANCEL
        came from."""
        if flow in (machine.source_flow, machine.flow):
            return True
        transaction = machine.transaction
        if transaction is not None and self.user.owns(transaction, flow):
            machine.flow = flow
            return True
        self._foreign(cancel, flow)
        return False

    def _foreign(self, message: Request | Response, flow: Flow) -> None:
        """Note a message whose sender is not the peer of its transaction."""
        self._metrics.refused("foreign")
        odd_messages.log_foreign(message, flow)

    def _refuse(self, request: Request, flow: Flow, status: int, reason: str = "", retry_after: str = "") -> None:
        """Answer without a transaction; the To tag is the same for each retransmission (section 8.2.7). One without a
        Via gets no response: nobody could match it."""
        via = request.headers.get("Via")
        if via is None:
            return
        tag = hmac.digest(self._secret, via.encode("utf-8", "surrogateescape"), "sha256").hex()[:16]
        headers = [("Retry-After", retry_after)] if retry_after else []
        self._send(respond(request, status, reason, to_tag=tag, headers=headers), flow)
        if request.method == "INVITE":
            self._guarded(None, request.log_id, self.user.refused, request, flow, status, reason)

    def _send(self, response: Response, flow: Flow) -> None:
        try:
            flow.send(response.to_bytes())
        except FlowLost as why:
            log.debug("{call}: a response was not sent: {why}", call=response.log_id, why=why)

    # Responses

    def _response(self, response: Response, flow: Flow) -> None:
        """Match a response to its client transaction (sections 17.1.3 and 18.1.2); drop any other.

        The branch can't be guessed. The response to a request on a connection must arrive on that connection; over UDP,
        from the address that the request was sent to, or another one of the same trunk.
        """
        machine = self._table.client_of(response) or likely_client(response, self._table, flow)
        if machine is None:
            if response.headers.oddities:
                self._metrics.refused("malformed")
            return
        sent_to = machine.flow
        if sent_to is flow or (not (sent_to.reliable or flow.reliable) and self._is_from(sent_to, flow)):
            machine.receive(response)
            if response.headers.oddities:
                odd_messages.log_response(response, flow)
        else:
            self._foreign(response, flow)

    def _is_from(self, sent_to: Flow, flow: Flow) -> bool:
        return flow.peer.host == sent_to.peer.host or self.user.is_same_peer(flow, sent_to)

    def _stamp(self, request: Request, flow: Flow) -> str:
        """Add our Via.

        :returns: its branch.
        """
        branch = self._branch_prefix + random_token(12)
        rport = "" if flow.reliable else ";rport"
        request.headers.prepend("Via", f"SIP/2.0/{flow.via_transport} {flow.sent_by};branch={branch}{rport}")
        return branch

    def _start(self, machine: ClientMachine) -> ClientTransaction:
        transaction = machine.transaction
        assert transaction is not None
        if self._stopped:
            machine.flow_lost()
        else:
            self._table.add_client(machine)
            machine.start()
        return transaction

    # Calls of the user

    def _guarded(
        self, transaction: ServerTransaction | None, call_id: str, call: Callable[..., object], *arguments: object
    ) -> None:
        """Call the user. An exception is logged, and the transaction gets a 500.

        BadMessage is not an error of the user: it has parsed a header that was not checked before.
        """
        try:
            call(*arguments)
        except BadMessage as error:
            log.info("{call}: {why}", call=call_id, why=error)
            if transaction is not None and not transaction.answered:
                transaction.reply(error.status, error.why)
        except Exception:
            log.failure("{call}: the user of a transaction failed", call=call_id)
            if transaction is not None and not transaction.answered:
                transaction.reply(500)


def _has_effect(request: Request) -> bool:
    """Whether a request that is refused gets a response, or ends something."""
    return "Via" in request.headers or request.method in ENDING
