"""The routes that a registrar gives for later requests (RFC 3608; corners.rst 4: 3327/3608; field.rst J:
Service-Route)."""

from __future__ import annotations

from dataclasses import replace

from tests.support.calls.case import CallCase
from tests.support.calls.local import message_to
from tests.support.calls.registering import register_request
from tests.support.calls.world import PLAIN, Browser
from tests.support.configs import CARRIER, PBX
from webrtcproxy.config import HostPort
from webrtcproxy.registration.service_routes import MAX_LENGTH, MAX_ROUTES

ROUTES = ("Service-Route", "<sip:orig@core.example;lr;x=1>, <sip:scscf.example;lr>")
VALUES = ["<sip:orig@core.example;lr;x=1>", "<sip:scscf.example;lr>"]


class ServiceRouteCase(CallCase):
    """alice registers at her trunk, which is called by her requests."""

    trunks = (PBX, CARRIER)

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.trunk = self.world.browser(), self.world.trunk()
        self.cseq = 0

    def register(self, *headers: tuple[str, str], expires: int = 600, contact: str = "", user: str = "alice") -> None:
        """A REGISTER, and the trunk's 200 with these headers."""
        self.cseq += 1
        contacts = [contact or f"<{self.alice.contact}>"] if contact != "-" else []
        self.alice.say(register_request(*contacts, expires=expires, user=user, cseq=self.cseq, call_id=f"reg{user}"))
        register = self.trunk.request("REGISTER")
        own = register.headers.get("Contact")
        granted = [("Contact", f"{own};expires={expires}")] if own and own != "*" and expires else []
        self.trunk.answer(register, 200, headers=[*granted, *headers])
        self.alice.heard(200)

    def routes_of(self, method: str = "INVITE", browser: Browser | None = None, uri: str = "") -> list[str]:
        """The Route values of a request of hers to her trunk."""
        alice = browser or self.alice
        own, alice.uri = alice.uri, uri or alice.uri
        if method == "INVITE":
            invite = alice.invite("sip:bob@pbx.example.com")
        else:
            self.cseq += 1
            more = ("Refer-To", "<sip:carol@pbx.example.com>") if method == "REFER" else ("Event", "presence")
            message_to(alice, "sip:bob@pbx.example.com", more, method=method, cseq=self.cseq)
        alice.uri = own
        request = self.trunk.request(method)
        self.trunk.answer(request, 486)
        if method == "INVITE":
            self.trunk.heard("ACK")
            alice.ack(invite, alice.response(486))
        else:
            alice.heard(486)
        return request.headers.all("Route")


class Used(ServiceRouteCase):
    """A 200 with Service-Route."""

    def test_requests(self) -> None:
        """Its values are the Route of each later request outside of dialogs, in their order, and wherever they lead:
        the request goes to the trunk (section 6.1). A REGISTER has none."""
        self.assertEqual(self.routes_of(), [])
        self.register(ROUTES)
        for method in ("INVITE", "MESSAGE", "SUBSCRIBE", "REFER", "OPTIONS", "PUBLISH", "NEW"):
            self.assertEqual(self.routes_of(method), VALUES, method)
        self.alice.say(register_request(f"<{self.alice.contact}>", expires=600, cseq=99, call_id="regalice"))
        self.assertNotIn("Route", self.trunk.request("REGISTER").headers)

    def test_within_dialogs(self) -> None:
        """CANCEL and ACK have it as their INVITE has; a dialog has the route of its own Record-Route."""
        self.register(ROUTES)
        invite = self.alice.invite("sip:bob@pbx.example.com")
        leg = self.trunk.request("INVITE")
        self.trunk.answer(leg, 180)
        self.alice.heard(180)
        self.alice.cancel(invite)
        self.alice.heard(200)
        self.alice.heard(487)
        self.world.turn()
        cancel = self.trunk.request("CANCEL")
        self.assertEqual(cancel.headers.all("Route"), VALUES)
        self.trunk.answer(cancel, 200)
        self.trunk.answer(leg, 487)
        self.assertEqual(self.trunk.request("ACK").headers.all("Route"), VALUES)
        invite = self.alice.invite("sip:bob@pbx.example.com")
        leg = self.trunk.request("INVITE")
        self.trunk.answer(leg, 200, PLAIN, headers=[("Record-Route", "<sip:192.0.2.50:5060;lr>")])
        self.assertEqual(self.trunk.request("ACK").headers.all("Route"), ["<sip:192.0.2.50:5060;lr>"])
        ok = self.alice.response(200)
        self.alice.ack(invite, ok)
        self.alice.say(self.alice.inside("BYE", invite, ok))
        self.alice.heard(200)
        self.world.turn()
        self.trunk.answer(self.trunk.request("BYE"), 200)

    def test_only_there(self) -> None:
        """A request to another trunk has none, nor one of another browser."""
        self.register(ROUTES)
        self.alice.bind()
        self.alice.authenticate(CARRIER)
        self.alice.invite("sip:bob@carrier.example.net:5080")
        leg = self.world.trunk("192.0.2.7", 5090).request("INVITE")
        self.assertNotIn("Route", leg.headers)
        self.assertEqual(self.routes_of(browser=self.world.browser("carol")), [])

    def test_replaced(self) -> None:
        """Each 200 replaces it, also with none; a query does not."""
        other = "<sip:other.example;lr>"
        for headers, routes in (
            ([ROUTES], VALUES),
            ([("Service-Route", other)], [other]),
            ([], []),
            ([("Service-Route", VALUES[0]), ("Service-Route", VALUES[1])], VALUES),
        ):
            self.register(*headers)
            self.assertEqual(self.routes_of(), routes)
        self.register(contact="-")
        self.assertEqual(self.routes_of(), VALUES)

    def test_ends(self) -> None:
        """It is gone with the registration, however that ends."""
        self.register(ROUTES)
        self.register(ROUTES, expires=0)
        self.assertEqual(self.routes_of(), [])
        self.register(ROUTES)
        self.register(ROUTES, expires=0, contact="*")
        self.assertEqual(self.routes_of(), [])
        self.register(ROUTES, expires=60)
        self.world.turn(61)
        self.assertEqual(self.routes_of(), [])
        self.register(ROUTES)
        self.assertEqual(len(self.world.location.service_routes), 1)
        self.alice.flow.lose()
        self.assertEqual(len(self.world.location.service_routes), 0)

    def test_refused(self) -> None:
        """A refusal changes nothing."""
        self.register(ROUTES)
        self.alice.say(register_request(f"<{self.alice.contact}>", expires=600, cseq=99, call_id="regalice"))
        self.trunk.answer(self.trunk.request("REGISTER"), 503, headers=[("Service-Route", "<sip:x.example;lr>")])
        self.alice.heard(503)
        self.assertEqual(self.routes_of(), VALUES)

    def test_several_users(self) -> None:
        """Of several registrations, that of From counts; for an anonymous one the first."""
        self.register(ROUTES)
        self.register(("Service-Route", "<sip:second.example;lr>"), user="bob")
        self.assertEqual(self.routes_of(), VALUES)
        self.assertEqual(self.routes_of(uri="sip:bob@pbx.example.com"), ["<sip:second.example;lr>"])
        self.assertEqual(self.routes_of(uri="sip:anonymous@anonymous.invalid"), VALUES)
        self.register(user="bob", contact="<sip:bob@b.invalid>")
        self.assertEqual(self.routes_of(uri="sip:bob@pbx.example.com"), [])

    def test_malformed(self) -> None:
        """What is odd and decides nothing costs no route (field.rst J: Service-Route)."""
        for value in (
            "sip:orig@core.example;lr;x=1, <sip:scscf.example;lr>",
            "<sip:orig@core.example;;lr;x=1>,,<sip:scscf.example;lr>",
            "<sip:orig@core.example;lr;x=1>;=, <sip:scscf.example:;lr>",
            "<sip:orig@core.example;lr;x=1, <sip:scscf.example;lr",
        ):
            self.register(("Service-Route", value))
            self.assertEqual(self.routes_of(), VALUES, value)

    def test_odd(self) -> None:
        """One that can't be used is left out, and the registration stays."""
        for value in (
            "<sip:strict.example>", "<tel:+4930;lr>", "<sip:a.example;lr>, <sip:", '"', "<sip:a.example;lr>, nonsense:",
            ", ".join(["<sip:a.example;lr>"] * (MAX_ROUTES + 1)), f"<sip:{'a' * MAX_LENGTH}@b.example;lr>",
        ):  # fmt: skip
            self.register(ROUTES)
            self.register(("Service-Route", value))
            self.assertEqual(self.routes_of(), [], value)


