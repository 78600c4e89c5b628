"""Transfers that the proxy carries out by itself, with peers that do what they should not."""

from __future__ import annotations

from twisted.logger import capturedLogs, formatEvent

from tests.support.calls.party import Party, party_of
from tests.support.calls.transferring import NEW, TARGET, LocalTransferCase
from webrtcproxy.runtime.errors import NgRefused
from webrtcproxy.sip.message import Request, Response, respond

UNREADABLE = ("Content-Type", "multipart/mixed")
"""A multipart body without a boundary can't be read."""


class Odd(LocalTransferCase):
    """Alice transfers bob to dave."""

    def target_says(self, invite: Request, status: int) -> Response:
        """A response of dave's with a body that can't be read."""
        contact = ("Contact", "<sip:dave@192.0.2.7:5090>")
        answer = respond(invite, status, to_tag="dave", headers=[contact, UNREADABLE], body=b"hello")
        self.carrier.say(answer)
        return answer

    def test_unreadable_preview(self) -> None:
        """A provisional response whose body can't be read counts without it; the 2xx has the answer."""
        invite = self.refer()
        self.target_says(invite, 183)
        self.told("183 Session Progress", "active")
        dave = self.answered(invite)
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        self.bye(dave, self.bob)

    def test_unreadable_answer(self) -> None:
        """A 2xx whose body can't be read: the target gets a BYE, the transferor 502, and the old call stands."""
        invite = self.refer()
        answer = self.target_says(invite, 200)
        self.carrier.heard("ACK")
        party_of(self.carrier, invite, answer).answer(self.carrier.request("BYE"), 200)
        notify = self.alice.request("NOTIFY")
        self.assertTrue(notify.body.startswith(b"SIP/2.0 502 "))
        self.mine.answer(notify, 200)
        self.old_call()

    def test_no_such_subscription(self) -> None:
        """A transferor that answers a NOTIFY with 481 gets no more of them; the transfer goes on."""
        self.mine.ask("REFER", b"", ("Refer-To", f"<{TARGET}>"))
        self.bob.answer(self.pbx.request("REFER"), 405)
        self.alice.heard(202)
        self.mine.answer(self.alice.request("NOTIFY"), 481)
        dave = self.answered(self.carrier.request("INVITE"))
        self.mine.answer(self.alice.request("BYE"), 200)
        self.bye(dave, self.bob)

    def test_old_session_is_refused(self) -> None:
        """A transferee that has agreed, and refuses to go back, is left alone; the log says so."""
        invite = self.refer()
        answer = self.carrier.answer(invite, 200, NEW, tag="dave")
        self.carrier.heard("ACK")
        self.world.nodes.fail("answer", NgRefused("no"))
        offered = self.pbx.request("INVITE")
        self.bob.answer(offered, 200, self.bob.sdp())
        self.pbx.heard("ACK")
        with capturedLogs() as events:
            self.agrees(self.bob, 488)
        self.assertIn("the old session is not restored", "".join(str(formatEvent(event)) for event in events))
        party_of(self.carrier, invite, answer).answer(self.carrier.request("BYE"), 200)
        self.told("488 Not Acceptable Here", "terminated")
        self.old_call()

    def test_old_session_is_accepted_without_sdp(self) -> None:
        """A transferee that goes back with a 200 without SDP: its leg waits for no answer any more, and its session
        may be changed."""
        invite = self.refer()
        answer = self.carrier.answer(invite, 200, NEW, tag="dave")
        self.carrier.heard("ACK")
        self.world.nodes.fail("answer", NgRefused("no"))
        self.bob.answer(self.pbx.request("INVITE"), 200, self.bob.sdp())
        self.pbx.heard("ACK")
        self.bob.answer(self.pbx.request("INVITE"), 200)
        self.pbx.heard("ACK")
        party_of(self.carrier, invite, answer).answer(self.carrier.request("BYE"), 200)
        self.told("488 Not Acceptable Here", "terminated")
        self.old_call()

    def test_unexpected_exception(self) -> None:
        """An unexpected exception ends the transfer with 500 and a line in the log; the old call stands."""
        self.world.nodes.fail("offer", ZeroDivisionError())
        self.mine.ask("REFER", b"", ("Refer-To", f"<{TARGET}>"))
        self.bob.answer(self.pbx.request("REFER"), 405)
        self.alice.heard(202)
        self.told("100 Trying", "active")
        self.told("500 Server Internal Error", "terminated")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.old_call()

    def transferred(self, invite: Request) -> Party:
        """Dave has answered; bob is still to agree."""
        answer = self.carrier.answer(invite, 200, NEW, tag="dave")
        self.carrier.heard("ACK")
        return party_of(self.carrier, invite, answer)

    def test_target_asks(self) -> None:
        """What the target asks before the transferee has agreed gets 491, a CANCEL of it finds nothing to cancel."""
        dave = self.transferred(self.refer())
        dave.ask("INFO", b"x")
        self.carrier.heard(491)
        self.agrees(self.bob)
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        self.bye(dave, self.bob)

    def test_transferee_leaves(self) -> None:
        """A transferee that agrees and hangs up at once is not offered the old session: the call is over."""
        dave = self.transferred(self.refer())
        self.world.nodes.hold()
        offered = self.pbx.request("INVITE")
        self.bob.answer(offered, 200, self.bob.sdp())
        self.pbx.heard("ACK")
        self.bob.ask("BYE")
        self.pbx.heard(200)
        self.world.nodes.release()
        self.world.turn()
        self.pbx.silent()
        dave.answer(self.carrier.request("BYE"), 200)
        self.told("487 Request Terminated", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
