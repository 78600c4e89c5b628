"""A trunk with a format of numbers of its own: what it gets, and what browsers see of it."""

from __future__ import annotations

from dataclasses import replace

from tests.call.test_numbers import NumbersCase
from tests.support.calls.local import DOMAIN, TRUNK, message_to
from tests.support.calls.world import OFFER, Browser, World
from tests.support.configs import CARRIER, PBX, config
from tests.support.logins import domain_with
from webrtcproxy.config import AccessConfig, Domain
from webrtcproxy.config.number_format import AS_DIALLED, DIGITS, NATIONAL, PLUS, Country, NumberFormat
from webrtcproxy.config.numbers import NumberMap
from webrtcproxy.config.rules import rules
from webrtcproxy.sip.message import Request, Response

HERE = ("49", ("00", "011"), ())
AT_TRUNK = "carrier.example.net:5080"
PLAIN = OFFER.replace(b"UDP/TLS/RTP/SAVPF", b"RTP/AVP")


def german(style: str, *country: str) -> NumberFormat:
    return NumberFormat(style, Country(*country)).at(*HERE)


class FormatCase(NumbersCase):
    """alice has the numbers +493012340 and +493012341."""

    lines = ('alice@example.com name="Alice Liddell" numbers=+493012340,03012341 groups=sales', "bob@example.com")

    def begin(self, style: str, *country: str, access: AccessConfig | None = None, **trunk: object) -> Browser:
        """Start the proxy with this format of its trunk; alice is registered."""
        _, self.path = domain_with(self.mktemp(), *self.lines)
        options: dict[str, object] = {"number_format": german(style, *country), **trunk}
        section = replace(CARRIER, **options)  # type: ignore[arg-type]
        domain = Domain(DOMAIN, users=self.path, realm=DOMAIN, trunks=("carrier",))
        whole = config(section, PBX, multiple=True, access=access or AccessConfig(country="49"))
        self.world = World(config=replace(whole, domains=(domain,)))
        self.worlds.append(self.world)
        self.trunk = self.world.trunk(TRUNK, 5090)
        self.cseq = 0
        return self.registered()

    def sent(self, browser: Browser, uri: str, *headers: tuple[str, str]) -> Request:
        """The INVITE that the trunk gets for a call, which it refuses."""
        invite = browser.invite(uri, *headers)
        leg = self.trunk.request("INVITE")
        self.trunk.answer(leg, 486)
        self.trunk.heard("ACK")
        browser.ack(invite, browser.response(486))
        return leg

    def hang_up(self, browser: Browser, invite: Request, ok: Response, cseq: int = 2) -> None:
        """The browser ends the call that it has begun."""
        browser.say(browser.inside("BYE", invite, ok, cseq=cseq))
        self.trunk.answer(self.trunk.request("BYE"), 200)
        browser.heard(200)

    def refused(self, browser: Browser, uri: str) -> None:
        """Nothing of a call reaches the trunk."""
        invite = browser.invite(uri)
        browser.ack(invite, browser.response(403))
        self.trunk.silent()


