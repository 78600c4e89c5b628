"""A change of the session in the middle of a call, by re-INVITE or UPDATE of either side."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.call.case import CallCase
from tests.call.party import Pair, Party, inbound, outbound
from tests.support.configs import PBX
from tests.support.ngnode import Operation
from webrtcproxy.errors import NgRefused, NgTimeout
from webrtcproxy.sip.message import Request, Response

UPDATES = ("Allow", "INVITE, ACK, BYE, UPDATE")


class ExchangeCase(CallCase):
    """Calls that are up, in all four ways: from and to a browser, and changed by the caller or the callee."""

    trunks = (PBX,)

    def all_ways(self, *headers: Pair) -> Iterator[tuple[Party, Party]]:
        """For each way: who asks, and who is asked. Each has a world of its own."""
        for connect in (outbound, inbound):
            for swap in (False, True):
                self.world = self.make_world()
                self.caller, self.callee = connect(self.world, *headers)
                yield (self.callee, self.caller) if swap else (self.caller, self.callee)

    def media(self, count: int) -> list[Operation]:
        """The last operations of rtpengine; all others are forgotten."""
        operations = self.world.nodes.sessions[-1].operations
        taken = operations[-count:] if count else []
        operations.clear()
        return taken

    def exchange(self, asker: Party, other: Party, direction: str = "sendonly") -> tuple[Request, Response]:
        """Change the session: the INVITE that crossed, and the asker's 200."""
        invite = asker.ask("INVITE", asker.sdp(direction))
        crossed = other.peer.request("INVITE")
        other.answer(crossed, 200, other.sdp("recvonly"))
        other.peer.heard("ACK")
        ok = asker.peer.response(200)
        asker.ack(invite)
        return crossed, ok

    def check_alive(self, asker: Party, other: Party) -> None:
        """The call goes on, and may be changed."""
        self.world.turn(40)
        asker.peer.silent()
        other.peer.silent()
        self.exchange(asker, other)
        self.exchange(other, asker)
        self.assertEqual(len(self.world.calls), 1)

    def check_old_session(self, asker: Party, other: Party) -> None:
        """rtpengine was told the descriptions of the set-up again, the other's as an answer."""
        offer, answer = self.media(2)
        self.assertEqual((offer.command, answer.command), ("offer", "answer"))
        self.assertEqual((offer.to and offer.to.name, answer.to and answer.to.name), (other.profile, asker.profile))
        self.assertIn(b"o=- 1 1 ", offer.sdp)
        self.assertIn(b"o=- 1 1 ", answer.sdp)
        self.assertNotIn(b"actpass", answer.sdp)

    def check_over(self, *parties: Party) -> None:
        for party in parties:
            while party.peer.pending():
                message = party.peer.next()
                if isinstance(message, Request):
                    self.assertEqual(message.method, "BYE")
                    party.answer(message, 200)
        self.world.turn(40)
        self.assertEqual(len(self.world.calls), 0)
        self.assertEqual(len(self.world.legs), 0)
        self.assertEqual(self.world.nodes.leaks(), [])


