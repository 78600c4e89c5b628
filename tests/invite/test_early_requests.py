"""Requests within an early dialog that an unreliable 18x has opened (RFC 3261 section 12.1, RFC 6086)."""

from __future__ import annotations

from tests.support.calls.early import REL, EarlyCase
from tests.support.calls.party import party_of
from tests.support.calls.world import PLAIN
from webrtcproxy.invite.branch import MAX_DIALOGS
from webrtcproxy.sip.message import Headers, Response, respond

TEXT = ("Content-Type", "text/plain")


class Early(EarlyCase):
    """Nobody has answered, and no response was reliable."""

    def ringing(self, tag: str = "callee") -> Response:
        """The callee rings: the 180 that the caller hears."""
        self.rung = self.callee.answer(self.leg, 180, tag=tag)
        return self.caller.response(180)

    def answered(self, tag: str = "callee") -> None:
        """The callee answers now, and the caller hangs up in the end: nothing is left."""
        body = self.sdp(self.callee)
        self.callee.answer(self.leg, 200, body, tag=tag)
        self.callee.heard("ACK")
        ok = self.caller.response(200)
        caller = self.at_caller(ok)
        caller.ack(self.invite)
        caller.cseq = 50
        caller.ask("BYE")
        self.caller.heard(200)
        bye = self.callee.request("BYE")
        self.assertEqual(bye.to.tag, tag)
        self.callee.answer(bye, 200)
        self.assert_over(self.caller, self.callee)

    def refused(self) -> None:
        """The callee refuses the call: nothing is left."""
        self.callee.answer(self.leg, 486)
        self.callee.heard("ACK")
        self.caller.heard(486)
        self.assert_over(self.callee)

    def test_both_ways(self) -> None:
        """Each crosses with its body, into the dialog of the other leg, and the true answer comes back; the 2xx
        confirms the dialog (original.rst: INFO dtmf-relay, any other)."""
        for caller in self.ways():
            asker = self.at_caller(self.ringing())
            callee = self.at_callee(self.rung)
            number = self.leg.cseq.number
            for method, status in (("INFO", 202), ("MESSAGE", 488), ("NOTIFY", 489)):
                asker.ask(method, b"hello", TEXT)
                crossed = self.callee.request(method)
                self.assertEqual(
                    (crossed.body, crossed.to.tag, crossed.call_id), (b"hello", "callee", self.leg.call_id)
                )
                self.assertGreater(crossed.cseq.number, number)
                number = crossed.cseq.number
                self.callee.answer(crossed, status)
                caller.heard(status)
                callee.ask(method, b"hi", TEXT)
                crossed = caller.request(method)
                self.assertEqual((crossed.body, crossed.call_id), (b"hi", self.invite.call_id))
                caller.answer(crossed, status)
                self.callee.heard(status)
            for party in (asker, callee):
                party.ask("OPTIONS")
                party.peer.heard(200)
            self.answered()

    def test_refused_call(self) -> None:
        """The final response ends the dialog: 481 after it."""
        for caller in self.ways():
            self.ringing()
            callee = self.at_callee(self.rung)
            callee.ask("INFO", b"1", TEXT)
            caller.answer(caller.request("INFO"), 200)
            self.callee.heard(200)
            self.refused()
            callee.ask("INFO", b"1", TEXT)
            self.callee.heard(481)

    def test_nothing_without_need(self) -> None:
        """Where nobody says anything within the dialog, none is made."""
        for _ in self.ways():
            self.ringing()
            self.assertEqual(len(self.world.legs), 1)
            self.refused()

    def test_without_a_contact(self) -> None:
        """A 180 without Contact, or with one that leads nowhere: what our INVITE was sent to is the remote target
        (field.rst V: Odd Contact)."""
        for headers in ((), (("Contact", "<tel:+4930123>"),), (("Contact", "<<"),)):
            self.way()
            self.callee.say(respond(self.leg, 180, to_tag="callee", headers=headers))
            self.at_caller(self.caller.response(180)).ask("INFO", b"1", TEXT)
            info = self.callee.request("INFO")
            self.assertEqual(info.uri, self.leg.uri)
            self.callee.answer(info, 200)
            self.caller.heard(200)
            self.refused()

    def test_no_dialog(self) -> None:
        """A 180 whose Record-Route leads nowhere, or that has no tag, opens no dialog: 500 for the caller, whose
        call rings on; 481 for the callee."""
        for tag, route in (("callee", "<tel:+4930123>"), ("", "<sip:192.0.2.50;lr>")):
            self.way()
            headers = [("Contact", "<sip:callee@192.0.2.7>"), ("Record-Route", route)]
            response = respond(self.leg, 180, to_tag=tag, headers=headers)
            self.callee.say(response)
            self.at_caller(self.caller.response(180)).ask("INFO", b"1", TEXT)
            self.caller.heard(500)
            self.at_callee(response).ask("INFO", b"1", TEXT)
            self.callee.heard(481)
            self.refused()

    def test_last_heard(self) -> None:
        """Of several forks, the one whose 18x came last gets what the caller says; each is heard."""
        self.way()
        self.ringing("one")
        one = self.at_callee(self.rung)
        early = self.ringing("two")
        two = self.at_callee(self.rung)
        asker = self.at_caller(early)
        asker.ask("INFO", b"1", TEXT)
        info = self.callee.request("INFO")
        self.assertEqual(info.to.tag, "two")
        self.callee.answer(info, 200, tag="two")
        self.caller.heard(200)
        for party in (one, two):
            party.ask("INFO", b"1", TEXT)
            self.caller.answer(self.caller.request("INFO"), 202)
            self.callee.heard(202)
        self.ringing("one")
        asker.ask("INFO", b"1", TEXT)
        self.callee.answer(self.callee.request("INFO"), 200, tag="one")
        self.caller.heard(200)
        self.answered("two")
        one.ask("INFO", b"1", TEXT)
        self.callee.heard(481)

    def test_gone(self) -> None:
        """Who says that there is no such dialog ends that, and not the call (RFC 5057): it may be answered yet. To the
        caller, whose dialog is there, a 481 would be the end: it gets 500."""
        for caller in self.ways():
            asker = self.at_caller(self.ringing())
            asker.ask("INFO", b"1", TEXT)
            self.callee.answer(self.callee.request("INFO"), 481)
            caller.heard(500)
            asker.ask("INFO", b"1", TEXT)
            caller.heard(500)
            self.at_callee(self.rung).ask("INFO", b"1", TEXT)
            self.callee.heard(481)
            self.answered()

    def test_silent(self) -> None:
        """The same for the one that says nothing: 504, and the call rings on."""
        self.way()
        self.at_caller(self.ringing()).ask("INFO", b"1", TEXT)
        for _ in range(40):
            self.world.turn(1)
        self.caller.heard(100)
        self.caller.heard(504)
        self.callee.forget()
        self.answered()

    def test_caller_has_none(self) -> None:
        """A caller that keeps no early dialogs wants its call answered all the same."""
        for caller in self.ways():
            self.ringing()
            self.at_callee(self.rung).ask("INFO", b"1", TEXT)
            caller.answer(caller.request("INFO"), 481)
            self.callee.heard(500)
            self.answered()

    def test_reliable_later(self) -> None:
        """A reliable 183 of the same party is in the same dialog: its PRACK comes after the INFO, whatever its RSeq,
        and its answer counts."""
        for caller in self.ways(REL):
            early = self.ringing()
            self.at_caller(early).ask("INFO", b"1", TEXT)
            info = self.callee.request("INFO")
            self.callee.answer(info, 200)
            caller.heard(200)
            prack = self.pracked(self.reliable(183, 7, self.sdp(self.callee)))
            self.assertGreater(prack.cseq.number, info.cseq.number)
            response = caller.response(183)
            self.assertTrue(response.body)
            party = self.at_caller(response)
            party.cseq += 1
            self.prack(party, response)
            caller.heard(200)
            self.answered()

    def test_session_stays(self) -> None:
        """The dialog is not there to be changed or transferred by such means, nor is one that was made for an INFO."""
        for caller in self.ways():
            asker = self.at_caller(self.ringing())
            callee = self.at_callee(self.rung)
            for method, status in (("UPDATE", 491), ("REFER", 481), ("SUBSCRIBE", 481)):
                callee.ask(method, PLAIN if method == "UPDATE" else b"")
                self.callee.heard(status)
            self.assertEqual(len(self.world.legs), 1)
            asker.ask("INFO", b"1", TEXT)
            self.callee.answer(self.callee.request("INFO"), 200)
            caller.heard(200)
            callee.ask("UPDATE", self.sdp(self.callee, version=2))
            self.callee.heard(491)
            asker.ask("UPDATE", self.sdp(caller, version=2))
            self.assertTrue(caller.response(500).headers.get("Retry-After"))
            for method in ("REFER", "SUBSCRIBE"):
                asker.ask(method)
                caller.heard(500)
            self.callee.silent()
            self.answered()

    def test_cancelled(self) -> None:
        """Taken back: nothing crosses any more, whether something has before or not."""
        for before in (True, False):
            self.way()
            asker = self.at_caller(self.ringing())
            callee = self.at_callee(self.rung)
            if before:
                callee.ask("INFO", b"1", TEXT)
                self.caller.answer(self.caller.request("INFO"), 200)
                self.callee.heard(200)
            asker.cancel(self.invite)
            self.caller.forget()
            self.world.turn()
            self.callee.answer(self.callee.request("CANCEL"), 200)
            callee.ask("INFO", b"1", TEXT)
            self.callee.heard(481)
            self.callee.answer(self.leg, 487)
            self.callee.heard("ACK")
            self.assert_over(self.callee)

    def test_browsers(self) -> None:
        """Several browsers ring: one that has lost is not heard any more, also where no leg of its was made before."""
        self.world = self.make_world(multiple=True)
        first, second = self.world.browser(), self.world.browser()
        first.bind()
        second.bind()
        self.caller = self.world.trunk()
        self.invite = self.caller.invite("sip:alice@192.0.2.1")
        parties = []
        for browser in (first, second):
            leg = browser.request("INVITE")
            party = party_of(browser, leg, browser.answer(leg, 180))
            self.caller.heard(180)
            parties.append((party, leg))
        parties[0][0].ask("INFO", b"1", TEXT)
        self.caller.answer(self.caller.request("INFO"), 200)
        first.heard(200)
        first.answer(parties[0][1], 200, self.sdp(first))
        first.heard("ACK")
        self.at_caller(self.caller.response(200)).ack(self.invite)
        second.answer(second.request("CANCEL"), 200)
        parties[1][0].ask("INFO", b"1", TEXT)
        second.heard(481)
        second.answer(parties[1][1], 487)
        second.heard("ACK")
        parties[0][0].ask("BYE")
        first.heard(200)
        self.caller.answer(self.caller.request("BYE"), 200)
        self.assert_over(first, second, self.caller)

    def test_hung_up(self) -> None:
        """The callee ends its early dialog, as it must not (RFC 3261 section 15): it has given up, whether it goes on
        to refuse the INVITE, answers it after all, or says no more. The caller hears 480 at once (field.rst M:
        Malformed 200)."""
        for used in (False, True):
            for final in (487, 200, 0):
                for caller in self.ways():
                    asker = self.at_caller(self.ringing())
                    if used:
                        asker.ask("INFO", b"1", TEXT)
                        self.callee.answer(self.callee.request("INFO"), 200)
                        caller.heard(200)
                    self.at_callee(self.rung).ask("BYE")
                    self.callee.heard(200)
                    caller.heard(480)
                    self.callee.answer(self.callee.request("CANCEL"), 200 if final else 481)
                    if final:
                        self.callee.answer(self.leg, final, PLAIN if final == 200 else b"")
                        self.callee.heard("ACK")
                    if final == 200:
                        self.callee.answer(self.callee.request("BYE"), 481)
                    caller.silent()
                    self.assert_over(caller, self.callee)

    def test_hung_up_reliably(self) -> None:
        """So it is after a reliable response."""
        for caller in self.ways(REL):
            response = self.reliable(180, 1)
            self.pracked(response)
            caller.heard(180)
            self.at_callee(response).ask("BYE")
            self.callee.heard(200)
            caller.heard(480)
            self.callee.answer(self.callee.request("CANCEL"), 200)
            self.callee.answer(self.leg, 487)
            self.callee.heard("ACK")
            self.assert_over(caller, self.callee)

    def test_one_of_several_browsers_hung_up(self) -> None:
        """Others ring on, whether its 18x was reliable or not."""
        for reliable in (False, True):
            self.world = self.make_world(multiple=True)
            first, second = self.world.browser(), self.world.browser()
            first.bind()
            second.bind()
            self.caller = self.world.trunk()
            self.invite = self.caller.invite("sip:alice@192.0.2.1")
            self.leg, leg = first.request("INVITE"), second.request("INVITE")
            headers = [("Require", "100rel"), ("RSeq", "1")] if reliable else []
            rung = first.answer(self.leg, 180, headers=headers)
            if reliable:
                first.answer(first.request("PRACK"), 200)
            self.caller.heard(180)
            party_of(first, self.leg, rung).ask("BYE")
            first.heard(200)
            first.answer(first.request("CANCEL"), 481)
            self.caller.silent()
            second.silent()
            self.callee, self.leg = second, leg
            self.answered()

    def test_one_of_several_dialogs_hung_up(self) -> None:
        """Others that the INVITE has reached go on; the BYE of the last one ends the branch."""
        for last in (False, True):
            self.way()
            self.ringing("one")
            one = self.at_callee(self.rung)
            self.ringing("two")
            self.at_callee(self.rung).ask("BYE")
            self.callee.heard(200)
            self.caller.silent()
            if last:
                one.ask("BYE")
                self.callee.heard(200)
                self.caller.heard(480)
                self.callee.answer(self.callee.request("CANCEL"), 200)
                self.callee.answer(self.leg, 487)
                self.callee.heard("ACK")
                self.assert_over(self.caller, self.callee)
            else:
                self.answered("one")

    def test_stranger_hangs_up(self) -> None:
        """A BYE of somebody else, and one of a dialog that was never there, end nothing."""
        self.way()
        self.ringing()
        party, stranger = self.at_callee(self.rung), self.world.trunk("203.0.113.66")
        party.known_to(stranger).ask("BYE")
        self.caller.silent()
        self.at_callee(Response(180, "", self._other_tag(self.rung))).ask("BYE")
        self.callee.heard(481)
        stranger.forget()
        self.answered()

    def _other_tag(self, response: Response) -> Headers:
        headers = response.headers.copy()
        headers.set("To", (headers.get("To") or "") + "x")
        return headers

    def test_bound(self) -> None:
        """So many dialogs of one INVITE are remembered, and no more."""
        self.way()
        parties = []
        for number in range(MAX_DIALOGS + 1):
            self.ringing(f"t{number}")
            parties.append(self.at_callee(self.rung))
        parties.pop().ask("INFO", b"1", TEXT)
        self.callee.heard(481)
        for party in parties:
            party.ask("INFO", b"1", TEXT)
            self.caller.answer(self.caller.request("INFO"), 200)
            self.callee.heard(200)
        self.refused()
