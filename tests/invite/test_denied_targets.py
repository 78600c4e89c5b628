"""Which numbers a browser reaches: by INVITE, MESSAGE, SUBSCRIBE, REFER, a redirect, a transfer (docs/access.rst:
Rules; corners.rst 1: 3xx)."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from twisted.logger import capturedLogs, formatEvent

from tests.support.calls.party import Party
from tests.support.calls.transferring import ReplacingCase, name_of, refer_to
from tests.support.calls.world import TrunkPeer
from tests.support.configs import CARRIER, PBX
from tests.support.exposition import Readings
from tests.support.messages import request
from webrtcproxy.config import AccessConfig, CallsConfig
from webrtcproxy.config.rules import rules
from webrtcproxy.registration.binding import contact_user_of
from webrtcproxy.sip.message import Response
from webrtcproxy.sip.uri import Uri

BOB = "sip:bob@pbx.example.com"
PREMIUM = "+4990012345678"
SPELLINGS = (
    "+4990012345678", "004990012345678", "4990012345678", "090012345678", "+49-900-12345678", "%2B4990012345678",
    "+49(0)90012345678", "*31%23090012345678", "+493012345;npdi;rn=+4990012345678", "0900%2012345678",
)  # fmt: skip
ACCESS = AccessConfig(country="49")


class DeniedCase(ReplacingCase):
    """A trunk that lets a browser call."""

    trunks: ClassVar = (replace(PBX, redirects="follow", refer="local"), CARRIER)
    access: ClassVar = ACCESS

    def setUp(self) -> None:
        super().setUp()
        self.world = self.make_world(access=self.access)
        self.alice, self.trunk = self.world.browser(), self.world.trunk()
        self.alice.bind()
        self.readings = Readings(self.world.metrics)

    def denied(self, count: int = 1) -> None:
        """The browser got 403, which is counted, and nothing of it reached a trunk."""
        for _ in range(count):
            self.assertEqual(self.alice.response(403).reason, "Destination Not Allowed")
        self.assertEqual(self.readings.moved()['refused_total{reason="destination"}'], count)
        self.trunk.silent()


class OutsideOfDialogs(DeniedCase):
    """Requests outside of dialogs."""

    def test_spellings(self) -> None:
        """An INVITE to a premium number is refused in each spelling; its call is recorded."""
        for number in SPELLINGS:
            self.alice.invite(f"sip:{number}@pbx.example.com")
        self.alice.invite(f"sip:{PREMIUM}@pbx.example.com;user=phone")
        self.alice.invite(f"tel:{PREMIUM}")
        self.alice.invite("tel:0900-12345678;phone-context=+49")
        self.denied(len(SPELLINGS) + 3)
        self.assert_over(self.alice, self.trunk)

    def test_others(self) -> None:
        """MESSAGE, SUBSCRIBE and REFER cost as well."""
        for method in ("MESSAGE", "SUBSCRIBE", "REFER", "INFO", "OPTIONS"):
            headers = [("Event", "presence"), ("Refer-To", "<sip:bob@pbx.example.com>")]
            self.alice.say(
                request(method, f"sip:{PREMIUM}@pbx.example.com", from_=f"<{self.alice.uri}>", headers=headers)
            )
            self.denied()

    def test_to(self) -> None:
        """Some providers go by To: it is checked, too."""
        to = f"<sip:{PREMIUM}@pbx.example.com>"
        self.alice.say(request("MESSAGE", "sip:bob@pbx.example.com", from_=f"<{self.alice.uri}>", to=to))
        self.denied()

    def test_permitted(self) -> None:
        """Others cross as before."""
        for number in ("+4930123456", "112", "bob", "900", "+8801712345678"):
            self.alice.invite(f"sip:{number}@pbx.example.com")
            self.trunk.answer(self.trunk.request("INVITE"), 486)
            self.trunk.heard("ACK")
            self.alice.heard(486)

    def test_refer_to(self) -> None:
        """A REFER outside of a dialog whose target is a premium number goes nowhere."""
        for number in SPELLINGS:
            self.alice.say(
                request(
                    "REFER",
                    "sip:bob@pbx.example.com",
                    from_=f"<{self.alice.uri}>",
                    headers=[("Refer-To", f"<sip:{number}@pbx.example.com>")],
                )
            )
            self.denied()


class Registering(DeniedCase):
    """REGISTER."""

    access: ClassVar = AccessConfig(deny=rules(["carrier.example.net"]))

    def test_host(self) -> None:
        """No REGISTER goes to a host that is denied, also where it is a trunk's."""
        for host, goes in (("carrier.example.net:5080", False), ("pbx.example.com", True)):
            aor = f"<sip:alice@{host}>"
            self.alice.say(request("REGISTER", f"sip:{host}", from_=aor, to=aor, contact=f"<{self.alice.contact}>"))
            if goes:
                self.trunk.request("REGISTER")
            else:
                self.denied()
        self.assertEqual(len(self.world.trunks), 1)


