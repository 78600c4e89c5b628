"""The media of a call go to another rtpengine: both sides are offered the session again, or the call ends."""

from __future__ import annotations

from twisted.logger import capturedLogs

from tests.support.calls.modifying import SessionChangeCase
from tests.support.calls.party import Party, inbound, outbound
from tests.support.ngnode import TRUNK_SDP, on_one_port
from webrtcproxy.call.session import EXCHANGE_LIMIT
from webrtcproxy.media.placement import Loss
from webrtcproxy.runtime.errors import NgTimeout
from webrtcproxy.session.move import LIMIT
from webrtcproxy.sip.message import Request

PLAIN = TRUNK_SDP % {b"port": 50000, b"version": 1}
LOST = 'SIP;cause=503;text="Media lost"'


class MoveCase(SessionChangeCase):
    """A call whose rtpengine is lost."""

    def lose(self, loss: Loss = Loss.NODE) -> None:
        self.world.nodes.lose(self.world.nodes.sessions[-1], loss)

    def take(self, party: Party, direction: str = "sendrecv", version: int = 5) -> Request:
        """A side takes what it is offered."""
        invite = party.peer.request("INVITE")
        party.answer(invite, 200, party.sdp(direction, version))
        party.peer.heard("ACK")
        return invite

    def both_take(self) -> tuple[Request, Request]:
        """The offers to the callee and to the caller."""
        return self.take(self.callee), self.take(self.caller)

    def check_ended(self, *parties: Party, reason: str = LOST) -> None:
        for party in parties:
            bye = party.peer.request("BYE")
            self.assertEqual(reason, bye.headers.get("Reason"))
            party.answer(bye, 200)
        self.check_over(*parties)


class Moves(MoveCase):
    """The offers."""

    def test_both_sides(self) -> None:
        """The callee is offered what the caller had said, and the caller what the callee answers."""
        for _ in self.all_ways():
            self.media(0)
            self.lose()
            self.both_take()
            operations = self.media(4)
            self.assertEqual(["offer", "answer", "offer", "answer"], [each.command for each in operations])
            self.assertEqual(
                [self.callee.profile, self.caller.profile, self.caller.profile, self.callee.profile],
                [each.to.name for each in operations if each.to],
            )
            self.assertIn(b"o=- 1 1 ", operations[0].sdp)
            self.assertEqual(
                [self.callee.sdp(version=5)] * 2 + [self.caller.sdp(version=5)], [each.sdp for each in operations[1:]]
            )
            self.check_alive(self.caller, self.callee)

    def test_hold_stays(self) -> None:
        """A side that holds is asked for what the other one takes, and answers that it holds."""
        for asker, other in self.all_ways():
            self.exchange(asker, other)
            self.media(0)
            self.lose()
            for party in (self.callee, self.caller):
                self.take(party, "sendonly" if party is asker else "recvonly")
            first, _, second, _ = self.media(4)
            told = {True: b"a=sendonly", False: b"a=recvonly"}
            self.assertIn(told[self.caller is asker], first.sdp)
            self.assertIn(told[self.callee is asker], second.sdp)
            self.check_alive(asker, other)

    def test_has_it_already(self) -> None:
        """A side whose description is the same there is not asked."""
        for connect in (outbound, inbound):
            self.world = self.make_world()
            self.world.nodes.sdp = on_one_port
            self.caller, self.callee = connect(self.world)
            self.lose()
            self.caller.peer.silent()
            self.callee.peer.silent()
            self.assertEqual(["offer", "answer"] * 3, [name for name, _ in self.world.nodes.log])
            self.check_alive(self.caller, self.callee)

    def test_again(self) -> None:
        """The next rtpengine is lost, too, while one side is asked: both are asked once more."""
        for _ in self.all_ways():
            self.lose()
            self.take(self.callee)
            self.lose()
            self.take(self.caller)
            self.both_take()
            self.check_alive(self.caller, self.callee)

    def test_other_requests_meanwhile(self) -> None:
        """491 for who changes the session meanwhile; everything else crosses."""
        for asker, other in self.all_ways():
            self.lose()
            offered = self.callee.peer.request("INVITE")
            invite = asker.ask("INVITE", asker.sdp("sendonly", 7))
            asker.peer.heard(491)
            asker.ack_refusal(invite)
            asker.ask("INFO", b"x", ("Content-Type", "text/plain"))
            other.answer(other.peer.request("INFO"), 200)
            asker.peer.heard(200)
            self.callee.answer(offered, 200, self.callee.sdp(version=5))
            self.callee.peer.heard("ACK")
            self.take(self.caller)
            self.check_alive(asker, other)

    def test_glare(self) -> None:
        """A side that is about to change the session itself is asked again after a while (RFC 3261 section 14.1)."""
        for _ in self.all_ways():
            self.lose()
            self.callee.answer(self.callee.peer.request("INVITE"), 491)
            self.callee.peer.heard("ACK")
            self.world.turn(3)
            self.both_take()
            self.check_alive(self.caller, self.callee)


