"""What a call leaves behind is freed at once: the garbage collector looks seldom (webrtcproxy/runtime/gc_policy.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.support.calls.early import REL, EarlyCase
from tests.support.calls.party import hang_up, outbound
from tests.support.calls.transferring import NEW, LocalTransferCase, name_of, refer_to
from tests.support.calls.world import PLAIN
from tests.support.configs import CARRIER, PBX
from tests.support.garbage import kinds_left
from webrtcproxy.call.call import Call
from webrtcproxy.config import HostPort, TrunkMedia
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.dialog.refer import ReferSubscription
from webrtcproxy.dialog.reliable import ReliableProvisionals
from webrtcproxy.invite.branch import Branch
from webrtcproxy.invite.fork import Fork
from webrtcproxy.invite.initial_offer_answer import InitialOfferAnswer
from webrtcproxy.invite.setup import CallSetup
from webrtcproxy.routing.failover import FailoverRequest, NextHops
from webrtcproxy.runtime.errors import NgRefused
from webrtcproxy.session.connected_line import ConnectedLine
from webrtcproxy.session.modifier import SessionModifier
from webrtcproxy.session.offer_answer import OfferAnswer
from webrtcproxy.session.refresher import SessionRefresher
from webrtcproxy.session.reinvite import ReInvite
from webrtcproxy.sip.message import Request
from webrtcproxy.transfer.local import LocalTransfer

OBJECTS = (
    *(Call, Leg, Fork, Branch, CallSetup, InitialOfferAnswer, ReliableProvisionals, LocalTransfer, ReferSubscription),
    *(ConnectedLine, SessionModifier, OfferAnswer, ReInvite, SessionRefresher, FailoverRequest, NextHops),
)


class CycleCase(EarlyCase):
    """Looks for what only the collector can free."""

    def left(self, live: Callable[[], None]) -> list[str]:
        """The kinds of objects of a call that only the collector can free when `live` is over."""

        def rested() -> None:
            live()
            self.world.rest()

        kinds = kinds_left(self, rested)
        return sorted(kind.__name__ for kind in kinds if issubclass(kind, OBJECTS))


class Cycles(CycleCase):
    """No object of a call needs the collector, however the call ends."""

    trunks = (PBX, replace(CARRIER, media=TrunkMedia(dtmf="rfc4733"), username=None, password=None))

    def test_hung_up(self) -> None:
        """The caller hangs up."""

        def live() -> None:
            alice, trunk = self.world.browser(), self.world.trunk()
            invite, ok = self.up(alice, trunk)
            alice.say(alice.inside("BYE", invite, ok))
            trunk.answer(trunk.request("BYE"), 200)

        self.assertEqual(self.left(live), [])

    def test_media_lost(self) -> None:
        """rtpengine gives the media up."""

        def live() -> None:
            alice, trunk = self.world.browser(), self.world.trunk()
            self.up(alice, trunk)
            self.world.nodes.lose(self.world.nodes.sessions[0])
            for peer in (alice, trunk):
                peer.answer(peer.request("BYE"), 200)

        self.assertEqual(self.left(live), [])

    def test_digit_waits(self) -> None:
        """The callee hangs up while rtpengine is asked to play digits, and does not answer yet."""

        def live() -> None:
            self.world.names.known["192.0.2.7"] = "192.0.2.7"
            alice, trunk = self.world.browser(), self.world.trunk("192.0.2.7", 5090)
            invite = alice.invite("sip:bob@carrier.example.net:5080")
            leg = trunk.request("INVITE")
            answer = trunk.answer(leg, 200, PLAIN)
            trunk.heard("ACK")
            ok = alice.response(200)
            alice.ack(invite, ok)
            self.world.nodes.hold()
            for number in (2, 3):
                info = alice.inside("INFO", invite, ok, cseq=number, body=b"Signal=5")
                alice.say(info)
            self.leg, self.trunk_ok = leg, answer
            trunk.say(self.callee_request("BYE"))
            self.world.turn()
            self.world.nodes.release()
            alice.answer(alice.request("BYE"), 200)

        self.assertEqual(self.left(live), [])

    def test_media_refused(self) -> None:
        """rtpengine refuses the offer or the answer of the call, or those of a change of its session."""
        for command in ("offer", "answer"):
            for later in (False, True):
                self.world = self.make_world()

                def live(command: str = command, later: bool = later) -> None:
                    alice, trunk = self.world.browser(), self.world.trunk()
                    if later:
                        caller, callee = outbound(self.world)
                        alice, trunk = caller.peer, callee.peer  # type: ignore[assignment]
                    self.world.nodes.fail(command, NgRefused("bad"))
                    if not later:
                        alice.invite("sip:bob@pbx.example.com")
                    else:
                        invite = caller.ask("INVITE", caller.sdp("sendonly"))
                    if command == "answer":
                        trunk.answer(trunk.request("INVITE"), 200, PLAIN)
                    if later:
                        caller.ack_refusal(invite)
                        caller.ask("BYE")

                self.assertEqual(self.left(live), [], (command, later))

    def test_refused(self) -> None:
        """The trunk refuses."""

        def live() -> None:
            alice, trunk = self.world.browser(), self.world.trunk()
            alice.invite("sip:bob@pbx.example.com")
            trunk.answer(trunk.request("INVITE"), 486)

        self.assertEqual(self.left(live), [])

    def test_cancelled(self) -> None:
        """The caller gives up while it rings."""

        def live() -> None:
            alice, trunk = self.world.browser(), self.world.trunk()
            invite = alice.invite("sip:bob@pbx.example.com")
            leg = trunk.request("INVITE")
            trunk.answer(leg, 183, PLAIN)
            alice.cancel(invite)
            self.world.turn()
            trunk.answer(trunk.request("CANCEL"), 200)
            trunk.answer(leg, 487)

        self.assertEqual(self.left(live), [])

    def test_late_offer(self) -> None:
        """The offer was in the 200: the call is hung up after the ACK, or has none."""

        def live() -> None:
            self.way(offer=False)
            self.callee.answer(self.leg, 200, PLAIN)
            ok = self.caller.response(200)
            self.at_caller(ok).ack(self.invite, self.sdp(self.caller))
            self.callee.heard("ACK")
            self.hang_up(ok)
            self.way(offer=False)
            self.callee.answer(self.leg, 200, PLAIN)

        self.assertEqual(self.left(live), [])

    def test_connected_line(self) -> None:
        """An identity that was shown, and some that the call did not wait for."""

        def live() -> None:
            for allow in ("INVITE, UPDATE", "INVITE"):
                for status in (200, 491, 0):
                    mine, theirs = outbound(self.world, ("Allow", allow))
                    theirs.ask("UPDATE", b"", ("P-Asserted-Identity", "<sip:+49303@pbx.example.com>"))
                    theirs.peer.heard(200)
                    asked = mine.peer.next()
                    assert isinstance(asked, Request)
                    if status:
                        mine.answer(asked, status, mine.sdp() if status == 200 and asked.body else b"")
                    if asked.method == "INVITE" and status:
                        mine.peer.heard("ACK")
                    hang_up(theirs, mine)
                    if not status:
                        mine.answer(asked, 487)
                    mine.peer.forget()
                    theirs.peer.forget()

        self.assertEqual(self.left(live), [])

    def test_reliable(self) -> None:
        """Early dialogs on both legs: answered, refused, cancelled, or never acknowledged."""

        def live() -> None:
            for end in ("answered", "other", "refused", "cancelled", "unacknowledged"):
                self.way(REL)
                self.pracked(self.reliable(183, 1, PLAIN))
                early = self.caller.response(183)
                if end == "unacknowledged":
                    continue
                self.prack(self.at_caller(early), early)
                if end in ("answered", "other"):
                    self.callee.answer(self.leg, 200, PLAIN, tag="callee" if end == "answered" else "other")
                elif end == "refused":
                    self.callee.answer(self.leg, 486)
                else:
                    self.caller.cancel(self.invite)
            for world in self.worlds:
                world.rest()

        self.assertEqual(self.left(live), [])

    def test_early_requests(self) -> None:
        """Dialogs that an INFO before the answer has made: answered, answered by another one, refused, cancelled."""

        def live() -> None:
            for end in ("answered", "other", "refused", "cancelled", "gone"):
                self.way()
                response = self.callee.answer(self.leg, 180)
                self.at_caller(self.caller.response(180)).ask("INFO")
                self.callee.answer(self.callee.request("INFO"), 481 if end == "gone" else 200)
                self.at_callee(response).ask("INFO")
                if end in ("answered", "other"):
                    self.callee.answer(self.leg, 200, PLAIN, tag="callee" if end == "answered" else "other")
                elif end == "cancelled":
                    self.caller.cancel(self.invite)
                else:
                    self.callee.answer(self.leg, 486)
            for world in self.worlds:
                world.rest()

        self.assertEqual(self.left(live), [])

    def test_reliable_offer(self) -> None:
        """The offer was in a 183, and its answer never in a PRACK; or the callee refuses after it."""

        def live() -> None:
            for answered in (False, True):
                self.way(REL, offer=False)
                self.reliable(183, 1, PLAIN)
                early = self.caller.response(183)
                if answered:
                    self.prack(self.at_caller(early), early, self.sdp(self.caller))
                    self.callee.answer(self.leg, 486)
            for world in self.worlds:
                world.rest()

        self.assertEqual(self.left(live), [])

    def test_restored(self) -> None:
        """A re-INVITE was refused that was an ICE restart, too; the old session is offered when the call ends, or has
        been."""

        def live() -> None:
            for answered in (False, True):
                self.world = self.make_world()
                caller, callee = outbound(self.world)
                invite = caller.ask("INVITE", caller.sdp("sendonly", 7).replace(b"C4w6tlXa", b"restarted"))
                canned = self.world.nodes.canned
                self.world.nodes.sdp = lambda one, canned=canned: canned(one).replace(b"C4w6tlXa", b"x")  # type: ignore[misc]
                callee.answer(callee.peer.request("INVITE"), 488)
                caller.peer.heard(488)
                caller.ack_refusal(invite)
                self.world.turn(1)
                back = caller.peer.request("INVITE")
                if answered:
                    caller.answer(back, 200, caller.sdp("sendrecv", 8))
                callee.ask("BYE")
            for world in self.worlds:
                world.rest()

        self.assertEqual(self.left(live), [])

    def test_expired(self) -> None:
        """The peer does not refresh its session."""

        def live() -> None:
            alice, trunk = self.world.browser(), self.world.trunk()
            invite = alice.invite("sip:bob@pbx.example.com", ("Supported", "timer"), ("Session-Expires", "90"))
            trunk.answer(trunk.request("INVITE"), 200, PLAIN)
            trunk.heard("ACK")
            alice.ack(invite, alice.response(200))
            for _ in range(60):
                self.world.turn(1)
            trunk.answer(trunk.request("BYE"), 200)
            alice.answer(alice.request("BYE"), 200)

        self.assertEqual(self.left(live), [])

    def test_vanished(self) -> None:
        """The peer does not answer our refresh, a re-INVITE."""

        def live() -> None:
            alice, trunk = self.world.browser(), self.world.trunk()
            invite = alice.invite("sip:bob@pbx.example.com")
            trunk.answer(trunk.request("INVITE"), 200, PLAIN, headers=[("Session-Expires", "90;refresher=uac")])
            trunk.heard("ACK")
            alice.ack(invite, alice.response(200))
            for _ in range(45 + 32):
                self.world.turn(1)
            alice.answer(alice.request("BYE"), 200)

        self.assertEqual(self.left(live), [])


class Failover(CycleCase):
    """The same with a trunk that has two proxies."""

    trunks = (replace(PBX, proxy=(HostPort("192.0.2.50", None), HostPort("192.0.2.51", None))),)

    def test_second_answers(self) -> None:
        """The first refuses, the second answers."""

        def live() -> None:
            alice, second = self.world.browser(), self.world.trunk("192.0.2.51")
            invite = alice.invite("sip:bob@pbx.example.com")
            self.world.trunk().answer(self.world.trunk().request("INVITE"), 503)
            second.answer(second.request("INVITE"), 200, PLAIN)
            second.heard("ACK")
            ok = alice.response(200)
            alice.ack(invite, ok)
            alice.say(alice.inside("BYE", invite, ok))
            second.answer(second.request("BYE"), 200)

        self.assertEqual(self.left(live), [])

    def test_first_answers_late(self) -> None:
        """The first is silent, the second refuses, then the first answers."""

        def live() -> None:
            alice, first, second = self.world.browser(), self.world.trunk(), self.world.trunk("192.0.2.51")
            alice.invite("sip:bob@pbx.example.com")
            leg = first.request("INVITE")
            self.world.turn(4.1)
            second.answer(second.request("INVITE"), 486)
            first.forget()
            first.answer(leg, 200, PLAIN)
            first.heard("ACK")
            first.answer(first.request("BYE"), 200)

        self.assertEqual(self.left(live), [])

    def test_cancelled_on_the_way(self) -> None:
        """The caller gives up after the first; nobody ever answers."""

        def live() -> None:
            alice, second = self.world.browser(), self.world.trunk("192.0.2.51")
            invite = alice.invite("sip:bob@pbx.example.com")
            self.world.turn(4.1)
            second.heard("INVITE")
            alice.cancel(invite)
            self.world.turn()

        self.assertEqual(self.left(live), [])


class Transfers(LocalTransferCase, CycleCase):
    """Nor when a call is transferred."""

    def check(self, live: Callable[[], None]) -> None:
        def all_of_it() -> None:
            live()
            for name in ("alice", "pbx", "carrier", "mine", "bob", "second", "carol"):
                self.__dict__.pop(name, None)

        self.assertEqual(self.left(all_of_it), [])

    def test_done(self) -> None:
        """By the proxy: to a new target."""

        def live() -> None:
            dave = self.answered(self.refer())
            self.told("200 OK", "terminated")
            self.mine.answer(self.alice.request("BYE"), 200)
            self.bye(dave, self.bob)

        self.check(live)

    def test_early(self) -> None:
        """By the proxy: with early dialogs, of which one is answered, and one is not."""

        def live() -> None:
            invite = self.refer()
            for tag in ("dave", "fork"):
                reliable = [("Require", "100rel"), ("RSeq", "7")]
                self.carrier.answer(invite, 183, NEW, tag=tag, headers=reliable)
                self.told("183 Session Progress", "active")
                self.carrier.answer(self.carrier.request("PRACK"), 200)
            dave = self.answered(invite)
            self.told("200 OK", "terminated")
            self.mine.answer(self.alice.request("BYE"), 200)
            self.bye(dave, self.bob)

        self.check(live)

    def test_redirected(self) -> None:
        """By the proxy: a redirect that is followed, in vain."""

        def live() -> None:
            self.trunks = (self.trunks[0], replace(self.trunks[1], redirects="follow"))  # type: ignore[misc]
            self.world = self.make_world()
            self.people()
            invite = self.refer()
            for status in (302, 486):
                moved = [("Contact", "<sip:erin@carrier.example.net:5080>")]
                self.carrier.answer(invite, status, headers=moved)
                self.carrier.heard("ACK")
                invite = self.carrier.request("INVITE") if status == 302 else invite
            self.told("486 Busy Here", "terminated")
            self.old_call()

        self.check(live)

    def test_target_busy(self) -> None:
        """By the proxy, in vain."""

        def live() -> None:
            invite = self.refer()
            self.carrier.answer(invite, 486)
            self.carrier.heard("ACK")
            self.told("486 Busy Here", "terminated")
            self.old_call()

        self.check(live)

    def test_transferee_hangs_up(self) -> None:
        """By the proxy, and it is not wanted any more."""

        def live() -> None:
            invite = self.refer()
            self.carrier.answer(invite, 100)
            self.bob.ask("BYE")
            self.world.turn()
            self.carrier.answer(self.carrier.request("CANCEL"), 200)
            self.carrier.answer(invite, 487)
            for request in (self.alice.request("NOTIFY"), self.alice.request("BYE")):
                self.mine.answer(request, 200)

        self.check(live)

    def test_joined(self) -> None:
        """By the proxy: two calls are one."""

        def live() -> None:
            second, carol = self.out(self.alice, self.pbx, "carol")
            self.mine.ask("REFER", b"", refer_to(second.target, name_of(second)))
            self.bob.answer(self.pbx.request("REFER"), 501)
            self.alice.heard(202)
            self.told("100 Trying", "active")
            self.agrees(carol)
            self.agrees(self.bob)
            second.answer(self.alice.request("BYE"), 200)
            self.told("200 OK", "terminated")
            self.mine.answer(self.alice.request("BYE"), 200)
            self.bye(self.bob, carol)

        self.check(live)

    def test_by_the_trunk(self) -> None:
        """REFER crosses, the transferor hangs up, the NOTIFYs come after."""

        def live() -> None:
            second, carol = self.out(self.alice, self.pbx, "carol")
            self.mine.ask("REFER", b"", refer_to(second.target, name_of(second)))
            self.bob.answer(self.pbx.request("REFER"), 202)
            self.alice.heard(202)
            self.bye(self.mine, self.bob)
            self.bye(carol, second)
            self.bob.ask("NOTIFY", b"", ("Event", "refer"), ("Subscription-State", "terminated"))
            self.mine.answer(self.alice.request("NOTIFY"), 200)

        self.check(live)
