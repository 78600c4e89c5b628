"""The port of the browsers as the configuration makes it: what is served there, and to whom."""

from __future__ import annotations

import json

from twisted.internet.testing import MemoryReactorClock

from tests.admin.test_page import Answer
from tests.config.case import Case
from tests.support.logins import domain_with
from tests.support.wire import Recorder, Wire
from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.access.proofs import Proofs
from webrtcproxy.admin.port import browsers_port, port_logins
from webrtcproxy.config import BansConfig, Config
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.users.domains import Domains

TURN = "servers = turn:turn.example.com\nsecret = 0123456789abcdef"


class PortTests(Case):
    """`browsers_port`"""

    def ask(self, config: Config, path: str) -> Answer:
        """A request of a browser without a login; the domain example.com has users where the configuration has it."""
        reactor = MemoryReactorClock()
        domains = domain_with(self.mktemp())[0] if config.domains else Domains()
        guard = LoginGuard(reactor, BansConfig())
        logins = port_logins(config, reactor, domains, Proofs(reactor), guard, self)  # type: ignore[arg-type]
        port = browsers_port(config, reactor, Recorder(), Metrics(), guard, (), logins)
        wire = Wire()
        wire.attach(port.site.buildProtocol(wire.getPeer()))
        wire.deliver(f"GET {path} HTTP/1.1\r\nHost: phone.example.com\r\n\r\n".encode())
        return Answer(wire.take())

    def test_nobody(self) -> None:
        """Where nobody can log in there is no bootstrap document, as in the demo, whatever [turn] says."""
        self.assertEqual(self.ask(self.load(turn=TURN), "/bootstrap.json").code, 404)

    def test_users(self) -> None:
        """With a domain it is at its path, and wants a login."""
        config = self.load(turn=TURN, **{"domain example.com": ""})
        self.assertEqual(self.ask(config, "/bootstrap.json").code, 401)
        config = self.load(wss="listen = tcp:1\nbootstrap = no", **{"domain example.com": ""})
        self.assertEqual(self.ask(config, "/bootstrap.json").code, 404)

    def test_domain_of_the_page(self) -> None:
        """The phone page proposes the domain that is served here, else that of the first trunk."""
        for sections, domain in (({}, "voip.example"), ({"domain example.com": ""}, "example.com")):
            settings = json.loads(self.ask(self.load(**sections), "/settings.json").body)
            self.assertEqual((settings["domain"], settings["password"]), (domain, ""))

    def test_bootstrap_of_the_page(self) -> None:
        """The phone page is told where users of that domain log in, where they can (docs/page.rst)."""
        domain, elsewhere = {"domain example.com": ""}, "listen = tcp:1\nbootstrap = "
        for sections, path in (
            ({}, ""),
            (domain, "/bootstrap.json"),
            ({"wss": f"{elsewhere}/api/phone", **domain}, "/api/phone"),
            ({"wss": f"{elsewhere}no", **domain}, ""),
        ):
            settings = json.loads(self.ask(self.load(**sections), "/settings.json").body)
            self.assertEqual(settings["bootstrap"], path)
