"""The states of a call, and the events that change them.

A call is being set up until its caller has a final response. A 2xx makes it answered, any other response refused. Where
the 2xx has the offer, the answer is in the caller's ACK and has to reach the callee; then the call is up. Whatever ends
an answered call, each leg gets a BYE. Only the first event that ends a call counts; later ones find it refused or
ending.
"""

from __future__ import annotations

from enum import Enum


class CallState(Enum):
    """The state of a call."""

    SET_UP = "set-up"
    """The caller has no final response."""
    ANSWERED = "answered"
    """The caller has its 2xx; the offer and the answer may not be complete."""
    UP = "up"
    """Both sides have a session."""
    REFUSED = "refused"
    """The caller has another final response; ringing branches are being cancelled."""
    ENDING = "ending"
    """The call was answered and has ended; the legs get a BYE."""

    __hash__ = object.__hash__  # by identity: Enum hashes the name, in Python


class CallEvent(Enum):
    """What happens to a call."""

    ANSWER = "answer"
    """The 2xx is sent to the caller."""
    AGREE = "agree"
    """The offer and the answer of the set-up are complete."""
    END = "end"
    """The call ends, for whatever reason."""

    __hash__ = object.__hash__


TRANSITIONS = {
    (CallState.SET_UP, CallEvent.ANSWER): CallState.ANSWERED,
    (CallState.SET_UP, CallEvent.AGREE): CallState.SET_UP,
    (CallState.SET_UP, CallEvent.END): CallState.REFUSED,
    (CallState.ANSWERED, CallEvent.ANSWER): CallState.ANSWERED,
    (CallState.ANSWERED, CallEvent.AGREE): CallState.UP,
    (CallState.ANSWERED, CallEvent.END): CallState.ENDING,
    (CallState.UP, CallEvent.ANSWER): CallState.UP,
    (CallState.UP, CallEvent.AGREE): CallState.UP,
    (CallState.UP, CallEvent.END): CallState.ENDING,
    (CallState.REFUSED, CallEvent.ANSWER): CallState.REFUSED,
    (CallState.REFUSED, CallEvent.AGREE): CallState.REFUSED,
    (CallState.REFUSED, CallEvent.END): CallState.REFUSED,
    (CallState.ENDING, CallEvent.ANSWER): CallState.ENDING,
    (CallState.ENDING, CallEvent.AGREE): CallState.ENDING,
    (CallState.ENDING, CallEvent.END): CallState.ENDING,
}
"""The state after each event, in each state."""
