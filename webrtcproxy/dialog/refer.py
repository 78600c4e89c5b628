"""ReferSubscription: the subscription to the progress of a relayed REFER (RFC 3515, RFC 6665).

The subscription shares the dialogs of the call and may outlast it: the transferor may hang up long before the
transferee reports the result (RFC 5057 section 4). It is identified by the CSeq number of the REFER, which differs
between the legs.
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

    :param subscriber: the leg on which the REFER arrived.
    :param notifier: the leg to which it was relayed.
    :param number: its CSeq number on the subscriber's leg.
    :param schedule: runs the timer.
    :param interval: longest time, in seconds, from one of its messages to the next.
    :param closed: called with this object when it is closed.
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
        """Whether a message with the subscription `id`, which may be absent, on `leg` belongs to this subscription."""
        if leg not in (self.subscriber, self.notifier):
            return False
        numbers = [self._number] if leg is self.subscriber else self._numbers
        return id is None or number(id, MAX_CSEQ) in numbers

    def id_for(self, leg: Leg) -> str:
        """The id by which the peer of `leg` knows this subscription."""
        return str(self._number if leg is self.subscriber else self._numbers[-1])

    @property
    def _numbers(self) -> list[int]:
        """The CSeq numbers of the REFER on the notifier's leg: more than one where it was challenged."""
        return [] if self._request is None else self._request.cseq_numbers

    def extend(self) -> None:
        """A message of it has arrived: wait for the next one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._schedule.after(self._interval, self.close)

    def close(self) -> None:
        """The subscription has terminated; no error where it is closed already."""
        closed, self._closed = self._closed, None
        if closed is not None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            closed(self)
            self.subscriber.drop_usage()
            self.notifier.drop_usage()

    # As the observer of the REFER

    def sent(self, request: ClientRequest) -> None:
        """The REFER was sent."""
        self._request = request

    def progress(self, response: Response) -> None:
        """Do nothing: provisional responses to a REFER have no meaning."""

    def answered_again(self, response: Response) -> None:
        """Do nothing: only the 2xx to an INVITE is retransmitted end to end."""


def refer_id(message: Message) -> str | None:
    """The ``id`` in an Event header of the package ``refer``; None where it has none.

    :raises BadMessage: 400 where the parameters can't be read.
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
    """Whether a message is of the event package ``refer`` (RFC 3515 section 3.1); case-sensitive."""
    return (message.headers.get("Event") or "").partition(";")[0].strip() == "refer"


def is_terminated(message: Message) -> bool:
    """Whether a NOTIFY is the last one of its subscription (RFC 6665 section 4.1.3)."""
    return (message.headers.get("Subscription-State") or "").partition(";")[0].strip().lower() == "terminated"


def has_no_subscription(message: Message) -> bool:
    """Whether a REFER or its response has ``Refer-Sub: false``: no subscription (RFC 4488 section 3)."""
    return (message.headers.get("Refer-Sub") or "").partition(";")[0].strip().lower() == "false"
