"""Registration: what a browser asks for, as the registrar sees it, and for how long."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls.registering import (
    ALICE,
    JSSIP,
    OURS,
    SIPJS,
    TOKEN,
    RegistrarCase,
    register_request,
    sipjs_expires,
)
from tests.support.configs import config
from webrtcproxy.config import Trunk
from webrtcproxy.registration.request import registration_result
from webrtcproxy.routing.policy import Policy
from webrtcproxy.sip.headers import NameAddr

ALICE_URI = f"sip:{ALICE}"


class ForwardTests(RegistrarCase):
    """What the registrar sees."""

    def test_own_contact(self) -> None:
        """Upstream sees our Contact that leads back to the user, our own Call-ID, From tag and Via, one hop less,
        and the Request-URI of the browser (digest pass-through)."""
        self.register(f"{JSSIP};expires=600", expires=600)
        seen = self.upstream()
        self.assertEqual((seen.method, seen.uri), ("REGISTER", "sip:pbx.example.com"))
        self.assertEqual(self.contacts(seen), [f"<{OURS}>;expires=600"])
        self.assertEqual(seen.headers.lines("Expires"), ["600"])
        self.assertEqual((seen.via.transport, seen.via.sent_by), ("UDP", "203.0.113.7:5060"))
        self.assertEqual(len(seen.headers.all("Via")), 1)
        self.assertNotEqual(seen.call_id, "cid1")
        self.assertNotEqual(seen.from_.tag, "t1")
        self.assertEqual((seen.from_.display, seen.from_.uri), ("Alice A.", "sip:alice@pbx.example.com"))
        self.assertEqual(seen.headers.get("To"), "<sip:alice@pbx.example.com>")
        self.assertEqual((seen.cseq.number, seen.max_forwards), (1, 68))

    def test_headers_cross(self) -> None:
        """What is not of the leg crosses; extensions that the proxy lacks are not promised."""
        self.register(f"{JSSIP};expires=600", more=("X-Thing: 1", "Route: <sip:evil.example;lr>", "Supported: timer"))
        headers = self.upstream().headers
        self.assertEqual(headers.lines("Supported"), ["timer"])
        self.assertEqual(headers.get("Allow"), "INVITE,ACK,CANCEL,BYE")
        self.assertEqual(headers.get("User-Agent"), "JsSIP 3.10.1")
        self.assertEqual(headers.get("X-Thing"), "1")
        self.assertNotIn("Route", headers)
        self.assertNotIn("sip.instance", headers.get("Contact") or "")

    def test_place(self) -> None:
        """No parameter of the Request-URI leads a registrar that is a proxy elsewhere (RFC 3261 section 16.5)."""
        self.register(f"{JSSIP};expires=600", uri="sip:pbx.example.com;maddr=203.0.113.66;x=1;m%61ddr=203.0.113.66")
        self.assertEqual(self.upstream().uri, "sip:pbx.example.com;x=1")

    def test_transport_of_browsers(self) -> None:
        """``transport=ws`` of a browser's addresses says nothing to a registrar: it is in neither of them (RFC 7118
        section 5.2). The user is the same."""
        sent = register_request(f"{JSSIP};expires=600", uri="sip:pbx.example.com;transport=wss")
        for name in ("From", "To"):
            value = sent.headers.get(name) or ""
            sent.headers.set(name, value.replace("example.com>", "example.com;transport=WS>"))
        self.send(sent)
        seen = self.upstream()
        self.assertEqual(seen.uri, "sip:pbx.example.com")
        self.assertEqual((seen.from_.uri, seen.headers.get("To")), (ALICE_URI, f"<{ALICE_URI}>"))
        self.assertEqual(self.contacts(seen), [f"<{OURS}>;expires=600"])

    def test_push_parameters_stay_here(self) -> None:
        """What a Contact says for push notifications is the browser's and ours: upstream sees nothing of it, the 200
        has it as it was (corners.rst 4: 8599)."""
        contact = JSSIP.replace(";transport=ws", ";transport=ws;pn-provider=acme;pn-prid=00fc13adff78512")
        self.register(f"{contact};expires=600")
        self.assertNotIn(b"pn-", self.upstream().to_bytes())
        self.assertIn("pn-prid=00fc13adff78512", self.accept().headers.get("Contact") or "")

    def test_nothing_to_support(self) -> None:
        """Where nothing is left of Supported the header is left out."""
        self.register(f"{JSSIP};expires=600")
        self.assertNotIn("Supported", self.upstream().headers)

    def test_body_crosses(self) -> None:
        """A body crosses with its type."""
        self.register(f"{JSSIP};expires=600", more=("Content-Type: text/plain",), body="hello")
        seen = self.upstream()
        self.assertEqual((seen.content_type, seen.body), ("text/plain", b"hello"))

    def test_description_does_not_cross(self) -> None:
        """What describes media stays here (field.rst X4: Description outside of offer and answer)."""
        self.register(f"{JSSIP};expires=600", more=("Content-Type: text/plain",), body="a=ice-pwd:secret")
        seen = self.upstream()
        self.assertEqual((seen.body, seen.headers.get("Content-Type")), (b"", None))

    def test_third_party(self) -> None:
        """From may be somebody else: the binding is that of To (RFC 3261 section 10.2)."""
        request = register_request(f"{SIPJS};expires=600")
        request.headers.set("From", "<sip:secretary@pbx.example.com>;tag=1")
        self.send(request)
        self.assertEqual(self.upstream().from_.uri, "sip:secretary@pbx.example.com")
        self.accept()
        self.assertEqual([binding.aor for binding in self.bound()], [ALICE])

    def test_tcp(self) -> None:
        """Towards a registrar on TCP our Contact says so."""
        self.policy = Policy(config(Trunk("pbx", "pbx.example.com", transport="tcp")))
        self.register(f"{JSSIP};expires=600")
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS};transport=tcp>;expires=600")

    def test_no_hops_left(self) -> None:
        """Max-Forwards 0 goes nowhere (RFC 3261 section 16.3)."""
        request = register_request(f"{JSSIP};expires=600")
        request.headers.set("Max-Forwards", "0")
        self.send(request)
        self.assertEqual((self.replies(), self.sent_upstream()), ([483], 0))


class LengthTests(RegistrarCase):
    """How long: Expires header, expires parameter, several Contacts (RFC 3261 sections 10.2.1.1 and 10.3)."""

    def test_parameter_beats_header(self) -> None:
        """The parameter of a Contact counts, not the header."""
        self.register(f"{SIPJS};expires=120", expires=900)
        self.assertEqual(self.contacts(self.upstream()), [f"<{OURS}>;expires=120"])
        self.assertEqual(self.upstream().headers.get("Expires"), "120")

    def test_header_alone(self) -> None:
        """The header counts for a Contact without a parameter."""
        self.register(SIPJS, expires=900)
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>;expires=900")

    def test_nobody_says(self) -> None:
        """Neither is there: the registrar chooses (the original: 400)
        (original.rst: register, nobody says for how long)."""
        self.register(SIPJS)
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>")
        self.assertNotIn("Expires", self.upstream().headers)
        self.assertEqual(sipjs_expires(self.accept(1800), "q1w2e3r4"), 1800)

    def test_malformed(self) -> None:
        """A parameter that can't be read is an hour (RFC 3261 section 10.2.1.1)."""
        self.register(f"{SIPJS};expires=soon")
        self.assertEqual(self.upstream().headers.get("Expires"), "3600")

    def test_beside_what_is_broken(self) -> None:
        """Our Contact counts, whatever another phone has left open in its line, and however it is written itself; the
        browser is told no more than was granted (field.rst W9: Contact beside ours)."""
        for lines in (
            (f"<{OURS}>;expires=120, <sip:broken@192.0.2.9;expires=300",),
            (f"<sip:broken@192.0.2.9;expires=300, <{OURS}>;expires=120",),
            (f'<{OURS}>;expires=120, "x <sip:b@192.0.2.9>;expires=300',),
            (f'"x <sip:b@192.0.2.9>;expires=300, <{OURS}>;expires=120, <sip:c@192.0.2.9>;expires=20',),
            (f'<sip:b@192.0.2.9;expires=300,"x" <{OURS}>;q=1;EXPIRES = "120"',),
            ("<sip:broken@192.0.2.9;expires=300", f"<{OURS}>;expires=120"),
            (f'""x"" <{OURS}>;expires=120',),
            (f"<{OURS}>;;expires=120",),
            (f"<{OURS}>;expires=120.0",),
            (f"<{OURS};expires=120",),
            (f"{OURS};;expires=120",),
            (f"<sip:{TOKEN}@198.51.100.7>>;expires=120",),
        ):
            self.setUp()
            self.register(f"{SIPJS};expires=600")
            response = self.answer(200, *(("Contact", line) for line in lines))
            self.assertEqual(sipjs_expires(response, "q1w2e3r4"), 120, lines)

    def test_several_contacts(self) -> None:
        """Upstream sees one Contact with the longest time; each browser Contact gets what it asked for, or what was
        granted if that is less (the original: 503) (original.rst: register, two Contacts)."""
        self.register("<sip:a@x.invalid>;expires=60", "<sip:b@x.invalid>;expires=600;q=0.3, <sip:c@x.invalid>")
        self.assertEqual(self.contacts(self.upstream()), [f"<{OURS}>;expires=3600"])
        response = self.accept(300)
        seconds = {contact.uri: contact.param("expires") for contact in map(NameAddr.parse, self.contacts(response))}
        self.assertEqual(seconds, {"sip:a@x.invalid": "60", "sip:b@x.invalid": "300", "sip:c@x.invalid": "300"})
        self.assertEqual({binding.contact: binding.q for binding in self.bound()}["sip:b@x.invalid"], 0.3)
        self.assertEqual(sorted(binding.q for binding in self.bound()), [0.3, 1.0, 1.0])

    def test_add_and_remove_at_once(self) -> None:
        """One Contact may go while another comes."""
        self.register_with_password("<sip:a@x.invalid>;expires=60")
        self.register("<sip:a@x.invalid>;expires=0", "<sip:b@x.invalid>;expires=60")
        self.assertEqual(self.contacts(self.upstream()), [f"<{OURS}>;expires=60"])
        self.accept(60)
        self.assertEqual([binding.contact for binding in self.bound()], ["sip:b@x.invalid"])
        self.assertTrue(self.location.proofs.any(self.browser))

    def test_old_and_new_of_one_instance(self) -> None:
        """A browser that takes back its old Contact and binds a new one stays bound: both have one name."""
        old = SIPJS.replace("q1w2e3r4", "old")
        self.register(f"{old};expires=0", f"{SIPJS};expires=60")
        self.accept(60)
        self.assertEqual([binding.contact for binding in self.bound()], ["sip:q1w2e3r4@u7i8o9p0.invalid;transport=ws"])

    def test_odd_preferences(self) -> None:
        """A q that can't be read is 1 (RFC 3261 section 25.1: 0 to 1, three decimals)."""
        values = {"0": 0.0, "0.5": 0.5, "0.1234": 0.123, "1": 1.0, "1.0": 1.0, "2": 1.0, "x": 1.0, "0.x": 1.0, "": 1.0}
        contacts = [f"<sip:{number}@x.invalid>" + (f";q={q}" if q else "") for number, q in enumerate(values)]
        self.register(*contacts, expires=60)
        self.accept(60)
        self.assertEqual([binding.q for binding in reversed(self.bound())], list(values.values()))


