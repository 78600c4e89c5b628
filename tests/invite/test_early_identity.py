"""Connected line before the call is answered (RFC 4916, RFC 5876 section 3; field.rst W4: Connected line)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.support.calls.early import REL, EarlyCase
from tests.support.calls.modifying import UPDATES
from tests.support.calls.party import Pair, Party
from tests.support.calls.world import PLAIN
from tests.support.configs import PBX
from webrtcproxy.sip.message import Request, Response

DAVE = ("P-Asserted-Identity", '"Dave" <sip:+49303@pbx.example.com>')
ERIN = ("P-Asserted-Identity", "<sip:+49304@pbx.example.com>")


def asserted(message: Request | Response) -> list[str]:
    return message.headers.lines("P-Asserted-Identity")


class Early(EarlyCase):
    """An early dialog, with or without reliable responses."""

    trunks = (replace(PBX, pass_identity=True),)

    def dialogs(self, *headers: Pair) -> Iterator[tuple[Party, Party]]:
        """For each way and kind: caller and callee, in an early dialog."""
        for reliable in (False, True):
            for _ in self.ways(REL, *headers):
                response = (
                    self.reliable(183, 1, self.sdp(self.callee), *headers)
                    if reliable
                    else self.callee.answer(self.leg, 180, headers=headers)
                )
                if reliable:
                    self.pracked(response)
                ringing = self.caller.response(183 if reliable else 180)
                party = self.at_caller(ringing)
                if reliable:
                    self.prack(party, ringing)
                    self.caller.heard(200)
                yield party, self.at_callee(response)

    def answered(self, party: Party, *headers: Pair) -> Response:
        """The callee answers, and the caller acknowledges that."""
        self.callee.answer(self.leg, 200, self.sdp(self.callee), headers=headers)
        self.callee.heard("ACK")
        ok = self.caller.response(200)
        party.ack(self.invite)
        return ok

    def ended(self, party: Party) -> None:
        """The caller hangs up, and nothing more was said."""
        self.callee.silent()
        party.ask("BYE")
        self.caller.heard(200)
        self.callee.answer(self.callee.request("BYE"), 200)
        self.assert_over(self.caller, self.callee)

    def test_update(self) -> None:
        """Either side's is shown to the other one by UPDATE, once; the 200 needs not have it."""
        for caller, callee in self.dialogs(UPDATES):
            for party, other, news in ((caller, callee, DAVE), (callee, caller, ERIN)):
                for _ in range(2):
                    party.ask("UPDATE", b"", news)
                    party.peer.heard(200)
                update = other.peer.request("UPDATE")
                self.assertEqual((asserted(update), update.body), ([news[1]], b""))
                other.answer(update, 200)
            ok = self.answered(caller)
            self.assertEqual(asserted(ok), [])
            self.ended(caller)

    def test_not_before_there_is_a_dialog(self) -> None:
        """The caller has no dialog as yet, while rtpengine makes its answer: the UPDATE comes after the 183."""
        for caller in self.ways(UPDATES):
            self.world.nodes.hold()
            response = self.callee.answer(self.leg, 183, self.sdp(self.callee))
            self.at_callee(response).ask("UPDATE", b"", DAVE)
            self.callee.heard(200)
            caller.silent()
            self.world.nodes.release()
            self.assertEqual(caller.pending(), ["183", "UPDATE"])
            early, update = caller.response(183), caller.request("UPDATE")
            self.at_caller(early).answer(update, 200)
            self.callee.answer(self.leg, 486)
            self.callee.heard("ACK")
            caller.heard(486)

    def test_not_taken(self) -> None:
        """A peer that takes no UPDATE as yet (JsSIP: 403), or none at all: the caller's 200 has it, and the callee is
        shown it after its 200."""
        for headers in ((UPDATES,), ()):
            for caller, callee in self.dialogs(*headers):
                for party, other, news in ((caller, callee, DAVE), (callee, caller, ERIN)):
                    party.ask("UPDATE", b"", news)
                    party.peer.heard(200)
                    if headers:
                        other.answer(other.peer.request("UPDATE"), 403)
                    party.ask("UPDATE", b"")
                    party.peer.heard(200)
                ok = self.answered(caller)
                self.assertEqual(asserted(ok), [ERIN[1]])
                shown = self.callee.request("UPDATE" if headers else "INVITE")
                self.assertEqual(asserted(shown), [DAVE[1]])
                callee.answer(shown, 200, b"" if headers else self.sdp(self.callee))
                if not headers:
                    self.callee.heard("ACK")
                self.ended(caller)

    def test_answered_meanwhile(self) -> None:
        """The 200 crosses the UPDATE, which is refused: so it is shown again."""
        for caller, callee in self.dialogs(UPDATES):
            callee.ask("UPDATE", b"", DAVE)
            self.callee.heard(200)
            update = self.caller.request("UPDATE")
            self.assertEqual(asserted(self.answered(caller)), [])
            caller.answer(update, 403)
            again = self.caller.request("UPDATE")
            self.assertEqual(asserted(again), [DAVE[1]])
            caller.answer(again, 200)
            self.ended(caller)

    def test_responses(self) -> None:
        """The 18x and the 200 show it themselves."""
        for caller in self.ways():
            self.callee.answer(self.leg, 180, headers=[DAVE])
            ringing = caller.response(180)
            self.assertEqual(asserted(ringing), [DAVE[1]])
            party = self.at_caller(ringing)
            ok = self.answered(party, ERIN)
            self.assertEqual(asserted(ok), [ERIN[1]])
            self.hang_up(ok)

    def test_another_fork_answers(self) -> None:
        """The caller was shown another one last: the 200 says again who has answered."""
        self.way()
        self.callee.answer(self.leg, 180, headers=[DAVE], tag="one")
        party = self.at_caller(self.caller.response(180))
        self.callee.answer(self.leg, 180, headers=[ERIN], tag="two")
        self.caller.heard(180)
        self.callee.answer(self.leg, 200, PLAIN, tag="one")
        self.callee.heard("ACK")
        ok = self.caller.response(200)
        self.assertEqual(asserted(ok), [DAVE[1]])
        party.ack(self.invite)
        self.hang_up(ok)

    def test_every_fork(self) -> None:
        """While several ring, all of them are shown who calls."""
        self.way(DAVE)
        forks = [self.at_callee(self.callee.answer(self.leg, 180, headers=[UPDATES], tag=tag)) for tag in "ab"]
        self.caller.heard(180)
        self.at_caller(self.caller.response(180)).ask("UPDATE", b"", ERIN)
        self.caller.heard(200)
        for fork in forks:
            update = self.callee.request("UPDATE")
            self.assertEqual(asserted(update), [ERIN[1]])
            fork.answer(update, 200)
        self.callee.silent()
        self.callee.answer(self.leg, 486)
        self.callee.heard("ACK")
        self.caller.heard(486)
