"""A change of the session in the middle of a call, by re-INVITE or UPDATE of either side."""

from __future__ import annotations

from tests.support.calls.modifying import UPDATES, SessionChangeCase
from tests.support.calls.party import Party, outbound
from tests.support.calls.world import OFFER, Browser
from tests.support.ngnode import TRUNK_SDP, Operation
from webrtcproxy.sip.capabilities import ALLOW
from webrtcproxy.sip.message import Request, respond


class Change(SessionChangeCase):
    """What works."""

    def test_hold_and_resume(self) -> None:
        """The offer crosses as a re-INVITE in the other dialog, the answer comes back in a 200 (RFC 3261 section 14);
        rtpengine gets both in the name of the one that said them, within the one branch."""
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
            self.assertEqual(crossed.headers.lines("Session-Expires"), ["1800"])
            self.assertEqual(crossed.headers.lines("Allow"), [ALLOW[1]])
            self.assertEqual(crossed.headers.lines("Contact"), [f"<{other.target}>"])
            other.answer(crossed, 200, other.sdp(), ("X-Way", "back"), ("Session-Expires", "1800;refresher=uas"))
            ok = asker.peer.response(200)
            self.assertEqual(ok.headers.get("X-Way"), "back")
            self.assertEqual(ok.headers.lines("Session-Expires"), ["90;refresher=uas"])
            self.assertIn("UPDATE", ok.headers.get("Allow") or "")

    def test_order_of_codecs(self) -> None:
        """An offer with what is agreed first, and else the codecs of before, as Firefox makes them, is no news to the
        other side (corners.rst 3: ICE restart); with another one first it is."""
        for first, then, crosses in ((b"101 0", b"0 101", False), (b"0 101", b"101 0", True)):
            self.world = self.make_world()
            orders = iter((first, then))
            self.world.nodes.sdp = lambda operation, orders=orders: (
                TRUNK_SDP.replace(b"0 101", next(orders)) % {b"port": 30000, b"version": 1}
                if operation.to.name == "trunk"
                else OFFER
            )
            browser, trunk = outbound(self.world)
            invite = browser.ask("INVITE", browser.sdp())
            if crosses:
                trunk.answer(trunk.peer.request("INVITE"), 200, trunk.sdp())
                trunk.peer.heard("ACK")
            browser.peer.heard(200)
            browser.ack(invite)
            trunk.peer.silent()

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

    def test_ringing_reliably(self) -> None:
        """To one that wants each 1xx to be reliable, none crosses (RFC 3262 section 3)."""
        for asker, other in self.all_ways():
            asker.ask("INVITE", asker.sdp(), ("Require", "100rel"))
            crossed = other.peer.request("INVITE")
            other.answer(crossed, 183)
            asker.peer.silent()
            other.answer(crossed, 200, other.sdp())
            asker.peer.heard(200)

    def test_nothing_changed(self) -> None:
        """One that would be offered what it has is not asked; its last description is the answer."""
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

    def test_type_of_the_answer(self) -> None:
        """The SDP of a 2xx is SDP whatever its type says (field.rst W: Odd type of an answer)."""
        for method in ("INVITE", "UPDATE"):
            for asker, other in self.all_ways(UPDATES):
                invite = asker.ask(method, asker.sdp("sendonly"))
                answer = respond(other.peer.request(method), 200, body=other.sdp("recvonly"))
                answer.headers.add("Contact", f"<{other.contact}>")
                answer.headers.add("Content-Type", "text/plain")
                other.peer.say(answer)
                ok = asker.peer.response(200)
                self.assertIn(b"SAVPF" if asker.browser else b"RTP/AVP", ok.body)
                self.assertEqual(ok.headers.lines("Content-Type"), ["application/sdp"])
                if method == "INVITE":
                    asker.ack(invite)
                    other.peer.heard("ACK")

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
        """The asking browser's connection is replaced meanwhile, by the same user: that is where its 200 goes."""
        for asker, other in self.all_ways():
            if not isinstance(asker.peer, Browser):
                continue
            asker.peer.bind()
            invite = asker.ask("INVITE", asker.sdp())
            crossed = other.peer.request("INVITE")
            asker.peer.flow.lose()
            asker.peer = again = self.world.browser()
            again.bind()
            asker.ask("OPTIONS")
            asker.peer.heard(200)
            other.answer(crossed, 200, other.sdp())
            other.peer.heard("ACK")
            asker.peer.heard(200)
            asker.ack(invite)
            self.check_alive(asker, other)


