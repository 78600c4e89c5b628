"""The case class of tests of a change of the session."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.calls.case import CallCase
from tests.support.calls.party import Pair, Party, inbound, outbound
from tests.support.configs import PBX
from tests.support.ngnode import Operation
from webrtcproxy.sip.message import Request, Response

UPDATES = ("Allow", "INVITE, ACK, BYE, UPDATE")


class SessionChangeCase(CallCase):
    """Calls that are up, in all four ways: from and to a browser, and changed by the caller or the callee."""

    trunks = (PBX,)

    def all_ways(self, *headers: Pair) -> Iterator[tuple[Party, Party]]:
        """For each way: who asks, and who is asked. Each has a world of its own."""
        for connect in (outbound, inbound):
            for swap in (False, True):
                self.world = self.make_world()
                self.caller, self.callee = connect(self.world, *headers)
                yield (self.callee, self.caller) if swap else (self.caller, self.callee)

    def media(self, count: int) -> list[Operation]:
        """The last operations of rtpengine; all others are forgotten."""
        operations = self.world.nodes.sessions[-1].operations
        taken = operations[-count:] if count else []
        operations.clear()
        return taken

    def exchange(
        self, asker: Party, other: Party, direction: str = "sendonly", version: int = 2
    ) -> tuple[Request, Response]:
        """Change the session: the INVITE that crossed, and the requester's 200.

        :param version: of the offer; one that was offered before changes nothing.
        """
        invite = asker.ask("INVITE", asker.sdp(direction, version))
        crossed = other.peer.request("INVITE")
        other.answer(crossed, 200, other.sdp("recvonly"))
        other.peer.heard("ACK")
        ok = asker.peer.response(200)
        asker.ack(invite)
        return crossed, ok

    def check_alive(self, asker: Party, other: Party) -> None:
        """The call goes on, and may be changed."""
        self.world.turn(40)
        asker.peer.silent()
        other.peer.silent()
        self.exchange(asker, other, version=3)
        self.exchange(other, asker, version=4)
        self.assertEqual(len(self.world.calls), 1)

    def check_old_session(self, asker: Party, other: Party) -> None:
        """rtpengine was told the descriptions of the set-up again."""
        offer, answer = self.media(2)
        self.assertEqual((offer.command, answer.command), ("offer", "answer"))
        self.assertEqual((offer.to and offer.to.name, answer.to and answer.to.name), (other.profile, asker.profile))
        self.assertIn(b"o=- 1 1 ", offer.sdp)
        self.assertIn(b"o=- 1 1 ", answer.sdp)

    def check_over(self, *parties: Party) -> None:
        for party in parties:
            while party.peer.pending():
                message = party.peer.next()
                if isinstance(message, Request):
                    self.assertEqual(message.method, "BYE")
                    party.answer(message, 200)
        self.world.turn(40)
        self.assertEqual(len(self.world.calls), 0)
        self.assertEqual(len(self.world.legs), 0)
        self.assertEqual(self.world.nodes.leaks(), [])
