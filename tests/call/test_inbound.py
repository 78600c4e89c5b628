"""A trunk or registrar calls in: to one browser, to several, to none."""

from __future__ import annotations

from tests.support.calls.case import CallCase
from tests.support.calls.world import OFFER, PLAIN
from tests.support.configs import CARRIER, PBX
from webrtcproxy.media.profile import BROWSER_OF_TRUNK, TRUNK
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.transaction.server import TRYING_DELAY


class One(CallCase):
    """One browser is registered."""

    trunks = (PBX,)

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.trunk = self.world.browser(), self.world.trunk()
        self.alice.bind()

    def test_ladder(self) -> None:
        """INVITE on our Contact, 100 as it doesn't ring at once, 180, 200, ACK, BYE of the caller."""
        invite = self.trunk.call(self.alice, ("P-Asserted-Identity", "<sip:carol@pbx.example.com>"))
        self.trunk.silent()
        self.world.turn(TRYING_DELAY)
        self.trunk.heard(100)
        leg = self.alice.request("INVITE")
        self.assertEqual(leg.uri, self.alice.contact)
        self.assertEqual(leg.headers.get("P-Asserted-Identity"), "<sip:carol@pbx.example.com>")
        self.assertNotEqual(leg.call_id, invite.call_id)
        self.assertIn("transport=ws", leg.headers.get("Contact") or "")
        self.alice.answer(leg, 180)
        self.trunk.heard(180)
        self.alice.answer(leg, 200, OFFER)
        self.alice.heard("ACK")
        ok = self.trunk.response(200)
        contact = NameAddr.parse(ok.headers.get("Contact") or "").address
        self.assertTrue(contact.user)
        self.trunk.ack(invite, ok)
        self.trunk.say(self.trunk.inside("BYE", invite, ok))
        self.trunk.heard(200)
        bye = self.alice.request("BYE")
        self.alice.answer(bye, 200)
        self.assert_over(self.alice, self.trunk)

    def test_hash_in_a_number(self) -> None:
        """PBXs write `#` into user parts; the browsers' grammars want it escaped (SIP.js#560, JsSIP#687)."""
        self.patch(self.trunk, "uri", "sip:*21#@pbx.example.com")
        invite = self.trunk.call(self.alice)
        leg = self.alice.request("INVITE")
        self.assertEqual(leg.from_.uri, "sip:*21%23@pbx.example.com")
        self.alice.answer(leg, 200, OFFER)
        ok = self.trunk.response(200)
        self.assertEqual(ok.headers.get("From"), invite.headers.get("From"))

    def test_profiles_are_mirrored(self) -> None:
        """The browser is offered DTLS-SRTP, the trunk answered plain RTP: by transport, not by direction."""
        self.trunk.call(self.alice)
        self.alice.answer(self.alice.request("INVITE"), 200, OFFER)
        offer, answer = self.world.nodes.sessions[0].operations
        self.assertEqual((offer.to, offer.sdp), (BROWSER_OF_TRUNK, PLAIN))
        self.assertEqual((answer.to, answer.sdp), (TRUNK, OFFER))

    def test_browser_hangs_up(self) -> None:
        """BYE of the browser reaches the caller along the dialog."""
        invite = self.trunk.call(self.alice)
        leg = self.alice.request("INVITE")
        answer = self.alice.answer(leg, 200, OFFER)
        self.alice.heard("ACK")
        self.trunk.ack(invite, self.trunk.response(200))
        self.leg, self.trunk_ok = leg, answer
        self.alice.say(self.callee_request("BYE"))
        self.alice.heard(200)
        bye = self.trunk.request("BYE")
        self.assertEqual((bye.call_id, bye.to.tag), (invite.call_id, invite.from_.tag))
        self.trunk.answer(bye, 200)
        self.assert_over(self.alice, self.trunk)

    def test_busy(self) -> None:
        """The browser's refusal reaches the caller, code and phrase."""
        self.trunk.call(self.alice)
        self.alice.answer(self.alice.request("INVITE"), 486, reason="On The Phone")
        self.alice.heard("ACK")
        self.assertEqual(self.trunk.response(486).reason, "On The Phone")

    def test_challenge(self) -> None:
        """A browser that challenges its caller: 480. The challenge stays behind, as the credentials for it would, and
        no request sequence is kept for them."""
        for status, header in ((401, "WWW-Authenticate"), (407, "Proxy-Authenticate")):
            self.trunk.call(self.alice)
            self.alice.answer(self.alice.request("INVITE"), status, headers=[(header, 'Digest realm="x", nonce="n"')])
            self.alice.heard("ACK")
            self.assertNotIn(header, self.trunk.response(480).headers)
            self.assertEqual(len(self.world.context.sequences), 0)
            self.assert_over(self.alice)

    def test_no_answer(self) -> None:
        """The ringing limit: CANCEL for the browser, 408 for the caller (corners.rst 1: Timer C analogue)."""
        self.trunk.call(self.alice)
        self.alice.answer(self.alice.request("INVITE"), 180)
        self.trunk.heard(180)
        self.world.location.registered(self.alice.aor, "192.0.2.50", 3600)
        self.world.turn(180)
        self.trunk.heard(408)
        self.world.turn()
        self.alice.heard("CANCEL")

    def test_answered_in_time(self) -> None:
        """The ringing limit is none for a call that was answered."""
        invite = self.trunk.call(self.alice)
        leg = self.alice.request("INVITE")
        self.alice.answer(leg, 200, OFFER.replace(b"actpass", b"active"))
        self.alice.heard("ACK")
        self.trunk.ack(invite, self.trunk.response(200))
        self.world.turn(181)
        self.alice.silent()
        self.trunk.silent()
        self.assertEqual(len(self.world.calls), 1)

    def test_caller_cancels(self) -> None:
        """CANCEL of the caller: the browser stops ringing."""
        invite = self.trunk.call(self.alice)
        leg = self.alice.request("INVITE")
        self.alice.answer(leg, 180)
        self.trunk.heard(180)
        self.trunk.cancel(invite)
        self.assertEqual(sorted(self.trunk.pending()), ["200", "487"])
        self.world.turn()
        self.alice.answer(self.alice.request("CANCEL"), 200)
        self.alice.answer(leg, 487)
        self.alice.heard("ACK")
        self.assert_over(self.alice)

    def test_socket_is_gone(self) -> None:
        """The registrar still believes in the binding: 480 at once, without ringing anywhere
        (original.rst: call in, the WebSocket is gone)."""
        self.alice.flow.lose()
        self.trunk.call(self.alice)
        self.trunk.heard(480)
        self.assert_over(self.trunk)

    def test_socket_goes_while_ringing(self) -> None:
        """The browser vanishes before it answers, and does not come back within the grace time: 480."""
        self.trunk.call(self.alice)
        self.alice.answer(self.alice.request("INVITE"), 180)
        self.trunk.heard(180)
        self.alice.flow.lose()
        self.trunk.silent()
        self.world.turn(5)
        self.trunk.heard(480)
        self.assert_over(self.trunk)

    def test_expired(self) -> None:
        """A binding whose time is up is none."""
        self.world.turn(601)
        self.trunk.call(self.alice)
        self.trunk.heard(404)

    def test_by_name(self) -> None:
        """A PBX that routes by name instead of by REGISTER reaches `user@trunk host`."""
        self.trunk.invite("sip:alice@192.0.2.1")
        self.alice.heard("INVITE")

    def test_telephone_subscriber(self) -> None:
        """A number with the parameters of number portability, a context or visual separators is the user who has
        registered as that number (RFC 3261 section 19.1.6, RFC 4694); another number is nobody (field.rst F:
        Telephone subscriber)."""
        phone = self.world.browser("+12125550123")
        phone.bind()
        for user in ("+12125550123;npdi;rn=+12125550000", "+12125550123;phone-context=example.net", "+1-212-5550123"):
            invite = self.trunk.invite(f"sip:{user}@192.0.2.1;user=phone")
            phone.answer(phone.request("INVITE"), 486)
            phone.heard("ACK")
            self.trunk.ack(invite, self.trunk.response(486))
        self.trunk.invite("sip:+12125550000;rn=+12125550123@192.0.2.1;user=phone")
        self.trunk.heard(404)

    def test_registered_with_separators(self) -> None:
        """Who has registered as a number with visual separators is called by it in any spelling (RFC 3966 section 5);
        digits without a ``+`` are a name, of which there may be two."""
        phone, name = self.world.browser("+1-212-555-0123"), self.world.browser("10-20")
        phone.bind()
        name.bind()
        for user, called in (("+12125550123", phone), ("%2B1%20(212)5550123", phone), ("10-20", name)):
            invite = self.trunk.invite(f"sip:{user}@192.0.2.1")
            called.answer(called.request("INVITE"), 486)
            called.heard("ACK")
            self.trunk.ack(invite, self.trunk.response(486))
        self.trunk.invite("sip:1020@192.0.2.1")
        self.trunk.heard(404)

    def test_unknown(self) -> None:
        """Nobody of that name: 404 (original.rst: call in, nobody is registered)."""
        self.trunk.invite("sip:nobody@192.0.2.1")
        self.trunk.heard(404)

    def test_other_domain(self) -> None:
        """A user of another domain is somebody else (the original: matched by user part only)
        (original.rst: call in, whom a binding takes calls for)."""
        world = self.make_world(more=(CARRIER,))
        alice = world.browser()
        alice.bind()
        stranger = world.trunk("192.0.2.7")
        stranger.invite("sip:alice@192.0.2.1")
        stranger.heard(404)


