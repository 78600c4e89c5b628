"""The registrar of the domains that are served here (RFC 3261 section 10.3)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from tests.support.calls.local import DOMAIN, PASSWORDS, LocalCase, contacts
from tests.support.calls.registering import register_request
from tests.support.logins import answer
from webrtcproxy.sip.message import Response
from webrtcproxy.users.passwd import remove, set_password

AUTHORITY = ("domain", DOMAIN)


class RegisterTests(LocalCase):
    """REGISTER for a served domain."""

    def test_challenged(self) -> None:
        """The first REGISTER gets 401, the same with credentials 200 with the binding and Date; the AOR is proven to
        the domain, and to nobody else. Nothing goes to any trunk."""
        alice = self.browser()
        challenge = self.ask(alice)
        self.assertEqual(challenge.status, 401)
        self.assertEqual(self.world.location.live(alice.aor), [])
        self.assertFalse(self.world.context.proofs.any(alice.flow))
        ok = self.register(alice)
        self.assertEqual((ok.status, contacts(ok)), (200, {alice.contact: 600}))
        self.assertIsNotNone(parsedate_to_datetime(ok.headers.get("Date") or ""))
        (binding,) = self.world.location.live(alice.aor)
        self.assertIs(binding.flow, alice.flow)
        self.assertTrue(self.world.context.proofs.has(alice.flow, alice.aor, AUTHORITY))
        caller = self.world.context.proofs.caller(alice.flow, alice.aor)
        assert caller.user is not None
        self.assertEqual((caller.user.aor, caller.user.trunks), ("alice@example.com", {"carrier"}))
        self.assertEqual(self.world.trunks, {})

    def test_wrong_password(self) -> None:
        """A wrong password, and a user that there is not, get the same, and bind nothing."""
        seen = set()
        for user in ("alice", "carol"):
            browser = self.browser(user)
            response = self.register(browser, "guess")
            names = tuple(sorted(name for name, _ in response.headers))
            seen.add((response.status, response.reason, names))
            self.assertFalse(self.world.context.proofs.any(browser.flow))
            self.assertEqual(self.world.location.live(browser.aor), [])
        self.assertEqual(len(seen), 1)

    def test_another_user(self) -> None:
        """A user registers itself only: the right password of alice binds nothing for bob (section 10.3 step 4)."""
        alice = self.browser()
        lines = self.ask(alice, user="bob").headers.lines("WWW-Authenticate")
        credentials = answer(lines, "alice", "wonderland", "REGISTER", f"sip:{DOMAIN}")
        response = self.ask(alice, credentials, user="bob")
        self.assertEqual((response.status, response.reason), (403, "Address Of Another User"))
        self.assertEqual(self.world.location.live("bob@example.com"), [])

    def test_another_domain(self) -> None:
        """To and Request-URI have the same domain (section 10.3 step 4): else nobody could say whose user it is."""
        alice = self.browser()
        for how in ({"domain": "pbx.example.com"}, {"uri": "sip:pbx.example.com"}):
            self.assertEqual(self.ask(alice, **how).status, 403)
        self.assertEqual(self.world.trunks, {})

    def test_port(self) -> None:
        """An address with a port is no user of the domain, nor one at another host."""
        for uri, domain in ((f"sip:{DOMAIN}:5070", f"{DOMAIN}:5070"),):
            alice = self.browser()
            self.assertEqual(self.register(alice, uri=uri, domain=domain).status, 403)
            self.assertEqual(self.world.trunks, {})

    def test_every_register(self) -> None:
        """Each REGISTER is challenged, refreshes too: who has lost the password does not stay (section 22)."""
        alice = self.registered()
        self.assertEqual(self.ask(alice).status, 401)

    def test_from_trunk(self) -> None:
        """A REGISTER from the SIP side is not taken."""
        trunk = self.world.trunk()
        trunk.say(register_request("<sip:x@192.0.2.50>", domain=DOMAIN, uri=f"sip:{DOMAIN}"))
        self.assertEqual(trunk.response(405).status, 405)


class ExpiresTests(LocalCase):
    """How long."""

    def test_bounds(self) -> None:
        """What is longer is shortened, what gives no time gets the longest, what is too short gets 423 with Min-Expires
        (section 10.3 step 7)."""
        alice = self.browser()
        for asked, granted in ((86400, 3600), (None, 3600), (60, 60)):
            self.assertEqual(list(contacts(self.register(alice, expires=asked)).values()), [granted])
        response = self.register(alice, expires=59)
        self.assertEqual((response.status, response.headers.get("Min-Expires")), (423, "60"))

    def test_each_contact(self) -> None:
        """Each Contact has its own time."""
        alice = self.browser()
        wanted = ("<sip:a@x.invalid>;expires=120", "<sip:b@x.invalid>;expires=7200", "<sip:c@x.invalid>")
        ok = self.register(alice, contacts=wanted, expires=300)
        self.assertEqual(contacts(ok), {"sip:a@x.invalid": 120, "sip:b@x.invalid": 3600, "sip:c@x.invalid": 300})

    def test_expires(self) -> None:
        """Without a refresh, binding and proof end."""
        alice = self.registered()
        self.world.turn(601)
        self.assertEqual(self.world.location.live(alice.aor), [])
        self.assertFalse(self.world.context.proofs.any(alice.flow))


class UnregisterTests(LocalCase):
    """Removing bindings, and queries."""

    def test_query(self) -> None:
        """Without Contact the 200 lists the bindings of the user, of all its browsers."""
        one, two = self.registered(), self.registered()
        listed = contacts(self.register(one, contacts=(), expires=None))
        self.assertEqual(listed.keys(), {one.contact, two.contact})

    def test_one(self) -> None:
        """``expires=0`` removes this binding, and what the connection has proven; the other browser stays."""
        one, two = self.registered(), self.registered()
        self.assertEqual(contacts(self.register(one, expires=0)).keys(), {two.contact})
        self.assertFalse(self.world.context.proofs.any(one.flow))
        self.assertTrue(self.world.context.proofs.any(two.flow))

    def test_old_page(self) -> None:
        """An old page's ``expires=0`` does not remove the binding of the new one, which has its instance and another
        Contact (field.rst W10: Old page)."""
        instance = ';+sip.instance="<urn:uuid:8f4b>";reg-id=1'
        old, new = self.browser(), self.browser()
        for page in (old, new):
            self.register(page, contacts=(f"<{page.contact}>{instance}",))
        left = self.register(old, contacts=(f"<{old.contact}>{instance}",), expires=0)
        self.assertEqual(contacts(left).keys(), {new.contact})
        self.assertFalse(self.world.context.proofs.any(old.flow))
        self.assertEqual(contacts(self.register(new, contacts=(f"<{new.contact}>{instance}",), expires=0)), {})

    def test_all(self) -> None:
        """``Contact: *`` with ``Expires: 0`` removes all (section 10.3 step 6); another Expires is a mistake."""
        one, two = self.registered(), self.registered()
        self.assertEqual(self.register(one, contacts=("*",), expires=60).status, 400)
        self.assertEqual(contacts(self.register(one, contacts=("*",), expires=0)), {})
        self.assertEqual(self.world.location.live(one.aor), [])
        self.assertFalse(self.world.context.proofs.any(two.flow))

    def test_replaced(self) -> None:
        """One REGISTER may add one binding and remove another."""
        alice = self.registered()
        wanted = ("<sip:new@x.invalid>", f"<{alice.contact}>;expires=0")
        self.assertEqual(contacts(self.register(alice, contacts=wanted)).keys(), {"sip:new@x.invalid"})
        self.assertTrue(self.world.context.proofs.any(alice.flow))

    def test_too_many(self) -> None:
        """The limits of bindings are those of all registrations."""
        alice = self.browser()
        many = tuple(f"<sip:{number}@x.invalid>" for number in range(11))
        self.assertEqual(self.register(alice, contacts=many).status, 403)

    def test_bad_contact(self) -> None:
        """What can't be called is no Contact."""
        self.assertEqual(self.register(self.browser(), contacts=("<tel:+49>",)).status, 400)


