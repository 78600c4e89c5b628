"""A browser that registers while its user is called, and one that comes back while it rings."""

from __future__ import annotations

from tests.support.calls.case import CallCase
from tests.support.calls.world import OFFER, Browser
from tests.support.configs import PBX
from webrtcproxy.config import CallsConfig
from webrtcproxy.invite.fork import MAX_BRANCHES
from webrtcproxy.registration.binding import Binding, key_of
from webrtcproxy.runtime.errors import NgRefused
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Request


class JoinCase(CallCase):
    """The desk rings."""

    trunks = (PBX,)
    multiple = True

    def setUp(self) -> None:
        super().setUp()
        self.world = self.make_world(multiple=self.multiple)
        self.ring()

    def ring(self) -> None:
        self.trunk, self.desk, self.sofa = self.world.trunk(), self.world.browser(), self.world.browser()
        self.desk.bind()
        self.invite = self.trunk.call(self.desk)
        self.at_desk = self.desk.request("INVITE")
        self.desk.answer(self.at_desk, 180)
        self.trunk.heard(180)

    def back(self, browser: Browser, *, reg_id: int | None = None, lose: bool = False) -> Browser:
        """The same browser on a new socket, registered there."""
        if lose:
            browser.flow.lose()
        new = self.world.browser()
        new.contact = browser.contact
        self.register(new, reg_id)
        return new

    def register(self, browser: Browser, reg_id: int | None = None) -> None:
        if reg_id is None:
            browser.bind()
            return
        value = NameAddr("", browser.contact, (("+sip.instance", '"<urn:x>"'), ("reg-id", str(reg_id))))
        instance, number = key_of(value)
        now = self.world.clock.seconds()
        self.world.location.bind(
            [Binding(browser.aor, instance, number, browser.contact, value, browser.flow, now + 600)]
        )

    def answer_at(self, browser: Browser, leg: Request) -> None:
        """That browser answers: the call is up."""
        browser.answer(leg, 200, OFFER)
        browser.heard("ACK")
        ok = self.trunk.response(200)
        self.trunk.ack(self.invite, ok)
        self.assertEqual(len(self.world.calls), 1)


class Joins(JoinCase):
    """`multiple = yes`."""

    def test_rings_too(self) -> None:
        """An INVITE with the caller's offer, a branch and a dialog of its own; its 180 crosses, its 200 wins, the other
        is cancelled."""
        self.sofa.bind()
        leg = self.sofa.request("INVITE")
        self.assertEqual(leg.uri, self.sofa.contact)
        self.assertNotEqual(leg.call_id, self.at_desk.call_id)
        self.assertIn(b"SAVPF", leg.body)
        self.sofa.answer(leg, 180)
        self.trunk.heard(180)
        self.answer_at(self.sofa, leg)
        self.assertIn("cause=200", self.desk.request("CANCEL").headers.get("Reason") or "")
        self.desk.answer(self.at_desk, 487)
        offers = [op for op in self.world.nodes.sessions[0].operations if op.command == "offer"]
        self.assertEqual(len({op.branch for op in offers}), 2)

    def test_first_one_answers(self) -> None:
        """The one that joined in learns that it was answered elsewhere."""
        self.sofa.bind()
        leg = self.sofa.request("INVITE")
        self.sofa.answer(leg, 180)
        self.trunk.heard(180)
        self.answer_at(self.desk, self.at_desk)
        self.sofa.answer(self.sofa.request("CANCEL"), 200)
        self.sofa.answer(leg, 487)

    def test_caller_cancels(self) -> None:
        """CANCEL reaches both."""
        self.sofa.bind()
        leg = self.sofa.request("INVITE")
        self.sofa.answer(leg, 180)
        self.trunk.heard(180)
        self.trunk.cancel(self.invite)
        self.world.turn()
        for browser, invite in ((self.desk, self.at_desk), (self.sofa, leg)):
            browser.answer(browser.request("CANCEL"), 200)
            browser.answer(invite, 487)
            browser.heard("ACK")

    def test_fault_of_ours(self) -> None:
        """What goes wrong with one that joins in is logged, and the call ends when the other one refuses."""
        self.patch(self.world.nodes.sessions[0], "offer", None)
        self.sofa.bind()
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.desk.answer(self.at_desk, 486)
        self.trunk.heard(486)
        self.assertEqual(len(self.world.calls), 0)

    def test_all_refuse(self) -> None:
        """The last refusal counts, and the call waits for it."""
        self.sofa.bind()
        leg = self.sofa.request("INVITE")
        self.desk.answer(self.at_desk, 486)
        self.trunk.silent()
        self.sofa.answer(leg, 480)
        self.trunk.heard(486)
        self.assert_over(self.trunk)

    def test_somebody_else(self) -> None:
        """Another user's browser does not ring."""
        bert = self.world.browser("bert")
        bert.bind()
        bert.silent()

    def test_refresh(self) -> None:
        """The browser that rings refreshes its registration: no second INVITE, with another Contact neither."""
        self.desk.bind()
        self.desk.silent()

    def test_too_late(self) -> None:
        """When the call is answered or over, a browser that registers learns nothing of it."""
        self.answer_at(self.desk, self.at_desk)
        self.sofa.bind()
        self.sofa.silent()
        self.world = self.make_world(multiple=True)
        self.ring()
        self.desk.answer(self.at_desk, 486)
        self.trunk.heard(486)
        self.sofa.bind()
        self.sofa.silent()
        self.assertEqual(self.world.calls._called, {})

    def test_declined_by_all(self) -> None:
        """After a 6xx nobody is asked any more."""
        self.sofa.bind()
        leg = self.sofa.request("INVITE")
        self.sofa.answer(leg, 603)
        self.desk.heard("CANCEL")
        late = self.world.browser()
        late.bind()
        late.silent()
        self.desk.answer(self.at_desk, 487)
        self.trunk.heard(603)

    def test_answered_while_rtpengine_thinks(self) -> None:
        """The call is answered while the offer for the joining browser is made: it is not called any more."""
        self.world.nodes.hold()
        self.sofa.bind()
        self.desk.answer(self.at_desk, 200, OFFER)
        self.world.nodes.release()
        self.sofa.silent()
        self.trunk.heard(200)

    def test_cancelled_while_rtpengine_thinks(self) -> None:
        """The same when the caller gives up."""
        self.world.nodes.hold()
        self.sofa.bind()
        self.trunk.cancel(self.invite)
        self.world.nodes.release()
        self.world.turn()
        self.sofa.silent()

    def test_rtpengine_refuses(self) -> None:
        """No offer can be made for it: it does not ring, and the others do; when they refuse, that is it."""
        for answers in (True, False):
            self.world = self.make_world(multiple=True)
            self.ring()
            self.world.nodes.fail("offer", NgRefused("no"))
            self.sofa.bind()
            self.sofa.silent()
            self.trunk.silent()
            if answers:
                self.answer_at(self.desk, self.at_desk)
            else:
                self.desk.answer(self.at_desk, 486)
                self.trunk.heard(486)
                self.assert_over(self.trunk)

    def test_flood(self) -> None:
        """A browser that changes its socket all the time: bounded."""
        browser = self.desk
        for _ in range(3 * MAX_BRANCHES):
            browser = self.back(browser)
        offers = [op for op in self.world.nodes.sessions[0].operations if op.command == "offer"]
        self.assertEqual(len(offers), MAX_BRANCHES)
        self.assertEqual(len(self.world.calls), 1)


