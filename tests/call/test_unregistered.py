"""What a browser may send that has not registered, and in whose name one sends that has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from twisted.logger import capturedLogs, formatEvent

from tests.support.calls.transferring import ReplacingCase
from tests.support.calls.world import Browser, World
from tests.support.configs import CARRIER, PBX, config
from tests.support.messages import request
from webrtcproxy.config import CallsConfig, Config, Trunk
from webrtcproxy.sip.message import Request

AT_PBX = "sip:bob@pbx.example.com"
AT_CARRIER = "sip:bob@carrier.example.net:5080"
METHODS = ("INVITE", "MESSAGE", "SUBSCRIBE", "REFER", "PUBLISH", "OPTIONS", "INFO", "NOTIFY", "FOO")


def safe(trunks: Sequence[Trunk] = (PBX, CARRIER), **access: str) -> Config:
    """The configuration that nobody has opened."""
    made = config(*trunks, calls=CallsConfig())
    for name, value in access.items():
        object.__setattr__(made.access, name, value)
    return made


class SafeCase(ReplacingCase):
    """A proxy as it comes, with a browser and two trunks."""

    def setUp(self) -> None:
        super().setUp()
        self.start()

    def start(self, trunks: Sequence[Trunk] = (PBX, CARRIER), **access: str) -> None:
        """Start it with these options of [access]."""
        self.world = World(config=safe(trunks, **access))
        self.alice = self.world.browser()
        self.pbx, self.carrier = self.world.trunk(), self.world.trunk("192.0.2.7", 5090)

    def send(self, method: str, uri: str = AT_PBX, from_: str = "", **more: object) -> Request:
        """The browser sends a request outside of dialogs."""
        headers = [("Event", "presence"), ("Refer-To", "<sip:carol@pbx.example.com>"), *more.pop("headers", ())]  # type: ignore[misc]
        sent = request(
            method, uri, from_=from_ or f"<{self.alice.uri}>", to=f"<{uri}>", contact=f"<{self.alice.contact}>",
            headers=headers, **more,
        )  # fmt: skip
        self.alice.say(sent)
        return sent


class Unregistered(SafeCase):
    """By default nothing but REGISTER of an unregistered browser reaches a trunk."""

    def test_every_method(self) -> None:
        """A script that never registered calls nobody and sends nobody anything; whether the host is a trunk's, and
        whether it may be called, it does not learn."""
        for method in METHODS:
            answers = []
            for uri in (AT_PBX, AT_CARRIER, "sip:bob@nowhere.example", "tel:+1555"):
                self.send(method, uri)
                answers.append(str(self.alice.response(403).reason))
            self.assertEqual(answers, ["Register First"] * 4, method)
        self.pbx.silent()
        self.carrier.silent()

    def test_registered_without_a_challenge(self) -> None:
        """A browser that the registrar accepted without asking for a password is as good as unregistered."""
        self.alice.bind(authenticated=False)
        self.alice.invite(AT_PBX)
        self.alice.heard(403)
        self.pbx.silent()

    def test_registered_elsewhere(self) -> None:
        """One that has registered at one trunk calls there, and not at the expense of another."""
        self.alice.bind()
        self.alice.invite(AT_CARRIER)
        self.alice.heard(403)
        self.carrier.silent()
        self.alice.invite(AT_PBX)
        self.pbx.answer(self.pbx.request("INVITE"), 486)
        self.pbx.heard("ACK")
        self.alice.heard(486)

    def test_told(self) -> None:
        """The log names the browser's request, and the option that would let it through."""
        with capturedLogs() as logs:
            self.alice.invite(AT_PBX)
        (line,) = [text for text in map(formatEvent, logs) if text and "limit-unregistered" in text]
        self.assertIn("INVITE of a browser is refused: it has not registered", line)

    def test_redirect(self) -> None:
        """A redirect that is followed leads where the browser may call itself, and to no other trunk."""
        self.start(trunks=(replace(PBX, redirects="follow"), CARRIER))
        self.alice.bind()
        self.alice.invite(AT_PBX)
        leg = self.pbx.request("INVITE")
        self.pbx.answer(leg, 302, headers=[("Contact", f"<{AT_CARRIER}>")])
        self.pbx.heard("ACK")
        self.carrier.silent()
        self.alice.heard(302)

    def test_transfer(self) -> None:
        """So does a transfer, whoever carries it out."""
        self.start(trunks=(replace(PBX, refer="local"), CARRIER))
        self.alice.bind()
        ours, _ = self.out(self.alice, self.pbx)
        ours.ask("REFER", b"", ("Refer-To", f"<{AT_CARRIER}>"))
        self.assertEqual(self.alice.response(403).reason, "Register First")
        self.pbx.silent()
        self.carrier.silent()