class TransfersElsewhere(DeniedCase):
    """A REFER whose target is where browsers may not call at all (docs/access.rst: An INVITE outside of dialogs): the
    trunk would call there by itself."""

    ELSEWHERE = (
        "sip:x@evil.example", "sip:+4930123456@evil.example;user=phone", "sip:x@pbx.example.com:9",
        "sip:x@evil.example?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc", "sip:x@evil.example;method=MESSAGE",
    )  # fmt: skip

    def test_refused(self) -> None:
        """It goes nowhere, within a call or not, and is counted and logged; the call goes on."""
        ours, theirs = self.out(self.alice, self.trunk)
        with capturedLogs() as logs:
            for uri in self.ELSEWHERE:
                ours.ask("REFER", b"", ("Refer-To", f"<{uri}>"))
                self.refused()
                self.alice.say(request("REFER", BOB, from_=f"<{self.alice.uri}>", headers=[("Refer-To", f"<{uri}>")]))
                self.refused()
        line = "REFER to sip:x@evil.example is refused: 403"
        lines = [text for text in map(formatEvent, logs) if text and line in text]
        self.assertEqual(len(lines), 2)
        ours.ask("BYE")
        self.alice.heard(200)
        theirs.answer(self.trunk.request("BYE"), 200)

    def test_permitted(self) -> None:
        """Where they may call, it crosses: to a trunk, and to the other end of a call of its own."""
        first, _ = self.out(self.alice, self.trunk)
        second, _ = self.out(self.alice, self.trunk, "other")
        values = ["<sip:carol@pbx.example.com>", refer_to(second.target, name_of(second))[1]]
        for value in [*values, refer_to(BOB, name_of(second))[1]]:
            first.ask("REFER", b"", ("Refer-To", value))
            self.trunk.answer(self.trunk.request("REFER"), 404)
            self.alice.heard(404)

    def test_like_our_contact(self) -> None:
        """The proxy's Contact in a call of its own is a whole address: its user at another place is elsewhere."""
        first, _ = self.out(self.alice, self.trunk)
        second, _ = self.out(self.alice, self.trunk, "other")
        target = Uri.parse(second.target)
        for uri in (
            replace(target, host="evil.example"), replace(target, port=9), replace(target, port=None),
            replace(target, scheme="sips"), replace(target, user=f"{target.user}%61"),
            replace(target, password="x"), replace(target, params=(*target.params, ("maddr", "evil.example"))),
        ):  # fmt: skip
            first.ask("REFER", b"", refer_to(str(uri), name_of(second)))
            self.alice.heard(403)
            self.trunk.silent()
        first.ask("REFER", b"", refer_to(f"sip:{target.user}@pbx.example.com", name_of(second)))
        refer = self.trunk.request("REFER")
        self.assertIn(f"<sip:{target.user}@pbx.example.com?Replaces=", refer.headers.get("Refer-To") or "")
        self.trunk.answer(refer, 404)
        self.alice.heard(404)
        same = replace(target, user=f"%{ord(target.user[0]):02x}{target.user[1:]}", host=target.host.upper())
        first.ask("REFER", b"", refer_to(str(same), name_of(second)))
        self.assertIn("<sip:callee@192.0.2.50", self.trunk.request("REFER").headers.get("Refer-To") or "")

    def refused(self) -> None:
        self.assertEqual(self.alice.response(403).reason, "Destination Not Allowed")
        self.assertEqual(self.readings.moved()['refused_total{reason="forbidden"}'], 1)
        self.trunk.silent()


