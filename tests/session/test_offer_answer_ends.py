"""A change of the session that the end of the call overtakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.support.calls.modifying import SessionChangeCase
from tests.support.calls.party import Party
from webrtcproxy.sip.message import Response


class Ends(SessionChangeCase):
    """The call ends in the middle of an exchange: each request has its final response, and nothing is left."""

    def moments(self) -> Iterator[tuple[Party, Party]]:
        """An exchange at each of its moments, all four ways."""
        for moment in (self.at_offer, self.at_question, self.at_ringing, self.at_answer, self.at_ack):
            for asker, other in self.all_ways():
                moment(asker, other)
                yield asker, other
                self.world.nodes.release()
                self.finish(asker, other)

    def at_offer(self, asker: Party, other: Party) -> None:
        self.world.nodes.hold()
        self.invite = asker.ask("INVITE", asker.sdp())
        self.crossed = None

    def at_question(self, asker: Party, other: Party) -> None:
        self.invite = asker.ask("INVITE", asker.sdp())
        self.crossed = other.peer.request("INVITE")

    def at_ringing(self, asker: Party, other: Party) -> None:
        self.at_question(asker, other)
        other.answer(self.crossed, 100)

    def at_answer(self, asker: Party, other: Party) -> None:
        self.at_question(asker, other)
        self.world.nodes.hold()
        other.answer(self.crossed, 200, other.sdp())
        other.peer.heard("ACK")
        self.crossed = None

    def at_ack(self, asker: Party, other: Party) -> None:
        self.at_question(asker, other)
        other.answer(self.crossed, 200, other.sdp())
        other.peer.heard("ACK")
        self.crossed = None

    def finish(self, asker: Party, other: Party) -> None:
        """Both sides do what they have to; then all is over, and all that was asked had one final response."""
        for _ in range(3):
            for party in (asker, other):
                if party.peer.flow.closed:
                    continue
                while party.peer.pending():
                    message = party.peer.next()
                    if isinstance(message, Response):
                        self.heard(party, message)
                    elif message.method in ("CANCEL", "BYE"):
                        party.answer(message, 200)
                        if message.method == "CANCEL":
                            party.answer(self.crossed, 487)
            self.world.turn(1)
        self.check_over()
        if not asker.peer.flow.closed:
            self.assertEqual(len(self.finals), 1, self.finals)
        self.finals = set()

    def setUp(self) -> None:
        super().setUp()
        self.finals: set[int] = set()

    def heard(self, party: Party, response: Response) -> None:
        if response.cseq.method == "INVITE" and response.status >= 200 and response.call_id == self.invite.call_id:
            self.finals.add(response.status)
            (party.ack if response.status < 300 else party.ack_refusal)(self.invite)

    def end(self, how: Callable[[Party, Party], object]) -> None:
        for asker, other in self.moments():
            how(asker, other)

    def test_asker_hangs_up(self) -> None:
        """BYE of the one that asked."""
        self.end(lambda asker, other: asker.ask("BYE"))

    def test_other_hangs_up(self) -> None:
        """BYE of the one that is asked: 487 to the open request (RFC 3261 section 15.1.2)."""
        self.end(lambda asker, other: other.ask("BYE"))

    def test_shutdown(self) -> None:
        """The proxy stops."""
        self.end(lambda asker, other: self.world.calls.stop())

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.world.turn(1)

    def test_asker_is_lost(self) -> None:
        """The socket of the one that asked; it does not come back."""
        for asker, _ in self.moments():
            asker.peer.flow.lose()
            if not asker.browser:
                self.world.calls.stop()
            self.wait(80)

    def test_other_is_lost(self) -> None:
        """The socket of the one that is asked."""
        for _, other in self.moments():
            other.peer.flow.lose()
            if not other.browser:
                self.world.calls.stop()
            self.wait(80)

    def test_far_side_accepts_after_it(self) -> None:
        """The far side's 200 comes after the end: it is ACKed."""
        for asker, other in self.all_ways():
            self.at_question(asker, other)
            asker.ask("BYE")
            self.assertEqual(asker.peer.pending(), ["200", "487"])
            other.answer(self.crossed, 200, other.sdp())
            self.assertIn("ACK", other.peer.pending())
            asker.peer.forget()
            other.answer(other.peer.request("BYE"), 200)
            other.peer.heard("ACK")
            self.check_over()

    def test_browser_is_away(self) -> None:
        """A browser that can't be reached just now: 480, and the call goes on for its grace time
        (original.rst: socket loss, the SIP side changes the session after it)."""
        for asker, other in self.all_ways():
            if other.browser:
                other.peer.flow.lose()
                invite = asker.ask("INVITE", asker.sdp())
                asker.peer.heard(480)
                asker.ack_refusal(invite)
                self.check_old_session(asker, other)
                self.assertEqual(len(self.world.calls), 1)
