"""Session timer: how long the session of one leg lives without a refresh, and which side refreshes it (RFC 4028).

Each leg has a negotiation of its own: Session-Expires and Min-SE never cross. A peer that knows no session timer is
probed by us all the same, so that a call whose peer has vanished ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.grammar import parse_params
from webrtcproxy.sip.headers import parse_seconds
from webrtcproxy.sip.message import Message, Request, Response

Pairs = list[tuple[str, str]]

TIMER = "timer"
"""The option tag."""
REFRESHING = ("INVITE", "UPDATE")
"""The methods of a request that refreshes a session."""
MIN_SE = 90
"""Seconds of the shortest session interval that there may be (section 4)."""
MAX_INTERVAL = 86400
"""Seconds of the longest one that a peer may ask for."""
MAX_ROUNDS = 4
"""How often in a row one request is sent again for a longer interval: once for each hop that wants one."""
MIN_REFRESH = 4.0
"""Seconds until a refresh that came to nothing is tried again, at least."""


@dataclass(frozen=True, slots=True)
class SessionExpires:
    """A Session-Expires header.

    :ivar seconds: the session interval.
    :ivar refresher: ``uac``, ``uas``, or empty where the sender leaves it open.
    """

    seconds: int
    refresher: str = ""

    @classmethod
    def of(cls, message: Message) -> SessionExpires | None:
        """What `message` says; None where it has no such header.

        :raises BadMessage: 400: the header can't be read.
        """
        text = message.headers.get("Session-Expires")
        if text is None:
            return None
        seconds, _, tail = text.partition(";")
        refresher = ""
        if tail:
            params = {name.lower(): value or "" for name, value in parse_params(tail)}
            refresher = params.get("refresher", "").lower()
        if refresher not in ("", "uac", "uas"):
            raise BadMessage("Bad Session-Expires")
        return cls(parse_seconds(seconds, "Session-Expires"), refresher)

    def __str__(self) -> str:
        return f"{self.seconds};refresher={self.refresher}" if self.refresher else str(self.seconds)


class SessionTimer:
    """What has been agreed with the peer of one leg, and when something is to be done about it.

    :param clock: tells the time.
    :param wanted: seconds of the interval that we propose, and the longest that we agree to unless the peer insists.
    :ivar negotiated: the peer knows session timers, and one is running.
    :ivar ours: refreshing is our part.
    :ivar seconds: the session interval.
    :ivar due: the time of the next refresh where that is our part, of the end of the call where it is not.
    """

    __slots__ = ("_clock", "_ends", "_minimum", "_rounds", "_wanted", "due", "negotiated", "ours", "seconds")

    def __init__(self, clock: IReactorTime, wanted: int) -> None:
        self._clock = clock
        self._wanted = wanted
        self._minimum = MIN_SE
        self._rounds = 0
        self.negotiated = False
        self.ours = True
        self.seconds = wanted
        self.due = 0.0
        self._ends = 0.0

    # As the UAC

    def proposal(self) -> Pairs:
        """The headers of our INVITE or UPDATE (sections 7.1 and 7.4)."""
        refresher = ("uac" if self.ours else "uas") if self.negotiated else ""
        proposal = [("Session-Expires", str(SessionExpires(max(self.seconds, self._minimum), refresher)))]
        if self._minimum > MIN_SE:
            proposal.append(("Min-SE", str(self._minimum)))
        return proposal

    def longer_proposal(self, request: Request, response: Response) -> Pairs | None:
        """The proposal that a 422 asks for (section 7.3).

        :param request: our INVITE or UPDATE, as it was sent.
        :returns: its headers; None where the response asks for nothing longer, or was given too often.
        """
        minimum = _seconds(response, "Min-SE")
        self._rounds += 1
        if self._rounds > MAX_ROUNDS or not _seconds(request, "Session-Expires") < minimum <= MAX_INTERVAL:
            return None
        self._minimum = minimum
        return self.proposal()

    def answered(self, response: Response) -> None:
        """Our INVITE or UPDATE has its final response; the session timer of a 2xx holds (section 7.2)."""
        self._rounds = 0
        if response.status >= 300:
            return
        try:
            said = SessionExpires.of(response)
        except BadMessage:
            said = None
        if said is None:
            self._begin(self._wanted, ours=True, negotiated=False)
        else:
            self._begin(said.seconds, ours=said.refresher != "uas", negotiated=True)

    # As the UAS

    def check(self, request: Request) -> None:
        """Whether the interval that an INVITE or UPDATE of the peer's proposes is one (section 9).

        :raises Refusal: 422 with Min-SE for one that is too short, where the peer knows what that means.
        :raises BadMessage: 400: Session-Expires or Min-SE can't be read.
        """
        asked = SessionExpires.of(request)
        minimum = request.headers.get("Min-SE")
        if minimum is not None:
            parse_seconds(minimum.partition(";")[0], "Min-SE")
        if asked is not None and asked.seconds < MIN_SE and _knows_timers(request, asked):
            raise Refusal(422, "", [("Min-SE", str(MIN_SE))])

    def accept(self, request: Request) -> Pairs:
        """The headers of our 2xx to an INVITE or UPDATE of the peer's, which has passed `check`; from now on they hold
        (section 9, table 2).

        A peer that wants a timer, and leaves the refresher open, refreshes; where the timer is our wish, we do.
        """
        asked = SessionExpires.of(request)
        minimum = max(MIN_SE, _seconds(request, "Min-SE"))
        knows = _knows_timers(request, asked)
        refresher = "" if asked is None else asked.refresher
        if not knows:
            ours = True
        elif refresher:
            ours = refresher == "uas"
        else:
            ours = self.ours if self.negotiated else asked is None
        if asked is not None:
            seconds = min(asked.seconds, max(self._wanted, minimum))
        else:
            seconds = max(self.seconds if self.negotiated else self._wanted, minimum)
        self._begin(seconds, ours=ours, negotiated=knows)
        if asked is None and not knows:
            return []
        headers = [("Session-Expires", str(SessionExpires(self.seconds, "uas" if ours else "uac")))]
        return [("Require", TIMER), *headers] if knows else headers

    # The time

    def alive(self) -> None:
        """The peer has answered: the interval begins again."""
        self._begin(self.seconds, self.ours, self.negotiated)

    def postpone(self) -> bool:
        """Our refresh has failed: the next is due when half of what is left of the interval is over.

        :returns: whether anything is left of it.
        """
        left = self._ends - self._clock.seconds()
        self.due = self._clock.seconds() + max(left / 2, MIN_REFRESH)
        return left > 0

    def _begin(self, seconds: int, ours: bool, negotiated: bool) -> None:
        self.seconds = min(max(seconds, MIN_SE), MAX_INTERVAL)
        self.ours, self.negotiated = ours, negotiated
        now = self._clock.seconds()
        self._ends = now + self.seconds - min(32.0, self.seconds / 3)  # section 10
        self.due = now + self.seconds / 2 if ours else self._ends


def _knows_timers(request: Request, asked: SessionExpires | None) -> bool:
    """Whether the sender of `request` knows session timers; a refresher is named by nobody else (section 8.1)."""
    if asked is not None and asked.refresher:
        return True
    return any(
        name.strip() == TIMER
        for header in ("Supported", "Require")
        for line in request.headers.lines(header)
        for name in line.split(",")
    )


def _seconds(message: Message, name: str) -> int:
    """The seconds in Session-Expires or Min-SE; 0 where there are none that can be read."""
    text = message.headers.get(name)
    if text is None:
        return 0
    try:
        return parse_seconds(text.partition(";")[0], name)
    except BadMessage:
        return 0
