"""A refused change that was an ICE restart, too: rtpengine can't go back to credentials that it has given up, so the
browser gets the new ones with the old session (RFC 8839 section 4.4.3.1.1)."""

from __future__ import annotations

from tests.support.calls.modifying import SessionChangeCase
from tests.support.calls.party import Party
from tests.support.ngnode import Operation
from webrtcproxy.runtime.errors import NgRefused, NgTimeout
from webrtcproxy.session.offer_answer import RESTORE_DELAY
from webrtcproxy.sip.message import Request


class Restarted(SessionChangeCase):
    """A browser holds and restarts ICE, and the trunk will have none of it."""

    def ways(self) -> list[tuple[Party, Party]]:
        """Out of a browser and into one: the browser, and the trunk."""
        return [(asker, other) for asker, other in self.all_ways() if asker.browser]

    def restart(self, asker: Party, other: Party, status: int = 488) -> Request:
        """The trunk refuses; the re-INVITE that the browser hears after its refusal."""
        world = other.peer.world
        world.nodes.sdp = lambda operation: self.other_credentials(operation)
        invite = asker.ask("INVITE", asker.sdp("sendonly", 7).replace(b"C4w6tlXa", b"restarted"))
        other.answer(other.peer.request("INVITE"), status)
        other.peer.heard("ACK")
        asker.peer.heard(status)
        asker.ack_refusal(invite)
        asker.peer.silent()
        world.turn(RESTORE_DELAY)
        return asker.peer.request("INVITE")

    def other_credentials(self, operation: Operation) -> bytes:
        """rtpengine after an ICE restart."""
        return self.world.nodes.canned(operation).replace(b"C4w6tlXa", b"rtpengines")

    def test_told(self) -> None:
        """It is offered the old session with rtpengine's new credentials, answers, and all goes on."""
        for asker, other in self.ways():
            self.world = asker.peer.world
            back = self.restart(asker, other)
            self.assertIn(b"a=ice-ufrag:rtpengines", back.body)
            asker.answer(back, 200, asker.sdp("sendrecv", 8))
            asker.peer.heard("ACK")
            offer, answer = self.media(2)
            self.assertEqual([offer.command, answer.command], ["offer", "answer"])
            self.assertEqual((offer.from_tag, offer.sdp), (answer.from_tag, other.sdp(version=1)))
            self.assertEqual(answer.sdp, asker.sdp("sendrecv", 8))
            self.check_alive(asker, other)

    def test_one_at_a_time(self) -> None:
        """While that is out, what the browser asks for waits; what its peer asks for gets 491, also if it has waited
        before."""
        for browser_first in (False, True):
            for asker, other in self.ways():
                self.world = asker.peer.world
                back = self.restart(asker, other)
                asked = {party: party.ask("INVITE", party.sdp())
                         for party in ((asker, other) if browser_first else (other, asker))}  # fmt: skip
                other.peer.heard(491)
                other.ack_refusal(asked[other])
                asker.peer.silent()
                asker.answer(back, 200, asker.sdp("sendrecv", 8))
                asker.peer.heard("ACK")
                other.answer(other.peer.request("INVITE"), 200, other.sdp())
                other.peer.heard("ACK")
                asker.peer.heard(200)
                asker.ack(asked[asker])
                self.check_alive(asker, other)

    def test_refused(self) -> None:
        """It refuses, or its answer is no use: that is told in the log, and the call goes on."""
        for status in (488, 200):
            for asker, other in self.ways():
                self.world = asker.peer.world
                back = self.restart(asker, other)
                self.world.nodes.fail("answer", NgRefused("odd"))
                asker.answer(back, status, asker.sdp() if status == 200 else b"")
                asker.peer.heard("ACK")
                if status == 488:
                    self.world.nodes._failures.clear()
                self.check_alive(asker, other)

    def test_gone(self) -> None:
        """It has no such dialog any more, or says nothing: the call is over (RFC 5057)."""
        for status in (481, 0):
            for asker, other in self.ways():
                self.world = asker.peer.world
                back = self.restart(asker, other)
                if status:
                    asker.answer(back, status)
                    asker.peer.heard("ACK")
                else:
                    for _ in range(70):
                        self.world.turn(0.5)
                self.assertIn("BYE", other.peer.pending())
                asker.peer.forget()
                self.check_over(other)

    def test_browser_is_away(self) -> None:
        """Its socket is lost before our offer: nothing is restored; the call waits for it, and then ends."""
        for asker, other in self.ways():
            world = self.world = asker.peer.world
            world.nodes.sdp = lambda operation: self.other_credentials(operation)
            invite = asker.ask("INVITE", asker.sdp("sendonly", 7).replace(b"C4w6tlXa", b"restarted"))
            other.answer(other.peer.request("INVITE"), 488)
            asker.peer.heard(488)
            asker.ack_refusal(invite)
            asker.peer.flow.lose()
            world.turn(RESTORE_DELAY)
            asker.peer.silent()
            world.turn(40)
            self.assertEqual(other.peer.pending(), ["ACK", "BYE"])
            self.assertEqual(len(world.calls), 0)

    def test_contact_and_lost_ack(self) -> None:
        """Its 200 has a Contact that leads nowhere, and is repeated since the ACK was lost."""
        for asker, other in self.ways():
            self.world = asker.peer.world
            back = self.restart(asker, other)
            answer = asker.answer(back, 200, asker.sdp("sendrecv", 8), ("Contact", "<tel:+1>"))
            asker.peer.heard("ACK")
            asker.peer.say(answer)
            asker.peer.heard("ACK")
            self.check_alive(asker, other)

    def test_hung_up(self) -> None:
        """The trunk hangs up meanwhile: our offer is cancelled."""
        for asker, other in self.ways():
            self.world = asker.peer.world
            back = self.restart(asker, other)
            asker.answer(back, 180)
            other.ask("BYE")
            other.peer.heard(200)
            asker.answer(asker.peer.request("CANCEL"), 200)
            asker.answer(back, 487)
            self.assertEqual(sorted(asker.peer.pending()), ["ACK", "BYE"])
            asker.peer.forget()
            self.world.turn(40)
            self.assertEqual(len(self.world.calls), 0)

    def test_rtpengine_is_silent(self) -> None:
        """There is nothing to be told where rtpengine has not gone back."""
        for asker, other in self.ways():
            self.world = asker.peer.world
            invite = asker.ask("INVITE", asker.sdp("sendonly", 7).replace(b"C4w6tlXa", b"restarted"))
            self.world.nodes.fail("answer", NgTimeout("silent"))
            other.answer(other.peer.request("INVITE"), 488)
            other.peer.heard("ACK")
            asker.peer.heard(488)
            asker.ack_refusal(invite)
            asker.peer.silent()
            self.check_alive(asker, other)
