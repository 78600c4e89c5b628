"""Subscriptions: how a SUBSCRIBE becomes one, and how many there may be (RFC 6665)."""

from __future__ import annotations

from tests.support.calls.party import Party
from tests.support.calls.subscribing import (
    BOX,
    EVENT,
    WatchCase,
    contact_of,
    early_notifier_of,
    notifier_of,
    notify,
    subscriber_of,
)
from tests.support.configs import CARRIER, PBX, config
from tests.support.messages import request
from webrtcproxy.config import SubscriptionsConfig

CHALLENGE = ("Proxy-Authenticate", 'Digest realm="carrier", nonce="n1", qop="auth"')


class First(WatchCase):
    """The first SUBSCRIBE. (original.rst: SUBSCRIBE, 401 retry)"""

    def test_crosses(self) -> None:
        """Users of Request-URI, From and To cross, and what the far side says; Contact, Call-ID and tags are the
        proxy's own, on each leg."""
        sent = self.subscribe(("Accept", "application/x"), ("Supported", "eventlist, timer"))
        leg = self.trunk.request("SUBSCRIBE")
        self.assertEqual((leg.uri, leg.from_.uri, leg.to.uri, leg.to.tag), (BOX, self.alice.uri, BOX, None))
        self.assertEqual((leg.headers.get("Event"), leg.headers.get("Expires")), (EVENT[1], "600"))
        self.assertEqual((leg.headers.get("Accept"), leg.headers.get("Supported")), ("application/x", "eventlist"))
        self.assertNotEqual((leg.call_id, leg.from_.tag), (sent.call_id, sent.from_.tag))
        self.assertRegex(leg.headers.get("Contact") or "", r"^<sip:[0-9a-f]{16}@192\.0\.2\.1:5060>$")
        self.accept(leg, 202, expires="500")
        granted = self.alice.response(202)
        self.assertEqual((granted.call_id, granted.headers.get("Expires")), (sent.call_id, "500"))
        self.assertRegex(granted.headers.get("Contact") or "", r"^<sip:[0-9a-f]{16}@192\.0\.2\.1:443;transport=ws>$")
        self.assertTrue(granted.to.tag)

    def test_list(self) -> None:
        """A notifier that answers for a list says so with Require, to the one that has said that it knows it (RFC
        4662)."""
        self.subscribe(("Supported", "eventlist"))
        leg = self.trunk.request("SUBSCRIBE")
        ok = self.trunk.answer(leg, 200, headers=[("Require", "eventlist"), ("Expires", "600")])
        self.assertEqual(self.alice.response(200).headers.get("Require"), "eventlist")
        notify(notifier_of(self.trunk, leg, ok), "active", ("Require", "eventlist"))
        self.assertEqual(self.alice.request("NOTIFY").headers.get("Require"), "eventlist")

    def test_refused(self) -> None:
        """A refusal crosses: 489 with what there is, 423 with the shortest time. (corners.rst 4: 6665)"""
        for status, header in ((489, ("Allow-Events", "presence")), (423, ("Min-Expires", "60")), (403, ("X-A", "b"))):
            self.subscribe()
            self.trunk.answer(self.trunk.request("SUBSCRIBE"), status, headers=[header])
            self.assertEqual(self.alice.response(status).headers.get(header[0]), header[1])
            self.assert_gone()

    def test_no_event(self) -> None:
        """Without an Event there is nothing to subscribe to: 489 (RFC 6665 section 8.2.1)."""
        self.alice.say(request("SUBSCRIBE", BOX))
        self.alice.heard(489)

    def test_policy(self) -> None:
        """Where an INVITE may not go, a SUBSCRIBE may not; no hop left; a proxy that ends."""
        self.subscribe(uri="sip:x@elsewhere.example")
        self.alice.heard(403)
        self.subscribe(max_forwards=0)
        self.alice.heard(483)
        self.world.calls.drain(0)
        self.subscribe()
        self.alice.heard(503)

    def test_no_contact(self) -> None:
        """A Contact that leads nowhere opens no dialog."""
        self.alice.say(request("SUBSCRIBE", BOX, contact="<tel:1>", headers=[EVENT]))
        self.alice.heard(400)
        self.assert_gone()

    def test_silent(self) -> None:
        """A trunk that says nothing: 504 in time, no 408. (corners.rst 1: Non-INVITE 408)"""
        self.subscribe()
        self.world.turn(31)
        self.assertEqual(self.alice.pending(), ["100", "504"])
        self.alice.forget()
        self.world.turn(2)
        self.trunk.forget()
        self.assert_gone()

    def test_answer_without_a_way(self) -> None:
        """A 2xx whose Record-Route leads nowhere: 502."""
        self.subscribe()
        self.trunk.answer(self.trunk.request("SUBSCRIBE"), 200, headers=[("Record-Route", "<tel:1>")])
        self.alice.heard(502)
        self.assert_gone()

    def test_target_that_leads_nowhere(self) -> None:
        """A 2xx whose Contact leads nowhere is one without a Contact (field.rst V: Odd Contact)."""
        self.subscribe()
        self.trunk.answer(self.trunk.request("SUBSCRIBE"), 200, headers=[("Contact", "<tel:1>")])
        self.alice.heard(200)

    def test_challenge_crosses(self) -> None:
        """A challenge for the browser crosses; its retry is one sequence with the first try
        (original.rst: SUBSCRIBE, 401 retry)."""
        sent = self.subscribe()
        leg = self.trunk.request("SUBSCRIBE")
        self.trunk.answer(leg, 407, headers=[CHALLENGE])
        self.alice.heard(407)
        self.assert_gone()
        again = self.subscribe(("Proxy-Authorization", "Digest me"), call_id=sent.call_id, cseq=2)
        second = self.trunk.request("SUBSCRIBE")
        self.assertEqual((second.call_id, second.from_.tag), (leg.call_id, leg.from_.tag))
        self.assertEqual((second.cseq.number, second.uri), (leg.cseq.number + 1, BOX))
        self.assertEqual(second.headers.get("Proxy-Authorization"), "Digest me")
        ok = self.accept(second)
        subscriber = subscriber_of(self.alice, again, self.alice.response(200))
        self.tell(notifier_of(self.trunk, second, ok), subscriber)

    def test_credentials(self) -> None:
        """The proxy answers a challenge of its trunk's for a browser that has registered, in the dialog too; CSeq goes
        on from there."""
        self.alice.bind()
        self.alice.authenticate(CARRIER)
        self.trunk = self.world.trunk("192.0.2.7", 5090)
        uri = "sip:box@carrier.example.net:5080"
        sent = self.subscribe(uri=uri)
        self.trunk.answer(self.trunk.request("SUBSCRIBE"), 407, headers=[CHALLENGE])
        leg = self.trunk.request("SUBSCRIBE")
        self.assertIn('username="us"', leg.headers.get("Proxy-Authorization") or "")
        ok = self.accept(leg)
        subscriber, notifier = (
            subscriber_of(self.alice, sent, self.alice.response(200)),
            notifier_of(self.trunk, leg, ok),
        )
        self.tell(notifier, subscriber)
        subscriber.ask("SUBSCRIBE", b"", EVENT)
        refresh = self.trunk.request("SUBSCRIBE")
        self.assertEqual(refresh.cseq.number, leg.cseq.number + 1)
        self.assertIn("nc=00000002", refresh.headers.get("Proxy-Authorization") or "")