class CallsOut(FormatCase):
    """What the trunk gets."""

    def test_dialled_and_shown(self) -> None:
        """Request-URI, To, From and P-Asserted-Identity have the numbers as the trunk wants them, whatever is dialled,
        by a user of a domain; and those that a browser dials at the trunk's host."""
        for style, called, shown in (
            (PLUS, "+49301234567", "+493012340"), (DIGITS, "49301234567", "493012340"),
            (NATIONAL, "0301234567", "03012340"),
        ):  # fmt: skip
            alice = self.begin(style, caller_id="both")
            for number in ("+49301234567", "0301234567", "0049%20(30)%201234-567"):
                for uri in (f"sip:{number}@{DOMAIN}", f"sip:{number}@{AT_TRUNK}"):
                    leg = self.sent(alice, uri)
                    self.assertEqual((leg.uri, leg.to.uri), (f"sip:{called}@{AT_TRUNK}",) * 2, uri)
                    self.assertEqual(leg.from_.uri, f"sip:{shown}@{AT_TRUNK}")
                    self.assertIn(f"<sip:{shown}@", leg.headers.get("P-Asserted-Identity") or "")
            leg = self.sent(alice, "tel:+49-30-1234567;ext=1")
            self.assertIn(f"sip:{called}", leg.uri)
            message_to(alice, f"sip:0301234567@{DOMAIN}")
            message = self.trunk.request("MESSAGE")
            self.assertEqual(message.uri, f"sip:{called}@{AT_TRUNK}")
            self.trunk.answer(message, 200)
            alice.heard(200)

    def test_main_number(self) -> None:
        """So is the number of the trunk, for users without one; an account is a name."""
        for option, shown in (
            ({"main_number": "+4930120"}, "+4930120"), ({"main_number": "+493012000"}, "493012000"),
            ({"username": "+493012345678"}, "+493012345678"),
        ):  # fmt: skip
            self.begin(DIGITS, **option)
            leg = self.sent(self.registered("bob"), f"sip:+4940123456@{DOMAIN}")
            self.assertEqual(leg.from_.uri, f"sip:{shown}@{AT_TRUNK}")

    def test_registered_at_the_trunk(self) -> None:
        """Who has registered at the trunk is shown as the address that is registered there, and by the headers that it
        writes where these cross, with numbers as the trunk has them."""
        self.begin(DIGITS, pass_identity=True)
        phone = self.world.browser("+493012345678", AT_TRUNK)
        phone.bind(registrar=TRUNK)
        leg = self.sent(phone, f"sip:+49301234567@{AT_TRUNK}", ("P-Asserted-Identity", "<tel:0301234567>"))
        self.assertEqual(leg.from_.uri, f"sip:+493012345678@{AT_TRUNK}")
        self.assertEqual((leg.uri, leg.to.uri), (f"sip:49301234567@{AT_TRUNK}",) * 2)
        self.assertEqual(leg.headers.lines("P-Asserted-Identity"), ["<tel:49301234567>"])

    def test_untouched(self) -> None:
        """Numbers of emergency services, codes of services, extensions and names are as they were dialled."""
        alice = self.begin(NATIONAL)
        for user in ("112", "+49112", "*21*0301234567%23", "4711", "sales.desk", "030-x1"):
            leg = self.sent(alice, f"sip:{user}@{AT_TRUNK}")
            self.assertEqual((leg.uri, leg.to.uri), (f"sip:{user}@{AT_TRUNK}",) * 2)

    def test_parameters_stay(self) -> None:
        """A number keeps its parameters; a local one with its context is no national one (RFC 3966 section 5.1.5)."""
        alice = self.begin(DIGITS)
        for user, sent in (
            ("+49301234567;npdi;rn=+4930", "49301234567;npdi;rn=+4930"),
            ("0301234567;phone-context=+43", "0301234567;phone-context=+43"),
        ):
            leg = self.sent(alice, f"sip:{user}@{AT_TRUNK};user=phone")
            self.assertEqual(leg.uri, f"sip:{sent}@{AT_TRUNK};user=phone")

    def test_own_digest(self) -> None:
        """Where a browser answers the trunk's challenges itself, its digest is for the number as it is written."""
        self.begin(NATIONAL)
        phone = self.world.browser("12345", AT_TRUNK)
        phone.bind(registrar=TRUNK)
        uri = f"sip:+49301234567@{AT_TRUNK}"
        digest = f'Digest username="12345", realm="x", nonce="n", uri="{uri}", response="0"'
        self.assertEqual(self.sent(phone, uri, ("Proxy-Authorization", digest)).uri, uri)

    def test_denied(self) -> None:
        """A number that is denied is denied in each form, before it is converted and after."""
        for style, country in ((PLUS, ()), (DIGITS, ()), (NATIONAL, ()), (NATIONAL, ("43", "0"))):
            for deny in ("+49900*", "0900*", "0049900*"):
                alice = self.begin(style, *country, access=AccessConfig(country="49", deny=rules((deny,))))
                for number in ("+49900123456", "0049900123456", "0900123456", "+49-900%20123456", "0900-123456"):
                    self.refused(alice, f"sip:{number}@{DOMAIN}")
                    self.refused(alice, f"sip:{number}@{AT_TRUNK}")

    def test_denied_by_the_form(self) -> None:
        """A prefix before national numbers that the rules for numbers don't know is no way around them."""
        deny = AccessConfig(country="36", deny=rules(("+3690*",)))
        format = NumberFormat(PLUS, Country("36", "06")).at("36", ("00",), ())
        alice = self.begin(PLUS, access=deny, number_format=format)
        self.refused(alice, f"sip:0690123456@{DOMAIN}")
        self.assertEqual(self.sent(alice, f"sip:0612345678@{DOMAIN}").uri, f"sip:+3612345678@{AT_TRUNK}")

    def test_allowed(self) -> None:
        """One that is allowed is allowed in each form."""
        for style in (PLUS, DIGITS, NATIONAL):
            alice = self.begin(style, access=AccessConfig(country="49", allow=rules(("+49*",))))
            for number in ("+49301234567", "0049301234567", "0301234567"):
                self.sent(alice, f"sip:{number}@{DOMAIN}")
            self.refused(alice, f"sip:0043664123456@{DOMAIN}")

    def test_redirected(self) -> None:
        """The target of a redirect is a number as the trunk writes it: it is judged as such, and comes back so."""
        alice = self.begin(
            NATIONAL, "43", "0", redirects="follow", access=AccessConfig(country="49", deny=rules(("+43900*",)))
        )
        for contact, again in (("0664123456", True), ("0900123456", False)):
            invite = alice.invite(f"sip:0301234567@{DOMAIN}")
            self.trunk.answer(self.trunk.request("INVITE"), 302, headers=[("Contact", f"<sip:{contact}@{AT_TRUNK}>")])
            self.trunk.heard("ACK")
            if again:
                leg = self.trunk.request("INVITE")
                self.assertEqual(leg.uri, f"sip:{contact}@{AT_TRUNK}")
                self.trunk.answer(leg, 486)
                self.trunk.heard("ACK")
            final = alice.next()
            alice.ack(invite, final)  # type: ignore[arg-type]
            self.trunk.silent()

    def test_redirect_crosses(self) -> None:
        """A redirect that crosses has a number that the browser can dial."""
        alice = self.begin(DIGITS)
        alice.invite(f"sip:0301234567@{DOMAIN}")
        self.trunk.answer(self.trunk.request("INVITE"), 302, headers=[("Contact", f"<sip:49401234567@{AT_TRUNK}>")])
        self.trunk.heard("ACK")
        self.assertEqual(alice.response(302).headers.get("Contact"), f"<sip:+49401234567@{AT_TRUNK}>")

    def test_transfer(self) -> None:
        """The target of a transfer that the trunk carries out is a number as it has them."""
        alice = self.begin(NATIONAL)
        invite = alice.invite(f"sip:0301234567@{DOMAIN}")
        self.trunk.answer(self.trunk.request("INVITE"), 200, PLAIN)
        self.trunk.heard("ACK")
        ok = alice.response(200)
        alice.ack(invite, ok)
        request = alice.inside("REFER", invite, ok)
        request.headers.add("Refer-To", f"<sip:+49%2040-1234567@{AT_TRUNK}>")
        alice.say(request)
        refer = self.trunk.request("REFER")
        self.assertEqual(refer.headers.get("Refer-To"), f"<sip:0401234567@{AT_TRUNK}>")
        self.trunk.answer(refer, 603)
        alice.heard(603)
        self.hang_up(alice, invite, ok, cseq=3)


