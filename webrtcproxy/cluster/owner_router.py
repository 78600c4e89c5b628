"""OwnerRouter: forwards a message that one worker has read to the worker that owns it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from twisted.logger import Logger

from webrtcproxy.cluster.ownership import HUB, may_end, owner_of
from webrtcproxy.cluster.protocol import MESSAGE
from webrtcproxy.cluster.remote import RemoteFlows, Send
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transport.flow import Flow, Receiver

log = Logger()

MAX_REPLACING = 1000
"""INVITEs with Replaces that are remembered; beyond this number, the oldest are dropped."""


class OwnerRouter:
    """The `Receiver` of a worker's sockets.

    A response goes to the worker that made its branch; a request within a dialog, or one that replaces a dialog, to
    the worker that has it, and so does the CANCEL of the latter. If that worker is down, its calls are lost, and this
    worker responds with 481.

    :param number: of this worker.
    :param receiver: the transactions of this worker.
    :param flows: describes the flows of this worker to others.
    :param send: sends a frame.
    :param is_up: returns whether a worker takes messages.
    """

    def __init__(
        self, number: int, receiver: Receiver, flows: RemoteFlows, send: Send, is_up: Callable[[int], bool]
    ) -> None:
        self._number = number
        self._receiver = receiver
        self._flows = flows
        self._send = send
        self._is_up = is_up
        self._replacing: OrderedDict[tuple[str | None, str], int] = OrderedDict()  # owners by branch and sender

    def message_received(self, message: Request | Response, flow: Flow) -> None:
        """Route a message from a socket of this worker."""
        try:
            owner = owner_of(message) or self._owner_of_replacing(message)
        except BadMessage:
            owner = HUB
        if owner in (HUB, self._number) or not self._is_up(owner):
            self._receiver.message_received(message, flow)
        else:
            self._pass_on(owner, message, flow)

    def _owner_of_replacing(self, message: Request | Response) -> int:
        """The owner of the INVITE with Replaces that a CANCEL is for, whose Request-URI may name anybody."""
        if not isinstance(message, Request) or message.method != "CANCEL":
            return HUB
        return self._replacing.get(_sent(message), HUB)

    def bad_message(self, error: BadMessage, flow: Flow) -> None:
        """A malformed message is refused by the worker that has read it; one that is usable all the same is its
        owner's, and so is one that may end something."""
        message = error.request
        if isinstance(message, (Request, Response)) and (error.usable or self._is_others(message)):
            message.headers.note(error.why)
            self.message_received(message, flow)
        else:
            self._receiver.bad_message(error, flow)

    def _is_others(self, message: Request | Response) -> bool:
        """Whether a message may end something of another worker's."""
        return may_end(message) and owner_of(message) not in (HUB, self._number)

    def undelivered(self, quoted: bytes, host: str, why: str) -> None:
        """What was sent through a socket of this worker is its own."""
        self._receiver.undelivered(quoted, host, why)

    def _pass_on(self, owner: int, message: Request | Response, flow: Flow) -> None:
        try:
            data = message.to_bytes()
        except ValueError as why:
            log.info("A message for worker {owner} can't be passed on: {why}", owner=owner, why=why)
            return
        if isinstance(message, Request) and message.method == "INVITE" and "Replaces" in message.headers:
            self._remember(message, owner)
        self._send({"to": owner, "do": MESSAGE, "flow": self._flows.describe(flow)}, data)

    def _remember(self, invite: Request, owner: int) -> None:
        """Remember the owner of an INVITE with Replaces for its CANCEL."""
        try:
            self._replacing[_sent(invite)] = owner
        except BadMessage:
            return  # no CANCEL can be told to be for it
        if len(self._replacing) > MAX_REPLACING:
            self._replacing.popitem(last=False)


def _sent(request: Request) -> tuple[str | None, str]:
    """What an INVITE and its CANCEL have in common (RFC 3261 section 9.1).

    :raises BadMessage: the top Via is malformed.
    """
    via = request.via
    return via.branch, via.sent_by
