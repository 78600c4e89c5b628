"""How often one user, one address and one trunk may send requests outside of dialogs (docs/access.rst: Limits)."""

from __future__ import annotations

import re
from dataclasses import replace

from twisted.logger import capturedLogs, formatEvent

from tests.support.calls.local import message_to
from tests.support.calls.transferring import ReplacingCase, name_of, refer_to
from tests.support.calls.world import Browser, Peer
from tests.support.configs import CARRIER, PBX
from tests.support.exposition import Readings
from tests.support.messages import request
from webrtcproxy.config import LimitsConfig, TrunkLimits
from webrtcproxy.sip.message import Request, Response

LIMITS = LimitsConfig(
    user_calls=0,
    user_calls_per_minute=3,
    user_messages_per_minute=4,
    user_registrations_per_minute=5,
    address_calls=0,
    address_calls_per_minute=8,
    address_messages_per_minute=10,
    address_registrations_per_minute=12,
)
SLOW_TRUNK = replace(PBX, limits=TrunkLimits(calls_per_minute=12))


class RatesCase(ReplacingCase):
    """A proxy with small limits."""

    trunks = (SLOW_TRUNK,)

    def setUp(self) -> None:
        super().setUp()
        self.world = self.make_world(limits=LIMITS)
        self.trunk = self.world.trunk()

    def over(self, peer: Peer, reason: str) -> Response:
        """The sender is refused: with 503, why, and when to try again."""
        refused = peer.response(503)
        self.assertEqual(refused.reason, reason)
        self.assertGreater(int(refused.headers.get("Retry-After") or 0), 0)
        return refused

    def messages(self, browser: Browser, count: int) -> None:
        """Send a number of MESSAGEs."""
        for _ in range(count):
            uri = "sip:bob@pbx.example.com"
            browser.say(request("MESSAGE", uri, from_=f"<{browser.uri}>", transport="WSS"))

    def registers(self, browser: Browser, count: int) -> None:
        """Send a number of REGISTERs of a user that has logged in on this connection before: it waits for nobody."""
        browser.bind()
        for _ in range(count):
            self.asks_to_register(browser, browser.aor.partition("@")[0])

    def asks_to_register(self, browser: Browser, user: str) -> None:
        """Send a REGISTER of any user."""
        aor = f"<sip:{user}@pbx.example.com>"
        browser.say(
            request("REGISTER", "sip:pbx.example.com", from_=aor, to=aor, transport="WSS", contact=browser.contact)
        )

    def calls(self, browser: Browser, count: int) -> None:
        for _ in range(count):
            browser.invite("sip:bob@pbx.example.com")

    def upstream(self, method: str) -> int:
        """How many requests of a method have reached the trunk, without their repeats."""
        messages = self.trunk.flow.messages
        return len({each.call_id for each in messages if isinstance(each, Request) and each.method == method})


