"""Both sides do what they like before a call is answered, and after it: whatever the order, every request has one
final response, and nothing is left."""

from __future__ import annotations

import random

from tests.support.calls.early import REL, EarlyCase, rack
from tests.support.calls.modifying import UPDATES
from tests.support.calls.party import Party
from webrtcproxy.runtime.errors import NgRefused, NgTimeout
from webrtcproxy.sip.message import Request, Response

RUNS = 40
STEPS = 50


class Early:
    """The two ends of one call.

    :ivar asked: requests of either side, by their Via.
    :ivar finals: their final responses.
    """

    def __init__(self, case: EarlyCase, dice: random.Random) -> None:
        self.case, self.dice = case, dice
        self.caller, self.callee = case.caller, case.callee
        self.asked: dict[str, Request] = {}
        self.finals: dict[str, int] = {}
        self.numbers = {"one": dice.randrange(1, 1000), "two": dice.randrange(1, 1000)}
        self.callers: dict[str, Party] = {}
        self.callees: dict[str, Party] = {}
        self.cseq = case.invite.cseq.number
        self.heard: list[Response] = []
        self.told: list[Request] = []
        self.final = 0

    def note(self, request: Request) -> None:
        self.asked[str(request.via)] = request

    def sdp(self, peer: object) -> bytes:
        return self.case.sdp(peer, self.dice.choice(["sendrecv", "sendonly"]), self.dice.randrange(1, 99))  # type: ignore[arg-type]

    # The callee

    def progress(self) -> None:
        """A 1xx of one of the fork, reliable or not, with SDP or without."""
        if self.final:
            return
        tag = self.dice.choice(["one", "two"])
        body = self.sdp(self.callee) if self.dice.random() < 0.5 else b""
        status = self.dice.choice([180, 183])
        if self.dice.random() < 0.6:
            self.numbers[tag] += self.dice.choice([0, 1, 1, 1, 1, 2])
            response = self.case.reliable(status, self.numbers[tag], body, UPDATES, tag=tag)
        else:
            response = self.callee.answer(self.case.leg, status, body, tag=tag)
        self.callees.setdefault(tag, self.case.at_callee(response))

    def answer(self) -> None:
        """The final response; after a 2xx, another one of the fork."""
        if self.final >= 300 or self.dice.random() < 0.7:
            return
        tag = self.dice.choice(["one", "two"])
        if not self.final and self.dice.random() < 0.3:
            self.final = self.dice.choice([404, 486, 500, 603])
            self.callee.answer(self.case.leg, self.final, tag=tag)
            return
        self.final = 200
        body = self.sdp(self.callee) if self.dice.random() < 0.8 else b""
        response = self.callee.answer(self.case.leg, 200, body, tag=tag)
        self.callees.setdefault(tag, self.case.at_callee(response))

    def callee_asks(self) -> None:
        if self.callees:
            party = self.dice.choice(list(self.callees.values()))
            method = self.dice.choice(["UPDATE", "UPDATE", "INFO", "PRACK", "BYE"])
            if method != "BYE" or self.dice.random() < 0.1:
                body = self.sdp(self.callee) if method == "UPDATE" and self.dice.random() < 0.7 else b""
                self.note(party.ask(method, body))

    def reply(self) -> None:
        """To one request that has come to either side."""
        if not self.told:
            return
        request = self.told.pop(self.dice.randrange(len(self.told)))
        at_callee = request.via.sent_by == self.callee.flow.sent_by
        peer = self.callee if at_callee else self.caller
        if request.method == "CANCEL":
            self.callee.answer(request, 200)
            if not self.final:
                self.final = 487
                self.callee.answer(self.case.leg, 487)
            return
        status = 200 if request.method == "BYE" else self.dice.choice([200, 200, 200, 488, 500, 481])
        body = self.sdp(peer) if status == 200 and request.body else b""
        peer.answer(request, status, body, tag=request.to.tag or "")

    # The caller

    def party(self) -> Party | None:
        """In one of the dialogs that it knows, with the next CSeq number."""
        if not self.callers:
            return None
        party = self.dice.choice(list(self.callers.values()))
        party.cseq = self.cseq
        self.cseq += 1
        return party

    def prack(self) -> None:
        """For a 1xx that it has heard: rightly, or not."""
        reliable = [response for response in self.heard if "RSeq" in response.headers]
        party = self.party()
        if party is None or not reliable:
            return
        response = self.dice.choice(reliable)
        name, value = rack(response)
        if self.dice.random() < 0.1:
            value = "1 " + value.partition(" ")[2]
        wants = bool(response.body) and not self.case.invite.body
        body = self.sdp(self.caller) if self.dice.random() < (0.8 if wants else 0.2) else b""
        self.note(party.ask("PRACK", body, (name, value)))

    def caller_asks(self) -> None:
        party = self.party()
        if party is not None:
            method = self.dice.choice(["UPDATE", "UPDATE", "INFO", "BYE"])
            if method != "BYE" or self.dice.random() < 0.1:
                body = self.sdp(self.caller) if method == "UPDATE" and self.dice.random() < 0.7 else b""
                self.note(party.ask(method, body))

    def cancel(self) -> None:
        if self.dice.random() < 0.1:
            self.caller.cancel(self.case.invite)

    def end(self) -> None:
        """Hang up in each dialog, or give up."""
        self.caller.cancel(self.case.invite)
        for party in self.callers.values():
            party.cseq = self.cseq
            self.cseq += 1
            self.note(party.ask("BYE"))

    # Both

    def listen(self) -> None:
        for peer in (self.caller, self.callee):
            while peer.pending():
                message = peer.next()
                if isinstance(message, Request):
                    if message.method != "ACK":
                        self.told.append(message)
                elif message.status > 100:
                    self.hear(message)

    def hear(self, response: Response) -> None:
        if response.cseq.method == "CANCEL":
            return
        if response.cseq.method == "INVITE" and response.status < 300:
            self.heard.append(response)
            self.callers.setdefault(response.to.tag or "", self.case.at_caller(response))
        if response.status < 200:
            return
        via = str(response.via)
        before = self.finals.setdefault(via, response.status)
        assert before == response.status, f"{before} and then {response.status}"
        if response.cseq.method == "INVITE" and self.dice.random() < 0.8:
            if response.status >= 300:
                self.caller.ack(self.case.invite, response)
            else:
                late = not self.case.invite.body
                self.case.at_caller(response).ack(self.case.invite, self.sdp(self.caller) if late else b"")

    def unanswered(self) -> list[str]:
        return [request.method for via, request in self.asked.items() if via not in self.finals]