class Change(ExchangeCase):
    """What works."""

    def test_hold_and_resume(self) -> None:
        """The offer crosses as a re-INVITE in the other dialog, the answer comes back in a 200 (RFC 3261 section 14);
        rtpengine gets both in the name of who said them, within the one branch."""
        for asker, other in self.all_ways():
            names = set()
            for direction in ("sendonly", "sendrecv"):
                crossed, ok = self.exchange(asker, other, direction)
                offer, answer = self.media(2)
                self.assertEqual((offer.command, answer.command), ("offer", "answer"))
                self.assertEqual(offer.sdp, asker.sdp(direction))
                self.assertEqual(answer.sdp, other.sdp("recvonly"))
                self.assertEqual((offer.from_tag, offer.branch), (answer.from_tag, answer.branch))
                assert offer.to is not None and answer.to is not None
                self.assertEqual((offer.to.name, answer.to.name), (other.profile, asker.profile))
                self.assertIn(b"SAVPF" if other.browser else b"RTP/AVP", crossed.body)
                self.assertIn(b"SAVPF" if asker.browser else b"RTP/AVP", ok.body)
                self.assertEqual(crossed.call_id, other.call_id)
                self.assertEqual(crossed.headers.get("Contact"), f"<{other.target}>")
                self.assertEqual(ok.headers.get("Contact"), f"<{asker.target}>")
                names.add((answer.from_tag, answer.to_tag))
            self.assertEqual(len(names), 1)
            self.exchange(other, asker)
            _, answer = self.media(2)
            self.assertEqual({(answer.to_tag, answer.from_tag)}, names)
            self.assert_quiet(asker, other)

    def assert_quiet(self, *parties: Party) -> None:
        self.world.turn(40)
        for party in parties:
            party.peer.silent()

    def test_headers(self) -> None:
        """What belongs to no leg crosses, both ways; a session timer does not (RFC 4028), nor does Allow."""
        for asker, other in self.all_ways():
            asker.ask("INVITE", asker.sdp(), ("X-Way", "there"), ("Session-Expires", "90"), ("Allow", "INVITE"))
            crossed = other.peer.request("INVITE")
            self.assertEqual(crossed.headers.get("X-Way"), "there")
            self.assertNotIn("Session-Expires", crossed.headers)
            self.assertEqual(
                crossed.headers.lines("Allow"), ["INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, MESSAGE, UPDATE"]
            )
            self.assertEqual(crossed.headers.lines("Contact"), [f"<{other.target}>"])
            other.answer(crossed, 200, other.sdp(), ("X-Way", "back"), ("Session-Expires", "90"))
            ok = asker.peer.response(200)
            self.assertEqual(ok.headers.get("X-Way"), "back")
            self.assertNotIn("Session-Expires", ok.headers)
            self.assertIn("UPDATE", ok.headers.get("Allow") or "")

    def test_ringing(self) -> None:
        """A 1xx crosses, its SDP does not: no answer is an answer before the 2xx."""
        for asker, other in self.all_ways():
            asker.ask("INVITE", asker.sdp())
            crossed = other.peer.request("INVITE")
            other.answer(crossed, 100)
            asker.peer.silent()
            other.answer(crossed, 183, other.sdp())
            self.assertEqual(asker.peer.response(183).body, b"")
            other.answer(crossed, 200, other.sdp())
            asker.peer.heard(200)

    def test_nothing_changed(self) -> None:
        """Who would be offered what he has is not asked; his last description is the answer."""
        for asker, other in self.all_ways():
            other_knows = self.world.nodes.sessions[-1].operations
            last = [op for op in other_knows if op.command in ("offer", "answer")]
            self.world.nodes.sdp = self._constant
            self.exchange(asker, other)  # from now on, rtpengine says the same again and again
            self.assertTrue(last)
            self.media(0)
            invite = asker.ask("INVITE", asker.sdp("sendonly", 3))
            ok = asker.peer.response(200)
            asker.ack(invite)
            other.peer.silent()
            self.assertEqual(ok.body, self._constant(self.media(1)[0]))
            update = asker.ask("UPDATE", asker.sdp("sendonly", 4))
            self.assertEqual(asker.peer.response(200).cseq.number, update.cseq.number)
            other.peer.silent()

    @staticmethod
    def _constant(operation: Operation) -> bytes:
        assert operation.to is not None
        role = b"actpass" if operation.command == "offer" else b"passive"
        kind = b"RTP/AVP" if operation.to.name == "trunk" else b"UDP/TLS/RTP/SAVPF"
        return b"v=0\r\no=- 1 %d IN IP4 127.0.0.1\r\nm=audio 9 %b 0\r\na=setup:%b\r\n" % (id(operation), kind, role)

    def test_target_refresh(self) -> None:
        """The Contact of the request and of the 2xx is where the next request goes (RFC 3261 section 12.2)."""
        for asker, other in self.all_ways():
            asker.contact, other.contact = "sip:new@192.0.2.50:5060", "sip:newer@192.0.2.50:5060"
            self.exchange(asker, other)
            asker.ask("BYE")
            asker.peer.heard(200)
            bye = other.peer.request("BYE")
            self.assertEqual(bye.uri, "sip:newer@192.0.2.50:5060")
            other.answer(bye, 200)
        for asker, other in self.all_ways():
            asker.contact, other.contact = "sip:new@192.0.2.50:5060", "sip:newer@192.0.2.50:5060"
            self.exchange(asker, other)
            other.ask("BYE")
            other.peer.heard(200)
            bye = asker.peer.request("BYE")
            self.assertEqual(bye.uri, "sip:new@192.0.2.50:5060")
            asker.answer(bye, 200)

    def test_bad_target(self) -> None:
        """A Contact that leads nowhere: 400 for a request; in a 2xx it is passed over. The target stays."""
        for asker, other in self.all_ways():
            invite = asker.ask("INVITE", asker.sdp(), ("Contact", "<mailto:me@example.com>"))
            asker.peer.heard(400)
            asker.ack_refusal(invite)
            other.peer.silent()
            other.contact = "mailto:me@example.com"
            self.exchange(asker, other)
            other.ask("BYE")
            other.peer.heard(200)
            asker.answer(asker.peer.request("BYE"), 200)

    def test_comes_back_on_another_socket(self) -> None:
        """The asking browser's connection is replaced meanwhile: that is where its 200 goes."""
        for asker, other in self.all_ways():
            if not asker.browser:
                continue
            invite = asker.ask("INVITE", asker.sdp())
            crossed = other.peer.request("INVITE")
            asker.peer.flow.lose()
            asker.peer = self.world.browser()
            asker.ask("OPTIONS")
            asker.peer.heard(200)
            other.answer(crossed, 200, other.sdp())
            other.peer.heard("ACK")
            asker.peer.heard(200)
            asker.ack(invite)
            self.check_alive(asker, other)


