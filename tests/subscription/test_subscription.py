"""Subscription: what crosses between a subscriber and a notifier, and how it ends (RFC 6665)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.calls.party import Party
from tests.support.calls.subscribing import EVENT, WatchCase, notify


class Both(WatchCase):
    """Whichever side is the browser."""

    def both(self) -> Iterator[tuple[Party, Party]]:
        """Subscriber and notifier: of a browser's subscription, and in a world of its own of a trunk's."""
        yield self.watching()
        self.world = self.make_world()
        self.people()
        yield self.watched()

    def test_notify(self) -> None:
        """NOTIFY crosses into the other dialog, with event, state, body; its true answer comes back.
        (original.rst: NOTIFY)"""
        for subscriber, notifier in self.both():
            sent = notify(notifier, "active;expires=500", ("X-Box", "1"))
            heard = subscriber.peer.request("NOTIFY")
            self.assertEqual((heard.body, heard.content_type), (b"1/0", "application/simple-message-summary"))
            self.assertEqual(heard.headers.lines("Event"), [EVENT[1]])
            self.assertEqual(heard.headers.lines("Subscription-State"), ["active;expires=500"])
            self.assertEqual(heard.headers.get("X-Box"), "1")
            self.assertEqual((heard.call_id, heard.from_.tag), (subscriber.call_id, _tag(subscriber.remote)))
            self.assertEqual(heard.to.tag, _tag(subscriber.local))
            self.assertNotEqual((heard.call_id, heard.from_.tag), (sent.call_id, sent.from_.tag))
            subscriber.answer(heard, 500, b"", ("Retry-After", "5"), ("X-Why", "busy"))
            answer = notifier.peer.response(500)
            self.assertEqual((answer.headers.get("Retry-After"), answer.headers.get("X-Why")), ("5", "busy"))
            self.tell(notifier, subscriber)  # it still stands

    def test_refresh(self) -> None:
        """A refresh crosses, and is granted what the notifier grants. (original.rst: refresh)"""
        for subscriber, notifier in self.both():
            sent = subscriber.ask("SUBSCRIBE", b"", EVENT, ("Expires", "900"), ("Contact", f"<{subscriber.contact}>"))
            heard = notifier.peer.request("SUBSCRIBE")
            self.assertEqual((heard.call_id, heard.headers.get("Expires")), (notifier.call_id, "900"))
            self.assertEqual((heard.to.tag, heard.headers.get("Event")), (_tag(notifier.local), EVENT[1]))
            notifier.answer(heard, 200, b"", ("Expires", "800"))
            granted = subscriber.peer.response(200)
            self.assertEqual((granted.cseq, granted.headers.lines("Expires")), (sent.cseq, ["800"]))
            self.assertEqual(granted.headers.lines("Contact"), [f"<{subscriber.target}>"])
            self.tell(notifier, subscriber)

    def test_unsubscribe(self) -> None:
        """``Expires: 0`` crosses, the last NOTIFY too, and nothing is left. (original.rst: refresh, un-SUBSCRIBE)"""
        for subscriber, notifier in self.both():
            subscriber.ask("SUBSCRIBE", b"", EVENT, ("Expires", "0"))
            heard = notifier.peer.request("SUBSCRIBE")
            self.assertEqual(heard.headers.get("Expires"), "0")
            notifier.answer(heard, 200, b"", ("Expires", "0"))
            self.assertEqual(subscriber.peer.response(200).headers.get("Expires"), "0")
            self.tell(notifier, subscriber, "terminated;reason=timeout")
            self.assert_gone(subscriber, notifier)

    def test_unsubscribe_without_a_last_word(self) -> None:
        """Where the last NOTIFY does not come, it is not waited for any longer than 64*T1."""
        for subscriber, notifier in self.both():
            subscriber.ask("SUBSCRIBE", b"", EVENT, ("Expires", "0"))
            notifier.answer(notifier.peer.request("SUBSCRIBE"), 200, b"", ("Expires", "0"))
            subscriber.peer.response(200)
            self.world.turn(31)
            self.assertEqual(len(self.world.subscriptions), 1)
            self.world.turn(2)
            self.assert_gone(subscriber, notifier)

    def test_terminated(self) -> None:
        """The notifier ends it: its NOTIFY crosses, and whatever comes after it meets 481. (corners.rst 4: 6665)"""
        for subscriber, notifier in self.both():
            heard = self.tell(notifier, subscriber, "terminated;reason=noresource", status=403)
            self.assertEqual(heard.headers.get("Subscription-State"), "terminated;reason=noresource")
            self.assert_gone(subscriber, notifier)
            notify(notifier)
            notifier.peer.heard(481)
            subscriber.ask("SUBSCRIBE", b"", EVENT)
            subscriber.peer.heard(481)

    def test_no_such_subscription(self) -> None:
        """481 and its like from either side end it (RFC 6665 sections 4.1.2.2 and 4.2.2). (corners.rst 4: 6665)"""
        for status in (481, 489, 404, 480, 604):
            for subscriber, notifier in self.both():
                self.tell(notifier, subscriber, status=status)
                self.assert_gone(subscriber, notifier)
            self.world = self.make_world()
            self.people()
            for subscriber, notifier in self.both():
                subscriber.ask("SUBSCRIBE", b"", EVENT)
                notifier.answer(notifier.peer.request("SUBSCRIBE"), status)
                subscriber.peer.heard(status)
                self.assert_gone(subscriber, notifier)
            self.world = self.make_world()
            self.people()

    def test_refusal_that_ends_nothing(self) -> None:
        """Other refusals of a refresh leave it as it is (RFC 6665 section 4.1.2.2)."""
        for subscriber, notifier in self.both():
            for status in (423, 500):
                subscriber.ask("SUBSCRIBE", b"", EVENT)
                notifier.answer(notifier.peer.request("SUBSCRIBE"), status, b"", ("Min-Expires", "60"))
                self.assertEqual(subscriber.peer.response(status).headers.get("Min-Expires"), "60")
            self.tell(notifier, subscriber)

    def test_state_is_required(self) -> None:
        """A NOTIFY without Subscription-State is refused and does not cross (RFC 6665 section 8.2.3)."""
        for subscriber, notifier in self.both():
            notify(notifier, "")
            self.assertIn("Subscription-State", notifier.peer.response(400).reason)
            notify(notifier, ";;=")
            notifier.peer.heard(400)
            self.tell(notifier, subscriber)

    def test_other_requests(self) -> None:
        """Nothing but SUBSCRIBE, NOTIFY and OPTIONS has a meaning in these dialogs: 405 with Allow."""
        for subscriber, notifier in self.both():
            for party, methods in ((subscriber, ("NOTIFY", "BYE", "INVITE")), (notifier, ("SUBSCRIBE", "MESSAGE"))):
                for method in methods:
                    sent = party.ask(method, b"", EVENT, ("Subscription-State", "active"))
                    answer = party.peer.response(405)
                    self.assertNotIn(method, answer.headers.get("Allow") or "")
                    if method == "INVITE":
                        party.ack_refusal(sent)
                party.ask("OPTIONS")
                party.peer.heard(200)

    def test_target_refresh(self) -> None:
        """SUBSCRIBE and NOTIFY, and their 2xx, may bring a new Contact; that is where the next request goes."""
        subscriber, notifier = self.watching()
        notify(notifier, "active", ("Contact", "<sip:moved@192.0.2.77>"))
        subscriber.answer(subscriber.peer.request("NOTIFY"), 200)
        notifier.peer.heard(200)
        subscriber.ask("SUBSCRIBE", b"", EVENT)
        moved = self.world.trunk("192.0.2.77")
        heard = moved.request("SUBSCRIBE")
        self.assertEqual(heard.uri, "sip:moved@192.0.2.77")
        moved.answer(heard, 200, headers=[("Contact", "<sip:again@192.0.2.50>")])
        subscriber.peer.heard(200)
        subscriber.ask("SUBSCRIBE", b"", EVENT)
        self.assertEqual(self.trunk.request("SUBSCRIBE").uri, "sip:again@192.0.2.50")

    def test_target_refresh_of_a_trunk(self) -> None:
        """The same where the trunk is the subscriber: its SUBSCRIBE, and its 2xx to a NOTIFY."""
        subscriber, notifier = self.watched()
        subscriber.ask("SUBSCRIBE", b"", EVENT, ("Contact", "<sip:moved@192.0.2.77>"))
        notifier.answer(notifier.peer.request("SUBSCRIBE"), 200)
        subscriber.peer.heard(200)
        notify(notifier)
        moved = self.world.trunk("192.0.2.77")
        heard = moved.request("NOTIFY")
        self.assertEqual(heard.uri, "sip:moved@192.0.2.77")
        moved.answer(heard, 200, headers=[("Contact", "<sip:again@192.0.2.50>")])
        notifier.peer.heard(200)
        notify(notifier)
        self.assertEqual(self.trunk.request("NOTIFY").uri, "sip:again@192.0.2.50")

    def test_target_that_leads_nowhere(self) -> None:
        """A Contact that is no use: in a NOTIFY 400, in a 2xx it is as if it was not there."""
        subscriber, notifier = self.watching()
        notify(notifier, "active", ("Contact", "<tel:1>"))
        notifier.peer.heard(400)
        subscriber.ask("SUBSCRIBE", b"", EVENT)
        notifier.answer(notifier.peer.request("SUBSCRIBE"), 200, b"", ("Contact", "<tel:1>"))
        subscriber.peer.heard(200)
        self.tell(notifier, subscriber)


class Time(WatchCase):
    """How long it lasts."""

    def test_expires(self) -> None:
        """What nobody refreshes is forgotten a while after its time, without a word: both ends know."""
        subscriber, notifier = self.watching(expires="600")
        self.world.turn(631)
        self.assertEqual(len(self.world.subscriptions), 1)
        self.world.turn(2)
        self.assert_gone(subscriber, notifier)

    def test_refreshed(self) -> None:
        """A refresh, or a NOTIFY with another time, counts from then on."""
        subscriber, notifier = self.watching(expires="600")
        self.world.turn(500)
        subscriber.ask("SUBSCRIBE", b"", EVENT, ("Expires", "600"))
        notifier.answer(notifier.peer.request("SUBSCRIBE"), 200, b"", ("Expires", "600"))
        subscriber.peer.heard(200)
        self.world.turn(600)
        self.assertEqual(len(self.world.subscriptions), 1)
        self.tell(notifier, subscriber, "active;expires=10")
        self.world.turn(43)
        self.assert_gone(subscriber, notifier)

    def test_longest(self) -> None:
        """Nobody gets more than a day, whoever asks for it and whoever would grant it."""
        self.subscribe(expires="4000000000")
        leg = self.trunk.request("SUBSCRIBE")
        self.assertEqual(leg.headers.get("Expires"), "86400")
        self.accept(leg, expires="4000000000")
        self.assertEqual(self.alice.response(200).headers.get("Expires"), "86400")

    def test_unsaid(self) -> None:
        """A 2xx without Expires grants what was asked for; where nothing was, an hour."""
        for asked, granted in (("700", "700"), ("", "3600")):
            self.subscribe(expires=asked)
            self.accept(self.trunk.request("SUBSCRIBE"), expires="")
            self.assertEqual(self.alice.response(200).headers.get("Expires"), granted)

    def test_unreadable(self) -> None:
        """One that can't be read counts as none."""
        self.subscribe()
        self.accept(self.trunk.request("SUBSCRIBE"), expires="soon")
        self.assertEqual(self.alice.response(200).headers.lines("Expires"), ["600"])


def _tag(value: str) -> str:
    return value.rpartition("tag=")[2]
