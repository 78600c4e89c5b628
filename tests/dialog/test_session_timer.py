"""The negotiation of one leg's session timer (RFC 4028), and when something is due (corners.rst 4: 4028)."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.messages import request, response
from webrtcproxy.dialog.session_timer import MAX_INTERVAL, MAX_ROUNDS, SessionExpires, SessionTimer
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Request, Response

Pair = tuple[str, str]
TIMER = ("Supported", "100rel, timer")


class TimerCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.timer = SessionTimer(self.clock, 1800)

    def ask(self, *headers: Pair, method: str = "INVITE") -> Request:
        return request(method, headers=headers)

    def due(self) -> float:
        """Seconds until something is to be done."""
        return self.timer.due - self.clock.seconds()


class Header(SynchronousTestCase):
    """Session-Expires as it is read and written (section 4)."""

    def test_read(self) -> None:
        """Seconds, and who refreshes; compact, with blanks, with parameters that nobody knows."""
        for text, seconds, refresher in (
            ("90", 90, ""),
            ("1800;refresher=uas", 1800, "uas"),
            ("1800 ; Refresher = UAC ;x=y", 1800, "uac"),
            ("4294967295;z", 4294967295, ""),
        ):
            for name in ("Session-Expires", "x"):
                read = SessionExpires.of(request(headers=[(name, text)]))
                self.assertEqual(read, SessionExpires(seconds, refresher), text)
        self.assertIsNone(SessionExpires.of(request()))

    def test_unreadable(self) -> None:
        """What is none counts as absent, a refresher that is none as not named; noted where it was a number."""
        for text in ("", "soon", "-90", "99999999999"):
            odd = request(headers=[("Session-Expires", text)])
            self.assertIsNone(SessionExpires.of(odd))
            self.assertEqual(odd.headers.oddities, "Bad Session-Expires")
        for text in ("90;refresher=me", "90;=", "90;;x", '90;x="'):
            self.assertEqual(SessionExpires.of(request(headers=[("Session-Expires", text)])), SessionExpires(90))

    def test_write(self) -> None:
        """As it is read."""
        self.assertEqual(str(SessionExpires(90)), "90")
        self.assertEqual(str(SessionExpires(90, "uac")), "90;refresher=uac")


class Answering(TimerCase):
    """A peer's INVITE or UPDATE (section 9)."""

    def test_table_2(self) -> None:
        """Who refreshes: whom the peer names; else the peer that asks for a timer; else we. A peer that doesn't know
        timers never does, and gets no Require."""
        known, hop = ("Supported", "timer"), ("Session-Expires", "300")
        for headers, expected in (
            ([known, hop], [("Require", "timer"), ("Session-Expires", "300;refresher=uac")]),
            ([("Require", "timer"), hop], [("Require", "timer"), ("Session-Expires", "300;refresher=uac")]),
            (
                [known, ("Session-Expires", "300;refresher=uas")],
                [("Require", "timer"), ("Session-Expires", "300;refresher=uas")],
            ),
            (
                [("Session-Expires", "300;refresher=uac")],  # only a user agent writes that
                [("Require", "timer"), ("Session-Expires", "300;refresher=uac")],
            ),
            ([known], [("Require", "timer"), ("Session-Expires", "1800;refresher=uas")]),
            ([hop], [("Session-Expires", "300;refresher=uas")]),
            ([], []),
        ):
            timer = SessionTimer(self.clock, 1800)
            timer.check(self.ask(*headers))
            self.assertEqual(timer.accept(self.ask(*headers)), expected, headers)
            self.assertEqual(timer.proxy_refreshes, ("Session-Expires", "300;refresher=uac") not in expected, headers)
            self.assertEqual(timer.negotiated, TIMER_NEEDED in expected, headers)

    def test_jssip(self) -> None:
        """JsSIP asks for 90 seconds and refreshes by itself: nothing is due until 60, and then it is the end."""
        self.timer.accept(self.ask(("Session-Expires", "90"), ("Supported", "timer,ice,replaces,outbound")))
        self.assertEqual((self.timer.proxy_refreshes, self.due()), (False, 60))

    def test_no_longer_than_ours(self) -> None:
        """A peer doesn't choose how long we wait: ours at most, unless its Min-SE is above, and a day in any case."""
        for headers, seconds in (
            ([("Session-Expires", "7200")], 1800),
            ([("Session-Expires", "7200"), ("Min-SE", "3600")], 3600),
            ([("Session-Expires", "4294967295"), ("Min-SE", "4294967295")], MAX_INTERVAL),
            ([("Min-SE", "3600;x")], 3600),
            ([("Min-SE", "60")], 1800),
        ):
            timer = SessionTimer(self.clock, 1800)
            self.assertIn(("Session-Expires", f"{seconds};refresher=u"), [
                (name, value[:-2]) for name, value in timer.accept(self.ask(TIMER, *headers))
            ])  # fmt: skip

    def test_too_short(self) -> None:
        """422 with Min-SE: 90 below that, for the one that knows timers; another one could do nothing with it, and its
        session lives 90 seconds."""
        for headers in ([TIMER, ("Session-Expires", "89")], [("Session-Expires", "5;refresher=uac")]):
            refusal = self.assertRaises(Refusal, self.timer.check, self.ask(*headers))
            self.assertEqual((refusal.status, refusal.headers), (422, (("Min-SE", "90"),)))
        self.timer.check(self.ask(("Session-Expires", "30")))
        self.timer.accept(self.ask(("Session-Expires", "30")))
        self.assertEqual(self.timer.seconds, 90)
        self.timer.check(self.ask(TIMER, ("Session-Expires", "90")))

    def test_unreadable(self) -> None:
        """A Session-Expires or Min-SE that can't be read counts as absent."""
        for header in (("Session-Expires", "soon"), ("Min-SE", "never")):
            self.timer.check(self.ask(header))
            self.assertEqual(self.timer.accept(self.ask(header)), [])

    def test_refresh(self) -> None:
        """A refresh that says nothing of the timer keeps who refreshes and how often; one that does may change it."""
        self.timer.accept(self.ask(TIMER, ("Session-Expires", "300")))
        self.clock.advance(200)
        self.assertEqual(self.timer.accept(self.ask(TIMER))[-1], ("Session-Expires", "300;refresher=uac"))
        self.assertEqual(self.due(), 300 - 32)
        named = ("Session-Expires", "120;refresher=uas")
        self.assertEqual(self.timer.accept(self.ask(named, method="UPDATE"))[-1], named)
        self.assertEqual((self.timer.proxy_refreshes, self.due()), (True, 60))

    def test_timer_is_given_up(self) -> None:
        """A re-INVITE of a peer that knows none any more: it is ours to ask for signs of life."""
        self.timer.accept(self.ask(TIMER, ("Session-Expires", "300")))
        self.assertEqual(self.timer.accept(self.ask()), [])
        self.assertEqual((self.timer.proxy_refreshes, self.timer.negotiated), (True, False))


