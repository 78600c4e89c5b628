"""Both sides change the session at random, and one ends the call: whatever the order, every request has one final
response, and nothing is left."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.support.calls.modifying import UPDATES, SessionChangeCase
from tests.support.calls.party import Party, inbound, outbound
from webrtcproxy.runtime.errors import NgRefused, NgTimeout
from webrtcproxy.sip.message import Request, Response

RUNS = 100
STEPS = 60


class Side:
    """One end that does what comes to its mind.

    :ivar open: requests of its own without a final response.
    :ivar finals: the status of each final response, by CSeq number.
    """

    def __init__(self, party: Party, dice: random.Random) -> None:
        self.party, self.dice = party, dice
        self.open: dict[int, Request] = {}
        self.asked: dict[int, Request] = {}
        self.finals: dict[int, int] = {}
        self.told: dict[int, Request] = {}
        self.over = False
        self.invites: dict[tuple[str, str], Response | None] = {}
        self.version = 1

    def sdp(self) -> bytes:
        self.version += 1
        return self.party.sdp(self.dice.choice(["sendrecv", "sendonly", "recvonly"]), self.version)

    def ask(self) -> None:
        """INVITE with or without an offer, or UPDATE."""
        method = self.dice.choice(["INVITE", "INVITE", "UPDATE"])
        body = b"" if self.dice.random() < 0.25 else self.sdp()
        request = self.party.ask(method, body)
        self.asked[request.cseq.number] = self.open[request.cseq.number] = request

    def cancel(self) -> None:
        """Take one INVITE back."""
        invites = [request for request in self.open.values() if request.method == "INVITE"]
        if invites:
            self.party.cancel(self.dice.choice(invites))

    def bye(self) -> None:
        """Hang up."""
        if not self.over:
            request = self.party.ask("BYE")
            self.asked[request.cseq.number] = self.open[request.cseq.number] = request
            self.over = True

    def listen(self) -> None:
        """Take what came: ACK final responses, keep requests to be answered."""
        while self.party.peer.pending():
            message = self.party.peer.next()
            if isinstance(message, Response):
                self.hear(message)
            elif message.method != "ACK":
                self.told.setdefault(id(message), message)

    def hear(self, response: Response) -> None:
        if response.status < 200 or response.cseq.method == "CANCEL":
            return
        number = response.cseq.number
        before = self.finals.setdefault(number, response.status)
        assert before == response.status, f"{before} and then {response.status}"
        self.open.pop(number, None)
        request = self.asked[number]
        if request.method == "INVITE" and self.dice.random() < 0.8:
            if response.status >= 300:
                self.party.ack_refusal(request)
            else:
                self.party.ack(request, b"" if request.body else self.sdp())

    def answer(self) -> None:
        """Answer one request, if only with a provisional response."""
        if not self.told:
            return
        key = self.dice.choice(list(self.told))
        request = self.told[key]
        if request.method == "INVITE" and self.dice.random() < 0.3:
            self.party.answer(request, self.dice.choice([100, 180, 183]))
            return
        del self.told[key]
        if request.method in ("INVITE", "UPDATE"):
            status = self.dice.choice([200, 200, 200, 488, 491, 500, 503])
            self.party.answer(request, status, self.sdp() if status == 200 else b"")
            return
        self.party.answer(request, 200)
        if request.method == "BYE":
            self.over = True


class AtRandom(SessionChangeCase):
    """See above; the dice are the same ones each time."""

    def test_all_ways(self) -> None:
        """RUNS calls, of STEPS steps each."""
        for seed in range(RUNS):
            self.world, self.stalled = self.make_world(), False
            dice = random.Random(seed)
            headers = [UPDATES] if dice.random() < 0.5 else []
            caller, callee = dice.choice([outbound, inbound])(self.world, *headers)
            sides = [Side(caller, dice), Side(callee, dice)]
            try:
                self.play(sides, dice)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {error}") from error

    def play(self, sides: list[Side], dice: random.Random) -> None:
        steps: list[Callable[[Side], None]] = [
            Side.ask, Side.ask, Side.answer, Side.answer, Side.answer, Side.cancel,
            lambda side: self.world.turn(dice.choice([0, 0.01, 0.5, 1])), self.rtpengine,
        ]  # fmt: skip
        for _ in range(dice.randrange(STEPS)):
            side = dice.choice(sides)
            if not side.over:
                dice.choice(steps)(side)
            for each in sides:
                each.listen()
        if dice.random() < 0.8:
            dice.choice(sides).bye()
        self.world.nodes.release()
        for _ in range(60):
            for side in sides:
                side.listen()
                side.answer()
                side.answer()
            self.world.turn(1)
        self.check(sides)

    def rtpengine(self, side: Side) -> None:
        """It stalls, goes on, or refuses something."""
        nodes = self.world.nodes
        what = side.dice.choice(["stall", "go on", "offer", "answer"])
        if what == "stall" and not self.stalled:
            nodes.hold()
            self.stalled = True
        elif what == "go on":
            nodes.release()
            self.stalled = False
        elif what in ("offer", "answer"):
            nodes.fail(what, side.dice.choice([NgRefused("no"), NgTimeout("silent")]))

    def check(self, sides: list[Side]) -> None:
        for side in sides:
            assert not side.open, f"no final response to {list(side.open.values())}"