class InCalls(DeniedCase):
    """Redirects and transfers."""

    def test_redirect(self) -> None:
        """A redirect that is followed leads to no premium number."""
        self.alice.invite("sip:bob@pbx.example.com")
        contact = ", ".join(f"<sip:{number}@pbx.example.com>" for number in SPELLINGS[:4])
        self.trunk.answer(self.trunk.request("INVITE"), 302, headers=[("Contact", contact)])
        self.trunk.heard("ACK")
        self.alice.heard(302)
        self.assert_over(self.alice, self.trunk)

    def redirected_by_alice(self, *contacts: str, status: int = 302) -> list[str]:
        """The Contacts that the trunk gets when it calls alice, whose browser redirects it."""
        invite = self.trunk.call(self.alice)
        headers = [("Contact", contact) for contact in contacts]
        self.alice.answer(self.alice.request("INVITE"), status, headers=headers)
        self.alice.heard("ACK")
        response = self.trunk.next()
        assert isinstance(response, Response)
        self.assertIn(response.status, (status, 480))
        self.assertEqual(response.status == 480, "Contact" not in response.headers)
        self.trunk.ack(invite, response)
        return response.headers.lines("Contact")

    def test_redirect_of_a_browser(self) -> None:
        """A browser that is called redirects the trunk to no number or host that it may not call itself: the trunk
        would call there at the expense of the account."""
        for status in (300, 301, 302, 305, 380):
            for number in SPELLINGS:
                self.assertEqual(self.redirected_by_alice(f"<sip:{number}@pbx.example.com>", status=status), [])
        self.assertEqual(self.redirected_by_alice(f"<tel:{PREMIUM}>", "<sip:x@evil.example>", "<im:bob@x.example>"), [])
        permitted = "<sip:+4930123456@pbx.example.com>;q=0.5"
        contacts = f"<sip:{PREMIUM}@pbx.example.com>", permitted, "<sip:bob@evil.example:5080>"
        self.assertEqual(self.redirected_by_alice(*contacts), [permitted])
        self.assertEqual(self.redirected_by_alice(", ".join(contacts)), [permitted])
        self.assert_over(self.alice, self.trunk)

    def test_redirect_of_an_unproven_browser(self) -> None:
        """One that has proven nothing may call nobody, and redirects to nobody."""
        self.world = self.make_world(access=self.access, calls=CallsConfig())
        self.alice, self.trunk = self.world.browser(), self.world.trunk()
        self.alice.bind(authenticated=False)
        self.assertEqual(self.redirected_by_alice(f"<{BOB}>"), [])

    def test_redirect_of_a_message(self) -> None:
        """Of a request that is no call, no Contact of a browser's redirect crosses to the trunk."""
        self.trunk.say(request("MESSAGE", f"sip:{contact_user_of(self.alice.aor)}@192.0.2.1", from_=f"<{BOB}>"))
        self.alice.answer(self.alice.request("MESSAGE"), 302, headers=[("Contact", f"<sip:{PREMIUM}@pbx.example.com>")])
        self.assertNotIn("Contact", self.trunk.response(302).headers)

    def refers(self, ours: Party, to: str) -> None:
        ours.ask("REFER", b"", ("Refer-To", to))

    def test_transfer(self) -> None:
        """A REFER in a call is not relayed to a trunk that would call a premium number, nor carried out here."""
        ours, theirs = self.out(self.alice, self.trunk)
        for number in SPELLINGS[:6]:
            self.refers(ours, f"<sip:{number}@pbx.example.com>")
            self.denied()
        self.refers(ours, f"<sip:{PREMIUM}@elsewhere.example.org>")
        self.denied()
        self.refers(ours, "<cid:list@example.org>")
        self.alice.heard(416)
        self.end(ours, theirs)

    def test_permitted_transfer(self) -> None:
        """Another number is passed on as before."""
        ours, _ = self.out(self.alice, self.trunk)
        self.refers(ours, "<sip:+4930123456@pbx.example.com>")
        refer = self.trunk.request("REFER")
        self.assertEqual(refer.headers.get("Refer-To"), "<sip:+4930123456@pbx.example.com>")
        self.trunk.answer(refer, 603)
        self.trunk.request("INVITE")

    def test_premium_number_with_replaces(self) -> None:
        """Replaces is no way around it: the proxy's own Contact in another call is, which nobody calls."""
        first, _ = self.out(self.alice, self.trunk)
        second, _ = self.out(self.alice, self.trunk, "other")
        _, value = refer_to(f"sip:{PREMIUM}@pbx.example.com", name_of(second))
        self.refers(first, value)
        self.denied()
        _, value = refer_to(second.target, name_of(second))
        self.refers(first, value)
        self.trunk.answer(self.trunk.request("REFER"), 404)
        self.alice.heard(404)

    def end(self, ours: Party, theirs: Party) -> None:
        ours.ask("BYE")
        self.alice.heard(200)
        self.trunk.answer(self.trunk.request("BYE"), 200)


class OfTrunks(DeniedCase):
    """`allow` and `deny` of a trunk."""

    trunks: ClassVar = (replace(PBX, allow=rules(["+49*"]), deny=rules(["+4930*"])), CARRIER)
    access: ClassVar = AccessConfig()

    def call(self, to: str) -> TrunkPeer:
        self.alice.invite(to)
        return self.trunk

    def test_numbers(self) -> None:
        """They hold for that trunk alone, beside those of `[access]`."""
        for number in ("+33123456", "+493012345", "0033123456"):
            self.call(f"sip:{number}@pbx.example.com")
            self.denied()
        self.call("sip:+4989123456@pbx.example.com")
        self.trunk.heard("INVITE")
        self.call("sip:+33123456@carrier.example.net:5080")
        self.assertTrue(self.world.trunk("192.0.2.7", 5090).pending())
        self.alice.silent()
