"""webrtcproxy/demo/registrar.py, bindings.py and guard.py: REGISTER as RFC 3261 section 10.3 wants it."""

from __future__ import annotations

from tests.demo.world import DOMAIN, DemoCase, answered, registration
from tests.support.fakes import FakeFlow
from webrtcproxy.demo.bindings import ContactUpdate, DemoBindings
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.authentication import Credentials, parse_challenges
from webrtcproxy.sip.headers import NameAddr

AT = "<sip:alice@198.51.100.1:5060>"


class DigestTest(DemoCase):
    def test_both_algorithms_md5_last(self) -> None:
        """SHA-256 and MD5 are offered, the stronger first (RFC 8760 section 2.4); MD5 last, since JsSIP and SIP.js see
        the last challenge only and know no other. `auth` alone, since JsSIP prefers auth-int."""
        self.assertEqual(self.ask(registration("alice")), [401])
        challenges = parse_challenges(self.flow.last_response.headers.lines("WWW-Authenticate"))
        self.assertEqual([challenge.params["algorithm"] for challenge in challenges], ["SHA-256", "MD5"])
        self.assertEqual({challenge.params["qop"] for challenge in challenges}, {"auth"})

    def test_each_algorithm_opens(self) -> None:
        """The right password in MD5 or SHA-256 registers."""
        for index in (0, 1):
            asked = registration("alice", call_id=f"call-{index}")
            self.ask(asked)
            self.assertEqual(self.ask(answered(asked, self.flow.last_response, "alice", index=index)), [200])

    def test_wrong_password(self) -> None:
        """A wrong password, a made-up nonce, broken credentials: challenged again, not stale, nothing is bound."""
        asked = registration("alice")
        self.ask(asked)
        wrong = answered(asked, self.flow.last_response, "alice", password="guess")
        self.assertEqual(self.ask(wrong), [401])
        forged = answered(asked, self.flow.last_response, "alice")
        forged.headers.set("CSeq", "9 REGISTER")
        forged.headers.set("Via", "SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKforged")
        forged.headers.set("Authorization", str(forged.headers.get("Authorization")).replace('nonce="', 'nonce="A'))
        self.assertEqual(self.ask(forged), [401])
        for number, text in enumerate(
            ("Digest", "Digest nonce", "Bearer abc", "Basic YTpi", ",", 'Digest realm="demo"')
        ):
            broken = registration("alice", headers=[("Authorization", text)], call_id=f"broken-{number}")
            self.assertEqual(self.ask(broken), [401], text)
            self.assertNotIn("stale", str(self.flow.last_response.headers.lines("WWW-Authenticate")))
        self.assertEqual(self.prove(registration("alice", contact="")), [200])
        self.assertNotIn("Contact", self.flow.last_response.headers)

    def test_stale_nonce(self) -> None:
        """A nonce that is too old, with the right password: challenged with stale=true, and the new one opens (RFC 7616
        section 3.3)."""
        asked = registration("alice")
        self.ask(asked)
        self.clock.advance(301)
        late = answered(asked, self.flow.last_response, "alice")
        self.assertEqual(self.ask(late), [401])
        challenged = self.flow.last_response
        self.assertIn("stale=true", challenged.headers.lines("WWW-Authenticate")[0])
        self.assertEqual(self.ask(answered(late, challenged, "alice")), [200])

    def test_credentials_of_another_request(self) -> None:
        """Credentials for another Request-URI or method are worth nothing (RFC 7616 section 3.4.6)."""
        asked = registration("alice")
        self.ask(asked)
        good = answered(asked, self.flow.last_response, "alice")
        given = Credentials.parse(good.headers.get("Authorization") or "").params
        good.headers.set("Authorization", str(Credentials("Digest", {**given, "uri": "sip:demo.test"})))
        self.assertEqual(self.ask(good), [401])

    def test_name_of_somebody_else(self) -> None:
        """Who proves to be bob cannot register alice: 403 (section 10.3 step 4)."""
        self.assertEqual(self.prove(registration("alice"), "bob"), [403])


