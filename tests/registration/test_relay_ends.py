"""Registrar: browsers that leave, that share an address-of-record, and requests that fail."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail
from twisted.logger import capturedLogs

from tests.support.calls.registering import (
    ALICE,
    JSSIP,
    OURS,
    REGISTRAR,
    SIPJS,
    RegistrarCase,
    jssip_expires,
    sipjs_expires,
)
from tests.support.fakes import FakeFlow
from webrtcproxy.registration.location import REGISTRAR_LINGER
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Response
from webrtcproxy.transaction.deadline import NON_INVITE_DEADLINE
from webrtcproxy.transport.flow import Hop


class UnregisterTests(RegistrarCase):
    """Taking bindings back."""

    def test_by_parameter_and_by_header(self) -> None:
        """expires=0 and Expires: 0 both un-register; upstream our Contact goes, and the 200 lists none."""
        for contact, expires in ((f"{SIPJS};expires=0", None), (SIPJS, 0), (f"{JSSIP};expires=0", 0)):
            self.register(contact.removesuffix(";expires=0"), expires=600)
            self.accept()
            self.register(contact, expires=expires)
            self.assertEqual(self.contacts(self.upstream()), [f"<{OURS}>;expires=0"])
            self.assertEqual(self.upstream().headers.get("Expires"), "0")
            self.assertEqual(len(self.bound()), 1)
            response = self.answer(200)
            self.assertEqual((response.status, self.contacts(response), self.bound()), (200, [], []))
        self.clock.pump([10] * 5)
        self.assertFalse(self.location.find(ALICE).known)

    def test_others_stay(self) -> None:
        """While another browser of the user needs our Contact it stays: upstream is only asked, which authenticates
        (the original: un-REGISTER of either removed both)."""
        other = FakeFlow.wss()
        self.register_with_password(f"{SIPJS};expires=600", flow=other, call_id="cid2")
        self.register_with_password()
        self.register(f"{JSSIP};expires=0", expires=0)
        self.assertNotIn("Contact", self.upstream().headers)
        self.assertNotIn("Expires", self.upstream().headers)
        response = self.accept(500)
        self.assertEqual(self.contacts(response), [f"{SIPJS};expires=600"])
        self.assertEqual([binding.flow for binding in self.bound()], [other])
        self.assertFalse(self.location.proofs.any(self.browser))
        self.assertTrue(self.location.proofs.any(other))
        self.clock.advance(REGISTRAR_LINGER + 1)
        self.assertIn(REGISTRAR, self.location.find(ALICE).registrars)

    def test_old_page(self) -> None:
        """A page that is reloaded has the instance of the old one: the old one's un-REGISTER, on its own connection and
        with its own Contact, does not take the new one away; upstream is only asked (RFC 5626 section 4.2.1). By its
        Contact the new one ends from any connection, and by its connection with any Contact (field.rst W10: Old
        page)."""
        new, contact = FakeFlow.wss(), JSSIP.replace("8h2kq0aa", "other")
        for flow, value, left in ((None, JSSIP, [new]), (None, contact, []), (new, JSSIP, [])):
            self.register(f"{JSSIP};expires=600")
            self.accept()
            self.register(f"{contact};expires=600", flow=new, call_id="new")
            self.accept()
            self.register(f"{value};expires=0", flow=flow)
            asked = self.contacts(self.upstream())
            self.assertEqual(asked, [] if left else [f"<{OURS}>;expires=0"])
            self.assertEqual(self.answer(200).status, 200)
            self.assertEqual([binding.flow for binding in self.bound()], left)

    def test_new_page_on_its_way(self) -> None:
        """So it is where the new page's REGISTER overtakes the un-REGISTER of the old one (field.rst W10: Old page)."""
        new, contact = FakeFlow.wss(), JSSIP.replace("8h2kq0aa", "other")
        self.register(f"{JSSIP};expires=600")
        self.accept()
        self.register(f"{JSSIP};expires=0")
        leaving = self.upstream()
        self.register(f"{contact};expires=600", flow=new, call_id="new")
        self.accept()
        self.answer(200, to=leaving)
        self.assertEqual([binding.flow for binding in self.bound()], [new])

    def test_another_on_its_way(self) -> None:
        """A page that is reloaded registers again while its old self un-registers: the new one must not lose by it."""
        newer = FakeFlow.wss()
        self.register(f"{JSSIP};expires=600")
        self.accept()
        self.register(f"{SIPJS};expires=600", flow=newer, call_id="cid2")
        add = self.upstream()
        self.register(f"{JSSIP};expires=0")
        self.assertNotIn("Contact", self.upstream().headers)
        self.answer(200)
        self.answer(200, ("Contact", f"<{OURS}>;expires=600"), to=add)
        self.assertEqual([binding.flow for binding in self.bound()], [newer])
        self.register(f"{SIPJS};expires=0", flow=newer, call_id="cid2")
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>;expires=0")

    def test_challenged(self) -> None:
        """Nothing is removed before the registrar agrees."""
        self.register(f"{JSSIP};expires=600")
        self.accept()
        self.register(f"{JSSIP};expires=0")
        self.answer(401, ("WWW-Authenticate", "Digest realm=x"))
        self.assertEqual(len(self.bound()), 1)

    def test_star(self) -> None:
        """`Contact: *` removes all bindings of the user, here and upstream (RFC 3261 section 10.2.2)."""
        other = FakeFlow.wss()
        self.register(f"{SIPJS};expires=600", flow=other, call_id="cid2")
        self.accept()
        self.register("*", expires=0)
        self.assertEqual(self.contacts(self.upstream()), ["*"])
        self.assertEqual(self.upstream().headers.get("Expires"), "0")
        response = self.answer(200)
        self.assertEqual((response.status, self.contacts(response), self.bound()), (200, [], []))
        self.assertFalse(self.location.proofs.any(other))
        self.clock.advance(REGISTRAR_LINGER)
        self.assertNotIn(REGISTRAR, self.location.find(ALICE).registrars)

    def test_star_without_expires_0(self) -> None:
        """With any other Expires, or none, it is an error (RFC 3261 section 10.3 step 6)."""
        self.register("*", expires=60)
        self.register("*")
        self.assertEqual((self.replies(), self.sent_upstream()), ([400, 400], 0))


