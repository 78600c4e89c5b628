"""Several targets answer an INVITE as they like, in any order, and the caller does what it likes meanwhile: it has one
final response, each 2xx has its ACK and its BYE, and nothing is left."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.routing.test_failover import FIRST, SECOND, THIRD, pbx
from tests.support.calls.case import CallCase
from tests.support.calls.early import REL
from tests.support.calls.party import Party, party_of
from tests.support.calls.world import PLAIN, TrunkPeer
from webrtcproxy.sip.message import Request, Response

RUNS = 150
STEPS = 40


class Target:
    """One of the targets.

    :ivar legs: the INVITEs that it got and has not answered.
    :ivar answers: its 2xx, and the dialogs that they have opened.
    :ivar acked: CSeq number and To tag of the ACKs that it got.
    :ivar ended: To tags of the dialogs that are over.
    """

    def __init__(self, peer: TrunkPeer, dice: random.Random) -> None:
        self.peer, self.dice = peer, dice
        self.legs: list[Request] = []
        self.asked: list[Request] = []
        self.answers: list[tuple[Request, Response]] = []
        self.acked: set[tuple[int, str | None]] = set()
        self.ended: set[str | None] = set()
        self.number = dice.randrange(1, 1000)

    def listen(self) -> None:
        while self.peer.pending():
            message = self.peer.next()
            if not isinstance(message, Request):
                continue
            if message.method == "ACK":
                self.acked.add((message.cseq.number, message.to.tag))
            elif message.method == "INVITE" and message.to.tag is None:
                if all(message.via.branch != leg.via.branch for leg in self.legs):
                    self.legs.append(message)
            else:
                self.asked.append(message)

    def reply(self) -> None:
        """To what it was asked besides: CANCEL, PRACK, BYE."""
        while self.asked:
            request = self.asked.pop()
            if request.method == "BYE":
                self.ended.add(request.to.tag)
            self.peer.answer(request, 200)
            if request.method == "CANCEL":
                for leg in [leg for leg in self.legs if leg.via.branch == request.via.branch]:
                    self.legs.remove(leg)
                    self.peer.answer(leg, 487)

    def progress(self) -> None:
        if self.legs:
            leg, status = self.dice.choice(self.legs), self.dice.choice([100, 180, 183])
            if status == 183:
                self.number += 1
                headers = [("Require", "100rel"), ("RSeq", str(self.number))]
                self.peer.answer(leg, 183, PLAIN, tag=f"{FIRST}{self.peer.flow.peer.host}", headers=headers)
            else:
                self.peer.answer(leg, status, tag=self.tag)

    @property
    def tag(self) -> str:
        return self.peer.flow.peer.host + self.dice.choice(["a", "b"])

    def accept(self) -> None:
        if self.legs:
            leg = self.legs.pop(self.dice.randrange(len(self.legs)))
            for _ in range(self.dice.choice([1, 1, 2])):
                self.answers.append((leg, self.peer.answer(leg, 200, PLAIN, tag=self.tag)))

    def again(self) -> None:
        if self.answers:
            self.peer.say(self.dice.choice(self.answers)[1])

    def refuse(self) -> None:
        if self.legs:
            leg = self.legs.pop(self.dice.randrange(len(self.legs)))
            status = self.dice.choice([401, 401, 422, 302, 302, 486, 500, 503, 503, 408])
            headers = {
                401: [("WWW-Authenticate", f'Digest realm="pbx", nonce="{self.dice.random()}"')],
                422: [("Min-SE", str(1800 + self.dice.randrange(9) * 600))],
                302: [("Contact", f"<sip:n{self.dice.randrange(9)}@pbx.example.com>")],
            }
            self.peer.answer(leg, status, tag=self.tag, headers=headers.get(status, ()))


class AtRandom(CallCase):
    """See above; the dice are the same ones each time."""

    trunks = (pbx(FIRST, SECOND, THIRD, username="us", password="secret", redirects="follow"),)

    def test_all(self) -> None:
        """RUNS calls, of STEPS steps each."""
        for seed in range(RUNS):
            try:
                self.live(random.Random(seed))
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {error}") from error

    def wait(self) -> None:
        """All within 64*T1, after which nobody knows of an INVITE any more."""
        if self.world.clock.seconds() < 25:
            self.world.turn(self.dice.choice([0.0, 0.1, 4.1]))

    def live(self, dice: random.Random) -> None:
        self.dice = dice
        world = self.world = self.make_world()
        alice = self.alice = world.browser()
        alice.bind()
        if dice.random() < 0.3:
            alice.sdp = b""
        self.invite = alice.invite("sip:bob@pbx.example.com", *([REL] if dice.random() < 0.5 else []))
        self.finals: list[Response] = []
        self.early: list[Response] = []
        targets = [Target(world.trunk(host), dice) for host in (FIRST, SECOND, THIRD)]
        for _ in range(STEPS):
            target = dice.choice(targets)
            steps: list[Callable[[], None]] = [
                target.progress, target.progress, target.accept, target.again, target.refuse, target.refuse,
                target.reply, self.prack, self.wait,
            ]  # fmt: skip
            if dice.random() < 0.02:
                steps = [lambda: alice.cancel(self.invite)]
            dice.choice(steps)()
            self.listen(targets)
        alice.cancel(self.invite)
        for response in self.finals:
            if response.status < 300:
                self.party(response).ask("BYE")
        for _ in range(100):
            self.listen(targets)
            for target in targets:
                target.reply()
            world.turn(1)
        self.check(targets)

    def listen(self, targets: list[Target]) -> None:
        for target in targets:
            target.listen()
        while self.alice.pending():
            message = self.alice.next()
            if isinstance(message, Request):
                self.alice.answer(message, 200) if message.method != "ACK" else None
            elif message.cseq.method == "INVITE" and message.status >= 200:
                self.finals.append(message)
                if message.status < 300:
                    late = not self.invite.body
                    self.party(message).ack(self.invite, Party(self.alice, "", "", "", "", 0).sdp() if late else b"")
            elif message.cseq.method == "INVITE" and "RSeq" in message.headers:
                self.early.append(message)

    def prack(self) -> None:
        if self.early:
            response = self.early.pop()
            rack = f"{response.headers.get('RSeq')} {response.cseq}"
            late = not self.invite.body
            party = self.party(response)
            body = Party(self.alice, "", "", "", "", 0).sdp() if late and response.body else b""
            self.number = getattr(self, "number", 10) + 1
            party.cseq = self.number
            party.ask("PRACK", body, ("RAck", rack))

    def party(self, response: Response) -> Party:
        party = party_of(self.alice, self.invite, response)
        self.number = party.cseq = getattr(self, "number", 10) + 1
        return party

    def check(self, targets: list[Target]) -> None:
        assert len({(final.status, final.to.tag) for final in self.finals}) == 1, self.finals
        for target in targets:
            for leg, answer in target.answers:
                assert (leg.cseq.number, answer.to.tag) in target.acked, "a 2xx has no ACK"
                assert answer.to.tag in target.ended, "a dialog has no BYE"
        left = self.world.rest()
        assert not left and not self.world.legs.pending_invites, left
        self.worlds.remove(self.world)
