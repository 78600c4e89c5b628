"""An INVITE with Replaces that is sent to the peer of the dialog that it names: whose credentials it may use."""

from __future__ import annotations

from tests.support.calls.party import Party, party_of
from tests.support.calls.transferring import TARGET, ReplacingCase, name_of
from tests.support.calls.world import PLAIN, Browser, TrunkPeer
from tests.support.configs import CARRIER

CHALLENGE = ("Proxy-Authenticate", 'Digest realm="carrier", nonce="n", qop="auth"')


class Challenged(ReplacingCase):
    """A browser's INVITE replaces its own call at a trunk with credentials; the trunk challenges it."""

    def called(self, *, anyone: bool, registered: bool) -> tuple[Browser, TrunkPeer, Party, Party]:
        """The browser, the trunk, and both ends of their call.

        :param anyone: ``trunk-credentials = anyone``.
        :param registered: whether the browser has registered with its password.
        """
        self.world = self.make_world(anyone=anyone)
        alice, carrier = self.world.browser(), self.world.trunk("192.0.2.7", 5090)
        if registered:
            alice.bind()
            alice.authenticate(CARRIER)
        invite = alice.invite(TARGET)
        leg = carrier.request("INVITE")
        answer = carrier.answer(leg, 200, PLAIN)
        carrier.heard("ACK")
        ok = alice.response(200)
        alice.ack(invite, ok)
        return alice, carrier, party_of(alice, invite, ok), party_of(carrier, leg, answer)

    def test_answered(self) -> None:
        """The proxy answers with the trunk's credentials for a browser that has registered, and for any where
        ``trunk-credentials = anyone``: the rule of every other INVITE."""
        for anyone, registered in ((False, True), (True, False), (True, True)):
            alice, carrier, mine, bob = self.called(anyone=anyone, registered=registered)
            invite = alice.invite(TARGET, ("Replaces", str(name_of(mine))))
            crossed = carrier.request("INVITE")
            self.assertIn(bob.call_id, crossed.headers.get("Replaces") or "")
            carrier.answer(crossed, 407, headers=[CHALLENGE])
            carrier.heard("ACK")
            again = carrier.request("INVITE")
            self.assertIn('username="us"', again.headers.get("Proxy-Authorization") or "")
            self.assertEqual(again.headers.lines("Replaces"), crossed.headers.lines("Replaces"))
            carrier.answer(again, 486)
            carrier.heard("ACK")
            alice.ack(invite, alice.response(486))
            self.bye(mine, bob)

    def test_unregistered(self) -> None:
        """A browser that has not registered gets the challenge itself, where ``trunk-credentials = registered``."""
        alice, carrier, mine, bob = self.called(anyone=False, registered=False)
        invite = alice.invite(TARGET, ("Replaces", str(name_of(mine))))
        carrier.answer(carrier.request("INVITE"), 407, headers=[CHALLENGE])
        carrier.heard("ACK")
        refused = alice.response(407)
        self.assertIn("carrier", refused.headers.get("Proxy-Authenticate") or "")
        alice.ack(invite, refused)
        carrier.silent()
        self.bye(mine, bob)