class QueryTests(RegistrarCase):
    """A REGISTER without Contact asks (RFC 3261 section 10.2.3; the original: 500)."""

    def test_query(self) -> None:
        """It crosses as a query; the answer lists the browsers of this user as they wrote themselves
        (original.rst: register, a query, without Contact)."""
        self.register(f"{SIPJS};expires=600")
        self.accept()
        self.clock.advance(100.5)
        self.register(expires=60)
        self.assertNotIn("Contact", self.upstream().headers)
        self.assertNotIn("Expires", self.upstream().headers)
        response = self.accept(500)
        self.assertEqual(self.contacts(response), [f"{SIPJS};expires=500"])
        self.assertEqual(len(self.bound()), 1)

    def test_of_nobody(self) -> None:
        """A user without browsers here has no Contact in the answer, and asking removes nothing upstream."""
        self.register()
        self.assertNotIn("Contact", self.upstream().headers)
        response = self.answer(200, ("Contact", "<sip:desk@192.0.2.50>;expires=99"))
        self.assertEqual(self.contacts(response), [])
        self.assertFalse(self.location.find(ALICE).known)


class MultipleTests(RegistrarCase):
    """`multiple = yes`: several browsers share one Contact upstream."""

    def setUp(self) -> None:
        super().setUp()
        self.other = FakeFlow.wss()
        self.register(f"{SIPJS};expires=3000", flow=self.other, call_id="cid2")
        self.accept(3000)

    def test_both_are_listed(self) -> None:
        """The 200 lists the other browser too, this one first; each library finds its own."""
        self.register(f"{JSSIP};expires=600")
        response = self.accept(3000)
        self.assertEqual(self.contacts(response), [f"{JSSIP};expires=600", f"{SIPJS};expires=3000"])
        self.assertEqual(jssip_expires(response, "<urn:uuid:8f4b>", "8h2kq0aa"), 600)
        self.assertEqual(sipjs_expires(response, "q1w2e3r4"), 3000)

    def test_shorter_does_not_shorten(self) -> None:
        """A browser that asks for less does not take time from the others."""
        self.clock.advance(100)
        self.register(f"{JSSIP};expires=600")
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>;expires=2900")
        self.accept(2900)
        self.assertEqual([binding.expires_at for binding in self.bound()], [700, 3000])

    def test_longer_lengthens(self) -> None:
        """A browser that asks for more gets it."""
        self.register(f"{JSSIP};expires=6000")
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>;expires=6000")

    def test_without_wish(self) -> None:
        """One that leaves it to the registrar is given the time that it would choose, unless others need longer."""
        self.register(JSSIP)
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>")
        self.accept(7200)
        self.register(SIPJS, flow=self.other, call_id="cid2")
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>;expires=7200")

    def test_on_its_way_counts(self) -> None:
        """So does one that the registrar has not answered yet, until it has."""
        self.register(f"{JSSIP};expires=6000")
        first = self.upstream()
        self.register("<sip:third@x.invalid>;expires=60", call_id="cid3")
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>;expires=6000")
        self.answer(403, to=first)
        self.register("<sip:fourth@x.invalid>;expires=60", call_id="cid4")
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>;expires=6000")
        self.accept(6000)
        self.register("<sip:fourth@x.invalid>;expires=60", call_id="cid4")
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>;expires=6000")

    def test_full(self) -> None:
        """What could not be stored is not even asked for."""
        for number in range(9):
            self.register(f"<sip:{number}@x.invalid>;expires=60", call_id=f"n{number}")
            self.accept(3000)
        sent = self.sent_upstream()
        self.register("<sip:more@x.invalid>;expires=60", call_id="more")
        self.assertEqual((self.reply().status, self.sent_upstream()), (403, sent))


