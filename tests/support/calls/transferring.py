"""The case classes of tests of transfers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import quote

from tests.support.calls.case import CallCase
from tests.support.calls.party import Pair, Party, party_of
from tests.support.calls.world import OFFER, PLAIN, Browser, TrunkPeer
from tests.support.configs import CARRIER, PBX
from tests.support.ngnode import TRUNK_SDP
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.replaces import Replaces

TARGET = "sip:dave@carrier.example.net:5080"
BY = ("Referred-By", "<sip:alice@pbx.example.com>")
NEW = TRUNK_SDP % {b"port": 60000, b"version": 1}


def name_of(party: Party) -> Replaces:
    """What `party` calls its dialog when it tells somebody to replace it: its peer's tag is the to-tag."""
    return Replaces(party.call_id, tag_of(party.remote), tag_of(party.local))


def tag_of(value: str) -> str:
    return NameAddr.parse(value).tag or ""


def refer_to(uri: str, named: Replaces, order: str = "{call};to-tag={to};from-tag={from_}") -> tuple[str, str]:
    """A Refer-To with Replaces, its parts in the order that `order` says."""
    text = order.format(call=named.call_id, to=named.to_tag, from_=named.from_tag)
    return "Refer-To", f"<{uri}?Replaces={quote(text, safe='')}&Subject=x>"


class ReplacingCase(CallCase):
    trunks = (PBX, CARRIER)

    def out(
        self, alice: Browser, trunk: TrunkPeer, tag: str = "callee", routes: Iterable[Pair] = ()
    ) -> tuple[Party, Party]:
        """A call out of the browser: both ends."""
        invite = alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        answer = trunk.answer(leg, 200, PLAIN, tag=tag, headers=routes)
        trunk.heard("ACK")
        ok = alice.response(200)
        alice.ack(invite, ok)
        return party_of(alice, invite, ok), party_of(trunk, leg, answer)

    def into(self, trunk: TrunkPeer, browser: Browser) -> tuple[Party, Party]:
        """A call to the browser: both ends, the trunk's first."""
        invite = trunk.invite(f"sip:{browser.aor.partition('@')[0]}@192.0.2.1")
        leg = browser.request("INVITE")
        answer = browser.answer(leg, 200, OFFER.replace(b"actpass", b"active"), tag=f"tag{id(leg)}")
        browser.heard("ACK")
        ok = trunk.response(200)
        trunk.ack(invite, ok)
        return party_of(trunk, invite, ok), party_of(browser, leg, answer)

    def bye(self, by: Party, other: Party) -> None:
        by.ask("BYE")
        by.peer.heard(200)
        self.world.turn()
        other.answer(other.peer.request("BYE"), 200)


class LocalTransferCase(ReplacingCase):
    """A browser's call to bob, whose trunk does not do REFER; dave is elsewhere."""

    trunks = (replace(PBX, refer="local"), replace(CARRIER, refer="local"))

    def setUp(self) -> None:
        super().setUp()
        self.people()

    def people(self) -> None:
        """The call, in the world that there is now."""
        self.alice, self.pbx = self.world.browser(), self.world.trunk()
        self.carrier = self.world.trunk("192.0.2.7", 5090)
        self.alice.bind()
        self.mine, self.bob = self.out(self.alice, self.pbx, "bob")

    def refer(self, *headers: Pair, to: str = TARGET, status: int = 405) -> Request:
        """Alice's REFER, which bob refuses: the INVITE to dave."""
        self.mine.ask("REFER", b"", *(headers or (("Refer-To", f"<{to}>"), BY)))
        self.bob.answer(self.pbx.request("REFER"), status)
        self.alice.heard(202)
        self.told("100 Trying", "active")
        return self.carrier.request("INVITE")

    def told(self, fragment: str, state: str) -> Request:
        """The next NOTIFY that alice gets; answered 200."""
        notify = self.alice.request("NOTIFY")
        self.assertEqual(notify.body, f"SIP/2.0 {fragment}\r\n".encode())
        self.assertEqual(notify.content_type, "message/sipfrag")
        self.assertTrue((notify.headers.get("Subscription-State") or "").startswith(state), notify.headers)
        self.assertEqual(notify.headers.get("Event"), f"refer;id={self.mine.cseq}")
        self.assertEqual(notify.call_id, self.mine.call_id)
        self.mine.answer(notify, 200)
        return notify

    def answered(self, invite: Request) -> Party:
        """Dave answers, and bob agrees to hear him."""
        answer = self.carrier.answer(invite, 200, NEW, tag="dave")
        self.carrier.heard("ACK")
        self.agrees(self.bob)
        return party_of(self.carrier, invite, answer)

    def agrees(self, party: Party, status: int = 200) -> Request:
        offered = party.peer.request("INVITE")
        self.assertEqual(offered.call_id, party.call_id)
        party.answer(offered, status, party.sdp() if status == 200 else b"")
        party.peer.heard("ACK")
        return offered

    def old_call(self) -> None:
        """The call of alice and bob is as it was, and its session may be changed."""
        self.world.turn(40)
        self.hold(self.mine, self.bob)
        self.bye(self.mine, self.bob)

    def hold(self, asker: Party, other: Party) -> None:
        invite = asker.ask("INVITE", asker.sdp("sendonly"))
        crossed = other.peer.request("INVITE")
        other.answer(crossed, 200, other.sdp("recvonly"))
        other.peer.heard("ACK")
        asker.peer.heard(200)
        asker.ack(invite)
