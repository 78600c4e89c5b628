"""The case class of tests of session timers."""

from __future__ import annotations

from tests.support.calls.case import CallCase
from tests.support.calls.party import Pair, Party, party_of
from tests.support.calls.world import PLAIN
from tests.support.configs import PBX
from webrtcproxy.sip.message import Request

TIMER = ("Supported", "timer")
UPDATES = ("Allow", "INVITE, ACK, BYE, UPDATE")
JSSIP = (TIMER, ("Session-Expires", "90"), ("Allow", "INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY"))
"""What JsSIP says in an INVITE."""


class TimerCase(CallCase):
    """An outbound call: alice at her browser, and the trunk."""

    trunks = (PBX,)

    def connect(self, caller: tuple[Pair, ...] = (), callee: tuple[Pair, ...] = ()) -> tuple[Party, Party]:
        """A call that is up.

        :param caller: headers of alice's INVITE.
        :param callee: headers of the trunk's 200.
        """
        alice, trunk = self.world.browser(), self.world.trunk()
        self.alice, self.trunk = alice, trunk
        self.invite = alice.invite("sip:bob@pbx.example.com", *caller)
        self.leg = trunk.request("INVITE")
        answer = trunk.answer(self.leg, 200, PLAIN, headers=callee)
        trunk.heard("ACK")
        self.ok = alice.response(200)
        alice.ack(self.invite, self.ok)
        self.began = self.world.clock.seconds()
        return party_of(alice, self.invite, self.ok), party_of(trunk, self.leg, answer)

    def wait(self, seconds: float) -> None:
        """Let time go by as it does, second by second."""
        for _ in range(round(seconds)):
            self.world.turn(1)

    began = 0.0

    def keep_alice(self, seconds: int, caller: Party) -> None:
        """Let time go by, while JsSIP refreshes as it does; whatever is said to alice stays to be taken."""
        for _ in range(seconds):
            self.world.turn(1)
            if round(self.world.clock.seconds() - self.began) % 45 == 0:
                caller.ask("UPDATE", b"", TIMER, ("Session-Expires", "90;refresher=uac"))
                self.alice.heard(200)

    def take_repeats(self) -> None:
        """Take what the trunk was sent again and again."""
        while self.trunk.pending()[:1] in (["UPDATE"], ["INVITE"], ["OPTIONS"]):
            self.trunk.next()

    def assert_ended(self, *parties: Party) -> list[Request]:
        """The call ends with a BYE to each of these; the BYEs."""
        self.world.turn()
        byes = []
        for party in parties:
            bye = party.peer.request("BYE")
            party.answer(bye, 200)
            byes.append(bye)
        self.assert_over(self.alice, self.trunk)
        return byes
