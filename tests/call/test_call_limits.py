"""Calls at once, and their time, of a user, an address and a trunk (docs/access.rst: Limits)."""

from __future__ import annotations

from dataclasses import replace

from twisted.plugin import IPlugin
from zope.interface import implementer

from tests.support.calls.case import CallCase
from tests.support.calls.party import party_of
from tests.support.calls.transferring import name_of
from tests.support.calls.world import PLAIN, Browser, TrunkPeer
from tests.support.configs import CARRIER, PBX
from tests.support.exposition import Readings
from webrtcproxy.access import policy
from webrtcproxy.access.policy import AccessRequest, IAccessPolicyFactory, Permit
from webrtcproxy.config import AccessConfig, CallsConfig, LimitsConfig, TrunkLimits
from webrtcproxy.sip.message import Request, Response

BOB = "sip:bob@pbx.example.com"


class LimitedCase(CallCase):
    """Calls that ring, or are up."""

    trunks = (PBX,)

    def limited(self, calls: CallsConfig | None = None, **limits: int) -> None:
        """Begin with a new world."""
        options = {"user_calls_per_minute": 0, **limits}
        self.world = self.make_world(limits=LimitsConfig(**options), calls=calls)
        self.trunk = self.world.trunk()
        self.readings = Readings(self.world.metrics)

    def browser(self, user: str = "alice", host: str = "198.51.100.9") -> Browser:
        """A browser that has registered."""
        found = self.world.browser(user, host=host)
        found.bind()
        return found

    def rings(self, browser: Browser, to: str = BOB) -> bool:
        """Call; whether it is taken."""
        before = len(self.world.calls)
        self.invite = browser.invite(to)
        return len(self.world.calls) > before

    def refused(self, browser: Browser | TrunkPeer, status: int, reason: str) -> Response:
        heard = browser.response(status)
        self.assertEqual(heard.reason, reason)
        self.assertGreater(int(heard.headers.get("Retry-After") or 0), 0)
        return heard

    def answered(self, browser: Browser) -> None:
        """A call that is up."""
        self.assertTrue(self.rings(browser))
        self.answer(self.trunk, browser, self.invite)

    def answer(self, trunk: TrunkPeer, browser: Browser, invite: Request) -> None:
        self.leg = trunk.request("INVITE")
        self.answer_sent = trunk.answer(self.leg, 200, PLAIN)
        trunk.heard("ACK")
        self.ok = browser.response(200)
        browser.ack(invite, self.ok)

    def ended(self, browser: Browser) -> None:
        """Both sides get a BYE that says that the time is used up."""
        for peer in (browser, self.trunk):
            bye = peer.request("BYE")
            self.assertEqual(bye.headers.get("Reason"), 'SIP;cause=403;text="Time Used Up"')
            peer.answer(bye, 200)
        self.assertEqual(len(self.world.calls), 0)