class RegisterTest(DemoCase):
    def contacts(self) -> list[str]:
        """The Contacts of the last response."""
        return self.flow.last_response.headers.lines("Contact")

    def listed(self, name: str = "alice") -> list[str]:
        """The Contacts that a query gives (section 10.2.3)."""
        self.assertEqual(self.prove(registration(name, contact=""), name), [200])
        return self.contacts()

    def test_lifetimes(self) -> None:
        """The parameter wins over the header; no word is 600 s, too long is 3600 s, nonsense is 3600 s (section
        10.2.1.1); each 200 says what was granted."""
        rows = [
            ("", "", 600),
            ("", "120", 120),
            (";expires=300", "120", 300),
            (";expires=99999999", "", 3600),
            (";expires=soon", "", 3600),
            (";EXPIRES=60", "", 60),
        ]
        for number, (param, header, granted) in enumerate(rows):
            headers = [("Expires", header)] if header else []
            asked = registration("alice", contact=AT + param, headers=headers, call_id=f"life-{number}")
            self.assertEqual(self.prove(asked), [200])
            self.assertEqual(self.contacts(), [f"{AT};expires={granted}"])

    def test_too_brief(self) -> None:
        """Below 60 s: 423 with Min-Expires, nothing is bound (section 10.3 step 7)."""
        self.assertEqual(self.prove(registration("alice", contact=AT + ";expires=59")), [423])
        self.assertEqual(self.flow.last_response.headers.get("Min-Expires"), "60")
        self.assertEqual(self.listed(), [])

    def test_expiry_and_refresh(self) -> None:
        """A binding is gone when its time is up; a refresh gives it new time; the seconds that are left are told."""
        self.register("alice", contact=AT + ";expires=60")
        self.clock.advance(50)
        self.assertEqual(self.listed(), [f"{AT};expires=10"])
        self.register("alice", contact=AT + ";expires=60")
        self.clock.advance(59.5)
        self.assertEqual(self.listed(), [f"{AT};expires=1"])
        self.clock.advance(0.5)
        self.assertEqual(self.listed(), [])

    def test_parameters_of_the_contact_come_back(self) -> None:
        """Instance, reg-id, q and display name are given back, or a browser would not know its own Contact."""
        contact = '"A. L." <sip:x1@198.51.100.1;transport=ws>;+sip.instance="<urn:uuid:1>";reg-id=1;q=0.5'
        self.register("alice", contact=contact)
        self.assertEqual(self.contacts(), [contact + ";expires=600"])

    def test_several_contacts(self) -> None:
        """Several in one request and over several requests add up; equivalent URIs are one binding (section 19.1.4)."""
        one, two = "<sip:a@198.51.100.1:5060>", "<sip:b@198.51.100.1:5060>"
        self.register("alice", contact=f"{one}, {two};expires=90")
        self.assertEqual(self.contacts(), [f"{one};expires=600", f"{two};expires=90"])
        self.register("alice", contact="<sip:%61@198.51.100.1:5060>;expires=70")
        self.assertEqual(self.contacts(), [f"{two};expires=90", "<sip:%61@198.51.100.1:5060>;expires=70"])

    def test_unregister(self) -> None:
        """expires=0 removes one, `*` with Expires 0 all; removing what is not there is no error."""
        one, two = "<sip:a@198.51.100.1:5060>", "<sip:b@198.51.100.1:5060>"
        self.register("alice", contact=f"{one}, {two}")
        self.register("alice", contact=f"{one};expires=0")
        self.assertEqual(self.contacts(), [f"{two};expires=600"])
        self.register("alice", contact=f"{one};expires=0")
        self.assertEqual(self.contacts(), [f"{two};expires=600"])
        self.register("alice", contact="*", headers=[("Expires", "0")])
        self.assertEqual(self.contacts(), [])

    def test_bad_star(self) -> None:
        """`*` without Expires 0, or beside an address, is 400 and removes nothing (section 10.3 step 6)."""
        self.register("alice")
        for number, (contact, expires) in enumerate((("*", "60"), ("*", ""), (f"*, {AT}", "0"))):
            headers = [("Expires", expires)] if expires else []
            asked = registration("alice", contact=contact, headers=headers, call_id=f"star-{number}")
            status = self.ask(asked) if "," in contact else self.prove(asked)
            self.assertEqual(status, [400], contact)
        self.assertEqual(len(self.listed()), 1)

    def test_late_request(self) -> None:
        """The same Call-ID with a CSeq that is not higher: 500, and nothing of it is done (section 10.3 step 7)."""
        self.register("alice", call_id="one", cseq=10)
        for cseq, contact in ((5, f"<sip:new@198.51.100.1>, {AT};expires=0"), (8, "*")):
            late = registration("alice", call_id="one", cseq=cseq, contact=contact, headers=[("Expires", "0")])
            self.assertEqual(self.prove(late), [500])
        self.assertEqual(self.listed(), [f"{AT};expires=600"])

    def test_bounds(self) -> None:
        """Ten contacts a name, then 403; a full memory forgets who is not there any more, then says 503."""
        many = ", ".join(f"<sip:{number}@198.51.100.1>" for number in range(11))
        self.assertEqual(self.prove(registration("alice", contact=many)), [403])
        self.assertEqual(self.listed(), [])
        few = DemoBindings(self.clock, limit=2)
        address = NameAddr.parse(AT)
        updates = [ContactUpdate(address, address.address, 60)]
        for name in ("alice", "bob"):
            few.update(name, updates, self.flow, "call", 1)
        refusal = self.assertRaises(Refusal, few.update, "carol", updates, self.flow, "call", 1)
        self.assertEqual((refusal.status, dict(refusal.headers)), (503, {"Retry-After": "60"}))
        self.clock.advance(60)
        few.update("carol", updates, self.flow, "call", 1)
        self.assertEqual([few.known(name) for name in ("alice", "bob", "carol")], [False, True, True])

    def test_who_may_not(self) -> None:
        """The echo's name and no name at all: 403; a foreign domain: 404; a Contact that is no SIP address: 400."""
        self.assertEqual(self.ask(registration("echo")), [403])
        self.assertEqual(self.ask(registration("%65cho")), [403])
        self.assertEqual(self.ask(registration("x", to=f"<sip:{DOMAIN}>")), [403])
        foreign = registration("alice")
        foreign.uri = "sip:example.com"
        self.assertEqual(self.ask(foreign), [404])
        self.assertEqual(self.prove(registration("alice", contact="<tel:+491>")), [400])

    def test_own_domains(self) -> None:
        """A configured domain is ours with and without the default port, in any case."""
        for number, uri in enumerate(("sip:demo.test", "sip:DEMO.test:5060")):
            asked = registration("alice", call_id=f"domain-{number}")
            asked.uri = uri
            self.assertEqual(self.prove(asked), [200])

    def test_calls_go_where_the_register_came_from(self) -> None:
        """The Contact may name any host: it is never connected to, the flow of the REGISTER is: nobody is pointed at
        a third party."""
        phone = FakeFlow.udp("198.51.100.9", 6000, sent_by=DOMAIN)
        self.register("bob", phone, contact="<sip:b@203.0.113.66:9>")
        bound = self.demo._bindings.of("bob")
        self.assertEqual([binding.flow for binding in bound], [phone])
