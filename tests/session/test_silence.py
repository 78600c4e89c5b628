"""A trunk that sends no media any more is asked for a sign of life (field.rst X13: Silence)."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed

from tests.support.calls.party import Party, inbound, outbound
from tests.support.calls.timing import UPDATES, TimerCase
from tests.support.ngnode import on_one_port
from webrtcproxy.config import CallsConfig
from webrtcproxy.runtime.errors import NgRefused, NgTimeout
from webrtcproxy.sip.message import Request

LIMIT = 60
LOOKS = 32
"""Seconds between two looks."""


class SilenceCase(TimerCase):
    """Calls in which the trunk falls silent."""

    def connect_silent(self, *callee: tuple[str, str]) -> tuple[Party, Party]:
        """A call whose trunk sends no packet after the first hundred."""
        parties = self.connect((), callee)
        self.world.nodes.packets = lambda: succeed(100)
        return parties


class Silent(SilenceCase):
    """It is asked after so long, at the next look."""

    def test_by_options(self) -> None:
        """OPTIONS within the dialog; as long as they are answered the call stays, and is asked again."""
        _, callee = self.connect_silent()
        for _ in range(3):
            self.wait(2 * LOOKS)
            if not self.trunk.pending():
                self.wait(LOOKS)
            options = self.trunk.request("OPTIONS")
            self.assertEqual(options.call_id, callee.call_id)
            callee.answer(options, 200)
        self.alice.silent()
        self.assertEqual(len(self.world.calls), 1)

    def test_by_update(self) -> None:
        """UPDATE without a description where the trunk takes that."""
        _, callee = self.connect_silent(UPDATES)
        self.wait(3 * LOOKS)
        update = self.trunk.request("UPDATE")
        self.assertEqual(update.body, b"")
        callee.answer(update, 200)
        self.assertEqual(len(self.world.calls), 1)

    def test_other_answers(self) -> None:
        """Whatever else it answers, it is there."""
        for status in (403, 405, 491, 500, 503):
            _, callee = self.connect_silent()
            self.wait(3 * LOOKS)
            callee.answer(self.trunk.request("OPTIONS"), status)
            self.assertEqual(len(self.world.calls), 1)
            self.world = self.make_world()

    def test_no_such_call(self) -> None:
        """481 of a PBX that was restarted: the browser gets a BYE, with the reason (RFC 3326)."""
        caller, callee = self.connect_silent()
        self.wait(3 * LOOKS)
        callee.answer(self.trunk.request("OPTIONS"), 481)
        (bye,) = self.assert_ended(caller)
        self.assertEqual(bye.headers.get("Reason"), 'SIP;cause=481;text="Dialog Terminated"')

    def test_no_answer(self) -> None:
        """Nor of one that is cut off: BYE to both, with the reason."""
        caller, callee = self.connect_silent()
        self.wait(3 * LOOKS + 32)
        self.take_repeats()
        for bye in self.assert_ended(caller, callee):
            self.assertEqual(bye.headers.get("Reason"), 'SIP;cause=408;text="Session expired"')

    def test_no_way(self) -> None:
        """Nor of one whose connection is refused."""
        self.connect_silent()
        self.trunk.flow.broken = True
        self.wait(3 * LOOKS)
        self.trunk.flow.broken = False
        self.assertEqual(len(self.world.calls), 0)

    def test_that_has_called(self) -> None:
        """The same where the trunk has called."""
        caller, callee = inbound(self.world)
        self.world.nodes.packets = lambda: succeed(100)
        self.wait(3 * LOOKS)
        caller.answer(caller.peer.request("OPTIONS"), 481)
        bye = callee.peer.request("BYE")
        callee.answer(bye, 200)
        self.assertEqual(len(self.world.calls), 0)


class NotSilent(SilenceCase):
    """Nobody is asked."""

    def assert_not_asked(self, seconds: float = 6 * LOOKS) -> None:
        self.wait(seconds)
        self.trunk.silent()
        self.alice.silent()
        self.assertEqual(len(self.world.calls), 1)

    def test_media_flows(self) -> None:
        """A packet between two looks is enough."""
        self.connect()
        self.assert_not_asked()
        self.assertEqual({name for _, name in self.world.nodes.counted}, {self.tag_of_the_trunk()})

    def tag_of_the_trunk(self) -> str:
        (call,) = (call for call, _ in self.world.calls._alive.values())
        callee = call._offer_answer.callee
        assert callee is not None
        return callee.party_tag

    def test_on_hold(self) -> None:
        """Whoever holds; after the hold the silence is counted from there."""
        for ours, theirs in (("sendonly", "recvonly"), ("inactive", "inactive")):
            caller, callee = self.connect_silent()
            self.change(caller, callee, ours, theirs)
            self.assert_not_asked()
            self.change(caller, callee, "sendrecv", "sendrecv")
            self.assert_not_asked(LIMIT)
            self.wait(2 * LOOKS)
            self.trunk.heard("OPTIONS")
            self.world = self.make_world()

    def test_held_by_address(self) -> None:
        """Nor where the trunk holds as RFC 2543 has it, without a direction."""
        caller, callee = self.connect_silent()
        invite = callee.ask("INVITE", callee.sdp().replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 0.0.0.0"))
        self.accept(caller, callee, invite, "sendrecv")
        self.assert_not_asked()

    def test_held_in_an_answer(self) -> None:
        """Nor where the browser has taken the trunk's offer to send without wanting to hear it."""
        caller, callee = self.connect_silent()
        self.world.nodes.sdp = on_one_port
        self.accept(caller, callee, callee.ask("INVITE", callee.sdp()), "sendonly")
        self.assert_not_asked()

    def accept(self, caller: Party, callee: Party, invite: Request, direction: str) -> None:
        """The browser answers the trunk's re-INVITE."""
        caller.answer(self.alice.request("INVITE"), 200, caller.sdp(direction).replace(b"actpass", b"active"))
        self.trunk.heard(200)
        callee.ack(invite)
        self.alice.heard("ACK")

    def change(self, caller: Party, callee: Party, ours: str, theirs: str) -> None:
        invite = caller.ask("INVITE", caller.sdp(ours))
        callee.answer(self.trunk.request("INVITE"), 200, callee.sdp(theirs))
        self.trunk.heard("ACK")
        self.alice.heard(200)
        caller.ack(invite)

    def test_unknown(self) -> None:
        """What rtpengine does not tell is no silence."""
        for error in (NgRefused("unknown"), NgTimeout("silent")):
            self.connect()
            self.world.nodes.packets = lambda error=error: fail(error)  # type: ignore[misc]
            self.assert_not_asked()
            self.world = self.make_world()

    def test_switched_off(self) -> None:
        """`silence = 0`: nothing is counted."""
        self.world = self.make_world(calls=CallsConfig(silence=0, limit_unregistered=3))
        self.connect_silent()
        self.assert_not_asked()
        self.assertEqual(self.world.nodes.counted, [])

    def test_other_limit(self) -> None:
        """`silence = 600`."""
        self.world = self.make_world(calls=CallsConfig(silence=600, limit_unregistered=3))
        self.connect_silent()
        self.assert_not_asked(600)
        self.wait(2 * LOOKS)
        self.trunk.heard("OPTIONS")

    def test_told_too_late(self) -> None:
        """What is told of a call that has ended meanwhile is of no use."""
        caller, callee = self.connect()
        replies: list[Deferred[int]] = []
        self.world.nodes.packets = lambda: replies.append(Deferred()) or replies[-1]  # type: ignore[func-returns-value]
        self.wait(4 * LOOKS)
        caller.ask("BYE")
        self.alice.heard(200)
        callee.answer(self.trunk.request("BYE"), 200)
        self.assertGreater(len(replies), 2)
        replies[0].callback(100)
        self.wait(LIMIT)
        for reply in replies[1:]:
            reply.callback(100)
        self.trunk.silent()

    def test_between_browsers(self) -> None:
        """Browsers are not counted: they may send nothing, and their connections are watched."""
        outbound(self.world)
        self.wait(2 * LOOKS)
        (call,) = (call for call, _ in self.world.calls._alive.values())
        self.assertNotIn(call._caller.party_tag, [name for _, name in self.world.nodes.counted])