class Abroad(FormatCase):
    """A trunk in another country."""

    def test_denied_there(self) -> None:
        """A number that its section denies as it is dialled there is denied however users dial it."""
        alice = self.begin(NATIONAL, "43", "0", deny=rules(["0720*"]))
        for dialled in ("+437201234567", "00437201234567", "0043-720-1234567", "07201234567"):
            self.refused(alice, f"sip:{dialled}@{DOMAIN}")
        self.assertEqual(self.sent(alice, f"sip:+438001234567@{DOMAIN}").uri, f"sip:08001234567@{AT_TRUNK}")


class OwnNumbers(FormatCase):
    """A user calls as one of its numbers in whatever spelling (docs/numbers.rst: Whose number it is)."""

    SPELLINGS = "03012341", "004930-12341", "+49%20(0)30%2012341", "493012341", "%2B49-30-12341"

    def called(self, alice: Browser, from_: str, *headers: tuple[str, str], method: str = "INVITE") -> Request:
        own, alice.uri = alice.uri, from_
        if method == "INVITE":
            alice.invite(f"sip:0401234567@{DOMAIN}", *headers)
        else:
            self.cseq += 1
            message_to(alice, f"sip:0401234567@{DOMAIN}", *headers, method=method, cseq=self.cseq)
        alice.uri = own
        leg = self.trunk.request(method)
        self.trunk.answer(leg, 486)
        if method == "INVITE":
            self.trunk.heard("ACK")
        alice.heard(486)
        return leg

    def test_from(self) -> None:
        """The trunk gets it as the account has it, or in the form that it wants."""
        for style, shown in ((PLUS, "+493012341"), (DIGITS, "493012341"), (NATIONAL, "03012341")):
            alice = self.begin(style)
            for spelling in self.SPELLINGS:
                for method in ("INVITE", "MESSAGE", "OPTIONS"):
                    leg = self.called(alice, f"sip:{spelling}@{DOMAIN}", method=method)
                    self.assertEqual(leg.from_.uri, f"sip:{shown}@{AT_TRUNK}", spelling)
        alice = self.begin(AS_DIALLED)
        for from_ in ("tel:03012341", "tel:+49-30-12341", f"sips:004930-12341@{DOMAIN}"):
            self.assertEqual(self.called(alice, from_).from_.uri, f"sip:03012341@{AT_TRUNK}", from_)

    def test_preferred(self) -> None:
        """So it is with P-Preferred-Identity, and with Referred-By, which crosses as the account has it."""
        alice = self.begin(AS_DIALLED)
        for spelling in self.SPELLINGS:
            wanted = "P-Preferred-Identity", f"<tel:{spelling}>"
            referred = "Referred-By", f"<sip:{spelling}@{DOMAIN}>"
            leg = self.called(alice, alice.uri, wanted, referred)
            self.assertEqual(leg.from_.uri, f"sip:03012341@{AT_TRUNK}")
            self.assertEqual(leg.headers.get("Referred-By"), f"<sip:03012341@{DOMAIN}>")

    def test_not_its_own(self) -> None:
        """Another number is another's in each spelling, and so is its own at another place."""
        alice = self.begin(PLUS)
        others = [f"sip:{each}@{DOMAIN}" for each in ("03012342", "004930-12342", "+433012341", "3012341", "003012341")]
        for from_ in (*others, f"sip:03012341@{AT_TRUNK}", "tel:3012340;phone-context=+49", "tel:03012342"):
            own, alice.uri = alice.uri, from_
            alice.invite(f"sip:0401234567@{DOMAIN}")
            alice.uri = own
            self.assertIn(alice.next().status, (403, 407), from_)  # type: ignore[union-attr]
            self.trunk.silent()


