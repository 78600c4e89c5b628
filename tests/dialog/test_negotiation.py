"""Tests for webrtcproxy.dialog.negotiation: every state x every event, and what the descriptions are then."""

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.dialog.negotiation import (
    TRANSITIONS,
    Negotiation,
    NegotiationEvent,
    NegotiationState,
    UnexpectedEvent,
)

S, E = NegotiationState, NegotiationEvent

TABLE = {
    #                       offer                      offer                       early answer      early answer
    #                       sent                       received                    sent              received
    S.INITIAL:             (S.HAVE_LOCAL_OFFER,        S.HAVE_REMOTE_OFFER,        None,             None),
    S.HAVE_LOCAL_OFFER:    (None,                      None,                       None,             S.ANSWERED_EARLY),
    S.HAVE_REMOTE_OFFER:   (None,                      S.HAVE_REMOTE_OFFER,        S.ANSWERED_EARLY, None),
    S.ANSWERED_EARLY:      (None,                      None,                       S.ANSWERED_EARLY, None),
    S.STABLE:              (S.HAVE_LOCAL_REOFFER,      S.HAVE_REMOTE_REOFFER,      None,             None),
    S.HAVE_LOCAL_REOFFER:  (None,                      None,                       None,             None),
    S.HAVE_REMOTE_REOFFER: (None,                      None,                       None,             None),
}  # fmt: skip
ENDS = {
    #                       answer    answer    answer
    #                       sent      received  confirmed                rollback               new dialog
    S.INITIAL:             (None,     None,     None,                    S.INITIAL,             S.INITIAL),
    S.HAVE_LOCAL_OFFER:    (None,     S.STABLE, None,                    S.HAVE_LOCAL_OFFER,    S.INITIAL),
    S.HAVE_REMOTE_OFFER:   (S.STABLE, None,     None,                    S.HAVE_REMOTE_OFFER,   S.INITIAL),
    S.ANSWERED_EARLY:      (None,     None,     S.STABLE,                S.ANSWERED_EARLY,      S.INITIAL),
    S.STABLE:              (None,     None,     S.STABLE,                S.STABLE,              S.INITIAL),
    S.HAVE_LOCAL_REOFFER:  (None,     S.STABLE, S.HAVE_LOCAL_REOFFER,    S.STABLE,              S.INITIAL),
    S.HAVE_REMOTE_REOFFER: (S.STABLE, None,     S.HAVE_REMOTE_REOFFER,   S.STABLE,              S.INITIAL),
}  # fmt: skip


def in_state(state: NegotiationState) -> Negotiation:
    """A negotiation that has come to `state` by what is legal."""
    negotiation = Negotiation()
    if state is S.INITIAL:
        return negotiation
    if state is S.HAVE_LOCAL_OFFER:
        negotiation.offer_sent(b"local")
        return negotiation
    negotiation.offer_received(b"remote")
    if state is S.HAVE_REMOTE_OFFER:
        return negotiation
    negotiation.answer_sent(b"local", early=state is S.ANSWERED_EARLY)
    if state is S.HAVE_LOCAL_REOFFER:
        negotiation.offer_sent(b"offer")
    elif state is S.HAVE_REMOTE_REOFFER:
        negotiation.offer_received(b"offer")
    return negotiation


def happen(negotiation: Negotiation, event: NegotiationEvent) -> None:
    """Have `event` happen, with a description of its own where it has one."""
    sdp = b"new"
    {
        E.OFFER_SENT: lambda: negotiation.offer_sent(sdp),
        E.OFFER_RECEIVED: lambda: negotiation.offer_received(sdp),
        E.EARLY_ANSWER_SENT: lambda: negotiation.answer_sent(sdp, early=True),
        E.EARLY_ANSWER_RECEIVED: lambda: negotiation.answer_received(sdp, early=True),
        E.ANSWER_SENT: lambda: negotiation.answer_sent(sdp),
        E.ANSWER_RECEIVED: lambda: negotiation.answer_received(sdp),
        E.ANSWER_CONFIRMED: negotiation.answer_confirmed,
        E.ROLLBACK: negotiation.rollback,
        E.NEW_DIALOG: negotiation.new_dialog,
    }[event]()


