"""Requests outside of dialogs that come from the SIP side."""

from __future__ import annotations

from twisted.logger import capturedLogs, formatEvent

from tests.subscription.test_out_of_dialog import METHODS
from tests.support.calls.case import CallCase
from tests.support.configs import PBX
from tests.support.messages import request
from webrtcproxy.registration.binding import contact_user_of
from webrtcproxy.sip.message import Request


class In(CallCase):
    """From a trunk or registrar to browsers."""

    trunks = (PBX,)

    def setUp(self) -> None:
        super().setUp()
        self.trunk = self.world.trunk()

    def send(self, method: str, uri: str, **more: object) -> Request:
        """A request of the trunk's."""
        sent = request(method, uri, to=f"<{uri}>", from_="<sip:carol@pbx.example.com>", **more)  # type: ignore[arg-type]
        self.trunk.say(sent)
        return sent

    def test_crosses(self) -> None:
        """By the proxy's Contact or by user: to the Contact that the browser has registered, with a fresh Call-ID, and
        no credentials; its true answer comes back."""
        alice = self.world.browser()
        alice.bind()
        for method in METHODS:
            for uri in (
                f"sip:{contact_user_of(alice.aor)}@192.0.2.1",
                "sip:alice@192.0.2.1",
                "sip:alice@pbx.example.com",
            ):
                headers = [("Authorization", "Digest secret"), ("P-Asserted-Identity", "<sip:c@x>")]
                sent = self.send(method, uri, headers=headers, body=b"hi", content_type="text/plain")
                leg = alice.request(method)
                self.assertEqual((leg.uri, leg.body, leg.to.uri), (alice.contact, b"hi", uri))
                self.assertNotIn("Authorization", leg.headers)
                self.assertEqual(leg.headers.get("P-Asserted-Identity"), "<sip:c@x>")
                self.assertNotEqual(leg.call_id, sent.call_id)
                alice.answer(leg, 488, reason="Not Now", headers=[("Warning", '399 a "b"')])
                heard = self.trunk.response(488)
                self.assertEqual((heard.reason, heard.headers.get("Warning")), ("Not Now", '399 a "b"'))

    def test_for_browsers(self) -> None:
        """A browser gets what it can parse; what can't be written so is left out, and the log says so: JsSIP and
        SIP.js drop a whole message for one header (field.rst H: Odd headers)."""
        alice = self.world.browser()
        alice.bind()
        for name, value, heard in (
            ("Content-Type", "text/plain;", "text/plain"),
            ("Event", "message-summary;id=", "message-summary"),
            ("Event", "<", None),
            ("Refer-To", "tel:+49", None),
            ("Proxy-Authenticate", "Digest x", None),
        ):
            kind = value if name == "Content-Type" else "text/plain"
            headers = [] if name == "Content-Type" else [(name, value)]
            with capturedLogs() as events:
                self.send("NOTIFY", "sip:alice@192.0.2.1", headers=headers, body=b"hi", content_type=kind)
            leg = alice.request("NOTIFY")
            self.assertEqual((leg.headers.get(name), leg.body), (heard, b"hi"))
            lines = [line for line in map(formatEvent, events) if line and "no browser could parse it" in line]
            self.assertEqual((len(lines), name in lines[0]), (1, True), lines)
            alice.answer(leg, 200)
            self.trunk.heard(200)
        for end in (";tag=", ";x=", ";;", ";x=<y>"):
            sent = request("MESSAGE", "sip:alice@192.0.2.1", to=f"<sip:alice@192.0.2.1>{end}")
            self.trunk.say(sent)
            leg = alice.request("MESSAGE")
            self.assertEqual(leg.headers.get("To"), "<sip:alice@192.0.2.1>")
            alice.answer(leg, 200)
            self.trunk.heard(200)

    def test_waiting_messages(self) -> None:
        """NOTIFY of a PBX that nobody has subscribed to (RFC 3842 as PBXs use it)."""
        alice = self.world.browser()
        alice.bind()
        headers = [("Event", "message-summary"), ("Subscription-State", "active")]
        self.send("NOTIFY", "sip:alice@192.0.2.1", headers=headers, body=b"Messages-Waiting: yes\r\n")
        leg = alice.request("NOTIFY")
        self.assertEqual(leg.headers.get("Event"), "message-summary")
        self.assertEqual(leg.headers.get("Subscription-State"), "active")
        alice.answer(leg, 200)
        self.trunk.heard(200)

    def test_nobody(self) -> None:
        """404 for a user that nobody knows, 480 for one whose browser has gone, 403 for another's registrar."""
        self.send("MESSAGE", "sip:nobody@192.0.2.1")
        self.trunk.heard(404)
        alice = self.world.browser()
        alice.bind()
        alice.flow.lose()
        self.send("MESSAGE", "sip:alice@192.0.2.1")
        self.trunk.heard(480)
        self.send("OPTIONS", "sip:alice@192.0.2.1")
        self.trunk.heard(480)
        bob = self.world.browser("bob")
        bob.bind(registrar="192.0.2.99")
        other = self.world.trunk("192.0.2.98")
        dave = self.world.browser("dave")
        dave.bind(registrar="192.0.2.98")
        other.say(request("MESSAGE", f"sip:{contact_user_of(bob.aor)}@192.0.2.1"))
        other.heard(403)

    def test_gone_meanwhile(self) -> None:
        """A browser whose socket is lost before it has answered: 480, at once."""
        alice = self.world.browser()
        alice.bind()
        self.send("MESSAGE", "sip:alice@192.0.2.1")
        alice.request("MESSAGE")
        alice.flow.lose()
        self.trunk.heard(480)

    def test_silent(self) -> None:
        """A browser that says nothing: no 408 (RFC 4320)."""
        alice = self.world.browser()
        alice.bind()
        self.send("MESSAGE", "sip:alice@192.0.2.1")
        alice.request("MESSAGE")
        self.world.turn(31)
        self.assertEqual(self.trunk.pending(), ["100", "504"])
        self.trunk.forget()

    def test_challenge(self) -> None:
        """A browser that asks for credentials, which do not cross, is not there for others."""
        alice = self.world.browser()
        alice.bind()
        self.send("MESSAGE", "sip:alice@192.0.2.1")
        alice.answer(alice.request("MESSAGE"), 407, headers=[("Proxy-Authenticate", "Digest realm=x")])
        self.trunk.heard(480)