class CallsIn(FormatCase):
    """What browsers see."""

    def called(self, uri: str, browser: Browser, *headers: tuple[str, str], from_: str = "") -> Request:
        """The INVITE that a browser gets of a call of the trunk, which it refuses."""
        self.trunk.contact = f"sip:carol@{TRUNK}:5090"
        self.trunk.uri = from_ or f"sip:carol@{TRUNK}"
        invite = self.trunk.invite(uri, *headers)
        leg = browser.request("INVITE")
        browser.answer(leg, 486)
        browser.heard("ACK")
        self.trunk.ack(invite, self.trunk.response(486))
        return leg

    def test_shown(self) -> None:
        """The caller in From, P-Asserted-Identity and Remote-Party-ID is a number with ``+``, which can be dialled; a
        name, an extension and what can't be read stay as they are."""
        for style, number in ((PLUS, "+49401234567"), (DIGITS, "49401234567"), (NATIONAL, "0401234567")):
            alice = self.begin(style)
            leg = self.called(
                "sip:+493012340@192.0.2.1", alice,
                ("P-Asserted-Identity", f'"C" <sip:{number}@h>;x=1, <tel:{number}>'),
                ("Remote-Party-ID", f"<sip:{number}@h>;party=calling"),
                ("Diversion", "<sip:4711@h>, <sip:sales@h>, <sip:"),
                from_=f"sip:{number}@h;user=phone",
            )  # fmt: skip
            self.assertEqual(leg.from_.uri, "sip:+49401234567@h;user=phone")
            asserted = ['"C" <sip:+49401234567@h>;x=1', "<tel:+49401234567>"]
            self.assertEqual(leg.headers.lines("P-Asserted-Identity"), asserted)
            self.assertEqual(leg.headers.lines("Remote-Party-ID"), ["<sip:+49401234567@h>;party=calling"])
            self.assertEqual(leg.headers.lines("Diversion"), ["<sip:4711@h>, <sip:sales@h>, <sip:"])
        alice = self.begin(NATIONAL)
        for user in ("4711", "112", "carol", "anonymous"):
            leg = self.called("sip:+493012340@192.0.2.1", alice, from_=f"sip:{user}@h")
            self.assertEqual(leg.from_.uri, f"sip:{user}@h")

    def test_called(self) -> None:
        """A number of an account, or of the trunk's `numbers`, rings in each form, however it is written there."""
        for style, first, second in (
            (PLUS, "+493012340", "+493012341"), (DIGITS, "493012340", "493012341"), (NATIONAL, "03012340", "03012341"),
        ):  # fmt: skip
            numbers = NumberMap((("03099912", ("alice@example.com",)),), (("+493088", ("alice@example.com",)),))
            alice = self.begin(style, numbers=numbers)
            begin = first.removesuffix("3012340")
            for user in (first, second, f"{begin}3099912", f"{begin}3088123", "+493012340"):
                self.called(f"sip:{user}@192.0.2.1", alice)

    def test_registered_there(self) -> None:
        """Who has registered at the trunk as a number is called in each form."""
        for style, called in ((PLUS, "+49301234567"), (DIGITS, "49301234567"), (NATIONAL, "0301234567")):
            for registered in ("+49301234567", "49301234567", "0301234567"):
                if registered in (called, "+49301234567") or style == NATIONAL == registered:
                    self.begin(style)
                    phone = self.world.browser(registered, AT_TRUNK)
                    phone.bind(registrar=TRUNK)
                    self.called(f"sip:{called}@192.0.2.1", phone)

    def test_in_the_dialog(self) -> None:
        """Within a call the browser sees the same, in responses, too."""
        alice = self.begin(DIGITS)
        invite = alice.invite(f"sip:0301234567@{DOMAIN}")
        identity = ("P-Asserted-Identity", "<sip:49301234567@h>")
        self.trunk.answer(self.trunk.request("INVITE"), 200, PLAIN, headers=[identity])
        self.trunk.heard("ACK")
        ok = alice.response(200)
        alice.ack(invite, ok)
        self.assertEqual(ok.headers.get("P-Asserted-Identity"), "<sip:+49301234567@h>")
        self.assertEqual(ok.to.uri, f"sip:0301234567@{DOMAIN}")
        self.hang_up(alice, invite, ok)