class AtOnce(LimitedCase):
    """Calls at once."""

    def test_user_with_many_connections(self) -> None:
        """A user has no more calls with more connections, and the others at its address keep theirs."""
        self.limited(user_calls=3)
        taken = [self.rings(self.browser()) for _ in range(20)]
        self.assertEqual(taken.count(True), 3)
        self.assertTrue(self.rings(self.browser("bob")))
        self.assertEqual(self.readings.moved()['refused_total{reason="calls_limit"}'], 17)

    def test_reconnected(self) -> None:
        """A connection that is lost frees nothing while its calls live on."""
        self.limited(user_calls=1)
        first = self.browser()
        self.answered(first)
        first.flow.lose()
        again = self.browser()
        self.assertFalse(self.rings(again))
        self.refused(again, 503, "Too Many Calls Of Yours")

    def test_over(self) -> None:
        """A call that is over counts no more, answered or not."""
        self.limited(user_calls=1)
        alice = self.browser()
        for _ in range(3):
            self.assertTrue(self.rings(alice))
            self.trunk.answer(self.trunk.request("INVITE"), 486)
            self.trunk.heard("ACK")
            alice.heard(486)
        self.answered(alice)
        party_of(alice, self.invite, self.ok).ask("BYE")
        alice.heard(200)
        self.trunk.answer(self.trunk.request("BYE"), 200)
        self.assertTrue(self.rings(alice))

    def test_address(self) -> None:
        """An address has its own limit, over all users; another address has none of it."""
        self.limited(address_calls=4)
        taken = [self.rings(self.browser(f"user{number}")) for number in range(8)]
        self.assertEqual(taken.count(True), 4)
        self.assertTrue(self.rings(self.browser("user9", "203.0.113.9")))

    def test_share(self) -> None:
        """One address takes no more than its share of all calls, one user no more than its share of that."""
        self.limited(CallsConfig(limit=10), user_calls=0, share=60)
        taken = [self.rings(self.browser()) for _ in range(8)]
        self.assertEqual(taken.count(True), 3)
        taken = [self.rings(self.browser(f"user{number}")) for number in range(8)]
        self.assertEqual(taken.count(True), 3)
        self.assertTrue(self.rings(self.browser("user9", "203.0.113.9")))

    def test_least_share(self) -> None:
        """A share is one call at least."""
        self.limited(CallsConfig(limit=1), share=1)
        self.assertTrue(self.rings(self.browser()))

    def test_without_registration(self) -> None:
        """A browser that has not registered counts for its address."""
        self.limited(CallsConfig(limit_unregistered=5), address_calls=2)
        taken = [self.rings(self.world.browser()) for _ in range(4)]
        self.assertLessEqual(taken.count(True), 2)

    def test_no_dialog(self) -> None:
        """An INVITE that can't create a dialog counts nothing."""
        self.limited(user_calls=1)
        alice = self.browser()
        contact, alice.contact = alice.contact, "<"
        self.assertFalse(self.rings(alice))
        alice.heard(400)
        alice.contact = contact
        self.assertTrue(self.rings(alice))


class OfTrunks(LimitedCase):
    """`calls` of a trunk, and its share of what there is."""

    trunks = (replace(PBX, limits=TrunkLimits(calls=2)), CARRIER)

    def test_both_directions(self) -> None:
        """Calls to a trunk and from it count together: a browser gets 503, the trunk 486 (RFC 3261 section 21.4.24)."""
        self.limited()
        alice = self.browser()
        self.assertTrue(self.rings(alice))
        self.trunk.heard("INVITE")
        self.trunk.call(alice)
        alice.heard("INVITE")
        self.rings(alice)
        self.refused(alice, 503, "Too Many Calls Of Yours")
        self.trunk.call(alice)
        self.refused(self.trunk, 486, "Too Many Calls Of Yours")
        self.assertTrue(self.rings(alice, "sip:bob@carrier.example.net:5080"))

    def test_flood(self) -> None:
        """One trunk that calls takes no more than its share; browsers call still."""
        self.trunks = (PBX, CARRIER)
        self.limited(CallsConfig(limit=10), share=50)
        alice = self.browser()
        for _ in range(8):
            self.trunk.call(alice)
        self.assertEqual(self.trunk.pending(), ["486"] * 3)
        self.assertTrue(self.rings(alice))


class Redirected(LimitedCase):
    """A call that is redirected."""

    trunks = (replace(PBX, redirects="follow", limits=TrunkLimits(calls=2)), CARRIER)

    def test_counts_once(self) -> None:
        """It counts at the trunk that it goes to, and no more at the one that has redirected it."""
        self.limited()
        alice = self.browser()
        alice.authenticate(CARRIER)
        for _ in range(3):
            self.assertTrue(self.rings(alice))
            self.trunk.answer(
                self.trunk.request("INVITE"), 302, headers=[("Contact", "<sip:bob@carrier.example.net:5080>")]
            )
            self.trunk.heard("ACK")
        self.assertEqual(self.world.trunk("192.0.2.7", 5090).pending(), ["INVITE"] * 3)
        self.assertTrue(self.rings(alice))
        self.trunk.answer(self.trunk.request("INVITE"), 302, headers=[("Contact", "<sip:dave@pbx.example.com>")])
        self.trunk.heard("ACK")
        self.trunk.heard("INVITE")
        self.assertTrue(self.rings(alice))
        self.trunk.heard("INVITE")