class Order(WatchCase):
    """What comes in which order. (corners.rst 4: 6665)"""

    def test_notify_before_the_answer(self) -> None:
        """The NOTIFY is in front of the 200: it crosses at once, into the dialog that the 200 tells of."""
        sent = self.subscribe()
        leg = self.trunk.request("SUBSCRIBE")
        notifier = early_notifier_of(self.trunk, leg)
        notify(notifier, "pending;expires=600")
        heard = self.alice.request("NOTIFY")
        self.alice.answer(heard, 200)
        self.trunk.heard(200)
        self.accept(leg)
        granted = self.alice.response(200)
        self.assertEqual((heard.from_.tag, heard.call_id), (granted.to.tag, sent.call_id))
        subscriber = subscriber_of(self.alice, sent, granted)
        self.tell(notifier, subscriber, "active")
        subscriber.ask("SUBSCRIBE", b"", EVENT)
        self.assertEqual(self.trunk.request("SUBSCRIBE").cseq.number, leg.cseq.number + 1)

    def test_notify_after_a_challenge(self) -> None:
        """Where the proxy has answered a challenge in between, requests within the dialog count on from there."""
        self.alice.bind()
        self.alice.authenticate(CARRIER)
        self.trunk = self.world.trunk("192.0.2.7", 5090)
        sent = self.subscribe(uri="sip:box@carrier.example.net:5080")
        self.trunk.answer(self.trunk.request("SUBSCRIBE"), 407, headers=[CHALLENGE])
        leg = self.trunk.request("SUBSCRIBE")
        notify(early_notifier_of(self.trunk, leg), "active", ("Contact", f"<{contact_of(self.trunk)}>"))
        self.alice.answer(self.alice.request("NOTIFY"), 200)
        self.trunk.heard(200)
        self.accept(leg)
        subscriber_of(self.alice, sent, self.alice.response(200)).ask("SUBSCRIBE", b"", EVENT)
        self.assertEqual(self.trunk.request("SUBSCRIBE").cseq.number, leg.cseq.number + 1)

    def test_routes(self) -> None:
        """A NOTIFY that comes first says how requests get back: by its Record-Route, as it stands."""
        sent = self.subscribe()
        leg = self.trunk.request("SUBSCRIBE")
        notifier = early_notifier_of(self.trunk, leg)
        notify(notifier, "active", ("Record-Route", "<sip:192.0.2.61;lr>, <sip:192.0.2.62;lr>"))
        self.alice.answer(self.alice.request("NOTIFY"), 200)
        self.trunk.heard(200)
        self.accept(leg)
        subscriber_of(self.alice, sent, self.alice.response(200)).ask("SUBSCRIBE", b"", EVENT)
        heard = self.world.trunk("192.0.2.61").request("SUBSCRIBE")
        self.assertEqual(heard.headers.all("Route"), ["<sip:192.0.2.61;lr>", "<sip:192.0.2.62;lr>"])

    def test_refused_after_a_notify(self) -> None:
        """A refusal after a NOTIFY ends what that began."""
        self.subscribe()
        leg = self.trunk.request("SUBSCRIBE")
        notifier = early_notifier_of(self.trunk, leg)
        notify(notifier)
        self.alice.answer(self.alice.request("NOTIFY"), 200)
        self.trunk.heard(200)
        self.trunk.answer(leg, 403)
        self.alice.heard(403)
        self.assert_gone()
        notify(notifier)
        self.trunk.heard(481)

    def test_refresh_before_the_answer(self) -> None:
        """A refresh before anything was heard of the notifier comes too early: 500 with Retry-After."""
        sent = self.subscribe()
        leg = self.trunk.request("SUBSCRIBE")
        tag = next(iter(self.world.subscriptions.legs._legs))[1]
        early = Party(self.alice, sent.call_id, sent.headers.get("From") or "", f"<{BOX}>;tag={tag}", BOX, 1)
        early.ask("SUBSCRIBE", b"", EVENT)
        self.assertEqual(self.alice.response(500).headers.get("Retry-After"), "1")
        self.accept(leg)
        self.alice.heard(200)

    def test_fetch(self) -> None:
        """``Expires: 0`` in the first SUBSCRIBE asks once: 200, one NOTIFY, nothing left (RFC 6665 section 4.4.3)."""
        self.subscribe(expires="0")
        leg = self.trunk.request("SUBSCRIBE")
        notifier = notifier_of(self.trunk, leg, self.accept(leg, expires="0"))
        self.assertEqual(self.alice.response(200).headers.get("Expires"), "0")
        notify(notifier, "terminated;reason=timeout")
        self.alice.answer(self.alice.request("NOTIFY"), 200)
        self.trunk.heard(200)
        self.assert_gone()
        notify(early_notifier_of(self.trunk, leg, "late"))  # nor does anybody wait for other notifiers
        self.trunk.heard(481)

    def test_timer_n(self) -> None:
        """No NOTIFY within 64*T1: there is no subscription (RFC 6665 section 4.1.2.4)."""
        self.subscribe()
        leg = self.trunk.request("SUBSCRIBE")
        notifier = notifier_of(self.trunk, leg, self.accept(leg))
        self.alice.heard(200)
        self.world.turn(31)
        self.assertEqual(len(self.world.subscriptions), 1)
        self.world.turn(2)
        self.assert_gone()
        notify(notifier)
        self.trunk.heard(481)

    def test_stranger(self) -> None:
        """A NOTIFY that nobody has subscribed to: 481 to a trunk, silence for anybody else, even with the tags of a
        SUBSCRIBE that was sent."""
        self.subscribe()
        leg = self.trunk.request("SUBSCRIBE")
        stranger = self.world.trunk("203.0.113.66")
        forged = early_notifier_of(self.trunk, leg)
        forged.remote = f"<{self.alice.uri}>;tag=guess"
        notify(forged)
        self.trunk.heard(481)
        forged.peer = stranger
        notify(forged)
        stranger.silent()
        notify(early_notifier_of(stranger, leg))
        stranger.silent()
        self.alice.silent()

    def test_from_a_browser(self) -> None:
        """Nor may a browser answer for a trunk, whatever it knows."""
        self.subscribe()
        leg = self.trunk.request("SUBSCRIBE")
        mallory = self.world.browser("mallory")
        notify(early_notifier_of(mallory, leg))
        mallory.heard(481)
        self.assertEqual(len(self.world.subscriptions.legs), 1)