class Waits(MoveCase):
    """Where the offers can't be made yet."""

    def test_exchange(self) -> None:
        """A change of the session that is in progress is completed first."""
        for asker, other in self.all_ways():
            invite = asker.ask("INVITE", asker.sdp("sendonly"))
            crossed = other.peer.request("INVITE")
            self.lose()
            other.answer(crossed, 200, other.sdp("recvonly"))
            other.peer.heard("ACK")
            asker.peer.heard(200)
            asker.ack(invite)
            self.both_take()
            self.check_alive(asker, other)

    def test_slow_exchange(self) -> None:
        """One that takes too long is given up: 491, so that it is tried again."""
        for asker, other in self.all_ways():
            invite = asker.ask("INVITE", asker.sdp("sendonly"))
            crossed = other.peer.request("INVITE")
            other.answer(crossed, 180)
            asker.peer.heard(180)
            self.lose()
            self.world.turn(EXCHANGE_LIMIT + 0.1)
            asker.peer.heard(491)
            asker.ack_refusal(invite)
            other.answer(other.peer.request("CANCEL"), 200)
            other.answer(crossed, 487)
            other.peer.heard("ACK")
            self.both_take()
            self.check_alive(asker, other)

    def test_browser_is_away(self) -> None:
        """A browser that has lost its connection is asked when it is back."""
        for _ in self.all_ways():
            browser = self.caller if self.caller.browser else self.callee
            browser.peer.flow.lose()
            self.lose()
            self.world.turn(1)
            self.caller.peer.silent()
            self.callee.peer.silent()
            self.world.turn(60)
            trunk = self.caller if not self.caller.browser else self.callee
            self.check_over(trunk)

    def test_before_the_answer(self) -> None:
        """A call that rings goes on ringing; both sides are asked when it is up."""
        for loss in (Loss.NODE, Loss.SESSION):
            self.world = self.make_world()
            alice, trunk = self.world.browser(), self.world.trunk()
            invite = alice.invite("sip:bob@pbx.example.com")
            leg = trunk.request("INVITE")
            trunk.answer(leg, 180)
            alice.heard(180)
            self.lose(loss)
            alice.silent()
            trunk.silent()
            trunk.answer(leg, 200, PLAIN)
            trunk.heard("ACK")
            ok = alice.response(200)
            alice.ack(invite, ok)
            again = trunk.request("INVITE")
            trunk.answer(again, 200, PLAIN)
            trunk.heard("ACK")
            offered = alice.request("INVITE")
            alice.answer(offered, 200, alice.sdp, contact="<sip:me@x.invalid>")
            alice.heard("ACK")
            alice.say(alice.inside("BYE", invite, ok))
            alice.heard(200)
            trunk.answer(trunk.request("BYE"), 200)


class Ends(MoveCase):
    """Calls that can't go on."""

    def test_no_node(self) -> None:
        """Both sides get a BYE that says why, and the log has a line with the call."""
        for loss in (Loss.NO_NODE, Loss.SESSION):
            for _ in self.all_ways():
                with capturedLogs() as logs:
                    self.lose(loss)
                self.assertTrue([line for line in logs if line.get("call") and "given up" in line["log_format"]])
                self.check_ended(self.caller, self.callee)

    def test_no_node_before_the_answer(self) -> None:
        """503 for the caller, and the callee is cancelled."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        trunk.answer(leg, 180)
        alice.heard(180)
        self.lose(Loss.NO_NODE)
        alice.heard(503)
        alice.ack(invite, alice.flow.last_response)
        self.world.turn()
        trunk.answer(trunk.request("CANCEL"), 200)
        trunk.answer(leg, 487)
        trunk.heard("ACK")

    def test_refused(self) -> None:
        """A side that does not take the offer: BYE for both."""
        for status in (488, 500, 503):
            for _ in self.all_ways():
                self.lose()
                self.take(self.callee)
                self.caller.answer(self.caller.peer.request("INVITE"), status)
                self.caller.peer.heard("ACK")
                self.check_ended(self.caller, self.callee)
                self.world = self.make_world()

    def test_firefox(self) -> None:
        """Firefox can't restart DTLS: it is not asked, and the call ends."""
        for _ in self.all_ways():
            browser, trunk = (self.caller, self.callee) if self.caller.browser else (self.callee, self.caller)
            browser.ask("INVITE", browser.sdp("sendonly").replace(b"o=- ", b"o=mozilla...THIS_IS_SDPARTA-99.0 "))
            crossed = trunk.peer.request("INVITE")
            trunk.answer(crossed, 200, trunk.sdp("recvonly"))
            trunk.peer.heard("ACK")
            browser.peer.heard(200)
            browser.ack(crossed)
            self.lose()
            if trunk is self.callee:
                self.take(trunk)
            self.check_ended(self.caller, self.callee)

    def test_no_such_dialog(self) -> None:
        """A side that knows no such dialog gets no BYE (RFC 5057 section 5.1)."""
        for status in (408, 481):
            for _ in self.all_ways():
                self.lose()
                self.callee.answer(self.callee.peer.request("INVITE"), status)
                self.callee.peer.heard("ACK")
                self.check_ended(self.caller, reason='SIP;cause=481;text="Dialog Terminated"')

    def test_no_answer(self) -> None:
        """A side that does not answer in time."""
        for _ in self.all_ways():
            self.lose()
            self.callee.answer(self.callee.peer.request("INVITE"), 180)
            self.world.turn(LIMIT + 0.1)
            invite = self.callee.peer.request("CANCEL")
            self.callee.answer(invite, 200)

    def test_rtpengine_fails(self) -> None:
        """No rtpengine takes the session."""
        for _ in self.all_ways():
            self.world.nodes.fail("offer", NgTimeout("silent"))
            self.lose()
            self.check_ended(self.caller, self.callee)

    def test_hung_up_meanwhile(self) -> None:
        """A side that hangs up while the other one is asked: what was asked is cancelled, and nothing else is."""
        for _ in self.all_ways():
            self.lose()
            offered = self.callee.peer.request("INVITE")
            self.callee.answer(offered, 180)
            self.caller.ask("BYE")
            self.caller.peer.heard(200)
            requests = {self.callee.peer.next().method for _ in range(2)}  # type: ignore[union-attr]
            self.assertEqual({"BYE", "CANCEL"}, requests)
            self.world.turn(60)