class Acknowledgement(ExchangeCase):
    """ACKs of both legs."""

    def test_lost(self) -> None:
        """Our 200 is repeated until its ACK, an earlier ACK does not count; the far side's repeated 200 is ACKed anew
        (RFC 3261 sections 13.3.1.4 and 13.2.2.4)."""
        for asker, other in self.all_ways():
            invite = asker.ask("INVITE", asker.sdp())
            crossed = other.peer.request("INVITE")
            ok = other.answer(crossed, 200, other.sdp())
            first = other.peer.request("ACK")
            self.assertEqual((first.cseq.number, first.body), (crossed.cseq.number, b""))
            other.peer.say(ok)
            self.assertEqual(other.peer.request("ACK").to_bytes(), first.to_bytes())
            asker.peer.heard(200)
            self.world.turn(0.5)
            asker.peer.heard(200)
            stale = Request("INVITE", invite.uri, invite.headers.copy())
            stale.headers.set("CSeq", f"{invite.cseq.number - 1} INVITE")
            asker.ack(stale)
            self.world.turn(1)
            asker.peer.heard(200)
            asker.ack(invite)
            self.check_alive(asker, other)

    def test_none(self) -> None:
        """Without an ACK the call ends after 64*T1 (RFC 3261 section 14.2)."""
        for asker, other in self.all_ways():
            asker.ask("INVITE", asker.sdp())
            other.answer(other.peer.request("INVITE"), 200, other.sdp())
            other.peer.heard("ACK")
            for _ in range(65):
                self.world.turn(0.5)
            while asker.peer.pending()[0] == "200":
                asker.peer.heard(200)
            self.check_over(asker, other)

    def test_next_invite_instead(self) -> None:
        """Who comes to the next re-INVITE has his 200, though the ACK was lost: it is repeated no more."""
        for asker, other in self.all_ways():
            asker.ask("INVITE", asker.sdp())
            other.answer(other.peer.request("INVITE"), 200, other.sdp())
            other.peer.heard("ACK")
            asker.peer.heard(200)
            self.exchange(asker, other)
            self.check_alive(asker, other)

    def test_wait(self) -> None:
        """No INVITE goes to a side whose ACK is to come (RFC 3261 section 14.1): the other one is to wait."""
        for asker, other in self.all_ways():
            invite = asker.ask("INVITE", asker.sdp())
            other.answer(other.peer.request("INVITE"), 200, other.sdp())
            other.peer.heard("ACK")
            asker.peer.heard(200)
            again = other.ask("INVITE", other.sdp())
            other.peer.heard(491)
            other.ack_refusal(again)
            asker.ack(invite)
            self.check_alive(asker, other)


