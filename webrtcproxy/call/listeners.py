"""Listeners: who is told what happens on a leg, and decides what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from webrtcproxy.call.failover import ClientRequest
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow

if TYPE_CHECKING:
    from webrtcproxy.call.leg import Leg


class DialogUser(Protocol):
    """The call that a leg belongs to."""

    def request_in_dialog(self, leg: Leg, transaction: ServerTransaction) -> None:
        """A request arrived within the dialog of `leg`."""

    def cancelled_in_dialog(self, transaction: ServerTransaction, cancel: Request) -> None:
        """A CANCEL for an INVITE within a dialog of the call, which has no final response yet."""

    def moved(self, leg: Leg, flow: Flow) -> None:
        """The peer of `leg` was heard on another flow: it is reached there from now on."""


class RequestObserver(Protocol):
    """Who wants to hear more of a request within a dialog than its final response: the one who changes the session."""

    def sent(self, transaction: ClientRequest) -> None:
        """The request is out; again with each challenge that is answered."""

    def progress(self, response: Response) -> None:
        """A 101 to 199 to an INVITE."""

    def answered_again(self, response: Response) -> None:
        """A repeat of the 2xx to an INVITE."""
