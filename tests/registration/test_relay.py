"""Registrar: REGISTERs through the proxy, as they are on the wire on both sides."""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs, formatEvent

from tests.support.calls.registering import (
    ALICE,
    JSSIP,
    OURS,
    REGISTRAR,
    SIPJS,
    TOKEN,
    RegistrarCase,
    jssip_expires,
    sipjs_expires,
)
from tests.support.configs import CARRIER, PBX
from tests.support.exposition import Readings
from tests.support.fakes import FakeFlow
from webrtcproxy.registration.binding import Binding
from webrtcproxy.registration.location import REGISTRAR_LINGER
from webrtcproxy.sip.message import respond


class AcceptedTests(RegistrarCase):
    """What the browser gets, and what is stored."""

    def test_jssip(self) -> None:
        """JsSIP gets its own Contact to the letter, with the registrar's seconds
        (original.rst: register, forwarded with our Contact, refreshed, taken back)."""
        self.register(f"{JSSIP};expires=600", expires=600)
        self.assertEqual(self.bound(), [])
        response = self.accept(300)
        self.assertEqual((response.status, response.reason), (200, "OK"))
        self.assertEqual(self.contacts(response), [f"{JSSIP};expires=300"])
        self.assertEqual(jssip_expires(response, "<urn:uuid:8f4b>", "8h2kq0aa"), 300)
        (binding,) = self.bound()
        self.assertEqual(binding.contact, "sip:8h2kq0aa@qb1x2c3d4e5f.invalid;transport=ws")
        self.assertIs(binding.flow, self.browser)
        self.assertEqual(binding.expires_at, 300)

    def test_place(self) -> None:
        """The Contact upstream names the place that is the same for all processes, and what is granted counts by it."""
        self.contact_hostport = "203.0.113.7:5059"
        self.register(f"{JSSIP};expires=600", expires=600)
        contact = self.upstream().headers.get("Contact") or ""
        self.assertIn(f"<sip:{TOKEN}@203.0.113.7:5059>", contact)

    def test_sipjs(self) -> None:
        """So does SIP.js, which sends no Expires header."""
        self.register(f"{SIPJS};expires=600")
        response = self.accept()
        self.assertEqual(self.contacts(response), [f"{SIPJS};expires=600"])
        self.assertEqual(sipjs_expires(response, "q1w2e3r4"), 600)

    def test_plain_contact(self) -> None:
        """A Contact without transport=, and a sips: one, are bound as well (the original: stored nothing, silently)
        (original.rst: register, a Contact without transport, and a sips)."""
        for contact in ("<sip:alice@192.0.2.99>", "<sips:alice@x.invalid>", "sip:alice@y.invalid"):
            self.register(contact, expires=60)
            self.accept(60)
        contacts = [binding.contact for binding in self.bound()]
        self.assertEqual(contacts, ["sip:alice@y.invalid", "sips:alice@x.invalid", "sip:alice@192.0.2.99"])

    def test_headers_cross_back(self) -> None:
        """Service-Route, Path, P-Associated-URI and Date cross, in their order (RFC 3608 section 5)
        (original.rst: register, the headers of the 200)."""
        crossing = [
            ("Service-Route", "<sip:a.example;lr>, <sip:b.example;lr>"),
            ("Service-Route", "<sip:c.example;lr>"),
            ("Path", "<sip:p.example;lr>"),
            ("P-Associated-URI", "<tel:+49301234>"),
            ("Date", "Sat, 13 Nov 2010 23:29:00 GMT"),
        ]
        self.register(f"{JSSIP};expires=600")
        response = self.accept(600, *crossing)
        for name in {name for name, _ in crossing}:
            self.assertEqual(response.headers.lines(name), [value for key, value in crossing if key == name])

    def test_nothing_foreign(self) -> None:
        """A browser never sees our Contact, another phone's, or a GRUU that does not lead to it."""
        self.register(f"{JSSIP};expires=600")
        foreign = [("Contact", "<sip:desk@192.0.2.50>;expires=99, <sip:broken"), ("Contact", "desk")]
        gruu = f'<{OURS}>;expires=500;pub-gruu="sip:alice@pbx.example.com;gr=1";temp-gruu="sip:x@pbx.example.com;gr"'
        response = self.answer(200, *foreign, ("Contact", gruu), ("Expires", "99"), ("Supported", "outbound"))
        self.assertEqual(self.contacts(response), [f"{JSSIP};expires=500"])
        self.assertNotIn("Expires", response.headers)
        self.assertNotIn("Supported", response.headers)

    def test_moved_contact(self) -> None:
        """Our Contact is known by its user where something in between changed its address."""
        self.register(f"{JSSIP};expires=600")
        response = self.answer(200, ("Contact", f"<sip:{TOKEN}@192.168.1.1:5060>;expires=120, <tel:+4930>;expires=9"))
        self.assertEqual(self.contacts(response), [f"{JSSIP};expires=120"])
        self.register(f"{JSSIP};expires=600")
        response = self.accept(240, ("Contact", f"<sip:{TOKEN}@192.168.1.1:5060>;expires=120"))
        self.assertEqual(self.contacts(response), [f"{JSSIP};expires=240"])
        self.register(f"{JSSIP};expires=600")
        moved, ours = f"<sip:{TOKEN}@192.168.1.1:5060>;expires=120", f"<{OURS}>;expires=360"
        self.assertEqual(self.contacts(self.answer(200, ("Contact", f"{moved}, {ours}"))), [f"{JSSIP};expires=360"])

    def test_not_listed(self) -> None:
        """A 200 that does not list our Contact binds by its Expires, else as asked, else for an hour; no longer than
        the shortest that it lists (field.rst W9: Contact beside ours)."""
        for expires, headers, seconds in (
            (600, [("Expires", "120")], 120),
            (600, [], 600),
            (None, [], 3600),
            (600, [("Contact", "<sip:desk@192.0.2.50>;expires=99")], 99),
            (600, [("Contact", "<sip:desk@192.0.2.50>")], 600),
            (600, [("Contact", "<sip:other@192.0.2.9>;expires=300"), ("Expires", "600")], 300),
            (
                600,
                [("Contact", "<sip:other@192.0.2.9>;expires=300, <sip:b@192.0.2.9;expires=200"), ("Expires", "600")],
                200,
            ),
            (600, [("Contact", "<sip:other@192.0.2.9>;expires=300"), ("Expires", "120")], 120),
            (600, [("Contact", "<sip:other@192.0.2.9>;expires=0")], 600),
            (600, [("Contact", f"<{OURS}>"), ("Expires", "77")], 77),
            (600, [("Contact", f"<{OURS}>;expires=soon")], 600),
            (600, [("Expires", "soon")], 600),
        ):
            self.register(SIPJS, expires=expires)
            self.assertEqual(sipjs_expires(self.answer(200, *headers), "q1w2e3r4"), seconds)

    def test_granted_nothing(self) -> None:
        """A registrar that grants 0 seconds has not bound anything, so neither have we."""
        self.register(SIPJS, expires=600)
        self.accept()
        self.register(SIPJS, expires=600)
        response = self.accept(0)
        self.assertEqual((self.contacts(response), self.bound()), ([], []))

    def test_no_longer_than_asked(self) -> None:
        """A registrar that grants more than was asked does not make the browser come later than it meant to."""
        self.register(f"{SIPJS};expires=60")
        self.assertEqual(sipjs_expires(self.accept(3600), "q1w2e3r4"), 60)

    def test_lost_meanwhile(self) -> None:
        """A browser that is lost before the 200 is not bound; its registrar is known, so that calls get 480."""
        self.register(f"{JSSIP};expires=600")
        self.browser.lose()
        (flow,) = self.network.flows.values()
        contact = ("Contact", f"<{OURS}>;expires=600")
        self.transactions.message_received(respond(self.upstream(), 200, headers=[contact]), flow)
        self.assertEqual(self.bound(), [])
        self.assertIn(REGISTRAR, self.location.find(ALICE).registrars)
        self.assertFalse(self.location.proofs.any(self.browser))

    def test_lost_while_it_moves(self) -> None:
        """So it is where the lost browser had taken back an older Contact in the same request."""
        self.register(f"{JSSIP};expires=600", "<sip:old@x.invalid>;expires=0")
        self.browser.lose()
        (flow,) = self.network.flows.values()
        self.transactions.message_received(respond(self.upstream(), 200), flow)
        self.clock.advance(REGISTRAR_LINGER + 1)
        self.assertIn(REGISTRAR, self.location.find(ALICE).registrars)

    def test_registrar_is_known(self) -> None:
        """The address that accepted may call in from then on, for as long as it granted."""
        self.register(f"{JSSIP};expires=600")
        self.assertFalse(self.location.is_registrar(REGISTRAR))
        self.accept(120)
        self.assertIn(REGISTRAR, self.location.find(ALICE).registrars)
        self.clock.advance(120)
        self.assertNotIn(REGISTRAR, self.location.find(ALICE).registrars)
        self.assertIsNone(self.location.find_token(TOKEN))

    def test_log(self) -> None:
        """One line tells that a browser came, with AOR, address and Call-ID; a refresh tells nothing."""
        with capturedLogs() as events:
            for _ in range(2):
                self.register(f"{JSSIP};expires=600")
                self.accept()
        lines = [(event["log_level"], event["aor"], event["call"]) for event in events]
        self.assertEqual(lines, [(LogLevel.info, ALICE, "cid1")])