class DomainTests(RegistrarCase):
    """A registrar is asked about its own domain."""

    def test_foreign_address(self) -> None:
        """alice@pbx.example.com can't be registered at a registrar of somebody else's."""
        self.register(f"{JSSIP};expires=600", uri="sip:own.example")
        self.assertEqual((self.replies(), self.sent_upstream()), ([403], 0))

    def test_host_in_any_spelling(self) -> None:
        """The host of the Request-URI is the domain, in any case."""
        self.register(f"{JSSIP};expires=600", uri="sip:PBX.example.com:5060", domain="pbx.Example.com")
        self.assertEqual(self.accept().status, 200)
        self.assertEqual(len(self.bound()), 1)

    def test_domain_without_the_port(self) -> None:
        """The port of the registrar need not be in the address."""
        self.policy = Policy(config(Trunk("pbx", "pbx.example.com", 5080)))
        self.register(f"{JSSIP};expires=600", uri="sip:pbx.example.com:5080")
        self.assertEqual(self.accept().status, 200)
        self.assertEqual(len(self.bound()), 1)

    def test_no_domain(self) -> None:
        """A telephone number is no domain, and none can be registered."""
        self.register(f"{JSSIP};expires=600", uri="tel:+4930")
        request = register_request(f"{JSSIP};expires=600", call_id="cid2")
        request.headers.set("To", "<tel:+4930>")
        self.send(request)
        self.assertEqual((self.replies(), self.sent_upstream()), ([416, 416], 0))


class ResultTests(SynchronousTestCase):
    """What the metrics call the answer to a REGISTER."""

    def test_registration_results(self) -> None:
        """The class of the answer, and challenges apart."""
        for status, result in (
            (200, "accepted"), (202, "accepted"), (401, "challenged"), (407, "challenged"), (403, "rejected"),
            (301, "rejected"), (600, "rejected"), (500, "failed"), (504, "failed"),
        ):  # fmt: skip
            self.assertEqual(registration_result(status), result, status)