class Glare(ExchangeCase):
    """Two offers at once (RFC 3261 section 14, RFC 3311 section 5.2)."""

    def test_ours_is_out(self) -> None:
        """491 to who offers while our offer is out on his leg, and while rtpengine makes it."""
        for method in ("INVITE", "UPDATE"):
            for held in (False, True):
                for asker, other in self.all_ways():
                    if held:
                        self.world.nodes.hold()
                    invite = asker.ask("INVITE", asker.sdp())
                    crossed = None if held else other.peer.request("INVITE")
                    again = other.ask(method, other.sdp())
                    other.peer.heard(491)
                    if method == "INVITE":
                        other.ack_refusal(again)
                    self.world.nodes.release()
                    other.answer(crossed or other.peer.request("INVITE"), 200, other.sdp())
                    other.peer.heard("ACK")
                    asker.peer.heard(200)
                    asker.ack(invite)
                    self.check_alive(asker, other)

    def test_both_refuse(self) -> None:
        """The far side's 491 is the asker's: both ask again, each after its own time (section 14.1)."""
        for asker, other in self.all_ways():
            invite, cross = asker.ask("INVITE", asker.sdp()), other.ask("INVITE", other.sdp())
            crossed = other.peer.request("INVITE")
            other.peer.heard(491)
            other.ack_refusal(cross)
            other.answer(crossed, 491)
            other.peer.heard("ACK")
            asker.peer.heard(491)
            asker.ack_refusal(invite)
            self.check_alive(other, asker)

    def test_earlier_one_is_open(self) -> None:
        """500 with Retry-After of 0 to 10 s to who offers again before he has his answer."""
        for method in ("INVITE", "UPDATE"):
            for asker, other in self.all_ways():
                invite = asker.ask("INVITE", asker.sdp())
                crossed = other.peer.request("INVITE")
                again = asker.ask(method, asker.sdp())
                refused = asker.peer.response(500)
                self.assertIn(int(refused.headers.get("Retry-After") or "99"), range(11))
                if method == "INVITE":
                    asker.ack_refusal(again)
                other.answer(crossed, 200, other.sdp())
                other.peer.heard("ACK")
                asker.peer.heard(200)
                asker.ack(invite)
                self.check_alive(asker, other)


class Refused(ExchangeCase):
    """The session stands as it is (RFC 3261 section 14.1)."""

    def refuse(self, asker: Party, other: Party, status: int, *headers: Pair) -> tuple[Request, Request]:
        invite = asker.ask("INVITE", asker.sdp("sendonly", 7))
        crossed = other.peer.request("INVITE")
        other.answer(crossed, status, b"", *headers)
        other.peer.heard("ACK")
        return invite, crossed

    def test_by_the_far_side(self) -> None:
        """Its response crosses, rtpengine is told the old session, and the call goes on."""
        for status, crosses in ((488, 488), (491, 491), (603, 603), (404, 404), (302, 302), (503, 500)):
            for asker, other in self.all_ways():
                invite, _ = self.refuse(asker, other, status, ("Warning", '304 x "No"'))
                refused = asker.peer.response(crosses)
                self.assertEqual(refused.headers.get("Warning"), '304 x "No"')
                asker.ack_refusal(invite)
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
            self.assertEqual(answer.sdp, other.sdp("sendonly").replace(b"actpass", b"active"))

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
        """The far side has accepted, and rtpengine has no answer for the asker: the far side gets the old session
        back with a re-INVITE of ours."""
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
            asker.peer.heard(500)
            asker.ack_refusal(again)
            other.answer(back, 200, other.sdp("sendrecv", 9))
            other.peer.heard("ACK")
            self.assertEqual(self.media(1)[0].sdp, other.sdp("sendrecv", 9))
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
        """A 200 without the answer: 502 for the asker, and the old session for who sent it."""
        for asker, other in self.all_ways():
            invite = asker.ask("INVITE", asker.sdp())
            other.answer(other.peer.request("INVITE"), 200)
            other.peer.heard("ACK")
            asker.peer.heard(502)
            asker.ack_refusal(invite)
            other.answer(other.peer.request("INVITE"), 200, other.sdp())
            other.peer.heard("ACK")
            self.check_alive(asker, other)


