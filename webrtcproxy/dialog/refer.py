"""REFER: one that crossed, and the subscription to its progress that it made (RFC 3515, RFC 6665).

The subscription shares the dialogs of the call and outlives it: the transferor may hang up long before the transferee
reports how it went (RFC 5057 section 4). A subscription is known by the CSeq number of its REFER, which each leg
has its own of.
"""

from __future__ import annotations

from collections.abc import Callable

from webrtcproxy.dialog.leg import Leg
from webrtcproxy.routing.client_request import ClientRequest
from webrtcproxy.runtime.schedule import Schedule, Timer
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.grammar import find_param, format_params, number, parse_params, set_param
from webrtcproxy.sip.headers import MAX_CSEQ
from webrtcproxy.sip.message import Message, Response


class ReferSubscription:
    """The subscription of one REFER; it keeps both dialogs until it is closed.

    :param subscriber: the leg that the REFER came by.
    :param notifier: the leg that it crossed to.
    :param number: its CSeq number on the subscriber's leg.
    :param schedule: runs the timer.
    :param interval: seconds from one message about it to the next, at most.
    :param closed: called with this when it is over.
    """

    def __init__(
        self,
        subscriber: Leg,
        notifier: Leg,
        number: int,
        schedule: Schedule,
        interval: float,
        closed: Callable[[ReferSubscription], None],
    ) -> None:
        self.subscriber = subscriber
        self.notifier = notifier
        self._number = number
        self._request: ClientRequest | None = None
        self._schedule = schedule
        self._interval = interval
        self._closed: Callable[[ReferSubscription], None] | None = closed
        self._timer: Timer | None = schedule.after(interval, self.close)
        subscriber.add_usage()
        notifier.add_usage()

    def is_of(self, leg: Leg, id: str | None) -> bool:
        """Whether a message about the subscription `id` that comes by `leg` is about this one; the id may be absent."""
        if leg not in (self.subscriber, self.notifier):
            return False
        numbers = [self._number] if leg is self.subscriber else self._numbers
        return id is None or number(id, MAX_CSEQ) in numbers

    def id_for(self, leg: Leg) -> str:
        """What the peer of `leg` knows this subscription by."""
        return str(self._number if leg is self.subscriber else self._numbers[-1])

    @property
    def _numbers(self) -> list[int]:
        """The CSeq numbers of the REFER on the notifier's leg: more than one where it was challenged."""
        return [] if self._request is None else self._request.cseq_numbers

    def extend(self) -> None:
        """A message about it has come: wait for the next one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._schedule.after(self._interval, self.close)

    def close(self) -> None:
        """The subscription is over; twice is once."""
        closed, self._closed = self._closed, None
        if closed is not None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            closed(self)
            self.subscriber.drop_usage()
            self.notifier.drop_usage()

    # As the requester of the REFER

    def sent(self, request: ClientRequest) -> None:
        """The REFER is out."""
        self._request = request

    def progress(self, response: Response) -> None:
        """A provisional response says nothing to a REFER."""

    def answered_again(self, response: Response) -> None:
        """Only the 2xx of an INVITE is repeated by itself."""


def refer_id(message: Message) -> str | None:
    """The ``id`` in an Event header of the package ``refer``; None where it has none.

    :raises BadMessage: 400: the parameters can't be read.
    """
    params = (message.headers.get("Event") or "").partition(";")[2]
    try:
        return find_param(parse_params(params), "id") or None
    except BadMessage as error:
        raise BadMessage("Bad Event") from error


def with_id(event: str, id: str) -> str:
    """The Event header with another id."""
    package, _, params = event.partition(";")
    return f"{package.strip()}{format_params(set_param(parse_params(params), 'id', id))}"


def is_refer(message: Message) -> bool:
    """Whether a message is about the event package ``refer`` (RFC 3515 section 3.1); its case matters."""
    return (message.headers.get("Event") or "").partition(";")[0].strip() == "refer"


def is_terminated(message: Message) -> bool:
    """Whether a NOTIFY is the last one of its subscription (RFC 6665 section 4.1.3)."""
    return (message.headers.get("Subscription-State") or "").partition(";")[0].strip().lower() == "terminated"


def has_no_subscription(message: Message) -> bool:
    """Whether a response to a REFER says that it made no subscription (RFC 4488 section 3)."""
    return (message.headers.get("Refer-Sub") or "").partition(";")[0].strip().lower() == "false"