class Several(CallCase):
    """A user with several browsers."""

    trunks = (PBX,)

    def setUp(self) -> None:
        super().setUp()
        self.world = self.make_world(multiple=True)
        self.trunk = self.world.trunk()
        self.phones = [self.world.browser(), self.world.browser()]
        for phone in self.phones:
            phone.bind()
        self.trunk.say(request("MESSAGE", "sip:alice@192.0.2.1"))
        self.legs = [phone.request("MESSAGE") for phone in self.phones]

    def test_first_success_wins(self) -> None:
        """The first 2xx is passed on at once; what comes after it is nobody's (RFC 3261 section 16.7)."""
        self.assertNotEqual(self.legs[0].call_id, self.legs[1].call_id)
        self.phones[0].answer(self.legs[0], 486)
        self.trunk.silent()
        self.phones[1].answer(self.legs[1], 202)
        self.trunk.heard(202)

    def test_late_success(self) -> None:
        """A second 2xx says nothing more."""
        for phone, leg in zip(self.phones, self.legs, strict=True):
            phone.answer(leg, 200)
        self.trunk.heard(200)
        self.trunk.silent()

    def test_best_refusal(self) -> None:
        """Where all refuse, the best of the finals counts, a 6xx first."""
        self.phones[0].answer(self.legs[0], 404)
        self.phones[1].answer(self.legs[1], 603)
        self.trunk.heard(603)

    def test_one_is_silent(self) -> None:
        """One refuses and one says nothing: the refusal is passed on when the time is over."""
        self.phones[0].answer(self.legs[0], 415)
        self.world.turn(31)
        self.assertEqual(self.trunk.pending(), ["100", "415"])
        self.trunk.forget()