class Granted(LimitedCase):
    """What a policy grants."""

    def granting(self, seconds: float) -> tuple[list[str], list[tuple[str, float]]]:
        """Begin with a policy that gives each call so many seconds: what it was asked, and which calls were over."""
        asked: list[str] = []
        over: list[tuple[str, float]] = []

        class Granting:
            def decide(self, request: AccessRequest) -> Permit:
                asked.append(request.target.user or "")
                return Permit(seconds)

            def ended(self, request: AccessRequest, seconds: float) -> None:
                over.append((request.target.user or "", seconds))

        @implementer(IAccessPolicyFactory, IPlugin)
        class Factory:
            name = "granting"

            def make(self, *_: object) -> Granting:
                return Granting()

        self.patch(policy, "getPlugins", lambda _: [Factory()])
        self.world = self.make_world(access=AccessConfig(policy="granting"))
        self.trunk = self.world.trunk()
        return asked, over

    def test_time_of_a_call(self) -> None:
        """The time that an access policy gives a call begins with its 2xx; then the call ends, and the policy learns
        how long it was. It also learns of a call that was not answered, and is not asked about calls that come in."""
        asked, over = self.granting(60)
        alice = self.browser()
        self.assertTrue(self.rings(alice))
        self.trunk.answer(self.trunk.request("INVITE"), 486)
        self.trunk.heard("ACK")
        alice.heard(486)
        self.answered(alice)
        self.world.turn(59)
        self.assertEqual(over, [("bob", 0)])
        self.world.turn(2)
        self.ended(alice)
        self.assertEqual(asked, ["bob", "bob"])
        ((who, seconds),) = over[1:]
        self.assertEqual(who, "bob")
        self.assertAlmostEqual(seconds, 61, delta=1.1)
        self.trunk.call(alice)
        self.assertEqual(asked, ["bob", "bob"])

    def test_time_of_a_replaced_call(self) -> None:
        """A browser that replaces its own call by another one to the same peer (RFC 3891) asks for a call as well: the
        policy decides on it, and it gets no more time than that."""
        asked, over = self.granting(60)
        alice = self.browser()
        self.answered(alice)
        old = party_of(alice, self.invite, self.ok)
        theirs = party_of(self.trunk, self.leg, self.answer_sent)
        invite = alice.invite(BOB, ("Replaces", str(name_of(old))))
        self.answer(self.trunk, alice, invite)
        old.ask("BYE")
        alice.heard(200)
        theirs.answer(self.trunk.request("BYE"), 200)
        self.assertEqual((asked, over), (["bob", "bob"], [("bob", 0)]))
        self.world.turn(62)
        self.ended(alice)


class InADay(LimitedCase):
    """Minutes of calls to trunks."""

    def test_user(self) -> None:
        """The call that is up when the minutes of a user are used up ends with BYE and a Reason (RFC 3326); then the
        user gets 403 with Retry-After on whatever connection, and nobody else does."""
        self.limited(user_minutes_per_day=10)
        alice = self.browser()
        self.answered(alice)
        self.world.turn(599)
        self.assertEqual(len(self.world.calls), 1)
        self.world.turn(2)
        self.ended(alice)
        again = self.browser()
        self.rings(again)
        self.assertGreater(
            int(self.refused(again, 403, "Minutes Of This Day Used Up").headers.get("Retry-After") or 0), 80_000
        )
        self.assertEqual(self.readings.moved()['refused_total{reason="minutes_limit"}'], 1)
        self.answered(self.browser("bob"))

    def test_address_and_trunk(self) -> None:
        """So do those of an address, and of a trunk."""
        self.limited(address_minutes_per_day=10)
        alice = self.browser()
        self.answered(alice)
        self.world.turn(601)
        self.ended(alice)
        self.rings(bob := self.browser("bob"))
        bob.heard(403)
        self.trunks = (replace(PBX, limits=TrunkLimits(minutes_per_day=10)),)
        self.limited()
        alice = self.browser()
        self.answered(alice)
        self.world.turn(601)
        self.ended(alice)
        self.rings(bob := self.browser("bob", "203.0.113.9"))
        bob.heard(403)

    def test_calls_in_are_free(self) -> None:
        """A call from the trunk uses up nothing."""
        self.limited(user_minutes_per_day=1, address_minutes_per_day=1)
        alice = self.browser()
        self.trunk.call(alice)
        alice.answer(alice.request("INVITE"), 200, alice.sdp.replace(b"actpass", b"active"))
        alice.heard("ACK")
        self.trunk.heard(200)
        self.world.turn(120)
        self.assertTrue(self.rings(alice))
