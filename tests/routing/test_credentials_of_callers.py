"""A host that may call in (one of `sources`), and is none of the trunk's servers, gets no digest of its password."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from tests.support.calls.case import CallCase
from tests.support.calls.party import party_of
from tests.support.calls.subscribing import WatchCase, notifier_of, notify, subscriber_of
from tests.support.calls.world import OFFER, PLAIN
from tests.support.configs import CARRIER
from webrtcproxy.transport.flow import Address

WIDE = replace(CARRIER, realm=None, sources=(ip_network("203.0.113.0/24"),))


class OnlyAtSources(CallCase):
    trunks = (WIDE,)

    def test_digest_for_any_source(self) -> None:
        """No credentials leave for a host that is not one of the trunk's servers."""
        alice = self.world.browser()
        alice.aor = "alice@carrier.example.net:5080"
        alice.bind()
        mallory = self.world.trunk("203.0.113.66")  # calls in; the trunk is at carrier.example.net / 192.0.2.7
        invite = mallory.call(alice)
        leg = alice.request("INVITE")
        answer = alice.answer(leg, 200, OFFER.replace(b"actpass", b"active"))
        alice.heard("ACK")
        ok = mallory.response(200)
        mallory.ack(invite, ok)
        caller, callee = party_of(mallory, invite, ok), party_of(alice, leg, answer)
        callee.ask("BYE")
        alice.forget()
        bye = mallory.request("BYE")
        caller.answer(bye, 401, b"", ("WWW-Authenticate", 'Digest realm="anything", nonce="chosen", algorithm=MD5'))
        again = [message for message in mallory.flow.messages if getattr(message, "method", "") == "BYE"][1:]
        leaked = [message.headers.get("Authorization") for message in again]
        for message in again:
            caller.answer(message, 200)
        self.assertEqual(leaked, [])

    def test_toll_fraud(self) -> None:
        """Nor can it have one made for a request of its own to the trunk: Record-Route to itself, a Contact at the
        trunk, the nonce that the trunk has given it."""
        alice = self.world.browser()
        alice.aor = "alice@carrier.example.net:5080"
        alice.bind()
        mallory = self.world.trunk("203.0.113.66")
        mallory.contact = "sip:+1900premium@carrier.example.net"
        invite = mallory.call(alice, ("Record-Route", "<sip:203.0.113.66;lr>"))
        leg = alice.request("INVITE")
        answer = alice.answer(leg, 200, OFFER.replace(b"actpass", b"active"))
        alice.heard("ACK")
        ok = mallory.response(200)
        mallory.ack(invite, ok)
        caller, callee = party_of(mallory, invite, ok), party_of(alice, leg, answer)
        callee.ask("INVITE", callee.sdp("sendonly"))
        reinvite = mallory.request("INVITE")
        challenge = 'Digest realm="carrier", nonce="of-the-carrier", algorithm=MD5'
        caller.answer(reinvite, 407, b"", ("Proxy-Authenticate", challenge))
        again = [each for each in mallory.flow.messages if getattr(each, "method", "") == "INVITE"][1:]
        leaked = [each.headers.get("Proxy-Authorization") for each in again]
        for each in again:
            caller.answer(each, 488)
        self.assertEqual(leaked, [])

    def test_outbound(self) -> None:
        """The same where the browser has called, and the Contact of the 200 leads to such a host."""
        alice, trunk = self.world.browser(), self.world.trunk("192.0.2.7")
        alice.aor = "alice@carrier.example.net:5080"
        alice.uri = f"sip:{alice.aor}"
        alice.bind()
        mallory = self.world.trunk("203.0.113.66")
        self.world.trunks[Address("192.0.2.7", 5090), "udp"] = trunk
        invite = alice.invite("sip:+4930@carrier.example.net:5080")
        challenge = 'Digest realm="carrier", nonce="n", algorithm=MD5'
        trunk.answer(trunk.request("INVITE"), 407, headers=[("Proxy-Authenticate", challenge)])
        trunk.heard("ACK")
        again = trunk.request("INVITE")
        self.assertIn("Proxy-Authorization", again.headers)
        trunk.answer(again, 200, PLAIN, contact="<sip:x@203.0.113.66>")
        alice.ack(invite, alice.response(200))
        self.assertNotIn("Proxy-Authorization", mallory.request("ACK").headers)
        alice.flow.lose()
        self.world.turn(5)
        bye = mallory.request("BYE")
        self.assertNotIn("Proxy-Authorization", bye.headers)
        mallory.answer(bye, 407, headers=[("Proxy-Authenticate", challenge)])
        mallory.silent()


class Subscribed(WatchCase):
    """A trunk that subscribes at a browser, and challenges its NOTIFYs."""

    trunks = (CARRIER,)

    def watched_by_the_trunk(self, authenticated: bool) -> None:
        """`subscriber` and `notifier` are the ends."""
        self.trunk = self.world.trunk("192.0.2.7")
        self.alice.aor = "alice@carrier.example.net:5080"
        self.alice.bind(authenticated=authenticated)
        sent = self.subscribe_in()
        leg = self.alice.request("SUBSCRIBE")
        ok = self.accept(leg, by=self.alice)
        self.notifier = notifier_of(self.alice, leg, ok)
        self.subscriber = subscriber_of(self.trunk, sent, self.trunk.response(200))

    def challenged(self) -> None:
        notify(self.notifier)
        challenge = 'Digest realm="carrier", nonce="n", algorithm=MD5'
        self.subscriber.answer(self.trunk.request("NOTIFY"), 407, b"", ("Proxy-Authenticate", challenge))

    def test_answered(self) -> None:
        """The proxy answers the challenge, as in a call that the trunk has made (docs/challenges.rst)."""
        self.watched_by_the_trunk(True)
        self.challenged()
        again = self.trunk.request("NOTIFY")
        self.assertIn("Proxy-Authorization", again.headers)
        self.subscriber.answer(again, 200)
        self.alice.heard(200)

    def test_not_registered(self) -> None:
        """A browser that has proven nothing to the trunk gets no digest made for it; the challenge is its own."""
        self.watched_by_the_trunk(False)
        self.challenged()
        self.trunk.silent()
        self.alice.heard(407)
