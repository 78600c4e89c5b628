"""Policy and profiles where domains are served here: they are no hosts to route to, their users pay as others do."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.support.configs import CARRIER, PBX, config
from webrtcproxy.access.caller import STRANGER, Caller
from webrtcproxy.config import Destinations, Domain
from webrtcproxy.routing.peer_profile import BROWSER_PEER, filter_headers
from webrtcproxy.routing.policy import Policy
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Headers, Request
from webrtcproxy.users.user import User

USER = User("alice", "example.com", trunks=frozenset(["carrier"]))


class DomainRoutes(SynchronousTestCase):
    """`Policy` with two domains."""

    def setUp(self) -> None:
        whole = config(PBX, CARRIER, destinations=Destinations(anywhere=True))
        self.policy = Policy(replace(whole, domains=(Domain("example.com"), Domain("[::1]"))))

    def test_no_host(self) -> None:
        """A domain is never looked up, whatever may be called besides, with any port and in any case (docs/users.rst);
        what only looks like it is a host as any other."""
        for uri in ("sip:bob@EXAMPLE.com", "sip:bob@example.com:5070", "sips:bob@example.com.", "sip:bob@[::1]"):
            self.assertEqual(self.assertRaises(Refusal, self.policy.route, Request("INVITE", uri)).status, 404, uri)
        self.assertEqual(self.policy.route(Request("INVITE", "sip:bob@sub.example.com")).host, "sub.example.com")

    def test_route_to(self) -> None:
        """The route to a trunk by its name, with its credentials where the caller may use them."""
        caller = Caller(USER.aor, frozenset([("domain", "example.com")]), USER)
        for who, name, paid in ((caller, "carrier", True), (caller, "pbx", False), (STRANGER, "carrier", False)):
            route = self.policy.route_to(name, who)
            assert route.trunk is not None
            self.assertEqual((route.trunk.name, route.may_use_credentials), (name, paid))

    def test_check_destination(self) -> None:
        """Hosts that may be called, as `[access] destinations` has them."""
        self.policy.check_destination("example.com", None)
        policy = Policy(config(PBX))
        self.assertEqual(self.assertRaises(Refusal, policy.check_destination, "example.com", None).status, 403)


class BrowserToBrowser(SynchronousTestCase):
    """What crosses between two browsers."""

    def test_headers(self) -> None:
        """No more than to a trunk: no identity that a browser states of itself, and no credentials (RFC 3325)."""
        names = ("P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Diversion", "X-Note", "Subject")
        more = ("Authorization", "Proxy-Authorization")
        message = Request("MESSAGE", "sip:a@b", Headers([(name, "<sip:x@y>") for name in (*names, *more)]))
        crossed = filter_headers(message, BROWSER_PEER, BROWSER_PEER)
        self.assertEqual([name for name, _ in crossed], ["X-Note", "Subject"])
