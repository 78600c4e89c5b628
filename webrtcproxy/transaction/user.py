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

    def ack_arrived(self, ack: Request, flow: Flow) -> None:
        """An ACK that belongs to no transaction, such as that of a 2xx. Its sender is admitted."""

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

    def ack_arrived(self, ack: Request, flow: Flow) -> None: ...

    def cancelled(self, transaction: ServerTransaction, cancel: Request) -> None: ...

    def owns(self, transaction: ServerTransaction, flow: Flow) -> bool:
        return False

    def is_same_peer(self, flow: Flow, other: Flow) -> bool:
        return False