class FurtherTries(ServiceRouteCase):
    """A request that is sent once more (section 6.1: each one outside of dialogs has it)."""

    trunks = (
        replace(PBX, username="us", password="secret", redirects="follow", proxy=(
            HostPort("192.0.2.50", 5060), HostPort("192.0.2.51", 5060))),
        replace(CARRIER, redirects="follow"),
    )  # fmt: skip

    def setUp(self) -> None:
        super().setUp()
        self.alice.bind()
        self.register(ROUTES)

    def test_other_server(self) -> None:
        """The next server of the trunk gets it as well."""
        invite = self.alice.invite("sip:bob@pbx.example.com")
        self.trunk.answer(self.trunk.request("INVITE"), 503)
        self.trunk.heard("ACK")
        other = self.world.trunk("192.0.2.51")
        again = other.request("INVITE")
        self.assertEqual(again.headers.all("Route"), VALUES)
        other.answer(again, 486)
        other.heard("ACK")
        self.alice.ack(invite, self.alice.response(486))

    def test_challenged(self) -> None:
        """So does the answer to a challenge."""
        challenge = [("Proxy-Authenticate", 'Digest realm="pbx", nonce="n"')]
        for method in ("INVITE", "MESSAGE"):
            if method == "INVITE":
                self.alice.invite("sip:bob@pbx.example.com")
            else:
                message_to(self.alice, "sip:bob@pbx.example.com")
            self.trunk.answer(self.trunk.request(method), 407, headers=challenge)
            if method == "INVITE":
                self.trunk.heard("ACK")
            again = self.trunk.request(method)
            self.assertIn("Proxy-Authorization", again.headers)
            self.assertEqual(again.headers.all("Route"), VALUES)
            self.trunk.answer(again, 486)
            if method == "INVITE":
                self.trunk.heard("ACK")
            self.alice.heard(486)

    def test_redirected(self) -> None:
        """A redirect that is followed has it at that trunk, and nowhere else."""
        self.alice.authenticate(CARRIER)
        carrier = self.world.trunk("192.0.2.7", 5090)
        self.alice.invite("sip:bob@pbx.example.com")
        moved = "<sip:erin@carrier.example.net:5080>;q=0.9, <sip:dave@pbx.example.com>;q=0.5"
        self.trunk.answer(self.trunk.request("INVITE"), 302, headers=[("Contact", moved)])
        self.trunk.heard("ACK")
        there = carrier.request("INVITE")
        self.assertNotIn("Route", there.headers)
        carrier.answer(there, 486)
        carrier.heard("ACK")
        back = self.trunk.request("INVITE")
        self.assertEqual((back.uri, back.headers.all("Route")), ("sip:dave@pbx.example.com", VALUES))
        self.trunk.answer(back, 486)
        self.trunk.heard("ACK")
        self.alice.heard(486)