class Several(CallCase):
    """`multiple = yes`: all of a user's browsers ring."""

    trunks = (PBX,)

    def setUp(self) -> None:
        super().setUp()
        self.world = self.make_world(multiple=True)
        self.trunk = self.world.trunk()
        self.desk, self.sofa = self.world.browser(), self.world.browser()
        self.desk.bind()
        self.sofa.bind()
        self.invite = self.trunk.call(self.desk)
        self.at_desk, self.at_sofa = self.desk.request("INVITE"), self.sofa.request("INVITE")

    def test_first_to_answer_wins(self) -> None:
        """The others get CANCEL with the reason that it was answered elsewhere
        (original.rst: call in, two browsers of one user)."""
        self.desk.answer(self.at_desk, 180)
        self.sofa.answer(self.at_sofa, 180)
        self.sofa.answer(self.at_sofa, 200, OFFER)
        self.sofa.heard("ACK")
        self.assertIn("cause=200", self.desk.request("CANCEL").headers.get("Reason") or "")
        self.desk.answer(self.at_desk, 487)
        self.desk.heard("ACK")
        self.assertEqual(self.trunk.pending(), ["180", "180", "200"])
        offers = [op for op in self.world.nodes.sessions[0].operations if op.command == "offer"]
        self.assertEqual(len({op.branch for op in offers}), 2)
        dropped = [op.branch for op in self.world.nodes.sessions[0].operations if op.command == "drop"]
        self.assertEqual(dropped, [offers[1].branch] if offers[0].branch not in dropped else [offers[0].branch])

    def test_both_answer(self) -> None:
        """The second answer is ACKed and ended with BYE."""
        self.desk.answer(self.at_desk, 200, OFFER)
        self.sofa.answer(self.at_sofa, 200, OFFER)
        self.assertEqual(self.sofa.pending(), ["ACK", "BYE"])
        self.assertEqual(self.desk.pending(), ["ACK"])

    def test_one_is_busy(self) -> None:
        """A refusal of one leaves the other ringing."""
        self.desk.answer(self.at_desk, 486)
        self.trunk.silent()
        self.sofa.answer(self.at_sofa, 200, OFFER)
        self.trunk.heard(200)

    def test_early_media_of_both(self) -> None:
        """The caller can listen to one: early media of the second fork stays behind, its 183 does not; who answers is
        heard, whoever it is."""
        self.desk.answer(self.at_desk, 183, OFFER)
        self.sofa.answer(self.at_sofa, 183, OFFER)
        self.assertTrue(self.trunk.response(183).body)
        self.assertFalse(self.trunk.response(183).body)
        self.sofa.answer(self.at_sofa, 200, OFFER)
        self.assertTrue(self.trunk.response(200).body)
        answers = [op.branch for op in self.world.nodes.sessions[0].operations if op.command == "answer"]
        self.assertEqual(len(set(answers)), 2)

    def test_best_refusal(self) -> None:
        """When all refuse, the caller gets the best (section 16.7): 486 says more than 480."""
        self.desk.answer(self.at_desk, 480)
        self.sofa.answer(self.at_sofa, 486)
        self.trunk.heard(486)

    def test_challenge_is_the_worst_refusal(self) -> None:
        """A challenge, which the caller can't answer, says less than another browser's 486."""
        self.desk.answer(self.at_desk, 401, headers=[("WWW-Authenticate", 'Digest realm="x", nonce="n"')])
        self.sofa.answer(self.at_sofa, 486)
        self.trunk.heard(486)

    def test_declined_everywhere(self) -> None:
        """603 of one is for all: the others get CANCEL."""
        self.desk.answer(self.at_desk, 180)
        self.sofa.answer(self.at_sofa, 603)
        self.desk.answer(self.desk.heard("CANCEL"), 200)  # type: ignore[arg-type]
        self.desk.answer(self.at_desk, 487)
        self.assertEqual(self.trunk.pending(), ["180", "603"])

    def test_one_is_lost(self) -> None:
        """A socket that goes leaves the other ringing."""
        self.desk.flow.lose()
        self.trunk.silent()
        self.sofa.answer(self.at_sofa, 200, OFFER)
        self.trunk.heard(200)