def renumbered(invite: Request, step: int) -> Request:
    """`invite` with a CSeq number that is off by `step`."""
    other = Request("INVITE", invite.uri, invite.headers.copy())
    other.headers.set("CSeq", f"{max(invite.cseq.number + step, 0)} INVITE")
    return other


class Acknowledgement(SessionChangeCase):
    """ACKs of both legs."""

    def test_lost(self) -> None:
        """Our 200 is repeated until its ACK, an earlier ACK of a trunk does not count; the far side's repeated 200 is
        ACKed again (RFC 3261 sections 13.3.1.4 and 13.2.2.4)."""
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
            self.world.turn(1)
            asker.peer.heard(200)
            asker.ack(invite)
            self.check_alive(asker, other)
            if not asker.browser:
                invite = asker.ask("INVITE", asker.sdp())
                other.answer(other.peer.request("INVITE"), 200, other.sdp())
                other.peer.request("ACK")
                asker.peer.heard(200)
                asker.ack(renumbered(invite, -1))
                self.world.turn(0.5)
                asker.peer.heard(200)
                asker.ack(invite)
                self.check_alive(asker, other)

    def test_other_number(self) -> None:
        """An ACK of a browser means the one 2xx that it has to acknowledge, whatever its CSeq number (JsSIP 3.10.9
        gives that of its re-INVITE another one where it was called) (field.rst X5: ACK with another number)."""
        for step in (-2, -1, 1, 7):
            for asker, other in self.all_ways():
                if asker.browser:
                    invite = asker.ask("INVITE", asker.sdp())
                    other.answer(other.peer.request("INVITE"), 200, other.sdp())
                    other.peer.heard("ACK")
                    asker.peer.heard(200)
                    asker.ack(renumbered(invite, step))
                    self.assertEqual(asker.peer.pending(), [], (step, invite.cseq))
                    self.check_alive(asker, other)

    def test_other_number_with_the_answer(self) -> None:
        """So does one with the answer to the offer in the 2xx; one without it is not that ACK (field.rst X5: ACK with
        another number)."""
        for asker, other in self.all_ways():
            if asker.browser:
                invite = asker.ask("INVITE")
                other.answer(other.peer.request("INVITE"), 200, other.sdp("sendrecv", 5))
                asker.peer.heard(200)
                asker.ack(renumbered(invite, 1))
                other.peer.silent()
                asker.ack(renumbered(invite, 1), asker.sdp("recvonly", 6))
                self.assertNotEqual(other.peer.request("ACK").body, b"")
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
        """One that comes to the next re-INVITE has its 200, though the ACK was lost: it is repeated no more."""
        for asker, other in self.all_ways():
            asker.ask("INVITE", asker.sdp())
            other.answer(other.peer.request("INVITE"), 200, other.sdp())
            other.peer.heard("ACK")
            asker.peer.heard(200)
            self.exchange(asker, other)
            self.check_alive(asker, other)

    def test_wait(self) -> None:
        """No INVITE goes to a side whose ACK is to come (RFC 3261 section 14.1): it goes out after the ACK."""
        for asker, other in self.all_ways():
            invite = asker.ask("INVITE", asker.sdp())
            other.answer(other.peer.request("INVITE"), 200, other.sdp())
            other.peer.heard("ACK")
            asker.peer.heard(200)
            again = other.ask("INVITE", other.sdp(version=3))
            asker.peer.silent()
            asker.ack(invite)
            asker.answer(asker.peer.request("INVITE"), 200, asker.sdp())
            asker.peer.heard("ACK")
            other.peer.heard(200)
            other.ack(again)
            self.check_alive(asker, other)


class Update(SessionChangeCase):
    """UPDATE (RFC 3311)."""

    def test_crosses(self) -> None:
        """To a far side that lists it, UPDATE is UPDATE; it has no ACK
        (original.rst: other methods, UPDATE, OPTIONS, MESSAGE, NOTIFY, PUBLISH and unknown ones within a call)."""
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

    def test_learned_from_an_answer(self) -> None:
        """Its 2xx to a re-INVITE says it, too."""
        for asker, other in self.all_ways():
            for method, allow in (("INVITE", UPDATES), ("UPDATE", ("Allow", "INVITE, ACK, BYE")), ("INVITE", UPDATES)):
                asker.ask("UPDATE", asker.sdp("sendonly" if allow is UPDATES else "sendrecv"))
                other.answer(other.peer.request(method), 200, other.sdp("recvonly"), allow)
                if method == "INVITE":
                    other.peer.heard("ACK")
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
        """504 while the requester still listens (RFC 4320), and the call ends."""
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
