"""One record for every attempt of a call, whatever ended it (docs/records.rst)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.calls.case import CallCase
from tests.support.calls.world import OFFER, PLAIN, World
from tests.support.configs import PBX
from webrtcproxy.config import CallsConfig, RecordsConfig
from webrtcproxy.config.limits import LimitsConfig
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request
from webrtcproxy.transaction.table import Table, TransactionLimits

BOB = "sip:bob@pbx.example.com"


class RecordCase(CallCase):
    """A world that writes records."""

    trunks = (PBX,)

    def make_world(self, *more: Any, **options: Any) -> World:
        self.path = Path(self.mktemp())
        return super().make_world(*more, records=RecordsConfig(file=self.path), **options)

    def records(self, *keys: str) -> list[tuple[Any, ...]]:
        """These values of the records that are written by now."""
        self.world.turn(1)
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [tuple(json.loads(line)[key] for key in keys) for line in lines]

    def codes(self) -> list[int]:
        return [code for (code,) in self.records("code")]

    def tearDown(self) -> None:
        super().tearDown()
        for world in self.worlds:
            world.context.cdr_writer.stop()


class Calls(RecordCase):
    """Calls that were set up, or not."""

    def test_out(self) -> None:
        """A browser's call: both Call-IDs, its user, the trunk, who ended it."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        invite = alice.invite(BOB)
        self.leg = trunk.request("INVITE")
        trunk.answer(self.leg, 200, PLAIN, reason="Fine")
        trunk.heard("ACK")
        ok = alice.response(200)
        alice.ack(invite, ok)
        self.world.turn(10)
        alice.say(alice.inside("BYE", invite, ok))
        trunk.answer(trunk.request("BYE"), 200)
        keys = "call-id", "callee-call-id", "direction", "user", "trunk", "code", "reason", "ended-by", "duration"
        self.assertEqual(
            self.records(*keys),
            [
                (
                    invite.call_id,
                    self.leg.call_id,
                    "outbound",
                    "alice@pbx.example.com",
                    PBX.name,
                    200,
                    "Fine",
                    "caller",
                    10,
                )
            ],
        )

    def test_in(self) -> None:
        """A trunk's call: the browser's leg has a Call-ID of its own."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        invite = trunk.call(alice)
        rings = alice.request("INVITE")
        alice.answer(rings, 603)
        alice.heard("ACK")
        keys = "call-id", "callee-call-id", "direction", "user", "trunk", "code", "reason", "ended-by"
        self.assertEqual(
            self.records(*keys),
            [(invite.call_id, rings.call_id, "inbound", None, PBX.name, 603, "Decline", "refused")],
        )
        self.assertNotEqual(invite.call_id, rings.call_id)

    def test_fork(self) -> None:
        """Of several browsers that ring, the Call-ID is that of the one that has answered."""
        for index in (0, 1):
            self.world = self.make_world(multiple=True)
            phones, trunk = [self.world.browser(), self.world.browser()], self.world.trunk()
            for phone in phones:
                phone.bind()
            invite = trunk.call(phones[0])
            rings = [phone.request("INVITE") for phone in phones]
            phones[index].answer(rings[index], 200, OFFER)
            phones[index].heard("ACK")
            ok = trunk.response(200)
            trunk.ack(invite, ok)
            trunk.say(trunk.inside("BYE", invite, ok))
            self.assertEqual(self.records("callee-call-id", "code"), [(rings[index].call_id, 200)])

    def test_challenged(self) -> None:
        """A challenge of the trunk that the browser answers is no end: one attempt, one record."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite(BOB)
        trunk.answer(trunk.request("INVITE"), 407, headers=[("Proxy-Authenticate", 'Digest realm="x", nonce="n"')])
        trunk.heard("ACK")
        alice.ack(invite, alice.response(407))
        self.assertEqual(self.codes(), [])
        alice.invite(BOB, ("Proxy-Authorization", 'Digest username="a", realm="x"'), cseq=2, like=invite)
        trunk.answer(trunk.request("INVITE"), 486)
        trunk.heard("ACK")
        self.world.turn(100)
        self.assertEqual(self.codes(), [486])


