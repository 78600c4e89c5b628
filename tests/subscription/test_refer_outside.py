"""REFER outside of any dialog: it opens the dialog of a subscription, as SUBSCRIBE does (RFC 3515 section 2.4, RFC 5589
section 7)."""

from __future__ import annotations

from tests.support.calls.party import Pair, Party
from tests.support.calls.subscribing import contact_of, early_notifier_of, notifier_of, subscriber_of
from tests.support.calls.transferring import ReplacingCase, name_of, refer_to, tag_of
from tests.support.calls.world import Caller
from tests.support.configs import CARRIER
from tests.support.messages import request
from webrtcproxy.config import SubscriptionsConfig
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.sip.replaces import replaces_of

BOB = "sip:bob@pbx.example.com"
CAROL = ("Refer-To", "<sip:carol@pbx.example.com?Subject=x>")
BY = ("Referred-By", "<sip:alice@pbx.example.com>")
LAST = "terminated;reason=noresource"


class OutsideCase(ReplacingCase):
    """A browser and a trunk."""

    def setUp(self) -> None:
        super().setUp()
        self.people()

    def people(self) -> None:
        self.alice, self.trunk = self.world.browser(), self.world.trunk()
        self.alice.bind()

    def refer(self, by: Caller, *headers: Pair, cseq: int = 7) -> Request:
        """Send a REFER to bob, or to alice where it is the trunk's."""
        uri = BOB if by is self.alice else "sip:alice@192.0.2.1"
        sent = request(
            "REFER", uri, to=f"<{uri}>", from_=f"<{by.uri}>", contact=f"<{by.contact}>", cseq=cseq, headers=headers
        )
        by.say(sent)
        return sent

    def accept(self, leg: Request, by: Caller, *headers: Pair) -> Response:
        return by.answer(leg, 202, tag="referred", headers=[("Contact", f"<{contact_of(by)}>"), *headers])

    def referred(self, by: Caller, to: Caller) -> tuple[Party, Party, Request]:
        """A REFER that was accepted: both ends, and as it crossed."""
        sent = self.refer(by, CAROL, BY)
        crossed = to.request("REFER")
        ok = self.accept(crossed, to)
        granted = by.response(202)
        self.assertNotIn("Expires", granted.headers)
        return subscriber_of(by, sent, granted), notifier_of(to, crossed, ok), crossed  # type: ignore[arg-type]

    def notify(self, by: Party, to: Party, state: str, event: str = "refer", fragment: str = "100 Trying") -> Request:
        """How it goes; as it crossed."""
        headers = ("Event", event), ("Subscription-State", state), ("Content-Type", "message/sipfrag;version=2.0")
        by.ask("NOTIFY", f"SIP/2.0 {fragment}\r\n".encode(), *headers)
        crossed = to.peer.request("NOTIFY")
        to.answer(crossed, 200)
        by.peer.heard(200)
        return crossed

    def assert_gone(self) -> None:
        self.assertEqual((len(self.world.subscriptions), len(self.world.subscriptions.legs)), (0, 0))
        for peer in (self.alice, self.trunk):
            peer.silent()