class Cancelled(ExchangeCase):
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
        """Its 200 crosses the CANCEL: ACK, and the old session comes back by a re-INVITE of ours."""
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

    def test_behind_the_answer(self) -> None:
        """CANCEL behind the 200: 200, and nothing more."""
        for asker, other in self.all_ways():
            invite = asker.ask("INVITE", asker.sdp())
            other.answer(other.peer.request("INVITE"), 200, other.sdp())
            other.peer.heard("ACK")
            asker.peer.heard(200)
            asker.cancel(invite)
            asker.peer.heard(200)
            asker.ack(invite)
            self.check_alive(asker, other)


class Ends(ExchangeCase):
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
        """BYE of who asked."""
        self.end(lambda asker, other: asker.ask("BYE"))

    def test_other_hangs_up(self) -> None:
        """BYE of who is asked: 487 to the open request (RFC 3261 section 15.1.2)."""
        self.end(lambda asker, other: other.ask("BYE"))

    def test_shutdown(self) -> None:
        """The proxy stops."""
        self.end(lambda asker, other: self.world.calls.stop())

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.world.turn(1)

    def test_asker_is_lost(self) -> None:
        """The socket of who asked; it does not come back."""
        for asker, _ in self.moments():
            asker.peer.flow.lose()
            if not asker.browser:
                self.world.calls.stop()
            self.wait(80)

    def test_other_is_lost(self) -> None:
        """The socket of who is asked."""
        for _, other in self.moments():
            other.peer.flow.lose()
            if not other.browser:
                self.world.calls.stop()
            self.wait(80)

    def test_far_side_accepts_behind_it(self) -> None:
        """The far side's 200 comes behind the end: it is ACKed."""
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
        """A browser that can't be reached just now: 480, and the call goes on for its grace time."""
        for asker, other in self.all_ways():
            if other.browser:
                other.peer.flow.lose()
                invite = asker.ask("INVITE", asker.sdp())
                asker.peer.heard(480)
                asker.ack_refusal(invite)
                self.check_old_session(asker, other)
                self.assertEqual(len(self.world.calls), 1)