class ComesBack(JoinCase):
    """The browser that rings registers on another socket."""

    def test_old_socket_is_there(self) -> None:
        """It is rung on the new one, and taken back on the old one: no duplicates."""
        new = self.back(self.desk)
        leg = new.request("INVITE")
        self.desk.answer(self.desk.request("CANCEL"), 200)
        self.desk.answer(self.at_desk, 487)
        self.trunk.silent()
        self.answer_at(new, leg)

    def test_old_socket_is_lost(self) -> None:
        """A lost socket is not yet the end (a page that is reloaded): within the grace time it rings again there."""
        self.desk.flow.lose()
        self.world.turn(4)
        self.trunk.silent()
        new = self.back(self.desk)
        leg = new.request("INVITE")
        self.world.turn(10)
        self.trunk.silent()
        self.answer_at(new, leg)

    def test_does_not_come_back(self) -> None:
        """After the grace time it counts as gone: 480."""
        self.desk.flow.lose()
        self.world.turn(4.9)
        self.trunk.silent()
        self.world.turn(0.1)
        self.trunk.heard(480)
        self.assert_over(self.trunk)

    def test_no_grace(self) -> None:
        """`grace = 0`: at once."""
        self.world = self.make_world(calls=CallsConfig(grace=0))
        self.ring()
        self.desk.flow.lose()
        self.world.turn()
        self.trunk.heard(480)

    def test_caller_gives_up_meanwhile(self) -> None:
        """487, and no timer of it is left."""
        self.world = self.make_world(calls=CallsConfig(grace=3000))
        self.ring()
        self.desk.flow.lose()
        self.trunk.cancel(self.invite)
        self.assertEqual(sorted(self.trunk.pending()), ["200", "487"])
        for _ in range(100):
            self.world.turn(1)
        self.assertEqual((len(self.world.calls), self.world.transactions.schedule.running), (0, 0))

    def test_refused_before(self) -> None:
        """Who has said no is not asked again on a new socket."""
        self.sofa.bind()
        leg = self.sofa.request("INVITE")
        self.sofa.answer(leg, 486)
        self.sofa.heard("ACK")
        self.back(self.sofa, lose=True).silent()

    def test_never_heard_of(self) -> None:
        """A socket that goes before anything rang there is gone at once."""
        self.sofa.bind()
        self.sofa.heard("INVITE")
        self.sofa.flow.lose()
        self.desk.answer(self.at_desk, 486)
        self.trunk.heard(486)

    def test_second_way(self) -> None:
        """A further flow of the same browser (RFC 5626, another reg-id) is no reason to ring twice; when the first is
        lost it is rung there."""
        self.register(self.sofa, 1)
        leg = self.sofa.request("INVITE")
        self.sofa.answer(leg, 180)
        self.trunk.heard(180)
        second = self.world.browser()
        self.register(second, 2)
        second.silent()
        self.sofa.silent()


class OnlyTheNewest(JoinCase):
    """`multiple = no`: the newest registration is the one that counts, while it rings, too."""

    multiple = False

    def test_takes_over(self) -> None:
        """The new browser rings, and the old one no more."""
        self.sofa.bind()
        leg = self.sofa.request("INVITE")
        self.desk.answer(self.desk.request("CANCEL"), 200)
        self.desk.answer(self.at_desk, 487)
        self.answer_at(self.sofa, leg)

    def test_page_is_reloaded(self) -> None:
        """A page that has another instance each time: the same."""
        self.desk.flow.lose()
        self.sofa.bind()
        leg = self.sofa.request("INVITE")
        self.trunk.silent()
        self.answer_at(self.sofa, leg)
