"""Subscriptions in any order of events: whatever happens, every request is answered and nothing is left."""

from __future__ import annotations

import random

from tests.support.calls.subscribing import BOX, EVENT, WatchCase
from tests.support.messages import request
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Headers, Request

STATES = ("active;expires=60", "pending", "terminated;reason=noresource", "", "active;expires=x")
STATUSES = (200, 202, 401, 408, 423, 481, 489, 500, 503, 603)


class AnyOrder(WatchCase):
    """Many short lives, each by a seed of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.asked = 0
        self.said: list[Request] = []
        self.subscribes: list[tuple[Request, str]] = []

    def test_lives(self) -> None:
        """No fault is logged (trial would tell), no request of a trunk's stays without an answer, nothing is left."""
        for seed in range(150):
            self.life(random.Random(seed))
            for _ in range(40):  # more than an hour, for what nobody ends
                self.world.turn(100)
            heard = [message for message in self.trunk.flow.messages if not isinstance(message, Request)]
            finals = {(each.call_id, each.cseq) for each in heard if each.status >= 200}
            self.assertEqual([], [each for each in self.said if (each.call_id, each.cseq) not in finals], seed)
            self.assertEqual((len(self.world.subscriptions.legs), len(self.world.subscriptions)), (0, 0), seed)
            self.said, self.subscribes = [], []
            self.trunk.flow.clear()

    def life(self, chance: random.Random) -> None:
        """One browser, and what it and the trunk do."""
        self.alice = self.world.browser()
        self.alice.bind()
        deeds = (
            self.ask,
            self.answer,
            self.answer,
            self.tell,
            self.tell,
            self.tell,
            self.lose,
            self.wait,
            self.respond,
        )
        self.ask(chance)
        for _ in range(chance.randrange(3, 25)):
            chance.choice(deeds)(chance)

    def ask(self, chance: random.Random) -> None:
        """The browser subscribes, or refreshes by what it knows of a dialog."""
        if self.alice.flow.closed:
            return
        granted = [each for each in self.alice.flow.messages if not isinstance(each, Request) and each.status < 300]
        if granted and chance.random() < 0.7:
            last = chance.choice(granted)
            self.asked += 1
            fields = Headers([
                ("Via", f"SIP/2.0/WSS x.invalid;branch=z9hG4bKrandom{self.asked}"), ("Max-Forwards", "70"),
                ("From", last.headers.get("From") or ""), ("To", last.headers.get("To") or ""),
                ("Call-ID", last.call_id), ("CSeq", f"{self.asked + 10} SUBSCRIBE"), EVENT,
                ("Expires", chance.choice(["0", "60"])), ("Contact", f"<{self.alice.contact}>"),
            ])  # fmt: skip
            self.alice.say(Request("SUBSCRIBE", f"sip:{BOX[4:]}", fields))
        else:
            self.subscribe(expires=chance.choice(["0", "10", "600"]))

    def answer(self, chance: random.Random) -> None:
        """The trunk answers one SUBSCRIBE."""
        asked = [each for each in self.trunk.flow.messages if isinstance(each, Request)]
        if asked:
            leg = chance.choice(asked)
            status = chance.choice(STATUSES)
            headers = [("Expires", "60"), ("Contact", "<sip:box@192.0.2.50>")]
            self.trunk.answer(leg, status, tag=chance.choice(["one", "two"]), headers=headers)

    def tell(self, chance: random.Random) -> None:
        """The trunk notifies, in a dialog or in front of it."""
        asked = [each for each in self.trunk.flow.messages if isinstance(each, Request)]
        if not asked:
            return
        leg = chance.choice(asked)
        self.asked += 1
        state = chance.choice(STATES)
        sender = NameAddr.parse(leg.headers.get("To") or "").with_tag(chance.choice(["one", "two"]))
        sent = request(
            "NOTIFY", NameAddr.parse(leg.headers.get("Contact") or "<sip:x@192.0.2.1>").uri, from_=sender.uri,
            from_tag=sender.tag or "", to=f"<{leg.from_.uri}>", to_tag=leg.from_.tag or "", call_id=leg.call_id,
            cseq=self.asked, headers=[EVENT, *([("Subscription-State", state)] if state else [])],
        )  # fmt: skip
        self.said.append(sent)
        self.trunk.say(sent)

    def respond(self, chance: random.Random) -> None:
        """The browser answers all that it was asked."""
        for message in list(self.alice.flow.messages):
            if isinstance(message, Request) and not self.alice.flow.closed:
                self.alice.answer(message, chance.choice(STATUSES))

    def lose(self, chance: random.Random) -> None:
        """Its socket is lost; perhaps it comes back."""
        contact = self.alice.contact
        self.alice.flow.lose()
        self.world.turn(chance.choice([0, 1, 6]))
        self.alice = self.world.browser()
        if chance.random() < 0.7:
            self.alice.contact = contact
        self.alice.bind()

    def wait(self, chance: random.Random) -> None:
        """Time goes by."""
        for _ in range(chance.choice([1, 5, 35, 70])):
            self.world.turn(1)
