"""Negotiation: the offer/answer state of one leg, and the session descriptions that both sides have agreed on.

Theory of operation
-------------------

On each leg, the proxy and the peer exchange offers and answers (RFC 3264 section 4): while an offer is unanswered,
neither side may make another one. RFC 6337 table 1 lists the messages that carry them:

=========================  ==========================  =============================================
Offer                      Answer                      Defined in
=========================  ==========================  =============================================
INVITE                     2xx, or a reliable 1xx      RFC 3261 section 13.2.1, RFC 3262 section 5
2xx to INVITE              ACK                         RFC 3261 section 13.2.1
reliable 1xx to INVITE     PRACK                       RFC 3262 section 5
PRACK                      2xx to PRACK                RFC 3262 section 5
UPDATE                     2xx to UPDATE               RFC 3311 section 5.1
=========================  ==========================  =============================================

The *first* offer of a dialog is that of its INVITE. SDP in an unreliable 1xx is a preview of the answer, and SDP in a
reliable 1xx is the proxy's answer only after its PRACK. Until the answer is confirmed, another fork may answer
differently, and no UPDATE may change the session (RFC 3311 section 5.1): the state is *answered early*. With the
confirmation it becomes *stable*.

A *re-offer*, in the stable state, leaves the agreed descriptions unchanged until it is answered. Where it is refused,
it is rolled back: the session stays as agreed before (RFC 3264 section 8, RFC 6337 section 3.4).

The caller has one dialog, even where the callee's side has forked. Where another fork answers, the caller gets another
To tag, and with it another dialog, whose negotiation begins from the start (RFC 3261 section 13.2.2.4).

An event that `TRANSITIONS` lacks is a mistake of the program, not of the peer: callers check `state` before they accept
a message. It is logged with a traceback, and the call goes on with the new descriptions and the old state.
"""

from __future__ import annotations

from enum import Enum

from twisted.logger import Logger
from twisted.python.failure import Failure

log = Logger()


class NegotiationState(Enum):
    """The offer/answer state of a leg. "Local" is the proxy's side, "remote" the peer's."""

    INITIAL = "initial"
    """Neither side has sent a description."""
    HAVE_LOCAL_OFFER = "have-local-offer"
    """The proxy's first offer is unanswered."""
    HAVE_REMOTE_OFFER = "have-remote-offer"
    """The peer's first offer is unanswered."""
    ANSWERED_EARLY = "answered-early"
    """The first offer has an answer that is not confirmed."""
    STABLE = "stable"
    """Both sides have agreed, and no offer is unanswered."""
    HAVE_LOCAL_REOFFER = "have-local-reoffer"
    """Both sides have agreed, and the proxy's offer of a change is unanswered."""
    HAVE_REMOTE_REOFFER = "have-remote-reoffer"
    """Both sides have agreed, and the peer's offer of a change is unanswered."""

    __hash__ = object.__hash__  # by identity: Enum hashes the name, in Python


class NegotiationEvent(Enum):
    """What happens to the offer/answer of a leg."""

    OFFER_SENT = "offer sent"
    OFFER_RECEIVED = "offer received"
    EARLY_ANSWER_SENT = "early answer sent"
    EARLY_ANSWER_RECEIVED = "early answer received"
    ANSWER_SENT = "answer sent"
    ANSWER_RECEIVED = "answer received"
    ANSWER_CONFIRMED = "answer confirmed"
    ROLLBACK = "rollback"
    NEW_DIALOG = "new dialog"

    __hash__ = object.__hash__


_S, _E = NegotiationState, NegotiationEvent

TRANSITIONS = {
    (_S.INITIAL, _E.OFFER_SENT): _S.HAVE_LOCAL_OFFER,
    (_S.INITIAL, _E.OFFER_RECEIVED): _S.HAVE_REMOTE_OFFER,
    (_S.HAVE_LOCAL_OFFER, _E.EARLY_ANSWER_RECEIVED): _S.ANSWERED_EARLY,
    (_S.HAVE_LOCAL_OFFER, _E.ANSWER_RECEIVED): _S.STABLE,
    (_S.HAVE_REMOTE_OFFER, _E.OFFER_RECEIVED): _S.HAVE_REMOTE_OFFER,  # the 2xx has overtaken the PRACK of a 1xx
    (_S.HAVE_REMOTE_OFFER, _E.EARLY_ANSWER_SENT): _S.ANSWERED_EARLY,
    (_S.HAVE_REMOTE_OFFER, _E.ANSWER_SENT): _S.STABLE,
    (_S.ANSWERED_EARLY, _E.EARLY_ANSWER_SENT): _S.ANSWERED_EARLY,  # another preview
    (_S.ANSWERED_EARLY, _E.ANSWER_CONFIRMED): _S.STABLE,
    (_S.STABLE, _E.ANSWER_CONFIRMED): _S.STABLE,  # the 2xx after a reliable 1xx
    (_S.STABLE, _E.OFFER_SENT): _S.HAVE_LOCAL_REOFFER,
    (_S.STABLE, _E.OFFER_RECEIVED): _S.HAVE_REMOTE_REOFFER,
    (_S.HAVE_LOCAL_REOFFER, _E.ANSWER_RECEIVED): _S.STABLE,
    (_S.HAVE_LOCAL_REOFFER, _E.ANSWER_CONFIRMED): _S.HAVE_LOCAL_REOFFER,  # the 2xx comes during an UPDATE
    (_S.HAVE_LOCAL_REOFFER, _E.ROLLBACK): _S.STABLE,
    (_S.HAVE_REMOTE_REOFFER, _E.ANSWER_SENT): _S.STABLE,
    (_S.HAVE_REMOTE_REOFFER, _E.ANSWER_CONFIRMED): _S.HAVE_REMOTE_REOFFER,
    (_S.HAVE_REMOTE_REOFFER, _E.ROLLBACK): _S.STABLE,
    # Only a re-offer can be rolled back: a first offer ends with its INVITE.
    (_S.INITIAL, _E.ROLLBACK): _S.INITIAL,
    (_S.HAVE_LOCAL_OFFER, _E.ROLLBACK): _S.HAVE_LOCAL_OFFER,
    (_S.HAVE_REMOTE_OFFER, _E.ROLLBACK): _S.HAVE_REMOTE_OFFER,
    (_S.ANSWERED_EARLY, _E.ROLLBACK): _S.ANSWERED_EARLY,
    (_S.STABLE, _E.ROLLBACK): _S.STABLE,
    **{(state, _E.NEW_DIALOG): _S.INITIAL for state in NegotiationState},
}
"""The next state for each state and event. A missing pair is a mistake of the program."""

