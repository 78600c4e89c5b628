"""TransactionUser: what the transaction layer asks of the layer above it (RFC 3261 section 5)."""

from __future__ import annotations

from typing import Protocol

from webrtcproxy.sip.message import Request
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow


class TransactionUser(Protocol):
    """The transaction user (RFC 3261 section 5): :class:`webrtcproxy.call.router.Router`."""

    def admits(self, request: Request, flow: Flow) -> bool:
        """Called before a request is answered or stored.

        :returns: False if the request is to be dropped silently.
        """

    def request_arrived(self, transaction: ServerTransaction) -> None:
        """A new request, neither ACK nor CANCEL."""

    def refused(self, request: Request, flow: Flow, status: int, reason: str) -> None:
        """A request was refused without a transaction. Its sender is admitted.

        :param reason: the reason phrase; empty for the standard one.
        """

    def ack_arrived(self, ack: Request, flow: Flow) -> None:
        """An ACK of no transaction, such as that of a 2xx. Its sender is admitted. Headers may be missing."""

    def hung_up(self, bye: Request, flow: Flow) -> None:
        """A BYE that is refused, since it is malformed, or since there are too many transactions. Its sender is
        admitted. Headers may be missing. If it is plain which call it ends, that has to end."""

    def cancelled(self, transaction: ServerTransaction, cancel: Request) -> None:
        """A CANCEL of an INVITE that has no final response. The CANCEL is answered already; the INVITE is not."""

    def owns(self, transaction: ServerTransaction, flow: Flow) -> bool:
        """Whether a CANCEL on another flow than that of the INVITE of `transaction` is from the same peer."""

    def is_same_peer(self, flow: Flow, other: Flow) -> bool:
        """Whether two flows on the SIP side lead to addresses of the same peer."""


class NoUser:
    """Takes the place of the user until one is set: drops everything silently."""

    def admits(self, request: Request, flow: Flow) -> bool:
        return False

    def request_arrived(self, transaction: ServerTransaction) -> None: ...

    def refused(self, request: Request, flow: Flow, status: int, reason: str) -> None: ...

    def ack_arrived(self, ack: Request, flow: Flow) -> None: ...

    def hung_up(self, bye: Request, flow: Flow) -> None: ...

    def cancelled(self, transaction: ServerTransaction, cancel: Request) -> None: ...

    def owns(self, transaction: ServerTransaction, flow: Flow) -> bool:
        return False

    def is_same_peer(self, flow: Flow, other: Flow) -> bool:
        return False
