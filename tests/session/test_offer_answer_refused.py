"""A change of the session that comes to nothing: the old one stands."""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs

from tests.support.calls.modifying import UPDATES, SessionChangeCase
from tests.support.calls.party import Pair, Party
from webrtcproxy.runtime.errors import BadDescription, NgRefused, NgTimeout
from webrtcproxy.sip.message import Request


class Refused(SessionChangeCase):
    """The session stands as it is (RFC 3261 section 14.1)."""

    def refuse(self, asker: Party, other: Party, status: int, *headers: Pair) -> tuple[Request, Request]:
        invite = asker.ask("INVITE", asker.sdp("sendonly", 7))
        crossed = other.peer.request("INVITE")
        other.answer(crossed, status, b"", *headers)
        other.peer.heard("ACK")
        return invite, crossed

    def test_by_the_far_side(self) -> None:
        """Its response crosses, rtpengine is told the old session, and the call goes on
        (original.rst: re-INVITE, the other side refuses)."""
        for status, crosses in ((488, 488), (491, 491), (603, 603), (404, 404), (302, 302), (503, 500)):
            for asker, other in self.all_ways():
                invite, _ = self.refuse(asker, other, status, ("Warning", '304 x "No"'))
                refused = asker.peer.response(crosses)
                self.assertEqual(refused.headers.get("Warning"), '304 x "No"')
                asker.ack_refusal(invite)
                self.check_old_session(asker, other)
                self.check_alive(asker, other)

    def test_challenged(self) -> None:
        """Challenges of a trunk without credentials cross to the browser, that for MD5 as the last one: browsers look
        at no other."""
        digests = [f'Digest realm="pbx", nonce="n", algorithm={name}' for name in ("MD5", "SHA-256")]
        for asker, other in self.all_ways():
            if asker.peer.flow.browser:
                self.refuse(asker, other, 401, *(("WWW-Authenticate", digest) for digest in digests))
                self.assertEqual(asker.peer.response(401).headers.lines("WWW-Authenticate"), digests[::-1])

    def test_unreachable_trunk(self) -> None:
        """No way to the trunk: 502 for the browser that asks, and the old session stands."""
        for asker, other in self.all_ways():
            if not asker.browser:
                continue
            self.world.unreachable = other.peer.flow.closed = True
            invite = asker.ask("INVITE", asker.sdp("sendonly", 7))
            self.assertEqual(asker.peer.response(502).reason, "Trunk Unreachable")
            asker.ack_refusal(invite)
            self.world.unreachable = other.peer.flow.closed = False
            self.check_old_session(asker, other)
            self.check_alive(asker, other)

    def test_after_a_change(self) -> None:
        """The old session is the last one that was agreed upon, not the first."""
        for asker, other in self.all_ways():
            self.exchange(other, asker)
            invite, _ = self.refuse(asker, other, 488)
            asker.peer.heard(488)
            asker.ack_refusal(invite)
            offer, answer = self.media(2)
            self.assertEqual(offer.sdp, asker.sdp("recvonly"))
            self.assertEqual(answer.sdp, other.sdp("sendonly"))

    def test_no_such_dialog(self) -> None:
        """481 and 408 cross, and end the call for both (RFC 3261 section 12.2.1.2)."""
        for status in (481, 408):
            for asker, other in self.all_ways():
                invite, _ = self.refuse(asker, other, status)
                asker.peer.heard(status)
                asker.ack_refusal(invite)
                self.assertIn("BYE", asker.peer.pending())
                other.peer.silent()
                self.check_over(asker, other)

    def test_update_timed_out_further_on(self) -> None:
        """A 408 to an UPDATE crosses as 504 (RFC 4320 section 4.2), and ends the call."""
        for asker, other in self.all_ways(UPDATES):
            asker.ask("UPDATE", asker.sdp("sendonly", 7))
            other.answer(other.peer.request("UPDATE"), 408)
            asker.peer.heard(504)
            self.assertIn("BYE", asker.peer.pending())
            self.check_over(asker, other)

    def test_silence(self) -> None:
        """No answer within 64*T1 is a 408, and ends the call."""
        for asker, other in self.all_ways():
            asker.ask("INVITE", asker.sdp())
            other.peer.heard("INVITE")
            for _ in range(70):
                self.world.turn(0.5)
            self.assertEqual([name for name in asker.peer.pending() if name != "100"][:2], ["408", "BYE"])
            self.check_over(asker)

    def test_endless_ringing(self) -> None:
        """A far side that only ever rings: CANCEL and 504 after the ringing limit; the call goes on."""
        for asker, other in self.all_ways():
            invite = asker.ask("INVITE", asker.sdp())
            crossed = other.peer.request("INVITE")
            other.answer(crossed, 180)
            asker.peer.heard(180)
            self.world.turn(180)
            asker.peer.heard(504)
            asker.ack_refusal(invite)
            other.answer(other.peer.request("CANCEL"), 200)
            other.answer(crossed, 487)
            other.peer.heard("ACK")
            self.check_old_session(asker, other)
            self.check_alive(asker, other)

    def test_body_that_is_no_sdp(self) -> None:
        """415, and nothing crosses."""
        for method in ("INVITE", "UPDATE"):
            for asker, other in self.all_ways():
                asker.ask(method, b"<x/>", ("Content-Type", "text/xml"))
                asker.peer.heard(415)
                other.peer.silent()

    def test_by_rtpengine(self) -> None:
        """An offer that it refuses is a 488, silence of its a 503: the far side is not asked."""
        for error, status in ((NgRefused("no"), 488), (NgTimeout("silent"), 503)):
            for asker, other in self.all_ways():
                self.world.nodes.fail("offer", error)
                invite = asker.ask("INVITE", asker.sdp())
                refused = asker.peer.response(status)
                self.assertEqual("Retry-After" in refused.headers, status == 503)
                asker.ack_refusal(invite)
                self.check_alive(asker, other)

    def test_answer_by_rtpengine(self) -> None:
        """The far side has accepted, and rtpengine has no answer for the requester: the far side gets the old session
        back with our re-INVITE. What the requester asks for meanwhile waits for that."""
        for asker, other in self.all_ways():
            self.world.nodes.fail("answer", NgRefused("no"))
            invite = asker.ask("INVITE", asker.sdp("sendonly", 7))
            other.answer(other.peer.request("INVITE"), 200, other.sdp())
            other.peer.heard("ACK")
            asker.peer.heard(488)
            asker.ack_refusal(invite)
            back = other.peer.request("INVITE")
            self.assertIn(b"o=- 1 1 ", self.media(1)[0].sdp)
            again = asker.ask("INVITE", asker.sdp())
            asker.peer.silent()
            other.answer(back, 200, other.sdp("sendrecv", 9))
            other.peer.heard("ACK")
            self.assertEqual(self.media(2)[0].sdp, other.sdp("sendrecv", 9))
            other.answer(other.peer.request("INVITE"), 200, other.sdp())
            other.peer.heard("ACK")
            asker.peer.heard(200)
            asker.ack(again)
            self.check_alive(asker, other)

    def test_level(self) -> None:
        """What a peer sends is no error of the service: anybody could fill the log with it (field.rst N: Fault of a
        peer in the log)."""
        for error, level in ((BadDescription("odd"), LogLevel.info), (NgRefused("odd"), LogLevel.error)):
            for asker, other in self.all_ways():
                self.world.nodes.fail("offer", error)
                with capturedLogs() as events:
                    invite = asker.ask("INVITE", asker.sdp("sendonly", 7))
                asker.peer.heard(488)
                asker.ack_refusal(invite)
                said = [event["log_level"] for event in events if "could not be changed" in event["log_format"]]
                self.assertEqual(said, [level])
                self.check_alive(asker, other)

    def test_old_session_is_refused(self) -> None:
        """A far side that does not take the old session back: that is told in the log, and the call goes on."""
        for asker, other in self.all_ways():
            self.world.nodes.fail("answer", NgRefused("no"))
            invite = asker.ask("INVITE", asker.sdp())
            other.answer(other.peer.request("INVITE"), 200, other.sdp())
            other.peer.heard("ACK")
            asker.peer.heard(488)
            asker.ack_refusal(invite)
            other.answer(other.peer.request("INVITE"), 491)
            other.peer.heard("ACK")
            self.check_alive(asker, other)

    def test_answer_without_sdp(self) -> None:
        """A 200 without the answer: 502 for the requester, and the old session for the one that sent it."""
        for asker, other in self.all_ways():
            invite = asker.ask("INVITE", asker.sdp())
            other.answer(other.peer.request("INVITE"), 200)
            other.peer.heard("ACK")
            asker.peer.heard(502)
            asker.ack_refusal(invite)
            other.answer(other.peer.request("INVITE"), 200, other.sdp())
            other.peer.heard("ACK")
            self.check_alive(asker, other)

    def test_rtpengine_forgets_nothing(self) -> None:
        """rtpengine that does not take the old session back, either: the refusal crosses, and the call goes on."""
        for asker, other in self.all_ways():
            invite = asker.ask("INVITE", asker.sdp())
            self.world.nodes.fail("offer", NgTimeout("silent"))
            other.answer(other.peer.request("INVITE"), 488)
            other.peer.heard("ACK")
            asker.peer.heard(488)
            asker.ack_refusal(invite)
            self.check_alive(asker, other)

    def test_fault_of_ours(self) -> None:
        """Anything unforeseen is a 500 and a line in the log; the session stands."""
        for asker, other in self.all_ways():
            self.world.nodes.fail("offer", RuntimeError("unforeseen"))
            invite = asker.ask("INVITE", asker.sdp())
            asker.peer.heard(500)
            asker.ack_refusal(invite)
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
            self.check_alive(asker, other)

    def test_hung_up_while_it_is_taken_back(self) -> None:
        """BYE while rtpengine makes the offer of the old session: no re-INVITE goes out."""
        for asker, other in self.all_ways():
            self.world.nodes.fail("answer", NgRefused("no"))
            invite = asker.ask("INVITE", asker.sdp())
            crossed = other.peer.request("INVITE")
            self.world.nodes.hold()
            other.answer(crossed, 200, other.sdp())
            other.peer.heard("ACK")
            self.release_one()
            asker.peer.heard(488)
            asker.ack_refusal(invite)
            asker.ask("BYE")
            self.world.nodes.release()
            asker.peer.heard(200)
            self.assertEqual(other.peer.pending(), ["BYE"])
            self.check_over(other)

    def release_one(self) -> None:
        """rtpengine finishes what it is at; what comes after that waits."""
        held = self.world.nodes._held
        assert held is not None
        held.pop(0).callback(None)