class Both(OutsideCase):
    """From a browser to a trunk, and from a trunk to a browser."""

    def test_crosses(self) -> None:
        """The REFER and its answer cross, each end has a dialog with us, and the NOTIFYs go the other way until the
        last one. (original.rst: other methods, OPTIONS, MESSAGE, PUBLISH, NOTIFY, INFO, REFER and unknown ones
        outside)"""
        for by, to in ((self.alice, self.trunk), (self.trunk, self.alice)):
            subscriber, notifier, crossed = self.referred(by, to)
            for name, value in (CAROL, BY):
                self.assertEqual(crossed.headers.lines(name), [value])
            self.assertNotEqual(crossed.call_id, subscriber.call_id)
            self.assertEqual(notifier.target.partition("@")[2].partition(";")[0], to.flow.sent_by)
            heard = self.notify(notifier, subscriber, "active;expires=60")
            self.assertEqual(heard.body, b"SIP/2.0 100 Trying\r\n")
            self.assertEqual(heard.call_id, subscriber.call_id)
            self.assertEqual(heard.headers.lines("Event"), ["refer"])
            self.notify(notifier, subscriber, LAST, fragment="200 OK")
            self.assert_gone()

    def test_id(self) -> None:
        """The id of the subscription is the CSeq number of the REFER, which each leg has its own of; so it is in what
        refreshes or ends it (RFC 3515 section 2.4.6)."""
        for by, to in ((self.alice, self.trunk), (self.trunk, self.alice)):
            subscriber, notifier, crossed = self.referred(by, to)
            theirs = f"refer;id={crossed.cseq.number}"
            heard = self.notify(notifier, subscriber, "active;expires=60", theirs)
            self.assertEqual(heard.headers.lines("Event"), ["refer;id=7"])
            subscriber.ask("SUBSCRIBE", b"", ("Event", "refer;id=7"), ("Expires", "0"))
            ending = to.request("SUBSCRIBE")
            self.assertEqual(ending.headers.lines("Event"), [theirs])
            to.answer(ending, 200, headers=[("Expires", "0")])
            self.assertEqual(by.response(200).headers.lines("Expires"), ["0"])
            self.notify(notifier, subscriber, LAST, theirs)
            self.assert_gone()

    def test_refused(self) -> None:
        """The true answer, and nothing stays."""
        for by, to in ((self.alice, self.trunk), (self.trunk, self.alice)):
            for status in (405, 603):
                self.refer(by, CAROL)
                to.answer(to.request("REFER"), status, reason="No, Thanks")
                self.assertEqual(by.response(status).reason, "No, Thanks")
                self.assert_gone()

    def test_no_subscription(self) -> None:
        """`Refer-Sub: false` crosses both ways, and there is no dialog (RFC 4488)."""
        no = ("Refer-Sub", "false")
        for by, to in ((self.alice, self.trunk), (self.trunk, self.alice)):
            self.refer(by, CAROL, no)
            crossed = to.request("REFER")
            self.assertEqual(crossed.headers.lines("Refer-Sub"), ["false"])
            self.accept(crossed, to, no)
            self.assertEqual(by.response(202).headers.lines("Refer-Sub"), ["false"])
            self.assert_gone()

    def test_before_the_answer(self) -> None:
        """A NOTIFY that overtakes the 202."""
        sent = self.refer(self.alice, CAROL)
        crossed = self.trunk.request("REFER")
        early = early_notifier_of(self.trunk, crossed, "referred")
        early.ask("NOTIFY", b"SIP/2.0 100 Trying\r\n", ("Event", "refer"), ("Subscription-State", "active;expires=60"))
        heard = self.alice.request("NOTIFY")
        self.alice.answer(heard, 200)
        self.trunk.heard(200)
        self.accept(crossed, self.trunk)
        subscriber = subscriber_of(self.alice, sent, self.alice.response(202))
        self.notify(early, subscriber, LAST)
        self.assert_gone()

    def test_never_told(self) -> None:
        """One that accepts and tells nothing is forgotten after Timer N."""
        self.referred(self.alice, self.trunk)
        self.world.turn(32)
        self.assert_gone()

    def test_stop(self) -> None:
        """As the proxy stops, both ends learn that this is it."""
        subscriber, notifier, _ = self.referred(self.alice, self.trunk)
        self.notify(notifier, subscriber, "active;expires=60")
        self.world.subscriptions.stop()
        last = self.alice.request("NOTIFY")
        self.assertEqual(last.headers.lines("Event"), ["refer"])
        subscriber.answer(last, 200)
        ending = self.trunk.request("SUBSCRIBE")
        self.assertEqual((ending.headers.get("Event"), ending.headers.get("Expires")), ("refer", "0"))
        notifier.answer(ending, 200)
        self.assert_gone()

    def test_moved(self) -> None:
        """A browser that is back on another socket gets the rest there."""
        subscriber, notifier, _ = self.referred(self.alice, self.trunk)
        again = self.world.browser()
        again.contact = self.alice.contact
        again.bind()
        subscriber.peer = again
        self.notify(notifier, subscriber, LAST)
        self.assert_gone()


