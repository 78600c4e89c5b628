"""What names the dialogs of a call: the tags of our responses, and the Call-ID of the second leg."""

from __future__ import annotations

from tests.support.calls.case import CallCase
from tests.support.calls.world import OFFER, PLAIN
from tests.support.configs import PBX
from webrtcproxy.sip.message import Response


class ToTags(CallCase):
    """Every response above 100 to one INVITE has one To tag of the proxy's (RFC 3261 section 8.2.6.2; corners.rst 1:
    To-tag constancy)."""

    trunks = (PBX,)

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.trunk = self.world.browser(), self.world.trunk()
        self.invite = self.alice.invite("sip:bob@pbx.example.com")
        self.leg = self.trunk.request("INVITE")

    def tags(self) -> set[str | None]:
        """The tags of all that alice heard."""
        heard = [self.alice.next() for _ in self.alice.pending()]
        return {
            message.to.tag
            for message in heard
            if isinstance(message, Response) and message.status > 100 and message.cseq.method == "INVITE"
        }

    def test_answered(self) -> None:
        """180 and 183 of several forks, and the 200 of one of them, sent twice."""
        self.trunk.answer(self.leg, 180, tag="one")
        self.trunk.answer(self.leg, 183, PLAIN, tag="two")
        self.trunk.answer(self.leg, 181, tag="three")
        self.trunk.answer(self.leg, 200, PLAIN, tag="two")
        self.world.turn(0.5)
        self.assertEqual(self.alice.pending().count("200"), 2)
        (tag,) = self.tags()
        self.assertNotIn(tag, (None, "one", "two", "three"))

    def test_refused(self) -> None:
        """180, and what the trunk says no with."""
        self.trunk.answer(self.leg, 180, tag="one")
        self.trunk.answer(self.leg, 486, tag="two")
        self.assertEqual(len(self.tags()), 1)

    def test_cancelled(self) -> None:
        """180, and our own 487."""
        self.trunk.answer(self.leg, 180, tag="one")
        self.alice.cancel(self.invite)
        self.assertEqual(len(self.tags()), 1)

    def test_redirected(self) -> None:
        """Another call, another tag."""
        self.trunk.answer(self.leg, 180)
        first = self.tags()
        self.alice.invite("sip:bob@pbx.example.com")
        self.trunk.request("INVITE")
        self.trunk.answer(self.trunk.flow.last_request, 180)
        self.assertEqual(first & self.tags(), set())


class CallIds(CallCase):
    """The second leg is a dialog of its own (corners.rst 1: Call-ID of the B leg)."""

    trunks = (PBX,)

    def test_from_browser_to_browser(self) -> None:
        """A call that the trunk brings back to another browser, and to the one that it came from: no Call-ID there
        begins as the caller's does, which JsSIP would take for a loop of its own, and answer with 482."""
        for user in ("bob", "alice"):
            self.world = self.make_world()
            alice, trunk = self.world.browser(), self.world.trunk()
            callee = alice if user == "alice" else self.world.browser(user)
            for browser in {alice, callee}:
                browser.bind()
            invite = alice.invite(f"sip:{callee.aor}")
            out = trunk.request("INVITE")
            back = trunk.call(callee)
            leg = callee.request("INVITE")
            ids = [invite.call_id, out.call_id, back.call_id, leg.call_id]
            self.assertEqual(len(set(ids)), 4)
            for other in (invite.call_id, out.call_id, back.call_id):
                self.assertFalse(leg.call_id.startswith(other[:5]), ids)
            callee.answer(leg, 200, OFFER.replace(b"actpass", b"active"))
            trunk.heard(200)
            trunk.answer(out, 200, PLAIN)
            trunk.heard("ACK")

    def test_forks(self) -> None:
        """Each browser that rings has a dialog of its own."""
        self.world = self.make_world(multiple=True)
        trunk, browsers = self.world.trunk(), [self.world.browser() for _ in range(5)]
        for browser in browsers:
            browser.bind()
        trunk.call(browsers[0])
        legs = [browser.request("INVITE") for browser in browsers]
        self.assertEqual(len({leg.call_id for leg in legs}), 5)
        self.assertEqual(len({leg.from_.tag for leg in legs}), 5)