class Cancelled(SessionChangeCase):
    """CANCEL of a re-INVITE (RFC 3261 section 9)."""

    def cancel(self, asker: Party, invite: Request) -> None:
        asker.cancel(invite, ("Reason", "SIP;cause=200"))
        self.assertEqual(asker.peer.pending(), ["200", "487"])
        asker.peer.heard(200)
        asker.peer.heard(487)
        asker.ack_refusal(invite)

    def test_while_rtpengine_works(self) -> None:
        """Nothing crosses."""
        for asker, other in self.all_ways():
            self.world.nodes.hold()
            self.cancel(asker, asker.ask("INVITE", asker.sdp()))
            self.world.nodes.release()
            other.peer.silent()
            self.check_old_session(asker, other)
            self.check_alive(asker, other)

    def test_while_ringing(self) -> None:
        """487 at once, and CANCEL with its Reason to the far side, which may have said nothing yet."""
        for late in (False, True):
            for asker, other in self.all_ways():
                invite = asker.ask("INVITE", asker.sdp())
                crossed = other.peer.request("INVITE")
                if not late:
                    other.answer(crossed, 100)
                self.cancel(asker, invite)
                if late:
                    other.peer.silent()
                    other.answer(crossed, 100)
                cancel = other.peer.request("CANCEL")
                self.assertEqual(cancel.headers.get("Reason"), "SIP;cause=200")
                other.answer(cancel, 200)
                other.answer(crossed, 487)
                other.peer.heard("ACK")
                self.check_old_session(asker, other)
                self.check_alive(asker, other)

    def test_far_side_accepts(self) -> None:
        """Its 200 crosses the CANCEL: ACK, and the old session comes back by our re-INVITE."""
        for asker, other in self.all_ways():
            invite = asker.ask("INVITE", asker.sdp())
            crossed = other.peer.request("INVITE")
            other.answer(crossed, 100)
            self.cancel(asker, invite)
            other.answer(other.peer.request("CANCEL"), 200)
            other.answer(crossed, 200, other.sdp())
            other.peer.heard("ACK")
            back = other.peer.request("INVITE")
            other.answer(back, 200, other.sdp())
            other.peer.heard("ACK")
            self.check_alive(asker, other)

    def test_no_answer_to_it(self) -> None:
        """A far side that never gives a final response: the call goes on."""
        for asker, other in self.all_ways():
            invite = asker.ask("INVITE", asker.sdp())
            crossed = other.peer.request("INVITE")
            other.answer(crossed, 100)
            self.cancel(asker, invite)
            other.answer(other.peer.request("CANCEL"), 200)
            self.world.turn(33)
            self.check_alive(asker, other)

    def test_after_the_answer(self) -> None:
        """CANCEL after the 200: 200, and nothing more."""
        for asker, other in self.all_ways():
            invite = asker.ask("INVITE", asker.sdp())
            other.answer(other.peer.request("INVITE"), 200, other.sdp())
            other.peer.heard("ACK")
            asker.peer.heard(200)
            asker.cancel(invite)
            asker.peer.heard(200)
            asker.ack(invite)
            self.check_alive(asker, other)