class NewestTests(LocalCase):
    """Without `[registrations] multiple`."""

    multiple = False

    def test_newest(self) -> None:
        """The newest browser of a user replaces the others."""
        self.registered()
        two = self.registered()
        self.assertEqual([binding.flow for binding in self.world.location.live(two.aor)], [two.flow])


class ChangedTests(LocalCase):
    """What a change of the users file means for those that are registered."""

    def change(self) -> None:
        self.world.context.domains.refresh()

    def test_gone(self) -> None:
        """A user that is removed has neither bindings nor proofs any more; others keep theirs."""
        alice, bob = self.registered(), self.registered("bob")
        remove(self.path, alice.aor)
        self.change()
        self.assertEqual(self.world.location.live(alice.aor), [])
        self.assertFalse(self.world.context.proofs.any(alice.flow))
        self.assertTrue(self.world.context.proofs.any(bob.flow))
        self.assertEqual(len(self.world.location.live(bob.aor)), 1)

    def test_gone_while_bound(self) -> None:
        """So it is for one that is removed while the directory makes its binding."""
        self.world = self.make_world(slow=True)
        alice = self.browser()
        challenges = self.ask(alice).headers.lines("WWW-Authenticate")
        credentials = answer(challenges, "alice", PASSWORDS["alice"], "REGISTER", f"sip:{DOMAIN}")
        contact = f"<{alice.contact}>"
        more = (f"Authorization: {credentials}",)
        alice.say(register_request(contact, user="alice", domain=DOMAIN, uri=f"sip:{DOMAIN}", cseq=9, more=more))
        self.assertEqual(len(self.world.slow.waiting), 1)
        remove(self.path, alice.aor)
        self.change()
        self.world.slow.answer()
        self.world.turn()
        self.assertEqual(self.world.location.live(alice.aor), [])
        self.assertFalse(self.world.context.proofs.any(alice.flow))

    def test_new_password(self) -> None:
        """A new password ends what the old one has opened."""
        alice = self.registered()
        set_password(self.path, alice.aor, "new")
        self.change()
        self.assertFalse(self.world.context.proofs.any(alice.flow))
        self.assertEqual(self.register(alice).status, 401)
        self.world.turn(100)
        self.assertEqual(self.register(alice, "new").status, 200)

    def test_attributes(self) -> None:
        """Other attributes count at once."""
        alice = self.registered()
        self.path.write_text(self.path.read_text().replace("alice@example.com", "alice@example.com numbers=+491"))
        self.change()
        user = self.world.context.proofs.caller(alice.flow, alice.aor).user
        assert user is not None
        self.assertEqual((user.numbers, user.trunks), (("+491",), {"carrier"}))
        self.assertEqual(len(self.world.location.live(alice.aor)), 1)


class LastingTests(LocalCase):
    """A user that has logged in for the whole connection."""

    def test_lasting(self) -> None:
        """It registers without a challenge, as itself only, and un-registering does not end its login."""
        alice, proofs = self.browser(), self.world.context.proofs
        domain = self.world.context.domains.named(DOMAIN)
        assert domain is not None
        user = domain.user(alice.aor)
        proofs.add(alice.flow, alice.aor, AUTHORITY, 3600, user, lasting=True)
        self.assertEqual(self.ask(alice).status, 200)
        self.assertEqual(self.ask(alice, expires=0).status, 200)
        self.assertIs(proofs.lasting(alice.flow, alice.aor, AUTHORITY), user)
        response = self.ask(alice, user="bob")
        self.assertIsInstance(response, Response)
        self.assertEqual(response.status, 401)