TIMER_NEEDED = ("Require", "timer")


def answer(sent: Request, status: int, headers: list[Pair] | None = None) -> Response:
    """The response to a request, which may have no Via yet."""
    copy = Request(sent.method, sent.uri, sent.headers.copy(), sent.body)
    if "Via" not in copy.headers:
        copy.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx")
    return response(copy, status, headers=headers or [])


class Asking(TimerCase):
    """Our INVITE or UPDATE (section 7)."""

    def setUp(self) -> None:
        super().setUp()
        self.sent = request("INVITE", headers=self.timer.proposal(), cseq=7)

    def test_proposal(self) -> None:
        """Ours at first, and who refreshes is left open; then what was agreed, with the same refresher."""
        self.assertEqual(self.timer.proposal(), [("Session-Expires", "1800")])
        for said, refreshes, next_ in (("300;refresher=uac", True, "uac"), ("300;refresher=uas", False, "uas"),
                                   ("300", True, "uac")):  # fmt: skip
            self.timer.answered(answer(self.sent, 200, headers=[("Session-Expires", said)]))
            found = self.timer.proxy_refreshes, self.timer.negotiated, self.timer.seconds
            self.assertEqual(found, (refreshes, True, 300))
            self.assertEqual(self.timer.proposal(), [("Session-Expires", f"300;refresher={next_}")])
            self.assertEqual(self.due(), 150 if refreshes else 268)

    def test_peer_without_timer(self) -> None:
        """No Session-Expires in the 2xx, or none that can be read: no timer runs there, we look for signs of life."""
        for headers in ([], [("Session-Expires", "soon")]):
            self.timer.answered(answer(self.sent, 200, headers=headers))
            self.assertEqual((self.timer.proxy_refreshes, self.timer.negotiated, self.due()), (True, False, 900))

    def test_odd_intervals(self) -> None:
        """A 2xx makes us neither refresh every second nor wait for ever."""
        for said, seconds in ((1, 90), (4294967295, MAX_INTERVAL)):
            self.timer.answered(answer(self.sent, 200, headers=[("Session-Expires", str(said))]))
            self.assertEqual(self.timer.seconds, seconds)

    def refused(self, *min_se: str) -> list[Pair] | None:
        """What is proposed after a 422 to the INVITE."""
        return self.timer.longer_proposal(
            self.sent, answer(self.sent, 422, headers=[("Min-SE", value) for value in min_se])
        )

    def test_too_short(self) -> None:
        """422: its Min-SE is proposed, and stays for what follows (section 7.4)."""
        longer = [("Session-Expires", "3600"), ("Min-SE", "3600")]
        self.assertEqual(self.refused("3600"), longer)
        self.assertEqual(self.timer.proposal(), longer)
        self.timer.answered(answer(self.sent, 200, headers=[("Session-Expires", "3600;refresher=uac")]))
        self.assertIn(("Min-SE", "3600"), self.timer.proposal())

    def test_unreasonable(self) -> None:
        """Not again for a 422 that names no longer interval, one beyond a day, or none."""
        for min_se in ((), ("x",), ("1800",), (str(MAX_INTERVAL + 1),)):
            self.timer = SessionTimer(self.clock, 1800)
            self.assertIsNone(self.refused(*min_se))

    def test_endless(self) -> None:
        """A far side that wants a little more each time is obeyed a few times."""
        for _ in range(2):
            for number in range(MAX_ROUNDS):
                self.assertIsNotNone(self.refused(str(1801 + number)))
            self.assertIsNone(self.refused(str(1801 + MAX_ROUNDS)))
            self.timer.answered(answer(self.sent, 422))  # the next INVITE has as many

    def test_other_refusals(self) -> None:
        """A refusal changes nothing."""
        self.timer.answered(answer(self.sent, 200, headers=[("Session-Expires", "300;refresher=uas")]))
        due = self.timer.due
        self.clock.advance(10)
        self.timer.answered(answer(self.sent, 488))
        self.assertEqual((self.timer.due, self.timer.seconds), (due, 300))


class Time(TimerCase):
    """When something is due (section 10)."""

    def test_end(self) -> None:
        """Half of the interval where refreshing is ours; else what is left of it without the lesser of 32 seconds and
        a third."""
        for seconds, end in ((90, 60), (96, 64), (120, 88), (1800, 1768)):
            for refresher, due in (("uac", end), ("uas", seconds / 2)):
                self.timer.accept(self.ask(TIMER, ("Session-Expires", f"{seconds};refresher={refresher}")))
                self.assertEqual(self.due(), due)

    def test_postponed(self) -> None:
        """What came to nothing is tried again, ever sooner, but not within four seconds, until the interval is over."""
        self.timer.accept(self.ask(TIMER, ("Session-Expires", "90;refresher=uas")))
        tries = []
        self.clock.advance(45)
        while self.timer.postpone():
            tries.append(self.due())
            self.clock.advance(self.due())
        self.assertEqual(tries, [7.5, 4, 4])

    def test_alive(self) -> None:
        """A sign of life begins a new interval of the same kind."""
        self.clock.advance(900)
        self.timer.alive()
        self.assertEqual((self.due(), self.timer.proxy_refreshes, self.timer.negotiated), (900, True, False))
