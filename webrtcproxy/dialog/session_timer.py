"""Session timer: how long the session of one leg lasts without a refresh, and which side refreshes it (RFC 4028).

Each leg has its own negotiation: Session-Expires and Min-SE never cross. The proxy also sends refreshes to a peer that
does not support session timers, so that a call ends when its peer has vanished.
"""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.grammar import find_param, parse_params
from webrtcproxy.sip.headers import parse_seconds
from webrtcproxy.sip.message import Message, Request, Response

Pairs = list[tuple[str, str]]

TIMER = "timer"
"""The option tag."""
REFRESHING = ("INVITE", "UPDATE")
"""The methods of a request that refreshes a session."""
MIN_SE = 90
"""Shortest permitted session interval in seconds (section 4)."""
MAX_INTERVAL = 86400
"""Longest session interval in seconds; longer ones are shortened to it."""
MAX_ROUNDS = 4
"""How often in a row a request is sent again with a longer interval: once for each hop that demands one."""
MIN_REFRESH = 4.0
"""Shortest time in seconds until a failed refresh is tried again."""


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
        """The header of `message`; None where it has none that can be read. A refresher that is neither is none."""
        text = message.headers.get("Session-Expires")
        if text is None:
            return None
        seconds, _, tail = text.partition(";")
        try:
            interval = parse_seconds(seconds, "Session-Expires")
        except BadMessage as error:
            message.headers.note(error.why)
            return None
        refresher = _refresher(tail) if tail else ""
        return cls(interval, refresher if refresher in ("uac", "uas") else "")

    def __str__(self) -> str:
        return f"{self.seconds};refresher={self.refresher}" if self.refresher else str(self.seconds)


class SessionTimer:
    """The session timer agreed with the peer of one leg, and the time of the next action.

    :param clock: for the time.
    :param wanted: the interval in seconds that the proxy proposes, and the longest that it accepts unless the peer
        insists.
    :ivar negotiated: whether the peer supports session timers, and one is running.
    :ivar proxy_refreshes: whether the proxy is the refresher.
    :ivar seconds: the session interval.
    :ivar due: the time of the next refresh where the proxy is the refresher, else of the end of the call.
    """

    __slots__ = ("_clock", "_ends", "_minimum", "_rounds", "_wanted", "due", "negotiated", "proxy_refreshes", "seconds")

    def __init__(self, clock: IReactorTime, wanted: int) -> None:
        self._clock = clock
        self._wanted = wanted
        self._minimum = MIN_SE
        self._rounds = 0
        self.negotiated = False
        self.proxy_refreshes = True
        self.seconds = wanted
        self.due = 0.0
        self._ends = 0.0

    # As the UAC

    def proposal(self) -> Pairs:
        """The headers of an INVITE or UPDATE of the proxy (sections 7.1 and 7.4)."""
        refresher = ("uac" if self.proxy_refreshes else "uas") if self.negotiated else ""
        proposal = [("Session-Expires", str(SessionExpires(max(self.seconds, self._minimum), refresher)))]
        if self._minimum > MIN_SE:
            proposal.append(("Min-SE", str(self._minimum)))
        return proposal

    def longer_proposal(self, request: Request, response: Response) -> Pairs | None:
        """The headers that propose the interval that a 422 asks for (section 7.3).

        :param request: the proxy's INVITE or UPDATE, as it was sent.
        :returns: None where the response asks for no longer interval, or there were too many of them.
        """
        minimum = _seconds(response, "Min-SE")
        self._rounds += 1
        if self._rounds > MAX_ROUNDS or not _seconds(request, "Session-Expires") < minimum <= MAX_INTERVAL:
            return None
        self._minimum = minimum
        return self.proposal()

    def answered(self, response: Response) -> None:
        """An INVITE or UPDATE of the proxy has its final response; a 2xx sets the session timer (section 7.2)."""
        self._rounds = 0
        if response.status >= 300:
            return
        said = SessionExpires.of(response)
        if said is None:
            self._begin(self._wanted, proxy_refreshes=True, negotiated=False)
        else:
            self._begin(said.seconds, proxy_refreshes=said.refresher != "uas", negotiated=True)

    # As the UAS

    def check(self, request: Request) -> None:
        """Check the interval that an INVITE or UPDATE of the peer proposes (section 9).

        :raises Refusal: 422 with Min-SE where it is too short, and the peer supports session timers.
        """
        asked = SessionExpires.of(request)
        if asked is not None and asked.seconds < MIN_SE and _knows_timers(request, asked):
            raise Refusal(422, "", [("Min-SE", str(MIN_SE))])

    def accept(self, request: Request) -> Pairs:
        """Set the session timer by an INVITE or UPDATE of the peer that has passed `check`, and return the headers of
        the 2xx to it (section 9, table 2).

        Where the peer asks for a timer and names no refresher, the peer refreshes; where it asks for none, the proxy
        does.
        """
        asked = SessionExpires.of(request)
        minimum = max(MIN_SE, _seconds(request, "Min-SE"))
        knows = _knows_timers(request, asked)
        refresher = "" if asked is None else asked.refresher
        if not knows:
            proxy_refreshes = True
        elif refresher:
            proxy_refreshes = refresher == "uas"
        else:
            proxy_refreshes = self.proxy_refreshes if self.negotiated else asked is None
        if asked is not None:
            seconds = min(asked.seconds, max(self._wanted, minimum))
        else:
            seconds = max(self.seconds if self.negotiated else self._wanted, minimum)
        self._begin(seconds, proxy_refreshes=proxy_refreshes, negotiated=knows)
        if asked is None and not knows:
            return []
        headers = [("Session-Expires", str(SessionExpires(self.seconds, "uas" if proxy_refreshes else "uac")))]
        return [("Require", TIMER), *headers] if knows else headers

    # Time

    def alive(self) -> None:
        """The peer has responded: restart the interval."""
        self._begin(self.seconds, self.proxy_refreshes, self.negotiated)

    def postpone(self) -> bool:
        """A refresh by the proxy has failed: the next one is due after half of the remaining interval.

        :returns: whether any of the interval remains.
        """
        left = self._ends - self._clock.seconds()
        self.due = self._clock.seconds() + max(left / 2, MIN_REFRESH)
        return left > 0

    def _begin(self, seconds: int, proxy_refreshes: bool, negotiated: bool) -> None:
        self.seconds = min(max(seconds, MIN_SE), MAX_INTERVAL)
        self.proxy_refreshes, self.negotiated = proxy_refreshes, negotiated
        now = self._clock.seconds()
        self._ends = now + self.seconds - min(32.0, self.seconds / 3)  # section 10
        self.due = now + self.seconds / 2 if proxy_refreshes else self._ends


def _refresher(params: str) -> str:
    try:
        return (find_param(parse_params(params), "refresher") or "").lower()
    except BadMessage:
        return ""


def _knows_timers(request: Request, asked: SessionExpires | None) -> bool:
    """Whether the sender of `request` supports session timers; only such a sender names a refresher (section 8.1)."""
    if asked is not None and asked.refresher:
        return True
    return any(
        name.strip() == TIMER
        for header in ("Supported", "Require")
        for line in request.headers.lines(header)
        for name in line.split(",")
    )


def _seconds(message: Message, name: str) -> int:
    """The seconds in Session-Expires or Min-SE; 0 where the header is missing or can't be read."""
    text = message.headers.get(name)
    if text is None:
        return 0
    try:
        return parse_seconds(text.partition(";")[0], name)
    except BadMessage:
        return 0