class LookedUp(FormatCase):
    """Whom a number rings, however it is sent and configured (docs/numbers.rst: Whom a called number rings)."""

    def rings(self, browser: Browser, *uris: str) -> None:
        """Each call of the trunk rings there."""
        self.trunk.contact = f"sip:carol@{TRUNK}:5090"
        for uri in uris:
            invite = self.trunk.invite(uri)
            leg = browser.request("INVITE")
            browser.answer(leg, 486)
            browser.heard("ACK")
            self.trunk.ack(invite, self.trunk.response(486))

    def rings_nobody(self, *uris: str) -> None:
        for uri in uris:
            invite = self.trunk.invite(uri)
            self.trunk.ack(invite, self.trunk.response(404))

    def test_without_format(self) -> None:
        """A trunk without a format may send a number in any form; one that is another's rings nobody."""
        alice = self.begin(AS_DIALLED)
        forms = "+493012341", "03012341", "004930-12341", "493012341"
        self.rings(alice, *(f"sip:{form}@192.0.2.1" for form in forms), "tel:03012341", "tel:+49-30-12341;isub=1")
        self.rings_nobody(
            "sip:3012341@192.0.2.1", "sip:+433012341@192.0.2.1", "sip:12341@192.0.2.1", "sip:alice@192.0.2.1"
        )
        own, beginning = ("03012", ("alice@example.com",)), ("+4930", ("bob@example.com",))
        alice = self.begin(AS_DIALLED, numbers=NumberMap((), (own, beginning)))
        bob = self.registered("bob")
        self.rings(alice, "sip:+49301299999@192.0.2.1", "sip:004930129999@192.0.2.1", "sip:0301299999@192.0.2.1")
        self.rings(bob, "sip:+49309999999@192.0.2.1", "sip:49309999999@192.0.2.1")

    def test_national_number_that_looks_international(self) -> None:
        """Where 011 begins national numbers, one is dialled and called as such: Nottingham, not Bolivia."""
        self.lines = ("alice@example.com numbers=+441159123456",)
        for style, sent in (
            (AS_DIALLED, "01159123450"), (PLUS, "+441159123450"), (DIGITS, "441159123450"), (NATIONAL, "01159123450"),
        ):  # fmt: skip
            form = NumberFormat(style).at("44", (), ())
            alice = self.begin(style, access=AccessConfig(country="44"), number_format=form)
            self.assertEqual(self.sent(alice, f"sip:01159123450@{DOMAIN}").uri, f"sip:{sent}@{AT_TRUNK}")
            self.rings(alice, "sip:01159123456@192.0.2.1", "sip:+441159123456@192.0.2.1")
            self.rings_nobody("sip:+59123456@192.0.2.1")
        deny = AccessConfig(country="44", deny=rules(("+44115*",)))
        alice = self.begin(AS_DIALLED, access=deny)
        for number in ("01159123450", "+441159123450", "441159123450"):
            self.refused(alice, f"sip:{number}@{DOMAIN}")

    def test_in_context(self) -> None:
        """A local number in a context of digits is the number with both (RFC 3966 section 5.1.5); where it is one of
        the trunk's as it is written, that counts."""
        numbers = NumberMap((("12340", ("bob@example.com",)),))
        for style in (AS_DIALLED, PLUS, NATIONAL):
            alice = self.begin(style)
            self.rings(
                alice,
                "tel:12340;phone-context=+4930", "sip:12340;phone-context=+4930@h;user=phone",
                "sip:1-2340;phone-context=+49-30@h", "tel:3012340;phone-context=+49", "tel:03012340;phone-context=+49",
            )  # fmt: skip
            self.rings_nobody(
                "tel:12340;phone-context=+4940", "tel:12340;phone-context=example.net", "tel:12340;phone-context=+",
                "tel:12340;phone-context=", "tel:12340",
            )  # fmt: skip
            self.begin(style, numbers=numbers)
            self.rings(self.registered("bob"), "tel:12340;phone-context=+4930")