class Update(ExchangeCase):
    """UPDATE (RFC 3311)."""

    def test_crosses(self) -> None:
        """To a far side that lists it, UPDATE is UPDATE; it has no ACK."""
        for asker, other in self.all_ways(UPDATES):
            update = asker.ask("UPDATE", asker.sdp("sendonly"))
            crossed = other.peer.request("UPDATE")
            self.assertEqual(crossed.headers.get("Contact"), f"<{other.target}>")
            other.answer(crossed, 200, other.sdp("recvonly"))
            ok = asker.peer.response(200)
            self.assertEqual(ok.cseq.number, update.cseq.number)
            self.assertEqual(ok.headers.get("Contact"), f"<{asker.target}>")
            self.assertIn(b"SAVPF" if asker.browser else b"RTP/AVP", ok.body)
            self.check_alive(asker, other)

    def test_far_side_does_not_list_it(self) -> None:
        """It gets a re-INVITE."""
        for asker, other in self.all_ways():
            asker.ask("UPDATE", asker.sdp("sendonly"))
            crossed = other.peer.request("INVITE")
            other.answer(crossed, 180)
            asker.peer.silent()
            other.answer(crossed, 200, other.sdp("recvonly"))
            other.peer.heard("ACK")
            self.assertEqual(asker.peer.response(200).cseq.method, "UPDATE")
            self.check_alive(asker, other)

    def test_learned_later(self) -> None:
        """What a side takes is what it said last."""
        for asker, other in self.all_ways():
            other.ask("UPDATE", b"", UPDATES)
            other.peer.heard(200)
            asker.ask("UPDATE", asker.sdp())
            other.answer(other.peer.request("UPDATE"), 200, other.sdp())
            asker.peer.heard(200)

    def test_without_sdp(self) -> None:
        """A target refresh, or a session timer at work (RFC 4028): answered here."""
        for asker, other in self.all_ways(UPDATES):
            asker.contact = "sip:new@192.0.2.50:5060"
            asker.ask("UPDATE")
            ok = asker.peer.response(200)
            self.assertEqual(ok.headers.get("Contact"), f"<{asker.target}>")
            other.peer.silent()
            other.ask("BYE")
            self.assertEqual(asker.peer.request("BYE").uri, "sip:new@192.0.2.50:5060")

    def test_refused(self) -> None:
        """The far side's response crosses, and the session stands."""
        for asker, other in self.all_ways(UPDATES):
            asker.ask("UPDATE", asker.sdp("sendonly"))
            other.answer(other.peer.request("UPDATE"), 488)
            asker.peer.heard(488)
            self.check_old_session(asker, other)
            self.check_alive(asker, other)

    def test_silence(self) -> None:
        """504 while the asker still listens (RFC 4320), and the call ends."""
        for asker, other in self.all_ways(UPDATES):
            asker.ask("UPDATE", asker.sdp("sendonly"))
            other.peer.heard("UPDATE")
            for _ in range(60):
                self.world.turn(0.5)
            names = [name for name in asker.peer.pending() if name != "100"]
            self.assertEqual(names[:2], ["504", "BYE"])
            asker.peer.forget()
            self.check_over()

    def test_slow_reinvite(self) -> None:
        """A re-INVITE in its place that rings for ever is cancelled, and the call goes on."""
        for asker, other in self.all_ways():
            asker.ask("UPDATE", asker.sdp("sendonly"))
            crossed = other.peer.request("INVITE")
            other.answer(crossed, 180)
            self.world.turn(30)
            names = [name for name in asker.peer.pending() if name != "100"]
            self.assertEqual(names, ["504"])
            asker.peer.forget()
            other.answer(other.peer.request("CANCEL"), 200)
            other.answer(crossed, 487)
            other.peer.heard("ACK")
            self.check_alive(asker, other)


