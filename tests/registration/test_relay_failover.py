"""REGISTER and several registrars (RFC 3263 section 4.3)."""

from __future__ import annotations

from tests.support.calls.failing import FIRST, SECOND, THIRD, pbx
from tests.support.calls.registering import ALICE, JSSIP, OURS, RegistrarCase
from tests.support.fakes import FakeFlow
from webrtcproxy.sip.message import respond
from webrtcproxy.transport.flow import Address


class Registering(RegistrarCase):
    """REGISTER goes from target to target, too (corners.rst 4: 3263)."""

    trunks = (pbx(FIRST, SECOND, THIRD, username="us", password="secret"),)
    anyone = True

    def flow(self, host: str) -> FakeFlow:
        return self.network.flows["udp", Address(host, 5060)]

    def say(self, host: str, status: int, *headers: tuple[str, str]) -> None:
        """One of the two answers its last request."""
        flow = self.flow(host)
        self.transactions.message_received(respond(flow.last_request, status, "", to_tag="up", headers=headers), flow)

    def test_second(self) -> None:
        """The second challenges and accepts: the answer to the challenge goes there, and it is the registrar that may
        call in."""
        self.register(JSSIP)
        first = self.flow(FIRST).last_request
        self.say(FIRST, 503)
        again = self.flow(SECOND).last_request
        self.assertNotEqual(again.via.branch, first.via.branch)
        for name in ("Call-ID", "From", "CSeq", "Contact"):
            self.assertEqual(again.headers.get(name), first.headers.get(name), name)
        self.say(SECOND, 401, ("WWW-Authenticate", 'Digest realm="pbx", nonce="abc"'))
        self.assertEqual(self.flow(SECOND).last_request.cseq.number, first.cseq.number + 1)
        self.say(SECOND, 200, ("Contact", f"<{OURS}>;expires=300"))
        self.assertEqual((self.replies(), len(self.bound())), ([200], 1))
        self.assertIn(SECOND, self.location.find(ALICE).registrars)
        self.assertNotIn(FIRST, self.location.find(ALICE).registrars)
        self.assertEqual(len(self.flow(FIRST).sent), 1)

    def test_silence(self) -> None:
        """One that is silent has four seconds; the browser learns in time where both are."""
        self.register(JSSIP)
        self.clock.pump([0.1] * 41)
        self.assertEqual(self.flow(SECOND).summary, ["REGISTER"])
        self.clock.pump([0.5] * 60)
        self.assertEqual(self.replies(), [100, 504])

    def test_slow(self) -> None:
        """One that says 100 is at work, and not dead: its 504 is its own business."""
        self.register(JSSIP)
        self.say(FIRST, 100)
        self.clock.pump([0.5] * 10)
        self.assertEqual(len(self.network.flows), 1)

    def test_no_further(self) -> None:
        """Once the browser has its 504, no other registrar is asked to bind what nobody wants any more."""
        self.register(JSSIP)
        self.clock.pump([0.1] * 41)
        self.say(SECOND, 100)  # at work, until the browser has been told
        self.clock.pump([0.5] * 60)
        self.assertEqual(self.replies(), [100, 504])
        self.say(SECOND, 503)
        self.assertEqual(list(self.network.flows), [("udp", Address(host, 5060)) for host in (FIRST, SECOND)])
        self.assertEqual(self.bound(), [])

    def test_place(self) -> None:
        """Each registrar reaches us by the way that it is reached; of several processes, where all of them are."""
        places = {FIRST: "203.0.113.7:5060", SECOND: "203.0.113.8:5060"}
        self.registrar.contact_hostport = lambda flow: places[flow.peer.host]
        self.register(JSSIP)
        self.say(FIRST, 503)
        told = self.flow(SECOND).last_request.contacts
        self.assertEqual([contact.address.host for contact in told], ["203.0.113.8"])
        self.say(SECOND, 401, ("WWW-Authenticate", 'Digest realm="pbx", nonce="abc"'))
        ours = self.flow(SECOND).last_request.headers.get("Contact") or ""
        self.assertIn("@203.0.113.8:5060>", ours)
        # A phone of the same name at the first place is not what was granted here.
        self.say(SECOND, 200, ("Contact", f"<{OURS}>;expires=60"), ("Contact", ours.partition(";")[0] + ";expires=300"))
        (bound,) = self.bound()
        self.assertEqual(bound.expires_at - self.clock.seconds(), 300)
