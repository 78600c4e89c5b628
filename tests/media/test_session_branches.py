"""How a session names the parties of a call to rtpengine, and how it gives up branches."""

from __future__ import annotations

from twisted.logger import capturedLogs

from tests.media.cases import SessionCase
from webrtcproxy.media.profile import BROWSER, TRUNK
from webrtcproxy.runtime.errors import NgRefused, NgTimeout


class NameTests(SessionCase):
    def test_downstream_fork(self) -> None:
        """Two To tags in one branch are one party: 183 from one, 200 from the other, the first name for both."""
        self.sdp_of(self.offer())
        for tag in ("t1", "t2", "t1"):
            self.sdp_of(self.answer(to_tag=tag))
            self.assertEqual(self.last(b"from-tag", b"to-tag"), (b"A", b"t1"))
        self.delete()

    def test_later_offers(self) -> None:
        """A later offer names both parties, whoever makes it, and by whatever tag the callee is known."""
        self.sdp_of(self.offer())
        self.sdp_of(self.answer(to_tag="t1"))
        self.sdp_of(self.answer(to_tag="t2"))
        for sender, receiver in (("A", "t1"), ("t1", "A"), ("t2", "A")):
            ng_sender = "A" if sender == "A" else "t1"
            expected = (ng_sender.encode(), receiver.encode(), b"b1")
            self.sdp_of(self.offer(from_tag=sender))
            self.assertEqual(self.last(b"from-tag", b"to-tag", b"via-branch"), expected)
            self.sdp_of(self.answer(from_tag=sender, to_tag=receiver))
            self.assertEqual(self.last(b"from-tag", b"to-tag", b"via-branch"), expected)
        self.delete()

    def test_offer_again_before_the_answer(self) -> None:
        """Nobody has answered: there is no other party to name."""
        self.sdp_of(self.offer())
        self.sdp_of(self.offer())
        self.assertEqual(self.last(b"from-tag", b"to-tag"), (b"A", None))
        self.delete()

    def test_offer_from_a_callee_that_has_not_answered(self) -> None:
        """A callee's offer before its answer names it by its own tag."""
        self.sdp_of(self.offer())
        self.sdp_of(self.offer(from_tag="B"))
        self.assertEqual(self.last(b"from-tag", b"to-tag"), (b"B", b"A"))
        self.delete()

    def test_late_offer(self) -> None:
        """INVITE without SDP: the callee offers, the caller answers in the ACK (RFC 3264 section 4)."""
        self.sdp_of(self.offer(from_tag="B"))
        self.sdp_of(self.answer(from_tag="B", to_tag="A"))
        self.assertEqual(self.last(b"from-tag", b"to-tag"), (b"B", b"A"))
        self.sdp_of(self.offer(from_tag="A"))
        self.assertEqual(self.last(b"from-tag", b"to-tag"), (b"A", b"B"))
        self.delete()