class OfUsers(RatesCase):
    """One user, over all its connections."""

    def test_calls_over_several_connections(self) -> None:
        """A user has no more calls with more connections, nor with another one after it was refused; the others at its
        address are not touched. A minute later it may go on."""
        for number in range(5):
            alice = self.world.browser()
            alice.bind()
            self.calls(alice, 1)
            if number >= 3:
                self.over(alice, "Too Many Calls")
        self.assertEqual(self.upstream("INVITE"), 3)
        bob = self.world.browser("bob")
        bob.bind()
        self.calls(bob, 1)
        self.assertEqual(self.upstream("INVITE"), 4)
        self.world.turn(21)
        again = self.world.browser()
        again.bind()
        self.calls(again, 1)
        self.assertEqual(self.upstream("INVITE"), 5)

    def test_transfers(self) -> None:
        """A REFER within a call counts as a call."""
        alice = self.world.browser()
        alice.bind()
        ours, theirs = self.out(alice, self.trunk)
        for _ in range(2):
            ours.ask("REFER", b"", ("Refer-To", "<sip:carol@pbx.example.com>"))
            theirs.answer(self.trunk.request("REFER"), 404)
            alice.heard(404)
        ours.ask("REFER", b"", ("Refer-To", "<sip:carol@pbx.example.com>"))
        self.over(alice, "Too Many Calls")
        self.trunk.silent()

    def test_counted_and_logged(self) -> None:
        """Each refusal is counted by its reason. The log has one line a second, with the option and its value: a flood
        does not fill it."""
        alice, readings = self.world.browser(), Readings(self.world.metrics)
        alice.bind()
        with capturedLogs() as events:
            self.calls(alice, 50)
        self.assertEqual(readings.moved()['refused_total{reason="rate_limit"}'], 47)
        lines = [formatEvent(event) for event in events]
        refused = [line for line in lines if "is refused" in line]
        option = "[limits] user-calls-per-minute = 3"
        (line,) = refused
        self.assertRegex(line, rf"^call\d+: INVITE is refused, more than {re.escape(option)} of user {alice.aor}$")

    def test_messages(self) -> None:
        """Requests other than calls have a limit of their own."""
        alice = self.world.browser()
        alice.bind()
        self.messages(alice, 6)
        self.over(alice, "Too Many Requests")
        self.over(alice, "Too Many Requests")
        self.assertEqual(self.upstream("MESSAGE"), 4)
        self.calls(alice, 1)
        self.assertEqual(self.upstream("INVITE"), 1)

    def test_registrations(self) -> None:
        """REGISTERs for one user from one address: what is too much reaches no registrar, on whichever connection it
        comes; from another address the user is not kept out."""
        for _ in range(7):
            self.registers(self.world.browser(), 1)
        self.assertEqual(self.upstream("REGISTER"), 5)
        self.registers(self.world.browser("bob"), 1)
        self.registers(self.world.browser(host="203.0.113.9"), 1)
        self.assertEqual(self.upstream("REGISTER"), 7)

    def test_registrations_of_strangers(self) -> None:
        """A stranger at a user's address, who asks as that user or as any other, takes nothing of what those may ask
        who are connected there."""
        alice = self.world.browser()
        self.registers(alice, 1)
        stranger = self.world.browser("alice")
        for user in ("alice", "u1", "u2", "u3", "u4"):
            for _ in range(8):
                self.asks_to_register(stranger, user)
        self.over(stranger, "Too Many Registrations")
        before = self.upstream("REGISTER")
        self.registers(alice, 3)
        self.assertEqual(self.upstream("REGISTER"), before + 3)

    def test_without_login(self) -> None:
        """Browsers of one address that have not registered count as one user."""
        for _ in range(5):
            self.messages(self.world.browser(), 1)
        self.assertLessEqual(self.upstream("MESSAGE"), 4)
        bob = self.world.browser("bob")
        bob.bind()
        self.messages(bob, 1)
        self.assertEqual(bob.pending(), [])


class OfAddresses(RatesCase):
    """One address, over all its users."""

    def test_guessing_for_many_users(self) -> None:
        """Who registers many users from one address reaches the registrar so often, and no more."""
        for number in range(20):
            self.registers(self.world.browser(f"user{number}"), 1)
        self.assertEqual(self.upstream("REGISTER"), 12)
        self.registers(self.world.browser("user20", host="203.0.113.9"), 1)
        self.assertEqual(self.upstream("REGISTER"), 13)

    def test_guessing_without_login(self) -> None:
        """So it is for browsers that have never logged in, on one connection or on several: it is the address that is
        counted, over all the users that they ask for. Who is connected there as its user may go on."""
        alice, one = self.world.browser(), self.world.browser("guess")
        self.registers(alice, 1)
        for number in range(20):
            browser = one if number % 2 else self.world.browser("guess")
            self.asks_to_register(browser, f"user{number}")
            if number < 12:
                browser.silent()  # the registrar has it, or it waits for its turn
            else:
                self.over(browser, "Too Many Registrations")
        elsewhere = self.world.browser("guess", host="203.0.113.9")
        before = self.upstream("REGISTER")
        self.asks_to_register(elsewhere, "user20")
        self.registers(alice, 1)
        self.assertEqual(self.upstream("REGISTER"), before + 2)

    def test_many_users(self) -> None:
        """The calls of many users of one address have a limit together."""
        for number in range(10):
            browser = self.world.browser(f"user{number}")
            browser.bind()
            self.calls(browser, 1)
        self.assertEqual(self.upstream("INVITE"), 8)

    def test_networks_of_ipv6(self) -> None:
        """Who has one address of a /64 has them all: they count as one (RFC 6177 section 2)."""
        for number in range(20):
            self.registers(self.world.browser(f"user{number}", host=f"2001:db8:0:1::{number:x}"), 1)
        self.assertEqual(self.upstream("REGISTER"), 12)
        self.registers(self.world.browser("user20", host="2001:db8:0:2::1"), 1)
        self.assertEqual(self.upstream("REGISTER"), 13)