class InWhoseName(SafeCase):
    """A registered browser sends in its own name."""

    def setUp(self) -> None:
        super().setUp()
        self.alice.bind()

    def crossed(self, method: str, from_: str) -> Request | None:
        """What the trunk gets of a request with this From."""
        self.send(method, from_=from_)
        if not self.pbx.pending():
            return None
        leg = self.pbx.request(method)
        self.pbx.answer(leg, 486)
        if method == "INVITE":
            self.pbx.heard("ACK")
        return leg

    def test_another_user(self) -> None:
        """It is 403 to call, write or subscribe as somebody else, also as a user of another host or port."""
        for method in ("INVITE", "MESSAGE", "SUBSCRIBE", "PUBLISH"):
            for user in (
                "bob@pbx.example.com",
                "alice@carrier.example.net",
                "alice@pbx.example.com:5070",
                "pbx.example.com",
            ):
                self.assertIsNone(self.crossed(method, f"<sip:{user}>"))
                self.assertEqual(self.alice.response(403).reason, "From Is Not Yours")

    def test_own(self) -> None:
        """Its own address in any spelling is its own, and so is no address (RFC 3323 section 4.1.1.3)."""
        for text in (
            "<sip:%61lice@PBX.example.com;x=1>",
            '"Alice" <sip:alice@pbx.example.com>',
            '"Anonymous" <sip:anonymous@anonymous.invalid>',
            "<sip:anonymous@pbx.example.com>",
        ):
            self.assertIsNotNone(self.crossed("MESSAGE", text))
            self.alice.heard(486)

    def test_anonymous_name(self) -> None:
        """Who is anonymous has no name, whatever is written beside the address (RFC 3323 section 4.1.1.3)."""
        for uri in ("sip:anonymous@anonymous.invalid", "sip:anonymous@pbx.example.com;x=1"):
            leg = self.crossed("MESSAGE", f'"The Chairman" <{uri}>')
            assert leg is not None
            self.assertEqual((leg.from_.display, leg.from_.uri), ("Anonymous", uri))
            self.alice.heard(486)

    def test_claims(self) -> None:
        """What only a network may say of a caller stays here, in the URI and beside it; other parameters cross."""
        for text in (
            "<sip:alice@pbx.example.com;cpc=priority;x=1>;verstat=TN-Validation-Passed;y=2",
            "<sip:alice@pbx.example.com;OLI=62;tgrp=a;trunk-context=b;x=1>",
            "<sip:alice@pbx.example.com;ver%73tat=TN-Validation-Passed;x=1>;%76erstat=TN-Validation-Passed",
            "<sip:alice:secret@pbx.example.com;x=1>",
            "<sip:alice@pbx.example.com;x=1?P-Asserted-Identity=sip:boss@pbx.example.com>",
            "<sip:alice@pbx.example.com;maddr=203.0.113.66;x=1;m%61ddr=203.0.113.66;TTL=1>",
        ):
            leg = self.crossed("MESSAGE", text)
            assert leg is not None
            self.assertEqual(leg.from_.uri, "sip:alice@pbx.example.com;x=1")
            self.assertNotIn("verstat", str(leg.from_))
            self.alice.heard(486)

    def test_to(self) -> None:
        """To, by which some providers go, says nothing but whom the Request-URI names."""
        to = f"{AT_PBX};maddr=203.0.113.66;m%41ddr=203.0.113.66;x=1?Route=%3Csip:evil.example%3E"
        sent = request(
            "MESSAGE", AT_PBX, from_=f"<{self.alice.uri}>", to=f'"Bob" <{to}>', contact=f"<{self.alice.contact}>"
        )
        self.alice.say(sent)
        self.assertEqual(self.pbx.request("MESSAGE").headers.get("To"), f'"Bob" <{AT_PBX};x=1>')

    def test_anonymous_elsewhere(self) -> None:
        """An account of that name at another host is somebody."""
        self.assertIsNone(self.crossed("MESSAGE", "<sip:anonymous@carrier.example.net>"))
        self.alice.heard(403)

    def test_told(self) -> None:
        """The log has both names, and the option that would write the right one."""
        with capturedLogs() as logs:
            self.crossed("INVITE", "<sip:bob@pbx.example.com>")
        (line,) = [text for text in map(formatEvent, logs) if text and "foreign-from" in text]
        self.assertIn(self.alice.aor, line)

    def test_replaced(self) -> None:
        """With ``foreign-from = replace`` the trunk sees the address that is registered, in the whole dialog; the
        browser's own dialog keeps what it has written."""
        self.start(foreign_from="replace")
        self.alice.bind()
        for method in ("INVITE", "MESSAGE", "SUBSCRIBE"):
            leg = self.crossed(method, '"Bob" <sip:bob@pbx.example.com>')
            assert leg is not None
            self.assertEqual((leg.from_.uri, leg.from_.display), (self.alice.uri, ""))
            answer = self.alice.response(486)
            self.assertEqual(answer.from_.uri, "sip:bob@pbx.example.com")

    def test_referred_by(self) -> None:
        """A REFER names its own user as the referrer (RFC 3892), outside of dialogs and within."""
        forged = ("Referred-By", "<sip:bob@pbx.example.com>")
        for value, status in (
            (forged, 403),
            (("Referred-By", f"<{self.alice.uri}>"), 486),
            (("Referred-By", "<"), 400),
        ):
            self.send("REFER", headers=[value])
            if status == 486:
                self.pbx.answer(self.pbx.request("REFER"), 486)
            self.alice.heard(status)
        self.pbx.silent()

    def test_referred_by_replaced(self) -> None:
        """With ``foreign-from = replace`` it is mended."""
        self.start(foreign_from="replace")
        self.alice.bind()
        self.send("REFER", headers=[("Referred-By", "<sip:bob@pbx.example.com>")])
        leg = self.pbx.request("REFER")
        self.assertEqual(leg.headers.lines("Referred-By"), [f"<{self.alice.uri}>"])
        self.pbx.answer(leg, 603)
        self.alice.heard(603)


class Opened(SafeCase):
    """`[calls] limit-unregistered` above 0."""

    def test_unregistered(self) -> None:
        """It lets unregistered browsers through, in the name that they choose; the trunk's challenges are theirs."""
        self.world = World(config=config(PBX, CARRIER, calls=CallsConfig(limit_unregistered=1)))
        alice: Browser = self.world.browser()
        alice.invite(AT_CARRIER)
        carrier = self.world.trunk("192.0.2.7", 5090)
        carrier.answer(
            carrier.request("INVITE"), 401, headers=[("WWW-Authenticate", 'Digest realm="carrier", nonce="n"')]
        )
        carrier.heard("ACK")
        alice.heard(401)