class Refused(OutsideCase):
    """What does not cross."""

    def test_bad(self) -> None:
        """Not exactly one Refer-To, or one that can't be read: 400 (RFC 3515 section 2.4.2)."""
        for headers in ((), (CAROL, CAROL), (("Refer-To", "<"),), (("Refer-To", "<sip:x@y?Replaces=1>"),)):
            self.refer(self.alice, *headers)
            self.alice.heard(400)
            self.refer(self.trunk, *headers)
            self.trunk.heard(400)
            self.assert_gone()

    def test_policy(self) -> None:
        """It goes where an INVITE might go."""
        self.alice.say(request("REFER", "sip:x@elsewhere.example", contact=f"<{self.alice.contact}>", headers=[CAROL]))
        self.alice.heard(403)
        self.trunk.say(request("REFER", "sip:nobody@192.0.2.1", contact=f"<{self.trunk.contact}>", headers=[CAROL]))
        self.trunk.heard(404)
        self.trunk.say(request("REFER", "sip:192.0.2.1", contact=f"<{self.trunk.contact}>", headers=[CAROL]))
        self.trunk.heard(405)
        self.assert_gone()

    def test_room(self) -> None:
        """It counts as a subscription."""
        self.world = self.make_world(subscriptions=SubscriptionsConfig(limit_per_connection=1))
        self.people()
        self.refer(self.alice, CAROL)
        self.refer(self.alice, CAROL)
        self.alice.heard(503)
        self.trunk.answer(self.trunk.request("REFER"), 603)
        self.alice.heard(603)
        self.assert_gone()


class Attended(OutsideCase):
    """It names a dialog that is to be replaced."""

    def test_translated(self) -> None:
        """Towards a trunk, the dialog of the browser's has the name that it has at its other end (RFC 5589 7.3)."""
        mine, bob = self.out(self.alice, self.trunk)
        self.refer(self.alice, refer_to(mine.target, name_of(mine)))
        crossed = self.trunk.request("REFER")
        uri = NameAddr.parse(crossed.headers.get("Refer-To") or "").address
        named = replaces_of(uri)
        assert named is not None
        self.assertEqual(named.key, (bob.call_id, tag_of(bob.local), tag_of(bob.remote)))
        self.assertEqual(uri.user, "callee")
        self.trunk.answer(crossed, 603)
        self.alice.heard(603)
        self.bye(mine, bob)

    def test_told(self) -> None:
        """A browser that a trunk has told so may take the trunk's place."""
        carol = self.world.browser("carol")
        carol.bind()
        theirs, hers = self.into(self.trunk, carol)
        value = refer_to(theirs.target, name_of(theirs))
        self.refer(self.trunk, value, ("Refer-Sub", "false"))
        crossed = self.alice.request("REFER")
        self.assertEqual(crossed.headers.lines("Refer-To"), [value[1]])
        self.accept(crossed, self.alice, ("Refer-Sub", "false"))
        self.trunk.heard(202)
        invite = self.alice.invite(theirs.target, ("Replaces", str(name_of(theirs))))
        taken = carol.request("INVITE")
        self.assertIn(hers.call_id, taken.headers.get("Replaces") or "")
        carol.answer(taken, 486, tag="x")
        carol.heard("ACK")
        self.alice.ack(invite, self.alice.response(486))
        self.bye(theirs, hers)


class Challenged(OutsideCase):
    """By a trunk whose password the proxy has."""

    def test_answered(self) -> None:
        """Its number is that of the try that was accepted."""
        self.alice.authenticate(CARRIER)
        carrier = self.world.trunk("192.0.2.7", 5090)
        uri = "sip:dave@carrier.example.net:5080"
        sent = request(
            "REFER",
            uri,
            from_=f"<{self.alice.uri}>",
            to=f"<{uri}>",
            contact=f"<{self.alice.contact}>",
            cseq=7,
            headers=[CAROL],
        )
        self.alice.say(sent)
        challenge = ("WWW-Authenticate", 'Digest realm="carrier", nonce="n", qop="auth"')
        carrier.answer(carrier.request("REFER"), 401, headers=[challenge])
        again = carrier.request("REFER")
        self.assertEqual((again.cseq.number, again.headers.lines("Refer-To")), (2, [CAROL[1]]))
        ok = self.accept(again, carrier)
        subscriber = subscriber_of(self.alice, sent, self.alice.response(202))
        heard = self.notify(notifier_of(carrier, again, ok), subscriber, LAST, "refer;id=2", "200 OK")
        self.assertEqual(heard.headers.lines("Event"), ["refer;id=7"])
        self.assert_gone()