class Forked(WatchCase):
    """A SUBSCRIBE that has forked on its way: each notifier has a dialog of its own (RFC 6665 section 4.4.1)."""

    def test_two_notifiers(self) -> None:
        """Their NOTIFYs reach the subscriber as two dialogs, each of which can be ended by itself."""
        sent = self.subscribe()
        leg = self.trunk.request("SUBSCRIBE")
        one, two = early_notifier_of(self.trunk, leg, "one"), early_notifier_of(self.trunk, leg, "two")
        self.accept(leg, tag="one")
        granted = self.alice.response(200)
        subscriber = subscriber_of(self.alice, sent, granted)
        self.tell(one, subscriber)
        first = self.tell(two, subscriber)
        self.assertNotEqual(first.from_.tag, granted.to.tag)
        self.assertEqual(len(self.world.subscriptions), 2)
        self.tell(two, subscriber, status=481)  # it does not want it
        notify(two)
        self.trunk.heard(481)
        self.assertEqual(len(self.world.subscriptions), 1)
        self.tell(one, subscriber)

    def test_other_tag_than_the_answer(self) -> None:
        """Where the first NOTIFY has another tag than the 200, it is the NOTIFY that opens the dialog."""
        sent = self.subscribe()
        leg = self.trunk.request("SUBSCRIBE")
        self.accept(leg, tag="proxy")
        subscriber = subscriber_of(self.alice, sent, self.alice.response(200))
        box = early_notifier_of(self.trunk, leg, "box")
        self.assertEqual(self.tell(box, subscriber).from_.tag, subscriber.remote.rpartition("tag=")[2])
        self.assertEqual(len(self.world.subscriptions), 1)
        subscriber.ask("SUBSCRIBE", b"", EVENT)
        self.assertEqual(self.trunk.request("SUBSCRIBE").to.tag, "box")
        self.tell(early_notifier_of(self.trunk, leg, "proxy"), subscriber)
        self.assertEqual(len(self.world.subscriptions), 2)

    def test_too_late(self) -> None:
        """After Timer N nobody joins any more."""
        self.watching()
        self.subscribe()
        leg = self.trunk.request("SUBSCRIBE")
        notifier = notifier_of(self.trunk, leg, self.accept(leg))
        notify(notifier)
        self.world.turn(33)
        notify(early_notifier_of(self.trunk, leg, "late"))
        self.assertEqual(self.trunk.pending()[-1], "481")
        self.trunk.forget()
        self.alice.forget()

    def test_too_many(self) -> None:
        """Nor more than sixteen."""
        self.subscribe()
        leg = self.trunk.request("SUBSCRIBE")
        for number in range(20):
            notify(early_notifier_of(self.trunk, leg, f"t{number}"))
        self.assertEqual(len(self.world.subscriptions), 16)
        self.assertEqual(self.trunk.pending(), ["481"] * 4)
        self.trunk.forget()
        self.alice.forget()

    def test_several_browsers(self) -> None:
        """A trunk subscribes at a user with two browsers: the first 2xx is its answer, and both of them notify."""
        self.world = self.make_world(multiple=True)
        self.people()
        phones = [self.world.browser(), self.world.browser()]
        for phone in phones:
            phone.bind()
        sent = self.subscribe_in()
        legs = [phone.request("SUBSCRIBE") for phone in phones]
        self.assertEqual([leg.uri for leg in legs], [phone.contact for phone in phones])
        for phone, leg in zip(phones, legs, strict=True):
            self.accept(leg, by=phone)
        subscriber = subscriber_of(self.trunk, sent, self.trunk.response(200))
        self.trunk.silent()
        tags = {
            self.tell(early_notifier_of(phone, leg), subscriber).from_.tag
            for phone, leg in zip(phones, legs, strict=True)
        }
        self.assertEqual(len(tags), 2)
        self.assertEqual(len(self.world.subscriptions), 2)