class AtTheDoor(RecordCase):
    """Attempts that never became a call."""

    def assert_refused(self, code: int, **others: Any) -> None:
        found = self.records("code", "ended-by", "callee-call-id", "duration", *others)
        self.assertEqual(found, [(code, "refused", None, 0, *others.values())])

    def test_destination(self) -> None:
        """403: not one of the destinations. It has who called whom from where."""
        alice = self.world.browser()
        alice.bind()
        alice.invite("sip:bob@elsewhere.example")
        alice.heard(403)
        self.assert_refused(403, **{
            "from": "sip:alice@pbx.example.com", "to": "sip:bob@elsewhere.example", "user": "alice@pbx.example.com",
            "source": "198.51.100.9", "direction": "outbound",
        })  # fmt: skip

    def test_scheme(self) -> None:
        """416: a scheme that leads nowhere."""
        alice = self.world.browser()
        alice.invite("http://pbx.example.com")
        alice.heard(416)
        self.assert_refused(416)

    def test_extension(self) -> None:
        """420: what it requires is not known here."""
        alice = self.world.browser()
        alice.invite(BOB, ("Require", "magic"))
        alice.heard(420)
        self.assert_refused(420, reason="Bad Extension")

    def test_merged(self) -> None:
        """482: the same INVITE over another way; its repeats have no record of their own."""
        alice = self.world.browser()
        alice.bind()
        trunk = self.world.trunk()
        invite = trunk.call(alice)
        alice.request("INVITE")
        again = Request(invite.method, invite.uri, invite.headers.copy(), invite.body)
        again.headers.set("Via", f"SIP/2.0/UDP {trunk.via};branch=z9hG4bKother")
        for _ in range(3):
            trunk.say(Request(again.method, again.uri, again.headers.copy(), again.body))
            trunk.heard(482)
        self.assert_refused(482, trunk=PBX.name, direction="inbound")

    def test_limit_of_a_trunk(self) -> None:
        """486: the trunk has as many calls as it may."""
        self.trunks = (replace(PBX, limits=replace(PBX.limits, calls=1)),)  # type: ignore[misc]
        self.world = self.make_world()
        alice, peer = self.world.browser(), self.world.trunk()
        alice.bind()
        peer.call(alice)
        alice.request("INVITE")
        peer.call(alice)
        peer.heard(486)
        self.assert_refused(486, trunk=PBX.name)

    def test_limit(self) -> None:
        """503: too many calls in all."""
        self.world = self.make_world(calls=CallsConfig(limit=1, limit_unregistered=3))
        alice = self.world.browser()
        alice.invite(BOB)
        alice.invite(BOB)
        alice.heard(503)
        self.assert_refused(503)

    def test_rate(self) -> None:
        """503: too many calls within a minute."""
        self.world = self.make_world(limits=LimitsConfig(address_calls_per_minute=12))
        alice = self.world.browser()
        for _ in range(30):
            alice.invite("sip:bob@elsewhere.example")
        codes = self.codes()
        self.assertEqual((len(codes), set(codes)), (30, {403, 503}))

    def test_transactions(self) -> None:
        """503: too many transactions of a connection."""
        alice = self.world.browser()
        self.world.transactions._table = Table(TransactionLimits(total=0))
        for tag in ("", "inside-a-dialog"):
            alice.invite(BOB, to_tag=tag)
            alice.heard(503)
        self.assert_refused(503)

    def test_draining(self) -> None:
        """503: the proxy is about to stop."""
        self.world.calls.draining = True
        alice = self.world.browser()
        alice.invite(BOB)
        alice.heard(503)
        self.assert_refused(503)

    def test_malformed(self) -> None:
        """400: an INVITE that can't be read, as far as it can be."""
        alice = self.world.browser()
        invite = alice.inside("INVITE", *self._answered(alice))
        invite.headers.set("From", "<sip:alice")
        invite.headers.set("To", "<sip:bob@pbx.example.com>")
        self.world.transactions.bad_message(BadMessage("Bad From", request=invite), alice.flow)
        self.assertEqual(self.records("code", "reason", "from")[-1:], [(400, "Bad From", "sip:alice")])

    def test_in_dialog(self) -> None:
        """An INVITE within a dialog that does not exist is no attempt of a call."""
        alice = self.world.browser()
        alice.invite(BOB, to_tag="gone")
        alice.heard(481)
        self.assertEqual(self.codes(), [])

    def test_cancelled(self) -> None:
        """487: the caller gives up while its targets are sought."""
        self.world = self.make_world(slow=True)
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        invite = trunk.call(alice)
        trunk.cancel(invite)
        self.assertEqual(sorted(trunk.pending()), ["200", "487"])
        self.assertEqual(self.records("code", "ended-by"), [(487, "cancel")])

    def test_no_file(self) -> None:
        """Without a file nothing is kept."""
        self.world = World(PBX)
        self.worlds.append(self.world)
        alice = self.world.browser()
        alice.invite("sip:bob@elsewhere.example")
        alice.heard(403)
        self.assertFalse(self.path.exists())

    def _answered(self, alice: Any) -> Any:
        invite = alice.invite("sip:bob@elsewhere.example")
        return invite, alice.response(403)
