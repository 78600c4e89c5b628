"""Numbers and identity: which number a user shows, and whom a called number rings."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from itertools import product
from pathlib import Path
from typing import Any

from tests.support.calls.local import DOMAIN, TRUNK, LocalCase, message_to
from tests.support.calls.party import hang_up, party_of
from tests.support.calls.world import OFFER, PLAIN, Browser, World
from tests.support.configs import CARRIER, PBX, config
from webrtcproxy.config import Domain, Trunk
from webrtcproxy.config.numbers import NumberMap
from webrtcproxy.registration.binding import contact_user_of
from webrtcproxy.sip.message import Request

NUMBER = "+493012340"
SECOND = "+493012341"
DIALLED = f"sip:+441234567890@{DOMAIN}"
AT_TRUNK = "carrier.example.net:5080"
ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'


class NumbersCase(LocalCase):
    """alice has two numbers and a name; bob has none."""

    lines = (
        f'alice@example.com name="Alice Liddell" numbers={NUMBER},{SECOND} groups=sales',
        "bob@example.com groups=sales",
    )

    def start(self, **trunk: object) -> None:
        """Start the proxy with these options of its trunk."""
        section: Trunk = replace(CARRIER, **trunk)
        domain = Domain(DOMAIN, users=self.path, realm=DOMAIN, trunks=("carrier",))
        self.world = World(config=replace(config(section, PBX, multiple=True), domains=(domain,)))
        self.worlds.append(self.world)
        self.trunk = self.world.trunk(TRUNK, 5090)

    def setUp(self) -> None:
        super().setUp()
        self.start()

    def shown(self, browser: Browser, *headers: tuple[str, str], from_: str = "", method: str = "INVITE") -> Request:
        """What the trunk gets of a call of this browser, which it refuses."""
        own, browser.uri = browser.uri, from_ or browser.uri
        try:
            if method == "INVITE":
                browser.invite(DIALLED, *headers)
            else:
                message_to(browser, DIALLED, *headers, method=method)
        finally:
            browser.uri = own
        leg = self.trunk.request(method)
        self.trunk.answer(leg, 486)
        if method == "INVITE":
            self.trunk.heard("ACK")
        browser.heard(486)
        return leg


class CallerIds(NumbersCase):
    """What a trunk sees of a user who calls (RFC 3325)."""

    def test_from(self) -> None:
        """By default the first number is in From, at the trunk's host, with the name of the account; To is what was
        dialled, there. No P-Asserted-Identity."""
        for method in ("INVITE", "MESSAGE"):
            leg = self.shown(self.registered(), method=method)
            self.assertEqual((leg.from_.display, leg.from_.uri), ("Alice Liddell", f"sip:{NUMBER}@{AT_TRUNK}"))
            self.assertEqual((leg.to.uri, leg.uri), (leg.uri, f"sip:+441234567890@{AT_TRUNK}"))
            self.assertNotIn("P-Asserted-Identity", leg.headers)

    def test_asserted(self) -> None:
        """With `asserted` the account is in From, and the number in P-Asserted-Identity; with `both` it is in both."""
        for where, user in (("asserted", "us"), ("both", NUMBER)):
            self.start(caller_id=where)
            leg = self.shown(self.registered())
            self.assertEqual(leg.from_.uri, f"sip:{user}@{AT_TRUNK}")
            self.assertEqual(leg.headers.lines("P-Asserted-Identity"), [f'"Alice Liddell" <sip:{NUMBER}@{AT_TRUNK}>'])

    def test_chosen(self) -> None:
        """A user chooses among its numbers, by From or by P-Preferred-Identity, in any spelling."""
        alice = self.registered()
        wanted = ("P-Preferred-Identity", f"<sip:{SECOND}@example.com>")
        for leg in (
            self.shown(alice, wanted),
            self.shown(alice, from_=f"sip:{SECOND}@example.com"),
            self.shown(alice, from_="sip:+49%2030-12341@example.com"),
        ):
            self.assertEqual(leg.from_.uri, f"sip:{SECOND}@{AT_TRUNK}")
            self.assertNotIn("P-Preferred-Identity", leg.headers)

    def test_not_its_own(self) -> None:
        """Nobody shows another's number: From with one is refused, and no header smuggles one in, whatever the trunk
        lets cross."""
        self.start(pass_identity=True, caller_id="both")
        alice = self.registered()
        for name in ("P-Preferred-Identity", "P-Asserted-Identity", "Remote-Party-ID"):
            leg = self.shown(alice, (name, "<sip:+49112@example.com>"), (name, "<tel:+49112>"))
            self.assertNotIn(b"+49112", leg.to_bytes())
            self.assertEqual(leg.from_.uri, f"sip:{NUMBER}@{AT_TRUNK}")
        for other in ("sip:+49112@example.com", f"sip:{SECOND}@carrier.example.net:5080", "sip:bob@example.com"):
            own, alice.uri = alice.uri, other
            alice.invite(DIALLED)
            alice.uri = own
            self.assertIn(alice.next().status, (403, 407))  # type: ignore[union-attr]
            self.trunk.silent()

    def test_within_calls(self) -> None:
        """So it is within a call, whoever has called, and whatever else of browsers the trunk believes: a user shows
        another number of its own, and no other one. That crosses where it is news (RFC 5876 section 3)."""
        updates = ("Allow", "INVITE, ACK, BYE, UPDATE")
        second = f'"Alice Liddell" <sip:{SECOND}@{AT_TRUNK}>'
        for calls_in, trusts in product((False, True), repeat=2):
            self.start(pass_identity=trusts, caller_id="both", numbers=NumberMap(((NUMBER, (f"alice@{DOMAIN}",)),)))
            self.trunk.contact = f"sip:carol@{TRUNK}:5090"
            alice = self.registered()
            if calls_in:
                invite = self.trunk.invite(f"sip:{NUMBER}@192.0.2.1", updates)
                leg = alice.request("INVITE")
                answer = alice.answer(leg, 200, OFFER.replace(b"actpass", b"active"), headers=[updates])
                ok = self.trunk.response(200)
            else:
                invite = alice.invite(DIALLED, updates)
                leg = self.trunk.request("INVITE")
                answer = self.trunk.answer(leg, 200, PLAIN, headers=[updates])
                ok = alice.response(200)
            near, far = (self.trunk, alice) if calls_in else (alice, self.trunk)
            far.heard("ACK")
            near.ack(invite, ok)
            parties = party_of(near, invite, ok), party_of(far, leg, answer)
            trunk, browser = parties if calls_in else parties[::-1]
            for name in ("P-Preferred-Identity", "P-Asserted-Identity", "Remote-Party-ID"):
                for method in ("UPDATE", "INFO"):
                    browser.ask(method, b"", (name, "<sip:+49112@example.com>"))
                    while self.trunk.pending():
                        request = self.trunk.next()
                        assert isinstance(request, Request)
                        self.assertNotIn(b"+49112", request.to_bytes())
                        trunk.answer(request, 200)
                    alice.heard(200)
            browser.ask("UPDATE", b"", ("P-Preferred-Identity", f"<sip:{SECOND}@{DOMAIN}>"))
            alice.heard(200)
            update = self.trunk.request("UPDATE")
            self.assertEqual(update.headers.lines("P-Asserted-Identity"), [second])
            trunk.answer(update, 200, b"", ("P-Asserted-Identity", "<sip:+4930999@carrier.example.net>"))
            browser.answer(alice.request("UPDATE"), 200)
            hang_up(trunk, browser)

    def test_name(self) -> None:
        """A name that the browser writes is not shown, since phones show a number there in place of the real one."""
        bob = self.registered("bob")
        own, bob.uri = bob.uri, f"{bob.uri}"
        request = message_to(bob, DIALLED)
        self.trunk.answer(self.trunk.request("MESSAGE"), 200)
        bob.heard(200)
        named = request.headers.copy()
        named.set("From", f'"{NUMBER}" <{own}>;tag=n')
        named.set("Call-ID", "named")
        named.set("Via", "SIP/2.0/WSS x.invalid;branch=z9hG4bKnamed")
        bob.say(Request("MESSAGE", DIALLED, named, b""))
        leg = self.trunk.request("MESSAGE")
        self.assertNotIn(NUMBER, leg.headers.get("From") or "")
        self.trunk.answer(leg, 200)
        bob.heard(200)

    def test_none(self) -> None:
        """A user without a number is shown with the number of the trunk, else with its account, never with another
        user's."""
        leg = self.shown(self.registered("bob"))
        self.assertEqual(leg.from_.uri, f"sip:us@{AT_TRUNK}")
        self.start(main_number="+4930120", caller_id="both")
        leg = self.shown(self.registered("bob"))
        self.assertEqual(leg.from_.uri, f"sip:+4930120@{AT_TRUNK}")
        self.assertIn("+4930120", leg.headers.get("P-Asserted-Identity") or "")

    def test_redirected(self) -> None:
        """The target of a redirect that is followed sees the same."""
        self.start(redirects="follow")
        alice = self.registered()
        alice.invite(DIALLED)
        contact = ("Contact", f"<sip:+4940@{AT_TRUNK}>")
        self.trunk.answer(self.trunk.request("INVITE"), 302, headers=[contact])
        self.trunk.heard("ACK")
        self.assertEqual(self.trunk.request("INVITE").from_.uri, f"sip:{NUMBER}@{AT_TRUNK}")

    def test_anonymous(self) -> None:
        """A call may be anonymous, by From or by Privacy: From names nobody; a trunk that wants P-Asserted-Identity
        gets it beside Privacy, since it has to know who pays (RFC 3323, RFC 3325 section 9.3)."""
        self.start(caller_id="asserted")
        alice = self.registered()
        for leg in (
            self.shown(alice, ("Privacy", "id"), from_="sip:anonymous@anonymous.invalid"),
            self.shown(alice, ("Privacy", "user;id")),
        ):
            self.assertEqual(str(leg.from_).partition(";tag")[0], ANONYMOUS)
            self.assertIn(NUMBER, leg.headers.get("P-Asserted-Identity") or "")
            self.assertIn("id", leg.headers.get("Privacy") or "")
        self.start()
        leg = self.shown(self.registered(), ("Privacy", "id"))
        self.assertNotIn(b"3012340", leg.to_bytes())
        self.assertNotIn(b"alice", leg.to_bytes().lower().replace(b"sip:alicex", b""))

    def test_to_users(self) -> None:
        """A user is shown to another by its address and the name of its account, or as nobody."""
        alice, bob = self.registered(), self.registered("bob")
        for headers, shown in (
            ((), '"Alice Liddell" <sip:alice@example.com>'),
            ((("Privacy", "user"),), ANONYMOUS),
        ):
            invite = alice.invite(f"sip:bob@{DOMAIN}", *headers)
            leg = bob.request("INVITE")
            self.assertEqual(str(leg.from_).partition(";tag")[0], shown)
            bob.answer(leg, 486)
            bob.heard("ACK")
            alice.ack(invite, alice.response(486))

    def test_in_the_dialog(self) -> None:
        """Within the dialog the trunk sees the same address; the browser its own."""
        alice = self.registered()
        invite = alice.invite(DIALLED)
        leg = self.trunk.request("INVITE")
        self.trunk.answer(leg, 200, OFFER.replace(b"UDP/TLS/RTP/SAVPF", b"RTP/AVP"))
        self.trunk.heard("ACK")
        ok = alice.response(200)
        self.assertEqual(ok.from_.uri, alice.uri)
        alice.ack(invite, ok)
        alice.say(alice.inside("BYE", invite, ok))
        bye = self.trunk.request("BYE")
        self.assertEqual(bye.from_.uri, f"sip:{NUMBER}@{AT_TRUNK}")
        self.trunk.answer(bye, 200)
        alice.heard(200)


