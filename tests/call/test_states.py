"""The states of a call: every cell of the table, and what a call makes of it."""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls.early import EarlyCase
from webrtcproxy.call.states import TRANSITIONS, CallEvent, CallState

ANSWERED, UP, REFUSED, ENDING, SET_UP = (
    CallState.ANSWERED, CallState.UP, CallState.REFUSED, CallState.ENDING, CallState.SET_UP,
)  # fmt: skip


class TableTests(SynchronousTestCase):
    """The table has one answer for each event in each state."""

    def test_whole(self) -> None:
        """No cell is missing."""
        self.assertEqual(set(TRANSITIONS), set(product(CallState, CallEvent)))

    def test_cells(self) -> None:
        """A 2xx answers a call that is set up, an agreement lifts an answered one up, an end is refusal before the 2xx
        and ending after it; any other event leaves the state alone."""
        moves = {
            (SET_UP, CallEvent.ANSWER): ANSWERED, (SET_UP, CallEvent.END): REFUSED, (ANSWERED, CallEvent.AGREE): UP,
            (ANSWERED, CallEvent.END): ENDING, (UP, CallEvent.END): ENDING,
        }  # fmt: skip
        for state, event in product(CallState, CallEvent):
            self.assertIs(TRANSITIONS[state, event], moves.get((state, event), state), (state, event))

    def test_ends_are_final(self) -> None:
        """Nothing leads out of an end."""
        for event in CallEvent:
            self.assertIs(TRANSITIONS[REFUSED, event], REFUSED)
            self.assertIs(TRANSITIONS[ENDING, event], ENDING)


class Counted(EarlyCase):
    """What a state means to the metrics."""

    def test_answered(self) -> None:
        """A call counts as answered from its 2xx on, though the answer in the ACK is missing, until it is over."""
        for _ in self.ways(offer=False):
            calls = self.world.calls
            self.assertEqual((len(calls), calls.answered), (1, 0))
            self.callee.answer(self.leg, 200, self.sdp(self.callee))
            ok = self.caller.response(200)
            self.assertEqual((len(calls), calls.answered), (1, 1))
            self.at_caller(ok).ack(self.invite, self.sdp(self.caller))
            self.callee.heard("ACK")
            self.assertEqual((len(calls), calls.answered), (1, 1))
            self.hang_up(ok)
            self.world.turn()
            self.assertEqual((len(calls), calls.answered), (0, 0))