class RefreshTests(RegistrarCase):
    """The sequence that upstream sees."""

    def test_call_id_and_cseq(self) -> None:
        """Over refreshes the Call-ID and From tag stay and CSeq counts on (RFC 3261 section 10.2.4),
        though JsSIP has a new From tag each time."""
        seen = []
        for _ in range(3):
            self.register(f"{JSSIP};expires=600")
            seen.append(self.upstream())
            self.accept()
            self.clock.advance(500)
        self.assertEqual(len({(request.call_id, request.from_.tag) for request in seen}), 1)
        self.assertEqual([request.cseq.number for request in seen], [1, 2, 3])

    def test_another_browser(self) -> None:
        """Another browser is another sequence."""
        self.register(f"{JSSIP};expires=600")
        first = self.upstream()
        self.accept()
        self.register(f"{SIPJS};expires=600", call_id="cid2")
        self.assertNotEqual(self.upstream().call_id, first.call_id)

    def test_retransmission_upstream(self) -> None:
        """A lost REGISTER is sent again; a repeated 200 changes nothing."""
        self.register(f"{JSSIP};expires=600")
        self.clock.advance(0.5)
        self.assertEqual(self.sent_upstream(), 2)
        request = self.upstream()
        self.accept()
        self.answer(200, ("Contact", f"<{OURS}>;expires=1"), to=request)
        self.assertEqual((self.replies(), self.bound()[0].expires_at), ([200], 600.5))

    def test_new_socket(self) -> None:
        """The same instance on a new socket: the binding moves, and the old socket's end does not touch it."""
        newer = FakeFlow.wss()
        seen: list[Binding] = []
        self.location.watch(seen.append)
        self.register(f"{JSSIP};expires=600")
        self.accept()
        self.register(f"{JSSIP};expires=600", flow=newer)
        self.accept()
        self.browser.lose()
        self.assertEqual([binding.flow for binding in self.bound()], [newer])
        self.assertEqual([binding.flow for binding in seen], [self.browser, newer])


