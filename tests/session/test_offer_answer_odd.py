"""A change of the session: challenges, names, and offers that come late."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tests.support.calls.case import CallCase
from tests.support.calls.modifying import SessionChangeCase
from tests.support.calls.party import Party, party_of
from tests.support.configs import CARRIER
from webrtcproxy.runtime.errors import NgRefused
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transport.flow import Hop


class LateOffer(SessionChangeCase):
    """re-INVITE without SDP: the offer is in the 200, the answer in the ACK (RFC 3261 section 14.1)."""

    def ask(self, asker: Party, other: Party) -> tuple[Request, Request, Response]:
        invite = asker.ask("INVITE")
        crossed = other.peer.request("INVITE")
        self.assertEqual(crossed.body, b"")
        self.assertNotIn("Content-Type", crossed.headers)
        self.ok = other.answer(crossed, 200, other.sdp("sendrecv", 5))
        return invite, crossed, asker.peer.response(200)

    def test_crosses(self) -> None:
        """The other side is the offerer towards rtpengine; its 200 is ACKed when the requester's ACK is here, and its
        repeats meanwhile are not (original.rst: re-INVITE, without an offer, from the SIP side)."""
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


class Credentials(CallCase):
    """A trunk that challenges a re-INVITE: the proxy answers, where it has the password."""

    trunks = (CARRIER,)

    def begin(self) -> None:
        alice, trunk = self.world.browser(), self.world.trunk("192.0.2.7", 5090)
        alice.bind()
        invite = alice.invite("sip:bob@carrier.example.net:5080")
        leg = trunk.request("INVITE")
        answer = trunk.answer(leg, 200, trunk.sdp, contact="<sip:callee@192.0.2.7:5090>")
        trunk.heard("ACK")
        ok = alice.response(200)
        alice.ack(invite, ok)
        self.alice, self.trunk = party_of(alice, invite, ok), party_of(trunk, leg, answer)
        self.invite = self.alice.ask("INVITE", self.alice.sdp())

    def challenge(self) -> Request:
        crossed = self.trunk.peer.request("INVITE")
        self.trunk.answer(crossed, 407, b"", ("Proxy-Authenticate", 'Digest realm="carrier", nonce="n1", qop="auth"'))
        self.trunk.peer.heard("ACK")
        return crossed

    def test_answered(self) -> None:
        """The same re-INVITE once more with credentials, and so is its ACK; the browser sees nothing of it."""
        self.begin()
        crossed = self.challenge()
        again = self.trunk.peer.request("INVITE")
        self.assertEqual((again.cseq.number, again.body), (crossed.cseq.number + 1, crossed.body))
        self.trunk.answer(again, 200, self.trunk.sdp())
        ack = self.trunk.peer.request("ACK")
        self.assertEqual(ack.headers.get("Proxy-Authorization"), again.headers.get("Proxy-Authorization"))
        self.assertEqual(ack.cseq.number, again.cseq.number)
        self.alice.peer.heard(200)
        self.alice.ack(self.invite)
        self.alice.peer.silent()

    def test_cancelled(self) -> None:
        """CANCEL after the challenge is for the INVITE that is out."""
        self.begin()
        self.challenge()
        again = self.trunk.peer.request("INVITE")
        self.trunk.answer(again, 100)
        self.alice.cancel(self.invite)
        cancel = self.trunk.peer.request("CANCEL")
        self.assertEqual(cancel.via.branch, again.via.branch)
        self.trunk.answer(cancel, 200)
        self.trunk.answer(again, 487)
        self.trunk.peer.heard("ACK")
        self.assertEqual(self.alice.peer.pending(), ["200", "487"])

    def test_challenge_after_the_end(self) -> None:
        """The call is over: the challenge is not answered."""
        self.begin()
        crossed = self.trunk.peer.request("INVITE")
        self.alice.ask("BYE")
        self.trunk.peer.forget()
        self.trunk.answer(crossed, 401, b"", ("WWW-Authenticate", 'Digest realm="carrier", nonce="n1", qop="auth"'))
        self.trunk.peer.heard("ACK")
        self.trunk.peer.silent()


class Name(SessionChangeCase):
    """A trunk whose Contact is a name: it is looked up while the exchange waits."""

    def begin(self) -> tuple[Party, Party]:
        for asker, other in self.all_ways():
            if asker.browser:
                other.contact = "sip:other@pbx.example.com"
                other.ask("UPDATE")
                other.peer.heard(200)
                self.looked_up: list[Deferred[list[Hop]]] = []
                self.world.names.resolve = self.look_up  # type: ignore[method-assign]
                self.invite = asker.ask("INVITE", asker.sdp())
                other.peer.silent()
                return asker, other
        raise AssertionError

    def look_up(self, host: str, port: int | None, transport: str | None = None) -> Deferred[list[Hop]]:
        self.looked_up.append(Deferred())
        return self.looked_up[-1]

    def found(self) -> None:
        for looked_up in self.looked_up:
            looked_up.callback([Hop.to("192.0.2.50", None, None)])
        del self.world.names.resolve

    def test_found(self) -> None:
        """The re-INVITE, and then its ACK, go there."""
        asker, other = self.begin()
        self.found()
        other.answer(other.peer.request("INVITE"), 200, other.sdp())
        other.peer.heard("ACK")
        asker.peer.heard(200)

    def test_cancelled(self) -> None:
        """CANCEL in between goes out with the first provisional response (RFC 3261 section 9.1)."""
        asker, other = self.begin()
        asker.cancel(self.invite)
        self.found()
        crossed = other.peer.request("INVITE")
        other.peer.silent()
        other.answer(crossed, 100)
        other.answer(other.peer.request("CANCEL"), 200)
        other.answer(crossed, 487)
        other.peer.heard("ACK")
        self.assertEqual(asker.peer.pending(), ["200", "487"])

    def test_over(self) -> None:
        """BYE in between: no re-INVITE goes out after it."""
        asker, other = self.begin()
        asker.ask("BYE")
        self.found()
        self.world.turn(1)
        self.assertEqual(set(other.peer.pending()), {"BYE"})