class AtRandom(EarlyCase):
    """See above; the dice are the same ones each time."""

    def test_all(self) -> None:
        """RUNS calls, of STEPS steps each."""
        for seed in range(RUNS):
            dice = random.Random(seed)
            headers = [header for header in (REL, UPDATES) if dice.random() < 0.8]
            for _ in self.ways(*headers, offer=dice.random() < 0.6):
                self.live(seed, dice)

    def live(self, seed: int, dice: random.Random) -> None:
        """One call, and its end."""
        early = Early(self, dice)
        early.note(self.invite)
        for _ in range(STEPS):
            action = dice.choice([
                early.progress, early.progress, early.answer, early.callee_asks, early.reply, early.reply, early.prack,
                early.prack, early.caller_asks, early.cancel, self.wait, self.trouble,
            ])  # fmt: skip
            self.dice = dice
            action()
            early.listen()
        early.end()
        for _ in range(200):
            early.reply()
            self.world.turn(0.5)
            early.listen()
        self.assertEqual(early.unanswered(), [], f"seed {seed}")
        self.assertEqual(len(self.world.calls), 0, f"seed {seed}")
        self.assertEqual(self.world.rest(), [], f"seed {seed}")
        self.worlds.remove(self.world)

    def wait(self) -> None:
        self.world.turn(self.dice.choice([0.0, 0.5, 4.0]))

    def trouble(self) -> None:
        """rtpengine refuses, or is silent, now and then."""
        if self.dice.random() < 0.1:
            command, error = self.dice.choice(["offer", "answer"]), self.dice.choice([NgRefused("x"), NgTimeout("y")])
            self.world.nodes.fail(command, error)