class CalledNumbers(NumbersCase):
    """Whom a number rings that the trunk calls (field.rst G: Number in the Request-URI)."""

    def rung(self, uri: str, *browsers: Browser, headers: tuple[tuple[str, str], ...] = (), to: str = "") -> list[str]:
        """Have the trunk call; the users whose browsers ring, or the status that it gets."""
        self.trunk.contact = f"sip:carol@{TRUNK}:5090"
        invite = self.trunk.invite(uri, *headers, called=to)
        found = []
        for browser in browsers:
            if browser.pending():
                leg = browser.request("INVITE")
                browser.answer(leg, 486)
                browser.heard("ACK")
                found.append(browser.aor.partition("@")[0])
        response = self.trunk.next()
        self.trunk.ack(invite, response)  # type: ignore[arg-type]
        return found or [str(response.status)]  # type: ignore[union-attr]

    def test_of_the_account(self) -> None:
        """A number in an account rings its user, in every spelling; one that nobody has rings nobody."""
        alice, bob = self.registered(), self.registered("bob")
        for user in (NUMBER, SECOND, "+49-30-12340", "%2B493012340;npdi;rn=+4930999"):
            self.assertEqual(self.rung(f"sip:{user}@192.0.2.1", alice, bob), ["alice"])
        self.assertEqual(self.rung("sip:+4930999@192.0.2.1", alice, bob), ["404"])

    def test_not_of_another_domain(self) -> None:
        """A trunk that the domain does not have calls none of its numbers."""
        self.registered()
        self.trunk = self.world.trunk("192.0.2.50")
        self.assertEqual(self.rung(f"sip:{NUMBER}@192.0.2.1"), ["404"])

    def test_trunks_at_one_address(self) -> None:
        """Several trunks may share an address: the one that knows the number counts, whatever the host in From."""
        shared = replace(PBX, sources=(ip_network(TRUNK),))
        section = replace(CARRIER, sources=(ip_network(TRUNK),))
        domain = Domain(DOMAIN, users=self.path, realm=DOMAIN, trunks=("carrier",))
        self.world = World(config=replace(config(shared, section, multiple=True), domains=(domain,)))
        self.worlds.append(self.world)
        self.trunk = self.world.trunk(TRUNK, 5090)
        alice = self.registered()
        self.assertEqual(self.rung(f"sip:{NUMBER}@192.0.2.1", alice), ["alice"])

    def test_not_there(self) -> None:
        """480 where its user has no browser connected."""
        self.assertEqual(self.rung(f"sip:{NUMBER}@192.0.2.1"), ["480"])

    def test_mapped(self) -> None:
        """The map of the trunk comes before the accounts: a number rings users and groups, all of them at once."""
        numbers = NumberMap(((NUMBER, ("bob@example.com",)),), (("+4930999", ("sales@example.com",)),))
        self.start(numbers=numbers)
        alice, bob = self.registered(), self.registered("bob")
        self.assertEqual(self.rung(f"sip:{NUMBER}@192.0.2.1", alice, bob), ["bob"])
        self.assertEqual(self.rung("sip:+49309991@192.0.2.1", alice, bob), ["alice", "bob"])
        self.start(numbers=NumberMap(((NUMBER, ("bob@example.com", "alice@example.com")),)))
        alice, bob = self.registered(), self.registered("bob")
        self.assertEqual(self.rung(f"sip:{NUMBER}@192.0.2.1", alice, bob), ["alice", "bob"])

    def test_file(self) -> None:
        """A numbers file says it for many, and may change while the proxy runs."""
        path = Path(self.mktemp())
        path.write_text(f"{NUMBER} = bob@example.com\n+4930* = sales@example.com\n")
        self.start(numbers=NumberMap((("+49309", ("alice@example.com",)),)), numbers_file=path)
        alice, bob = self.registered(), self.registered("bob")
        self.assertEqual(self.rung(f"sip:{NUMBER}@192.0.2.1", alice, bob), ["bob"])
        self.assertEqual(self.rung("sip:+49309@192.0.2.1", alice, bob), ["alice"])
        self.assertEqual(self.rung("sip:+49308@192.0.2.1", alice, bob), ["alice", "bob"])
        path.write_text(f"{NUMBER} = alice@example.com")
        self.world.core.check_files()
        self.assertEqual(self.rung(f"sip:{NUMBER}@192.0.2.1", alice, bob), ["alice"])

    def test_nobody_mapped(self) -> None:
        """A group without anybody does not keep the others from ringing."""
        self.start(numbers=NumberMap(((NUMBER, ("sales@example.com", "12345@pbx.example.com")),)))
        other = self.world.browser("12345")
        other.bind()
        self.assertEqual(self.rung(f"sip:{NUMBER}@192.0.2.1", other), ["12345"])

    def test_only_one(self) -> None:
        """`registered` is the only user of the trunk, and nobody where there are two: never a guess."""
        self.start(numbers=NumberMap((), (("", ("registered",)),)))
        one = self.world.browser("12345", AT_TRUNK)
        self.assertEqual(self.rung("sip:+441234567890@192.0.2.1"), ["404"])
        one.bind(registrar=TRUNK)
        self.assertEqual(self.rung("sip:+441234567890@192.0.2.1", one), ["12345"])
        two = self.world.browser("67890", AT_TRUNK)
        two.bind(registrar=TRUNK)
        self.assertEqual(self.rung("sip:+441234567890@192.0.2.1", one, two), ["404"])

    def test_only_one_beside_others(self) -> None:
        """The only user of the trunk rings together with the users of the line, which ring alone where there is none,
        or more than one."""
        self.start(numbers=NumberMap((), (("", ("registered", "alice@example.com")),)))
        alice, one = self.registered(), self.world.browser("12345", AT_TRUNK)
        self.assertEqual(self.rung("sip:+441234567890@192.0.2.1", alice, one), ["alice"])
        one.bind(registrar=TRUNK)
        self.assertEqual(self.rung("sip:+441234567890@192.0.2.1", alice, one), ["alice", "12345"])
        two = self.world.browser("67890", AT_TRUNK)
        two.bind(registrar=TRUNK)
        self.assertEqual(self.rung("sip:+441234567890@192.0.2.1", alice, one, two), ["alice"])

    def test_in_a_header(self) -> None:
        """The number stands where the section says, else in the Request-URI."""
        alice, bob = self.registered(), self.registered("bob")
        header = ("P-Called-Party-ID", f"<sip:{NUMBER}@example.net>")
        self.assertEqual(self.rung("sip:trunk@192.0.2.1", alice, bob, headers=(header,)), ["404"])
        self.start(called_number="p-called-party-id")
        alice, bob = self.registered(), self.registered("bob")
        odd = (
            f'""x"" <sip:{NUMBER}@h>',
            f"<sip:{NUMBER}@h:5060>;;",
            f'"x <sip:{NUMBER}@h>',
            f"<sip:{NUMBER}@h",
            NUMBER,
            f"<{NUMBER}>;x=y",
        )
        for value in (header, ("P-Called-Party-ID", f"<tel:{NUMBER}>"), *(("P-Called-Party-ID", text) for text in odd)):
            self.assertEqual(self.rung("sip:trunk@192.0.2.1", alice, bob, headers=(value,)), ["alice"])
        for lines in ((), (("P-Called-Party-ID", "<sip:"),)):
            self.assertEqual(self.rung(f"sip:{SECOND}@192.0.2.1", alice, bob, headers=lines), ["alice"])

    def test_in_to(self) -> None:
        """It may stand in To, with whatever in the Request-URI; and in the Request-URI where To has a name."""
        self.start(called_number="to")
        alice = self.registered()
        for uri, to in (
            (f"sip:{NUMBER}@192.0.2.1", ""), ("sip:trunk@192.0.2.1", f"sip:{NUMBER}@h"),
            ("sip:+49309999@192.0.2.1", "sip:+49-30-12340;npdi@h;user=phone"), ("sip:trunk@192.0.2.1", f"tel:{NUMBER}"),
            (f"sip:{NUMBER}@192.0.2.1", "sip:trunk@h"),
        ):  # fmt: skip
            self.assertEqual(self.rung(uri, alice, to=to), ["alice"], (uri, to))
        self.assertEqual(self.rung(f"sip:{NUMBER}@192.0.2.1", alice, to="sip:+49309999@h"), ["404"])

    def test_several_in_the_header(self) -> None:
        """Of several numbers in P-Called-Party-ID the first one counts that rings somebody (RFC 7315 section 4.2)."""
        self.start(called_number="p-called-party-id")
        alice = self.registered()
        header = ("P-Called-Party-ID", f"<sip:carol@h>, <sip:+49309999@h>, <tel:{NUMBER}>")
        self.assertEqual(self.rung("sip:trunk@192.0.2.1", alice, headers=(header,)), ["alice"])

    def test_at_the_contact(self) -> None:
        """A trunk with one registration sends all calls to its Contact, and says in a header which number is called:
        that counts where it rings somebody, else the one who has registered is called."""
        for option, header in (("to", ""), ("p-called-party-id", "P-Called-Party-ID")):
            self.start(called_number=option, numbers=NumberMap((("+49309", ("bob@example.com",)),)))
            one, alice, bob = self.world.browser("12345", AT_TRUNK), self.registered(), self.registered("bob")
            one.bind(registrar=TRUNK)
            contact = f"sip:{contact_user_of(one.aor)}@192.0.2.1"
            for called, user in ((NUMBER, "alice"), ("+49309", "bob"), ("+4940", "12345"), ("sales", "12345")):
                uri = f"sip:{called}@h"
                how: dict[str, Any] = {"headers": ((header, f"<{uri}>"),)} if header else {"to": uri}
                self.assertEqual(self.rung(contact, alice, bob, one, **how), [user], (option, called))
        self.start(numbers=NumberMap(((NUMBER, ("bob@example.com",)),)))
        one, bob = self.world.browser("12345", AT_TRUNK), self.registered("bob")
        one.bind(registrar=TRUNK)
        self.assertEqual(
            self.rung(f"sip:{contact_user_of(one.aor)}@192.0.2.1", bob, one, to=f"sip:{NUMBER}@h"), ["12345"]
        )

    def test_at_the_contact_of_another_trunk(self) -> None:
        """Of several trunks at one address, only the one at which the user has registered has a say."""
        section = replace(CARRIER, sources=(ip_network(TRUNK),), called_number="to")
        shared = replace(PBX, sources=(ip_network(TRUNK),))
        domain = Domain(DOMAIN, users=self.path, realm=DOMAIN, trunks=("carrier",))
        self.world = World(config=replace(config(section, shared, multiple=True), domains=(domain,)))
        self.worlds.append(self.world)
        self.trunk = self.world.trunk(TRUNK, 5090)
        alice = self.registered()
        for host, rung in ((AT_TRUNK, "alice"), (PBX.host, "12345")):
            one = self.world.browser("12345", host)
            one.bind(registrar=TRUNK)
            contact = f"sip:{contact_user_of(one.aor)}@192.0.2.1"
            self.assertEqual(self.rung(contact, alice, one, to=f"sip:{NUMBER}@h"), [rung])

    def test_account_in_the_header(self) -> None:
        """The header may name who has registered at the trunk, in place of a number; a user of somebody else's domain
        is nobody there."""
        for option, header in (("to", ""), ("p-called-party-id", "P-Called-Party-ID")):
            self.start(called_number=option)
            one, alice = self.world.browser("12345", AT_TRUNK), self.registered()
            one.bind(registrar=TRUNK)
            for uri, rung in (("sip:12345@h", "12345"), (f"sip:12345@{AT_TRUNK}", "12345"), ("sip:67890@h", "404")):
                how: dict[str, Any] = {"headers": ((header, f"<{uri}>"),)} if header else {"to": uri}
                self.assertEqual(self.rung("sip:trunk@192.0.2.1", alice, one, **how), [rung], (option, uri))
            self.world.browser("eve", "elsewhere.example").bind(registrar="192.0.2.99")
            self.assertEqual(self.rung("sip:trunk@192.0.2.1", to="sip:eve@elsewhere.example"), ["404"])