class NewestWinsTests(RegistrarCase):
    """`multiple = no`."""

    multiple = False

    def test_newest_wins(self) -> None:
        """The newer browser replaces the older, which still gets a 200 when it leaves, and takes nothing away then."""
        newer = FakeFlow.wss()
        self.register(f"{JSSIP};expires=3000")
        self.accept(3000)
        self.register_with_password(f"{SIPJS};expires=600", flow=newer, call_id="cid2")
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>;expires=600")
        self.assertEqual(self.contacts(self.reply(newer)), [f"{SIPJS};expires=600"])
        self.assertEqual([binding.flow for binding in self.bound()], [newer])
        self.register(f"{JSSIP};expires=0")
        self.assertNotIn("Contact", self.upstream().headers)
        self.answer(200)
        self.assertEqual([binding.flow for binding in self.bound()], [newer])
        self.assertFalse(self.location.proofs.any(self.browser))
        self.assertTrue(self.location.proofs.any(newer))


class FailureTests(RegistrarCase):
    """Every request gets one final response."""

    def test_registrar_refuses(self) -> None:
        """403, 404, 423 with Min-Expires, 503 with Retry-After cross as they are, and are logged."""
        for status, reason, headers in (
            (403, "Not You", []),
            (404, "", []),
            (423, "", [("Min-Expires", "1800")]),
            (503, "Overload", [("Retry-After", "120")]),
            (302, "", []),
            (600, "", []),
        ):
            with capturedLogs() as events:
                self.register(f"{JSSIP};expires=600")
                response = self.answer(status, *headers, ("Contact", "<sip:else@where.example>"), reason=reason)
            self.assertEqual(response.status, status)
            self.assertEqual(response.reason, reason or Response(status).reason)
            for name, value in headers:
                self.assertEqual(response.headers.get(name), value)
            self.assertEqual(self.contacts(response), [])
            self.assertEqual([event["call"] for event in events], ["cid1"])
        self.assertEqual((self.bound(), self.location.find(ALICE).known), ([], False))

    def test_silence(self) -> None:
        """A silent registrar is a 100 after 3.5 s and a 504 before timer F of the browser; never a 408 (RFC 4320)
        (original.rst: register, the registrar is silent)."""
        with capturedLogs() as events:
            self.register(f"{JSSIP};expires=600")
            self.clock.pump([0.5] * int(2 * NON_INVITE_DEADLINE - 1))
            self.assertEqual(self.replies(), [100])
            self.clock.advance(0.5)
            self.assertEqual(self.replies(), [100, 504])
        self.assertEqual([event["call"] for event in events], ["cid1"])
        self.assertLess(NON_INVITE_DEADLINE, 32)

    def test_late_answer(self) -> None:
        """A 200 after the 504 binds nothing, and the next REGISTER counts on upstream."""
        self.register(f"{JSSIP};expires=600")
        first = self.upstream()
        self.clock.pump([0.5] * 61)
        self.accept()
        self.assertEqual((self.replies(), self.bound()), ([100, 504], []))
        self.register(f"{JSSIP};expires=600")
        self.assertEqual((self.upstream().call_id, self.upstream().cseq.number), (first.call_id, 2))
        self.assertEqual(self.accept().status, 200)

    def test_silence_is_counted_from_the_start(self) -> None:
        """The time that names and challenges took is part of it."""
        self.network.resolved = Deferred()
        self.register(f"{JSSIP};expires=600")
        self.clock.advance(10)
        self.network.resolved.callback([Hop.to(REGISTRAR, None, None)])
        self.assertEqual(self.sent_upstream(), 1)
        self.clock.pump([0.5] * 40)
        self.assertEqual(self.replies(), [100, 504])

    def test_name_never_resolves(self) -> None:
        """A name server that is silent is a 504, too, and its late failure harms nobody."""
        self.network.resolved = Deferred()
        self.register(f"{JSSIP};expires=600")
        self.clock.advance(NON_INVITE_DEADLINE)
        self.assertEqual(self.replies(), [100, 504])
        self.network.resolved.errback(Refusal(502))

    def test_unknown_name(self) -> None:
        """A name that can't be resolved is the refusal that the resolver says."""
        self.network.resolved = fail(Refusal(502, "Unknown Host"))
        self.register(f"{JSSIP};expires=600")
        self.assertEqual((self.reply().status, self.reply().reason), (502, "Unknown Host"))

    def test_unreachable(self) -> None:
        """No socket to send from, or none that takes it: 502 at once."""
        self.network.lost = True
        self.register(f"{JSSIP};expires=600")
        self.network.lost = False
        self.register(f"{JSSIP};expires=600")
        (flow,) = self.network.flows.values()
        self.answer(403)
        flow.closed = True
        self.register(f"{JSSIP};expires=600")
        self.assertEqual(self.replies(), [502, 403, 502])

    def test_upstream_408(self) -> None:
        """A 408 of upstream's is not passed on (RFC 4320 section 4.2)."""
        self.register(f"{JSSIP};expires=600")
        self.assertEqual(self.answer(408).status, 504)

    def test_bad_contact(self) -> None:
        """A Contact that can't be called is 400, and says which header."""
        with capturedLogs() as events:
            self.register("<mailto:alice@x.invalid>;expires=60")
        self.assertEqual((self.reply().status, self.reply().reason, self.sent_upstream()), (400, "Bad Contact", 0))
        self.assertEqual([event["call"] for event in events], ["cid1"])

    def test_deadline_ends_with_the_answer(self) -> None:
        """After the answer, whatever it is, nobody waits for the registrar: what was remembered for that is gone."""
        for status in (200, 403):
            self.register(f"{JSSIP};expires=600")
            self.answer(status)
        self.register("<mailto:alice@x.invalid>;expires=60")
        self.clock.pump([0.5] * 12)  # Timer K
        self.assertEqual(self.transactions.schedule.running, 0)

    def test_nothing_is_left(self) -> None:
        """After all sorts of ends nothing remains: no timer, no subscription, nothing noted as under way."""
        self.register(f"{JSSIP};expires=600")
        self.answer(401, ("WWW-Authenticate", "Digest realm=x"))
        self.register(f"{JSSIP};expires=600")
        self.accept()
        self.register(f"{JSSIP};expires=0")
        self.answer(200)
        self.register(f"{JSSIP};expires=600")
        self.clock.pump([0.5] * 61)
        self.clock.pump([10] * 20)
        self.assertEqual((self.clock.getDelayedCalls(), len(self.location)), ([], 0))
        self.assertEqual(self.successResultOf(self.directory.intend(ALICE, 0, (), 0)), [])