class ChallengeTests(RegistrarCase):
    """Digest, answered by the browser."""

    CHALLENGE = 'Digest realm="pbx", nonce="abc", qop="auth", algorithm=MD5'

    def test_crosses(self) -> None:
        """401 and 407 cross with their challenge; the answer crosses too, in the same sequence upstream (before: the
        407's header was lost) (original.rst: register, 401)."""
        for status, asks, answers in (
            (401, "WWW-Authenticate", "Authorization"),
            (407, "Proxy-Authenticate", "Proxy-Authorization"),
        ):
            with capturedLogs() as events:
                self.register(f"{JSSIP};expires=600")
                first = self.upstream()
                response = self.answer(status, (asks, self.CHALLENGE), (asks, 'Digest realm="2", nonce="1"'))
            self.assertEqual(events, [])
            self.assertEqual((response.status, self.bound()), (status, []))
            self.assertEqual(response.headers.lines(asks), [self.CHALLENGE, 'Digest realm="2", nonce="1"'])
            credentials = 'Digest username="alice", realm="pbx", nonce="abc", uri="sip:pbx.example.com", response="0"'
            self.register(f"{JSSIP};expires=600", more=(f"{answers}: {credentials}",))
            second = self.upstream()
            self.assertEqual(second.headers.lines(answers), [credentials])
            self.assertEqual(second.uri, "sip:pbx.example.com")
            self.assertEqual((second.call_id, second.from_.tag), (first.call_id, first.from_.tag))
            self.assertEqual(second.cseq.number, first.cseq.number + 1)
            self.assertEqual(self.accept().status, 200)
            self.location.unbind(ALICE)

    def test_bearer(self) -> None:
        """A challenge for a token crosses as it is, and so does the token: it is for the registrar to judge
        (corners.rst 4: 8898 Bearer)."""
        self.register(f"{JSSIP};expires=600")
        challenge = 'Bearer realm="pbx", authz_server="https://auth.example.com"'
        self.assertEqual(
            [challenge], self.answer(401, ("WWW-Authenticate", challenge)).headers.lines("WWW-Authenticate")
        )
        self.register(f"{JSSIP};expires=600", more=("Authorization: Bearer eyJhbGciOiJub25lIn0",))
        self.assertEqual("Bearer eyJhbGciOiJub25lIn0", self.upstream().headers.get("Authorization"))
        self.assertEqual(200, self.accept().status)

    def test_proves(self) -> None:
        """A 200 at a configured trunk, to the answer to its challenge, proves the browser, until it is no longer
        registered."""
        self.register_with_password()
        self.assertEqual(self.location.proofs.aors(self.browser), [ALICE])
        self.register(f"{JSSIP};expires=0")
        self.answer(200)
        self.assertFalse(self.location.proofs.any(self.browser))

    def test_unchallenged_proves_nothing(self) -> None:
        """A registrar that accepts anybody, as one that trusts the proxy's address, proves nothing: not by a bare
        REGISTER, not by one with credentials that nobody has asked for, and not by a challenge of another user's."""
        self.register(f"{JSSIP};expires=600")
        self.accept()
        self.register(f"{JSSIP};expires=600", more=('Authorization: Digest username="alice", nonce="abc"',))
        self.accept()
        self.assertEqual(len(self.bound()), 1)
        self.assertFalse(self.location.proofs.any(self.browser))
        self.register(f"{JSSIP};expires=600", user="bob", call_id="cid2")
        self.answer(401, ("WWW-Authenticate", self.CHALLENGE))
        self.register(f"{JSSIP};expires=600", more=('Authorization: Digest username="alice", nonce="abc"',))
        self.accept()
        self.assertFalse(self.location.proofs.any(self.browser))

    def test_challenge_to_another_connection_proves_nothing(self) -> None:
        """The proof belongs to the connection that was challenged: a recorded REGISTER is nobody's password."""
        credentials = self.register_with_password()
        other = FakeFlow.wss()
        self.register(f"{SIPJS};expires=600", flow=other, call_id="cid2", more=(credentials,))
        self.accept()
        self.assertFalse(self.location.proofs.any(other))

    def test_refresh_without_a_challenge(self) -> None:
        """Once proven, a refresh that the registrar accepts at once goes on with it."""
        self.register_with_password()
        self.clock.advance(500)
        self.register(f"{JSSIP};expires=600")
        self.accept()
        self.clock.advance(500)
        self.assertEqual(self.location.proofs.aors(self.browser), [ALICE])
        self.clock.advance(101)
        self.assertFalse(self.location.proofs.any(self.browser))

    def test_odd_challenges(self) -> None:
        """Challenges and credentials that can't be read prove nothing, and harm nothing."""
        self.register(f"{JSSIP};expires=600")
        self.answer(401, ("WWW-Authenticate", 'Digest realm="x'), ("WWW-Authenticate", "Digest realm=x"))
        odd = ('Authorization: Digest nonce="', "Authorization: Digest realm=x", "Proxy-Authorization: ,")
        self.register(f"{JSSIP};expires=600", more=odd)
        self.accept()
        self.assertFalse(self.location.proofs.any(self.browser))

    def test_elsewhere(self) -> None:
        """A registrar that is no trunk proves its own users to itself, and to nobody else: anybody may have one."""
        of_own = {"domain": "own.example", "uri": "sip:own.example"}
        self.register(f"{JSSIP};expires=600", **of_own)
        self.answer(401, ("WWW-Authenticate", self.CHALLENGE))
        self.register(f"{JSSIP};expires=600", more=('Authorization: Digest username="a", nonce="abc"',), **of_own)
        self.answer(200)
        caller = self.location.proofs.caller(self.browser, "alice@own.example")
        self.assertEqual(caller.authorities, {("host", "own.example")})
        self.assertFalse(caller.may_use(PBX))

    def test_query_proves_nothing(self) -> None:
        """A 200 to a query is no registration."""
        self.register()
        self.answer(200)
        self.assertFalse(self.location.proofs.any(self.browser))