class BranchTests(SessionCase):
    def fork(self, *branches: str) -> None:
        for branch in branches:
            self.sdp_of(self.offer(branch))
        self.daemon.commands.clear()

    def dropped(self) -> list[object]:
        return [
            command[b"via-branch"]
            for command in self.daemon.commands
            if command[b"command"] == b"delete" and b"via-branch" in command
        ]

    def drop(self, branch: str) -> None:
        self.session.drop(branch)
        self.reactor.settle()

    def test_drop(self) -> None:
        """A losing branch is deleted at once, by its name and not by the caller's: that would take the caller away."""
        self.fork("b1", "b2")
        self.drop("b1")
        self.assertEqual(self.last(b"command", b"via-branch", b"delete delay", b"to-tag"), (b"delete", b"b1", 0, None))
        self.assertNotIn(self.last(b"from-tag")[0], (None, b"A", b"b1"))
        self.sdp_of(self.answer("b2"))
        self.delete()

    def test_drop_once(self) -> None:
        """rtpengine is told once: a second time could hit another party."""
        self.fork("b1", "b2", "b3")
        self.drop("b1")
        self.drop("b1")
        self.drop("b9")
        self.assertEqual(self.dropped(), [b"b1"])
        self.delete()

    def test_last_branch_stays(self) -> None:
        """With the last branch the caller's ports would go: it is dropped when another branch is offered."""
        self.fork("b1", "b2")
        self.drop("b1")
        self.drop("b2")
        self.assertEqual(self.dropped(), [b"b1"])
        self.sdp_of(self.offer("b3"))
        self.assertEqual(self.dropped(), [b"b1", b"b2"])
        self.sdp_of(self.answer("b3"))
        self.delete()

    def test_next_target(self) -> None:
        """After early media of one target, nothing is passed on until the next one has answered: its port would let
        anybody be heard (docs/access.rst: Media)."""
        self.fork("b1")
        self.sdp_of(self.answer("b1", to_tag="t1"))
        self.sdp_of(self.offer("b2", to=TRUNK))
        self.sdp_of(self.offer("b2", to=TRUNK))
        self.sdp_of(self.answer("b2", to_tag="t2"))
        self.sdp_of(self.answer("b2", to_tag="t2"))
        expected = [b"answer", b"block media", b"offer", b"offer", b"answer", b"unblock media", b"answer"]
        self.assertEqual(self.daemon.asked(), expected)
        self.sdp_of(self.offer("b2", from_tag="t2", to=TRUNK))
        self.assertEqual(self.daemon.asked()[len(expected) :], [b"offer"])
        self.delete()

    def test_next_browser(self) -> None:
        """A browser has DTLS: nobody else is heard at its port, and those that ring beside it go on."""
        self.sdp_of(self.offer("b1", to=BROWSER))
        self.sdp_of(self.answer("b1", to_tag="t1"))
        self.sdp_of(self.offer("b2", to=BROWSER))
        self.assertEqual(self.daemon.asked(), [b"offer", b"answer", b"offer"])
        self.delete()

    def test_next_target_not_blocked(self) -> None:
        """Where rtpengine does not block, the target is not called."""
        self.fork("b1")
        self.sdp_of(self.answer("b1", to_tag="t1"))
        self.daemon.silent = True
        failed = self.offer("b2", to=TRUNK)
        self.reactor.pump([0.1] * 30)
        self.failureResultOf(failed, NgTimeout)
        self.assertNotIn(b"offer", self.daemon.asked()[1:])
        self.daemon.silent = False
        self.delete()

    def test_drop_after_the_offer(self) -> None:
        """A branch that is dropped while its offer is in work is dropped after it."""
        self.fork("b1")
        self.daemon.delay = 0.1
        done = self.offer("b2")
        self.session.drop("b2")
        self.reactor.pump([0.1] * 5)
        self.successResultOf(done)
        self.assertEqual(self.dropped(), [b"b2"])
        self.daemon.delay = 0
        self.delete()

    def test_drop_then_delete(self) -> None:
        """A drop that waits when the call ends is not needed any more, and its failure is nobody's."""
        self.fork("b1", "b2")
        self.daemon.delay = 0.1
        done = self.answer("b2")
        self.session.drop("b1")
        gone = self.session.delete()
        self.reactor.pump([0.1] * 5)
        self.successResultOf(done)
        self.successResultOf(gone)
        self.assertEqual(self.daemon.asked(), [b"answer", b"delete"])

    def test_drop_fails(self) -> None:
        """A branch that could not be dropped is logged; the call goes on and the end frees it."""
        self.fork("b1", "b2")
        self.daemon.silent = True
        with capturedLogs() as logs:
            self.session.drop("b1")
            self.reactor.pump([0.1] * 21)
        self.assertEqual([line["call"] for line in logs], ["call-1"])
        self.daemon.silent = False
        self.sdp_of(self.answer("b2"))
        self.delete()

    def test_a_refused_branch_is_no_branch(self) -> None:
        """A branch whose offer was refused needs no drop, and does not let the last good one go."""
        self.fork("b1")
        self.daemon.result = {b"result": b"error"}
        self.error_of(self.offer("b2"), NgRefused)
        self.daemon.result = None
        self.drop("b2")
        self.drop("b1")
        self.assertEqual(self.dropped(), [])
        self.delete()