class Access(CallCase):
    """Who may call in."""

    trunks = (PBX,)

    def test_stranger(self) -> None:
        """An address that is no trunk's and no registrar's gets nothing at all."""
        alice = self.world.browser()
        alice.bind()
        stranger = self.world.trunk("203.0.113.66")
        stranger.call(alice)
        stranger.invite("sip:alice@192.0.2.1")
        stranger.silent()
        alice.silent()
        self.assertEqual(len(self.world.transactions), 0)

    def test_registrar_that_is_no_trunk(self) -> None:
        """The registrar of a binding may call its user, and nobody else's."""
        alice, bert = self.world.browser(), self.world.browser("bert")
        alice.bind(registrar="203.0.113.9")
        bert.bind()
        registrar = self.world.trunk("203.0.113.9")
        registrar.call(alice)
        alice.heard("INVITE")
        registrar.call(bert)
        registrar.heard(403)
        bert.silent()

    def test_made_up_tag(self) -> None:
        """A To tag of one's own making is no ticket: nothing for a stranger, 481 for a trunk."""
        stranger, trunk = self.world.trunk("203.0.113.66"), self.world.trunk()
        for peer in (stranger, trunk):
            peer.invite("sip:alice@192.0.2.1", to_tag="made-up")
        stranger.silent()
        self.assertEqual(trunk.pending(), ["481"])