class Early(CallCase):
    """Before the call is up, the session is not there to be changed."""

    trunks = (PBX,)

    def test_by_the_caller(self) -> None:
        """500 with Retry-After: his offer is not answered yet. Without SDP, UPDATE is answered."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        trunk.answer(leg, 180)
        ringing = alice.response(180)
        caller = Party(
            alice, invite.call_id, invite.headers.get("From") or "", ringing.headers.get("To") or "", alice.contact, 1
        )
        for method in ("INVITE", "UPDATE"):
            asked = caller.ask(method, caller.sdp())
            self.assertIn("Retry-After", alice.response(500).headers)
            if method == "INVITE":
                caller.ack_refusal(asked)
        caller.ask("UPDATE")
        alice.heard(200)
        trunk.silent()
        trunk.answer(leg, 486)
        trunk.heard("ACK")
        alice.heard(486)

    def test_by_the_callee(self) -> None:
        """491: a 481 would end the call that he has not answered yet."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        ringing = trunk.answer(leg, 180)
        callee = Party(trunk, leg.call_id, ringing.headers.get("To") or "", leg.headers.get("From") or "", leg.uri, 0)
        callee.ask("UPDATE", callee.sdp())
        trunk.heard(491)
        trunk.answer(leg, 486)
        trunk.heard("ACK")
        callee.ask("UPDATE", callee.sdp())
        trunk.heard(481)

    def test_before_the_caller_has_his_200(self) -> None:
        """The callee's re-INVITE while rtpengine makes the answer for the caller: 491."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        self.world.nodes.hold()
        answer = trunk.answer(leg, 200, trunk.sdp)
        trunk.heard("ACK")
        callee = Party(trunk, leg.call_id, answer.headers.get("To") or "", leg.headers.get("From") or "", leg.uri, 0)
        asked = callee.ask("INVITE", callee.sdp())
        trunk.heard(491)
        callee.ack_refusal(asked)
        self.world.nodes.release()
        alice.ack(invite, alice.response(200))


class LateOffer(ExchangeCase):
    """re-INVITE without SDP: the offer is in the 200, the answer in the ACK (RFC 3261 section 14.1)."""

    def ask(self, asker: Party, other: Party) -> tuple[Request, Request, Response]:
        invite = asker.ask("INVITE")
        crossed = other.peer.request("INVITE")
        self.assertEqual(crossed.body, b"")
        self.assertNotIn("Content-Type", crossed.headers)
        self.ok = other.answer(crossed, 200, other.sdp("sendrecv", 5))
        return invite, crossed, asker.peer.response(200)

    def test_crosses(self) -> None:
        """The other side is the offerer towards rtpengine; its 200 is ACKed when the asker's ACK is here, and its
        repeats meanwhile are not."""
        for asker, other in self.all_ways():
            invite, crossed, ok = self.ask(asker, other)
            other.peer.say(self.ok)
            other.peer.silent()
            self.assertIn(b"SAVPF" if asker.browser else b"RTP/AVP", ok.body)
            asker.ack(invite, asker.sdp("recvonly", 6))
            ack = other.peer.request("ACK")
            self.assertEqual((ack.cseq.number, ack.content_type), (crossed.cseq.number, "application/sdp"))
            self.assertIn(b"SAVPF" if other.browser else b"RTP/AVP", ack.body)
            offer, answer = self.media(2)
            self.assertEqual((offer.sdp, answer.sdp), (other.sdp("sendrecv", 5), asker.sdp("recvonly", 6)))
            self.assertEqual(offer.from_tag, answer.from_tag)
            other.peer.say(self.ok)
            self.assertEqual(other.peer.request("ACK").to_bytes(), ack.to_bytes())
            self.check_alive(asker, other)

    def test_no_answer_in_the_ack(self) -> None:
        """The other side gets the answer of the old session."""
        for asker, other in self.all_ways():
            invite, _, _ = self.ask(asker, other)
            asker.ack(invite)
            self.assertNotEqual(other.peer.request("ACK").body, b"")
            self.check_old_session(asker, other)
            self.check_alive(asker, other)

    def test_refused(self) -> None:
        """A refusal crosses; rtpengine was not asked."""
        for asker, other in self.all_ways():
            self.media(0)
            invite = asker.ask("INVITE")
            other.answer(other.peer.request("INVITE"), 488)
            other.peer.heard("ACK")
            asker.peer.heard(488)
            asker.ack_refusal(invite)
            self.assertEqual(self.world.nodes.sessions[-1].operations, [])
            self.check_alive(asker, other)

    def test_no_offer(self) -> None:
        """A 200 without an offer, and one that rtpengine refuses."""
        for body in (False, True):
            for asker, other in self.all_ways():
                self.world.nodes.fail("offer", NgRefused("no"), times=int(body))
                invite = asker.ask("INVITE")
                other.answer(other.peer.request("INVITE"), 200, other.sdp() if body else b"")
                other.peer.heard("ACK")
                asker.peer.heard(488 if body else 502)
                asker.ack_refusal(invite)
                self.check_alive(asker, other)

    def test_cancelled(self) -> None:
        """The 200 crosses the CANCEL: it is ACKed with the answer of the old session."""
        for asker, other in self.all_ways():
            invite = asker.ask("INVITE")
            crossed = other.peer.request("INVITE")
            other.answer(crossed, 100)
            asker.cancel(invite)
            asker.peer.heard(200)
            asker.peer.heard(487)
            asker.ack_refusal(invite)
            other.answer(other.peer.request("CANCEL"), 200)
            other.answer(crossed, 200, other.sdp())
            self.assertNotEqual(other.peer.request("ACK").body, b"")
            self.check_alive(asker, other)

    def test_hung_up(self) -> None:
        """BYE of either side while the ACK is awaited: the other side's 200 is ACKed first."""
        for swap in (False, True):
            for asker, other in self.all_ways():
                invite, _, _ = self.ask(asker, other)
                (other if swap else asker).ask("BYE")
                self.assertIn("ACK", other.peer.pending())
                other.peer.forget()
                if swap:
                    asker.ack(invite, asker.sdp())
                    asker.peer.heard("BYE")
                else:
                    asker.peer.heard(200)
                self.world.turn(40)
                self.assertEqual(len(self.world.calls), 0)