_AGREED = frozenset({_S.STABLE, _S.HAVE_LOCAL_REOFFER, _S.HAVE_REMOTE_REOFFER})


class UnexpectedEvent(Exception):
    """An event that `TRANSITIONS` lacks; it is logged, never raised."""


class Negotiation:
    """The offer/answer state of one leg, and its descriptions."""

    __slots__ = ("_local", "_offer", "_remote", "_state")

    def __init__(self) -> None:
        self._state = NegotiationState.INITIAL
        self._local = b""
        self._remote = b""
        self._offer = b""

    @property
    def state(self) -> NegotiationState:
        """The current state."""
        return self._state

    @property
    def agreed(self) -> bool:
        """Whether both sides have agreed, and the answer is confirmed; a re-offer may be unanswered."""
        return self._state in _AGREED

    @property
    def reoffered(self) -> bool:
        """Whether both sides have agreed, and an offer of a change is unanswered."""
        return self._state in (NegotiationState.HAVE_LOCAL_REOFFER, NegotiationState.HAVE_REMOTE_REOFFER)

    @property
    def local_description(self) -> bytes:
        """The proxy's description: the agreed one, or before the first agreement the last one sent. Empty before
        that."""
        return self._local

    @property
    def remote_description(self) -> bytes:
        """The peer's description: the agreed one, or before the first agreement the last one received. Empty before
        that."""
        return self._remote

    def offer_sent(self, sdp: bytes) -> None:
        """The proxy has offered `sdp`; after an agreement, the former description is valid until the answer."""
        if self.agreed:
            self._offer = sdp
        else:
            self._local = sdp
        self._move(NegotiationEvent.OFFER_SENT)

    def offer_received(self, sdp: bytes) -> None:
        """The peer has offered `sdp`; after an agreement, the former description is valid until the answer."""
        if self.agreed:
            self._offer = sdp
        else:
            self._remote = sdp
        self._move(NegotiationEvent.OFFER_RECEIVED)

    def answer_sent(self, sdp: bytes, *, early: bool = False) -> None:
        """The proxy has answered the peer's offer with `sdp`.

        :param early: in a response to the first INVITE that does not confirm it.
        """
        self._remote = self._offer or self._remote
        self._local, self._offer = sdp, b""
        self._move(NegotiationEvent.EARLY_ANSWER_SENT if early else NegotiationEvent.ANSWER_SENT)

    def answer_received(self, sdp: bytes, *, early: bool = False) -> None:
        """The peer has answered the proxy's offer with `sdp`.

        :param early: in a response to the first INVITE that does not confirm it.
        """
        self._local = self._offer or self._local
        self._remote, self._offer = sdp, b""
        self._move(NegotiationEvent.EARLY_ANSWER_RECEIVED if early else NegotiationEvent.ANSWER_RECEIVED)

    def answer_confirmed(self) -> None:
        """The answer to the first offer is confirmed, by its PRACK or by the 2xx."""
        self._move(NegotiationEvent.ANSWER_CONFIRMED)

    def rollback(self) -> None:
        """The unanswered re-offer, if any, was refused or is given up: the last agreement stays valid."""
        self._offer = b""
        self._move(NegotiationEvent.ROLLBACK)

    def new_dialog(self) -> None:
        """The peer gets a new dialog, since another fork answers its INVITE or makes the offer: start from the
        beginning."""
        self._local = self._remote = self._offer = b""
        self._move(NegotiationEvent.NEW_DIALOG)

    def _move(self, event: NegotiationEvent) -> None:
        state = TRANSITIONS.get((self._state, event))
        if state is None:
            unexpected = UnexpectedEvent(f"{event.value} in the state {self._state.value}")
            log.failure("An offer/answer event is out of place", Failure(unexpected))
        else:
            self._state = state