class Nobody(WatchCase):
    """A trunk subscribes at somebody that is not there."""

    def test_not_registered(self) -> None:
        """404 where nobody is known by that name, 480 where its browser has gone
        (original.rst: subscribe, user not registered)."""
        self.subscribe_in("sip:nobody@192.0.2.1")
        self.trunk.heard(404)
        self.alice.bind()
        self.alice.flow.lose()
        self.subscribe_in()
        self.trunk.heard(480)
        self.assert_gone()


class Room(WatchCase):
    """How many there may be."""

    def test_per_connection(self) -> None:
        """Of one browser, few where it has not registered: 503. One that ends makes room."""
        for proven, most in ((False, 3), (True, 5)):
            self.world = self.make_world(subscriptions=SubscriptionsConfig(limit_per_connection=5))
            self.people()
            if proven:
                self.alice.bind()
            pairs = [self.watching() for _ in range(most)]
            self.subscribe()
            self.assertEqual(self.alice.response(503).headers.get("Retry-After"), "60")
            subscriber, notifier = pairs[0]
            self.tell(notifier, subscriber, "terminated")
            self.watching()

    def test_in_all(self) -> None:
        """Of all, trunks' too."""
        self.world = self.make_world(subscriptions=SubscriptionsConfig(limit=1))
        self.people()
        self.watching()
        self.alice.bind()
        self.subscribe_in()
        self.trunk.heard(503)

    def test_no_calls_of_it(self) -> None:
        """They are no calls: who has as many subscriptions as it may have may still call."""
        for _ in range(3):
            self.watching()
        self.alice.invite("sip:bob@pbx.example.com")
        self.trunk.heard("INVITE")

    def test_default(self) -> None:
        """A configuration that says nothing has room for a console of a hundred lamps."""
        self.assertEqual(config(PBX).subscriptions.limit_per_connection, 100)
