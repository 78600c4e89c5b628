"""A host that may call in (one of `sources`), and is none of the trunk's servers, gets no digest of its password."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from tests.support.calls.case import CallCase
from tests.support.calls.party import party_of
from tests.support.calls.world import OFFER
from tests.support.configs import CARRIER

WIDE = replace(CARRIER, realm=None, sources=(ip_network("203.0.113.0/24"),))


class OnlyAtSources(CallCase):
    trunks = (WIDE,)

    def test_digest_for_any_source(self) -> None:
        """No credentials leave for a host that is not one of the trunk's servers."""
        alice = self.world.browser()
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