class ToTrunks(RatesCase):
    """Calls that a trunk gets."""

    trunks = (replace(PBX, redirects="follow", limits=TrunkLimits(calls_to_per_minute=3)), CARRIER)

    def setUp(self) -> None:
        super().setUp()
        self.world = self.make_world(limits=replace(LIMITS, user_calls_per_minute=0, address_calls_per_minute=0))
        self.trunk = self.world.trunk()

    def users(self, count: int) -> list[Browser]:
        """Browsers of several users at several addresses, each at both trunks."""
        browsers = []
        for number in range(count):
            browser = self.world.browser(f"user{number}", host=f"203.0.113.{number}")
            browser.bind()
            browser.authenticate(CARRIER)
            browsers.append(browser)
        return browsers

    def test_calls_of_many_users(self) -> None:
        """As many calls as are permitted in a minute reach the trunk, whoever makes them; what is above gets 503 with
        Retry-After, and nothing of it reaches the trunk. Another trunk is called still, the trunk itself calls, and
        after the time of Retry-After one more call may go there."""
        readings = Readings(self.world.metrics)
        with capturedLogs() as events:
            browsers = self.users(5)
            for browser in browsers:
                self.calls(browser, 1)
        self.assertEqual(self.upstream("INVITE"), 3)
        waits = [int(self.over(each, "Too Many Calls").headers.get("Retry-After") or 0) for each in browsers[3:]]
        self.assertEqual(readings.moved()['refused_total{reason="rate_limit"}'], 2)
        (line,) = [text for text in map(formatEvent, events) if "is refused" in text]
        self.assertRegex(line, r"^call\d+: INVITE is refused, more than calls-to-per-minute = 3 of trunk pbx$")
        browsers[4].invite("sip:bob@carrier.example.net:5080")
        self.world.trunk("192.0.2.7", 5090).request("INVITE")
        self.trunk.call(browsers[3])
        browsers[3].heard("INVITE")
        self.world.turn(max(waits))
        (again,) = self.users(1)
        self.calls(again, 2)
        self.assertEqual(self.upstream("INVITE"), 4)
        self.over(again, "Too Many Calls")

    def test_redirected(self) -> None:
        """So it is for a call that another trunk redirects there."""
        self.trunks = (replace(self.trunks[0], limits=TrunkLimits()), replace(CARRIER, limits=TrunkLimits(0, None, 1)))
        self.world = self.make_world(limits=LIMITS)
        self.trunk = self.world.trunk()
        alice, bob = self.users(2)
        for browser in (alice, bob):
            self.calls(browser, 1)
            moved = [("Contact", "<sip:bob@carrier.example.net:5080>")]
            self.trunk.answer(self.trunk.request("INVITE"), 302, headers=moved)
            self.trunk.heard("ACK")
        self.assertEqual(self.world.trunk("192.0.2.7", 5090).pending(), ["INVITE"])
        alice.silent()
        self.over(bob, "Too Many Calls")

    def test_referred(self) -> None:
        """A REFER by which the trunk is to call somebody counts as a call; one by which it takes over another call of
        the browser's does not, nor one that nobody is let call by."""
        self.trunks = (replace(PBX, limits=TrunkLimits(calls_to_per_minute=4)), CARRIER)
        self.world = self.make_world(limits=replace(LIMITS, user_calls_per_minute=0))
        self.trunk = self.world.trunk()
        (alice,) = self.users(1)
        mine, theirs = self.out(alice, self.trunk, "one")
        second, _ = self.out(alice, self.trunk, "two")
        for headers, status in (
            (refer_to(second.target, name_of(second)), 603),
            (("Refer-To", "<sip:+88212345678@pbx.example.com>"), 403),
            (("Refer-To", "<sip:dave@pbx.example.com>"), 603),
        ):
            mine.ask("REFER", b"", headers)
            if status == 603:
                theirs.answer(self.trunk.request("REFER"), status)
            alice.heard(status)
        message_to(alice, "sip:bob@pbx.example.com", ("Refer-To", "<sip:dave@pbx.example.com>"), method="REFER")
        self.trunk.answer(self.trunk.request("REFER"), 603)
        alice.heard(603)
        mine.ask("REFER", b"", ("Refer-To", "<sip:dave@pbx.example.com>"))
        self.over(alice, "Too Many Calls")
        message_to(alice, "sip:bob@pbx.example.com", ("Refer-To", "<sip:e@pbx.example.com>"), method="REFER", cseq=2)
        self.over(alice, "Too Many Calls")
        self.trunk.silent()
        for party in (mine, second):
            party.ask("BYE")
            alice.heard(200)
            self.world.turn()
            self.trunk.answer(self.trunk.request("BYE"), 200)

    def test_messages(self) -> None:
        """MESSAGEs to numbers have a limit of their own, over all users; one more gets 503 with Retry-After, the others
        go on: calls, MESSAGEs to names and to another trunk, and other requests."""
        self.trunks = (replace(PBX, limits=TrunkLimits(messages_to_per_minute=3)), CARRIER)
        self.world = self.make_world(limits=replace(LIMITS, user_messages_per_minute=0))
        self.trunk = self.world.trunk()
        browsers = self.users(5)
        for browser in browsers:
            message_to(browser, "sip:+4930123456@pbx.example.com")
        waits = [int(self.over(each, "Too Many Requests").headers.get("Retry-After") or 0) for each in browsers[3:]]
        self.assertEqual(self.trunk.pending(), ["MESSAGE"] * 3)
        self.trunk.forget()
        alice = browsers[4]
        for number, (method, uri, reaches) in enumerate((
            ("MESSAGE", "sip:bob@pbx.example.com", True), ("OPTIONS", "sip:+4930123456@pbx.example.com", True),
            ("MESSAGE", "sip:0301234567@pbx.example.com;user=phone", False), ("MESSAGE", "tel:+4930123456", False),
        )):  # fmt: skip
            message_to(alice, uri, method=method, cseq=number + 2)
            self.assertEqual(self.trunk.pending(), [method] if reaches else [], uri)
            self.trunk.forget()
        alice.forget()
        message_to(alice, "sip:+4930123456@carrier.example.net:5080", cseq=9)
        self.world.trunk("192.0.2.7", 5090).request("MESSAGE")
        alice.invite("sip:+4930123456@pbx.example.com")
        self.trunk.request("INVITE")
        self.world.turn(max(waits))
        self.trunk.forget()
        message_to(browsers[3], "sip:+4930123456@pbx.example.com", cseq=10)
        self.trunk.request("MESSAGE")

    def test_messages_by_default(self) -> None:
        """There is such a limit where nobody has written one, and 0 is none."""
        self.assertEqual(TrunkLimits().messages_to_per_minute, 300)
        self.trunks = (replace(PBX, limits=TrunkLimits(messages_to_per_minute=0)), CARRIER)
        self.world = self.make_world(limits=replace(LIMITS, user_messages_per_minute=0, address_messages_per_minute=0))
        (alice,) = self.users(1)
        for number in range(400):
            message_to(alice, "sip:+4930123456@pbx.example.com", cseq=number + 1)
            self.world.trunk().answer(self.world.trunk().request("MESSAGE"), 202)
        self.assertEqual(alice.pending(), ["202"] * 400)

    def test_other_requests(self) -> None:
        """Other requests do not count."""
        (alice,) = self.users(1)
        self.messages(alice, 4)
        self.assertEqual(self.upstream("MESSAGE"), 4)
        self.calls(alice, 3)
        self.assertEqual(self.upstream("INVITE"), 3)

    def test_without_limit(self) -> None:
        """A trunk without this limit is called as often as the others let it."""
        for browser in self.users(5):
            for _ in range(10):
                browser.invite("sip:bob@carrier.example.net:5080")
        self.assertEqual(self.world.trunk("192.0.2.7", 5090).pending(), ["INVITE"] * 50)


class OfTrunks(RatesCase):
    """Calls that a trunk sends."""

    def test_flood(self) -> None:
        """A sixth of the calls of a minute may come at once; above it the trunk gets 503, and other trunks don't."""
        alice = self.world.browser()
        alice.bind()
        for _ in range(4):
            self.trunk.call(alice)
        self.assertEqual(self.trunk.pending(), ["503", "503"])
        self.over(self.trunk, "Too Many Calls")
        self.world.turn(5)
        self.trunk.forget()
        self.trunk.call(alice)
        self.assertEqual(self.trunk.pending(), [])

    def test_other_requests(self) -> None:
        """Pings of a trunk are not limited."""
        for _ in range(50):
            self.trunk.say(request("OPTIONS", "sip:192.0.2.1"))
        self.assertEqual(self.trunk.pending(), ["200"] * 50)