class Cells(SynchronousTestCase):
    def test_every_cell(self) -> None:
        """Each event leads from each state where the table says; where it says nothing, the state stays, and
        a traceback is logged."""
        for state in S:
            for event, expected in zip(E, TABLE[state] + ENDS[state], strict=True):
                negotiation = in_state(state)
                self.assertIs(negotiation.state, state)
                happen(negotiation, event)
                self.assertIs(negotiation.state, expected or state, (state, event))
                errors = self.flushLoggedErrors(UnexpectedEvent)
                self.assertEqual(len(errors), 0 if expected else 1, (state, event))
                if not expected:
                    self.assertEqual(errors[0].getErrorMessage(), f"{event.value} in the state {state.value}")

    def test_no_other_cell(self) -> None:
        """The table of the program has no cell that stands not here."""
        here = {(state, event) for state in S for event, to in zip(E, TABLE[state] + ENDS[state], strict=True) if to}
        self.assertEqual(set(TRANSITIONS), here)

    def test_agreed(self) -> None:
        """From the confirmed answer on, there is an agreement, whatever is offered then; a re-offer is out in two of
        these states."""
        reoffered = {S.HAVE_LOCAL_REOFFER, S.HAVE_REMOTE_REOFFER}
        for state in S:
            negotiation = in_state(state)
            self.assertEqual(negotiation.agreed, state in {S.STABLE, *reoffered}, state)
            self.assertEqual(negotiation.reoffered, state in reoffered, state)


class Descriptions(SynchronousTestCase):
    def check(self, negotiation: Negotiation, local: bytes, remote: bytes) -> None:
        self.assertEqual((negotiation.local_description, negotiation.remote_description), (local, remote))

    def test_first(self) -> None:
        """A first offer is a description at once, and so is its answer, early or not."""
        self.check(in_state(S.INITIAL), b"", b"")
        self.check(in_state(S.HAVE_LOCAL_OFFER), b"local", b"")
        self.check(in_state(S.HAVE_REMOTE_OFFER), b"", b"remote")
        for early in (True, False):
            offered = in_state(S.HAVE_LOCAL_OFFER)
            offered.answer_received(b"remote", early=early)
            self.check(offered, b"local", b"remote")
            answered = in_state(S.HAVE_REMOTE_OFFER)
            answered.answer_sent(b"local", early=early)
            self.check(answered, b"local", b"remote")

    def test_preview_is_replaced(self) -> None:
        """What counts of several early answers is the last one."""
        negotiation = in_state(S.ANSWERED_EARLY)
        negotiation.answer_sent(b"other", early=True)
        self.check(negotiation, b"other", b"remote")

    def test_reoffer_waits_for_its_answer(self) -> None:
        """A re-offer changes both descriptions with its answer, and none before."""
        ours, theirs = in_state(S.HAVE_LOCAL_REOFFER), in_state(S.HAVE_REMOTE_REOFFER)
        for negotiation in (ours, theirs):
            self.check(negotiation, b"local", b"remote")
        ours.answer_received(b"answer")
        self.check(ours, b"offer", b"answer")
        theirs.answer_sent(b"answer")
        self.check(theirs, b"answer", b"offer")

    def test_rollback(self) -> None:
        """A re-offer that was refused leaves no trace, in the next one neither."""
        for state in (S.HAVE_LOCAL_REOFFER, S.HAVE_REMOTE_REOFFER):
            negotiation = in_state(state)
            negotiation.rollback()
            self.check(negotiation, b"local", b"remote")
            negotiation.offer_received(b"next")
            negotiation.answer_sent(b"answer")
            self.check(negotiation, b"answer", b"next")

    def test_rollback_of_nothing(self) -> None:
        """Where no re-offer is out, a rollback changes nothing: a first offer ends with its INVITE."""
        for state in (S.HAVE_LOCAL_OFFER, S.HAVE_REMOTE_OFFER, S.ANSWERED_EARLY, S.STABLE):
            negotiation, before = in_state(state), in_state(state)
            negotiation.rollback()
            self.check(negotiation, before.local_description, before.remote_description)

    def test_new_dialog(self) -> None:
        """Another fork begins with nothing, a re-offer of before included."""
        for state in S:
            negotiation = in_state(state)
            negotiation.new_dialog()
            self.check(negotiation, b"", b"")
            negotiation.offer_sent(b"local")
            negotiation.answer_received(b"remote")
            self.check(negotiation, b"local", b"remote")

    def test_out_of_place(self) -> None:
        """An event that is out of place loses no description: a call may go on with it."""
        negotiation = in_state(S.STABLE)
        negotiation.answer_sent(b"answer")
        self.check(negotiation, b"answer", b"remote")
        negotiation.answer_received(b"other")
        self.check(negotiation, b"answer", b"other")
        self.assertEqual(len(self.flushLoggedErrors(UnexpectedEvent)), 2)