class WithheldCredentialsTests(RegistrarCase):
    """Digest under `trunk-credentials = registered`: challenges are the browser's."""

    trunks = (CARRIER,)

    def challenged(self) -> list[str]:
        """Have a REGISTER challenged, which crosses; the lines about it."""
        self.register(f"{JSSIP};expires=600", domain="carrier.example.net:5080", uri="sip:carrier.example.net:5080")
        with capturedLogs() as logs:
            reply = self.answer(401, ("WWW-Authenticate", 'Digest realm="carrier", nonce="abc", qop="auth"'))
        self.assertEqual((reply.status, self.sent_upstream()), (401, self.cseq))
        return [text for text in map(formatEvent, logs) if "trunk-credentials" in text]

    def test_told(self) -> None:
        """A browser without a password of its own gets no further: the log names the key, once."""
        self.assertEqual(len(self.challenged()), 1)

    def test_not_told(self) -> None:
        """One that has registered with one answers for itself by design."""
        self.location.proofs.add(self.browser, "alice@carrier.example.net:5080", ("trunk", "pbx"), 600)
        self.assertEqual(self.challenged(), [])


class CredentialsTests(RegistrarCase):
    """Digest, answered by the proxy (`trunk-credentials = anyone`)."""

    trunks = (CARRIER,)
    anyone = True
    CHALLENGE = 'Digest realm="carrier", nonce="abc", qop="auth", algorithm=MD5'
    CARRIERS = {"domain": "carrier.example.net:5080", "uri": "sip:carrier.example.net:5080"}

    def test_unseen(self) -> None:
        """The browser sees nothing of it, and is not authenticated by it."""
        self.register(f"{JSSIP};expires=600", **self.CARRIERS)
        first = self.upstream()
        self.answer_challenge()
        second = self.upstream()
        self.assertEqual(self.replies(), [])
        self.assertIn('username="us"', second.headers.get("Proxy-Authorization") or "")
        self.assertEqual((second.call_id, second.cseq.number), (first.call_id, 2))
        self.assertEqual(len(second.headers.all("Via")), 1)
        self.answer(200)
        self.assertEqual(self.replies(), [200])
        self.assertEqual(len(self.bound("alice@carrier.example.net:5080")), 1)
        self.assertFalse(self.location.proofs.any(self.browser))
        self.register(f"{JSSIP};expires=600", **self.CARRIERS)
        self.assertEqual((self.upstream().call_id, self.upstream().cseq.number), (first.call_id, 3))

    def test_refused(self) -> None:
        """A challenge that the browser can't answer does not reach it (the original: wrong password)."""
        self.register(f"{JSSIP};expires=600", **self.CARRIERS)
        for _ in range(5):
            if not self.replies():
                self.answer_challenge()
        self.assertEqual(self.replies(), [403])
        self.assertLessEqual(self.sent_upstream(), 4)

    def test_two_at_once(self) -> None:
        """Two requests of one sequence that are challenged at once still count on (RFC 3261 section 22.2)."""
        self.register(f"{JSSIP};expires=600", **self.CARRIERS)
        first = self.upstream()
        self.register(f"{JSSIP};expires=600", **self.CARRIERS)
        second = self.upstream()
        (flow,) = self.network.flows.values()
        for request in (first, second):
            challenge = [("Proxy-Authenticate", self.CHALLENGE)]
            self.transactions.message_received(respond(request, 407, headers=challenge), flow)
        self.assertEqual([request.cseq.number for request in flow.requests], [1, 2, 3, 4])

    def test_not_for_the_proven(self) -> None:
        """One that has a password of its own answers for itself: with the trunk's it could take any name."""
        self.location.proofs.add(self.browser, "alice@carrier.example.net:5080", ("trunk", "pbx"), 600)
        self.register(f"{JSSIP};expires=600", user="bob", **self.CARRIERS)
        self.answer_challenge()
        self.assertEqual(self.replies(), [407])

    def answer_challenge(self) -> None:
        (flow,) = self.network.flows.values()
        challenge = [("Proxy-Authenticate", self.CHALLENGE)]
        self.transactions.message_received(respond(self.upstream(), 407, headers=challenge), flow)


class CountedTests(RegistrarCase):
    """Every REGISTER is counted once, by what the browser hears."""

    def test_answers(self) -> None:
        """What the registrar says."""
        readings = Readings(self.metrics)
        for status, result in ((401, "challenged"), (403, "rejected"), (500, "failed"), (200, "accepted")):
            self.register(JSSIP)
            self.answer(status, ("Contact", f"<{OURS}>;expires=600"))
            self.assertEqual(readings.moved(), {f'registrations_total{{result="{result}"}}': 1})

    def test_refusals(self) -> None:
        """What the proxy says: another domain, an unreachable registrar."""
        readings = Readings(self.metrics)
        self.register(JSSIP, domain="elsewhere.example")
        self.assertEqual(readings.moved(), {'registrations_total{result="rejected"}': 1})
        self.network.lost = True
        self.register(JSSIP)
        self.assertEqual(readings.moved(), {'registrations_total{result="failed"}': 1})
