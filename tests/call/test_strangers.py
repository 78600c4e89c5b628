"""What becomes of strangers on the way through the whole proxy: no response, or a ban."""

from __future__ import annotations

from tests.support.calls.case import CallCase
from tests.support.configs import PBX
from tests.support.exposition import Readings
from tests.support.messages import request

ALICE = "<sip:alice@pbx.example.com>"


class Strangers(CallCase):
    """Browsers that have not logged in, and other peers (docs/access.rst, Strangers)."""

    trunks = (PBX,)

    def setUp(self) -> None:
        super().setUp()
        self.guard = self.world.context.guard
        self.readings = Readings(self.world.metrics)

    def test_user_agent(self) -> None:
        """A scanner gets no response to anything, and its address is banned."""
        browser = self.world.browser()
        for method in ("OPTIONS", "INVITE", "REGISTER", "ACK", "CANCEL"):
            browser.say(request(method, "sip:100@pbx.example.com", headers=[("User-Agent", "friendly-scanner")]))
        browser.silent()
        self.assertTrue(self.guard.is_banned(browser.flow.peer.host))
        self.assertEqual(
            self.readings.moved(), {'bans_total{reason="user_agent"}': 1, 'refused_total{reason="scanner"}': 5}
        )

    def test_user_agent_of_an_unknown_source(self) -> None:
        """Nor does one that is no browser; over UDP its address may be forged, and is not banned."""
        for transport, host in (("tcp", "203.0.113.1"), ("udp", "203.0.113.2")):
            peer = self.world.trunk(host, transport=transport)
            peer.say(request("OPTIONS", "sip:192.0.2.1", headers=[("User-Agent", "friendly-scanner")]))
            peer.silent()
            self.assertEqual(self.guard.is_banned(host), transport == "tcp")
        self.assertEqual(self.readings.moved()['refused_total{reason="scanner"}'], 2)

    def test_user_agent_of_a_trunk(self) -> None:
        """A trunk may be called as it likes."""
        trunk = self.world.trunk()
        trunk.say(request("OPTIONS", "sip:192.0.2.1", headers=[("User-Agent", "sipsak 0.9.8")]))
        trunk.response(200)

    def test_targets(self) -> None:
        """Who tries one destination after the other without being logged in is banned."""
        browser = self.world.browser()
        for number in range(10):
            browser.say(request("INVITE", f"sip:{number}@host{number}.example"))
        self.assertTrue(self.guard.is_banned(browser.flow.peer.host))

    def test_unknown_source(self) -> None:
        """So is who does so over TCP, without a response; over UDP the address may be forged, and is not banned."""
        for transport, host in (("tcp", "203.0.113.1"), ("udp", "203.0.113.2")):
            peer = self.world.trunk(host, transport=transport)
            for number in range(10):
                peer.say(request("INVITE", f"sip:{number}@192.0.2.1", transport=transport.upper()))
            peer.silent()
            self.assertEqual(self.guard.is_banned(host), transport == "tcp")


class Guesses(CallCase):
    """A user who guesses the passwords of others at a trunk (docs/access.rst, Strangers)."""

    trunks = (PBX,)

    def test_by_method(self) -> None:
        """By requests other than REGISTER, a further challenge in the realm that was answered is a failed login of the
        username; from the third on, the next is refused before it reaches the trunk."""
        wrong = ("Proxy-Authorization", 'Digest username="bob", realm="pbx", nonce="n", uri="sip:x", response="0"')
        challenge = ("Proxy-Authenticate", 'Digest realm="pbx", nonce="n"')
        for method in ("INVITE", "MESSAGE", "SUBSCRIBE"):
            browser, trunk = self.world.browser(), self.world.trunk()
            browser.authenticate(PBX)
            headers = [wrong, ("Event", "presence")]
            for _ in range(3):
                browser.say(
                    request(method, "sip:5@pbx.example.com", from_="<sip:alice@pbx.example.com>", headers=headers)
                )
                asked = trunk.request(method)
                trunk.answer(asked, 407, headers=[challenge])
                self.assertEqual(browser.response(407).status, 407)
                trunk.forget()
            browser.forget()
            browser.say(request(method, "sip:5@pbx.example.com", from_=ALICE, headers=headers))
            self.assertEqual(browser.response(503).reason, "Too Many Failed Logins")
            trunk.silent()
            self.world.context.guard.lift(browser.flow.peer.host)
