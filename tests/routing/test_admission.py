"""Admission: who may do what; each decision by itself, a Refusal or none for each side of its limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase

from tests.support.configs import CARRIER, PBX
from tests.support.fakes import FakeFlow
from tests.support.messages import request
from webrtcproxy.config import CallsConfig, Destinations, SubscriptionsConfig, Trunk
from webrtcproxy.dialog.referred import ReplacesGrant
from webrtcproxy.routing import admission
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.transport.flow import Flow

INVITE = request("INVITE")
ADDRESSES = {"192.0.2.10": (PBX,), "192.0.2.11": (PBX,), "192.0.2.20": (CARRIER,), "192.0.2.30": (PBX, CARRIER)}
ALICE = "alice@pbx.example.com"


def trunks_of(host: str) -> Sequence[Trunk]:
    return ADDRESSES.get(host, ())


def sip(host: str) -> FakeFlow:
    return FakeFlow.udp(host, 5060)


@dataclass
class Peer:
    """The peer of a dialog."""

    flow: Flow
    user: admission.BrowserUser = admission.UNREGISTERED
    trunk: Trunk | None = None
    named: Sequence[str] = ()

    def names(self, host: str) -> bool:
        return host in self.named


class Bound(NamedTuple):
    """A binding of a browser."""

    aor: str
    instance: str


class AdmissionCase(SynchronousTestCase):
    """Counts what is refused."""

    def refused(self, status: int, reason: str, check: Callable[[], object]) -> None:
        refusal = self.assertRaises(Refusal, check)
        self.assertEqual((refusal.status, refusal.reason), (status, reason))


class Reached(AdmissionCase):
    """Who is heard, and whom they reach."""

    def test_heard(self) -> None:
        """Browsers, addresses of trunks and registrars are heard whatever they send, nobody else."""
        for flow, registrars, heard in (
            (FakeFlow.wss(), (), True), (sip("192.0.2.10"), (), True),
            (sip("203.0.113.5"), ("203.0.113.5",), True), (sip("203.0.113.5"), ("203.0.113.6",), False),
        ):  # fmt: skip
            self.assertEqual(admission.is_heard(flow, trunks_of, registrars.__contains__), heard)

    def test_destination(self) -> None:
        """A host that the configuration does not name is refused."""
        admission.check_destination(Destinations(anywhere=True), (), "example.net", None)
        admission.check_destination(Destinations(trunks=True), (PBX,), PBX.host, PBX.port)
        self.refused(
            403,
            "Destination Not Allowed",
            lambda: admission.check_destination(Destinations(trunks=True), (PBX,), "example.net", None),
        )

    def test_callees(self) -> None:
        """Our Contact is one user, for its registrar and trunks; another user is looked for at the trunks that
        the request comes from; strangers reach nobody."""
        invite = request("INVITE", "sip:bob@here.example")
        self.assertEqual(admission.callees(invite, (), ALICE, True), [ALICE])
        self.assertEqual(admission.callees(invite, (PBX,), ALICE, False), [ALICE])
        self.refused(403, "Not The Registrar Of This User", lambda: admission.callees(invite, (), ALICE, False))
        other = replace(PBX, name="other", host="other.example", port=5070)
        self.assertEqual(
            admission.callees(invite, (PBX, other), None, False),
            ["bob@here.example", f"bob@{PBX.host}", "bob@other.example:5070"],
        )
        self.refused(404, "", lambda: admission.callees(invite, (), None, False))
        by_number = request("INVITE", "tel:+1-212;npdi")
        self.assertEqual(admission.callees(by_number, (PBX,), None, False), ["+1212", f"+1212@{PBX.host}"])
        self.refused(404, "", lambda: admission.callees(request("INVITE", "sip:here.example"), (PBX,), None, False))

    def test_telephone_subscriber(self) -> None:
        """Parameters, visual separators and escapes do not make another number; an extension and what is no global
        number come first as they are written, and a name is no number (RFC 3261 section 19.1.6, RFC 3966, RFC 4694;
        field.rst F: Telephone subscriber)."""
        for user in (
            "+12125550123;npdi;rn=+12125550000", "+12125550123;phone-context=example.net", "+1-212-555.0123",
            "+1(212)5550123", "%2B12125550123", "+1%20212%205550123", "+12125550123%3bnpdi", "%2B1-2125550123%3Bcpc=x",
        ):  # fmt: skip
            found = admission.callees(request("INVITE", f"sip:{user}@here.example;user=phone"), (PBX,), None, False)
            self.assertEqual(found, ["+12125550123@here.example", f"+12125550123@{PBX.host}"], user)
        for user, number in (("+1-212;EXT=1-2", "+1212"), ("0212-555;cpc=x", "0212555"), ("0212%20555", "0212555")):
            found = admission.callees(request("INVITE", f"sip:{user}@here.example"), (PBX,), None, False)
            first = {"+1-212;EXT=1-2": "+1212;ext=12"}.get(user, user)
            self.assertEqual(
                found, [f"{each}@{host}" for each in (first, number) for host in ("here.example", PBX.host)]
            )
        for user, written in (("+12125550123", "+12125550123"), ("*98#", "*98%23"), ("*98%23", "*98%23")):
            found = admission.callees(request("INVITE", f"sip:{user}@here.example"), (PBX,), None, False)
            self.assertEqual(found, [f"{written}@here.example", f"{written}@{PBX.host}"])
        for user in ("bob", "bob;npdi", "b-o.b", "12a", "-", ";npdi"):
            found = admission.callees(request("INVITE", f"sip:{user}@here.example"), (PBX,), None, False)
            self.assertEqual(found, [f"{user}@here.example", f"{user}@{PBX.host}"])


class AtOnce(AdmissionCase):
    """How much one browser may have at once, and all together."""

    def test_calls(self) -> None:
        """A browser has a limit, a lower one before it registers; the total holds for all."""
        limits, browser, trunk = (
            CallsConfig(limit=4, limit_per_connection=3, limit_unregistered=1),
            FakeFlow.wss(),
            sip("x"),
        )
        for flow, authenticated, mine, total, reason in (
            (browser, True, 2, 3, ""), (browser, True, 3, 3, "Too Many Calls Of Yours"), (browser, False, 0, 3, ""),
            (browser, False, 1, 3, "Too Many Calls Of Yours"), (browser, True, 2, 4, "Too Many Calls"),
            (trunk, False, 9, 3, ""), (trunk, False, 0, 4, "Too Many Calls"),
        ):  # fmt: skip
            self.check(reason, partial(admission.check_calls, limits, flow, authenticated, mine, total, INVITE))

    def test_requests(self) -> None:
        """A browser that has not registered may wait for as many answers as it may have calls."""
        limits = CallsConfig(limit_unregistered=2)
        most = admission.MAX_REQUESTS_PER_CONNECTION
        for authenticated, count, reason in (
            (True, most - 1, ""), (True, most, "Too Many Requests Of Yours"), (False, 1, ""),
            (False, 2, "Too Many Requests Of Yours"),
        ):  # fmt: skip
            self.check(reason, partial(admission.check_requests_of_browser, limits, authenticated, count, INVITE))

    def test_subscriptions(self) -> None:
        """The lower one of two limits holds for a browser; the total holds for all."""
        limits, browser, trunk = SubscriptionsConfig(limit=6, limit_per_connection=4), FakeFlow.wss(), sip("x")
        for flow, most, mine, total, reason in (
            (browser, 9, 3, 5, ""), (browser, 9, 4, 5, "Too Many Subscriptions Of Yours"), (browser, 2, 1, 5, ""),
            (browser, 2, 2, 5, "Too Many Subscriptions Of Yours"), (browser, 9, 3, 6, "Too Many Subscriptions"),
            (trunk, 2, 9, 5, ""), (trunk, 2, 0, 6, "Too Many Subscriptions"),
        ):  # fmt: skip
            self.check(reason, partial(admission.check_subscriptions, limits, most, flow, mine, total, INVITE))

    def check(self, reason: str, check: Callable[[], object]) -> None:
        if reason:
            self.refused(503, reason, check)
        else:
            check()


class Dialogs(AdmissionCase):
    """Whose dialog it is."""

    def owns(self, flow: Flow, peer: Peer, aors: Iterable[str] = (), *bindings: Bound) -> bool:
        return admission.is_peer(flow, peer, aors, bindings, trunks_of)

    def test_browser(self) -> None:
        """A browser is known by the flow of the dialog; on another one, by the address-of-record that it has
        authenticated for, or by its instance. The tags alone show nothing (docs/access.rst: A request within a
        dialog)."""
        one, other = FakeFlow.wss(), FakeFlow.wss()
        peer = Peer(one, admission.BrowserUser(frozenset([ALICE]), frozenset(["urn:uuid:8f4b"])))
        self.assertTrue(self.owns(one, peer))
        self.assertFalse(self.owns(other, peer))
        self.assertTrue(self.owns(other, peer, [ALICE]))
        self.assertFalse(self.owns(other, peer, ["mallory@pbx.example.com"]))
        self.assertTrue(self.owns(other, peer, [], Bound(ALICE, "urn:uuid:8f4b")))
        self.assertFalse(self.owns(other, peer, [], Bound(ALICE, "urn:uuid:other")))
        self.assertFalse(self.owns(other, peer, [], Bound("mallory@pbx.example.com", "urn:uuid:8f4b")))

    def test_unregistered_browser(self) -> None:
        """The dialog of a browser that has not registered is bound to its flow, whoever else has registered."""
        one, other = FakeFlow.wss(), FakeFlow.wss()
        self.assertTrue(self.owns(one, Peer(one)))
        self.assertFalse(self.owns(other, Peer(one), [ALICE], Bound(ALICE, "urn:uuid:8f4b")))

    def test_kinds(self) -> None:
        """A browser is no peer on the SIP side, nor the other way round, whatever else is true."""
        browser = Peer(FakeFlow.wss("192.0.2.10", 5060), admission.BrowserUser(frozenset([ALICE])))
        self.assertFalse(self.owns(sip("192.0.2.10"), browser, [ALICE]))
        self.assertFalse(self.owns(FakeFlow.wss("192.0.2.10", 5060), Peer(sip("192.0.2.10"), trunk=PBX), [ALICE]))

    def test_sip_side(self) -> None:
        """A peer on the SIP side sends from its address, whatever the port, from any address of its trunk, or from one
        that the dialog names."""
        for peer, host, owns in (
            (Peer(sip("192.0.2.10"), trunk=PBX), "192.0.2.10", True),
            (Peer(sip("192.0.2.10"), trunk=PBX), "192.0.2.11", True),
            (Peer(sip("192.0.2.10"), trunk=PBX), "192.0.2.20", False),
            (Peer(sip("192.0.2.10"), trunk=PBX), "203.0.113.5", False),
            (Peer(sip("192.0.2.10"), trunk=PBX, named=("203.0.113.5",)), "203.0.113.5", True),
            (Peer(sip("203.0.113.5")), "203.0.113.5", True),
            (Peer(sip("203.0.113.5")), "203.0.113.6", False),
            (Peer(sip("192.0.2.10")), "192.0.2.11", True),  # in no section, but at the address of one
            (Peer(sip("192.0.2.30"), trunk=PBX), "192.0.2.20", False),  # .30 is in two sections: the dialog's counts
        ):
            self.assertIs(self.owns(FakeFlow.udp(host, 40000), peer), owns, (peer, host))

    def test_same_peer(self) -> None:
        """Two addresses of a trunk are one peer; a browser's never are."""
        for one, other, same in (
            (sip("192.0.2.10"), sip("192.0.2.11"), True), (sip("192.0.2.10"), sip("192.0.2.20"), False),
            (sip("203.0.113.5"), FakeFlow.udp("203.0.113.5", 9), True),
            (FakeFlow.wss("192.0.2.10", 1), sip("192.0.2.10"), False),
        ):  # fmt: skip
            self.assertIs(admission.is_same_peer(one, other, trunks_of), same)

    def test_granted(self) -> None:
        """Whom the SIP side has told by REFER may replace its dialog, from any address of the same trunk; a grant of
        somebody else counts for nothing, nor does any for the dialog of a browser."""
        browser = FakeFlow.wss()
        grants = [ReplacesGrant(browser, "", "192.0.2.10"), ReplacesGrant(None, "192.0.2.20", "192.0.2.10")]
        for flow, peer, granted in (
            (browser, sip("192.0.2.11"), True), (FakeFlow.wss(), sip("192.0.2.11"), False),
            (sip("192.0.2.20"), sip("192.0.2.10"), True), (sip("203.0.113.5"), sip("192.0.2.10"), False),
            (browser, sip("192.0.2.20"), False), (browser, FakeFlow.wss("192.0.2.10", 4000), False),
        ):  # fmt: skip
            self.assertEqual(admission.is_granted(flow, peer, grants, trunks_of), granted)
