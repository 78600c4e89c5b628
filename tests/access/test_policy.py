"""The access policy: the rules, a plugin in their place, and what happens where a plugin fails (docs/policy.rst)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.support.configs import PBX, config
from tests.support.exposition import Readings
from tests.support.messages import request
from webrtcproxy.access import policy
from webrtcproxy.access.caller import Caller
from webrtcproxy.access.control import AccessControl
from webrtcproxy.access.policy import (
    AccessPolicy,
    AccessRequest,
    Decision,
    IAccessPolicy,
    IAccessPolicyFactory,
    NoSuchPolicy,
    Permit,
    Permitted,
)
from webrtcproxy.config import AccessConfig, Config
from webrtcproxy.config.rules import rules
from webrtcproxy.runtime.errors import Denied, Refusal
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.users.user import User

EXAMPLE = Path(__file__).parents[2] / "etc" / "working_hours.py"
Decide = Callable[[AccessRequest], Any]


@implementer(IAccessPolicy, IAccessPolicyFactory, IPlugin)
class Plugin:
    """A plugin, and the policy that it makes.

    :param decide: its decision.
    """

    name = "mine"

    def __init__(self, decide: Decide) -> None:
        self._decide = decide
        self.over: list[tuple[str, float]] = []
        self.rules: AccessPolicy | None = None

    def make(self, config: Config, rules: AccessPolicy, clock: IReactorTime) -> AccessPolicy:
        self.rules = rules
        return self

    def decide(self, request: AccessRequest) -> Decision:
        decided: Decision = self._decide(request)
        return decided

    def ended(self, request: AccessRequest, seconds: float) -> None:
        self.over.append((request.number, seconds))


class PolicyCase(SynchronousTestCase):
    """Asks about calls to numbers at a trunk."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.metrics = Metrics()
        self.readings = Readings(self.metrics)

    def control(self, access: AccessConfig | None = None) -> AccessControl:
        return AccessControl(config(PBX, access=access), self.clock, self.metrics)

    def plugged(self, decide: Decide) -> Plugin:
        """Have a plugin that decides so."""
        plugin = Plugin(decide)
        self.patch(policy, "getPlugins", lambda interface: [plugin] if interface is IAccessPolicyFactory else [])
        self.access = self.control(AccessConfig(policy="mine", policy_timeout=2))
        return plugin

    def ask(
        self, number: str, caller: Caller | None = None, access: AccessControl | None = None
    ) -> Permitted | Deferred[Permitted]:
        control = self.access if access is None else access
        to = f"sip:{number}@{PBX.host}"
        asked = request("INVITE", to, to=f"<{to}>")
        return control.decide(control.question(asked, caller or Caller(), "198.51.100.9", PBX))


class RulesTests(PolicyCase):
    """The policy that comes with the proxy."""

    def test_decides_at_once(self) -> None:
        """It returns its decision, no Deferred: a call costs no turn of the reactor."""
        self.access = self.control()
        permitted = self.ask("+4930123456")
        assert isinstance(permitted, Permitted)
        self.assertEqual((permitted.permit.seconds, permitted.question.number), (0, "+4930123456"))
        refused = self.assertRaises(Denied, self.ask, "+88212345678")
        self.assertEqual((refused.status, refused.reason), (403, "Destination Not Allowed"))
        self.assertEqual(self.readings.moved(), {'refused_total{reason="destination"}': 1})

    def test_of_users(self) -> None:
        """The words of a user count together with those of `[access]`; the longest decides."""
        self.access = self.control(AccessConfig(deny=rules(["+88*", "premium"])))
        boss = Caller("boss@example.com", user=User("boss", "example.com", allow=rules(["+8821*", "+49*"])))
        intern = Caller("intern@example.com", user=User("intern", "example.com", deny=rules(["+*"])))
        for caller, number, permitted in (
            (boss, "+88212345678", True), (boss, "+88312345678", False), (boss, "+33123456789", False),
            (boss, "+4930123456", True), (intern, "+4930123456", False), (intern, "112", True),
            (Caller("x@example.com", user=User("x", "example.com")), "+33123456789", True),
        ):  # fmt: skip
            if permitted:
                self.ask(number, caller)
            else:
                self.assertRaises(Denied, self.ask, number, caller)

    def test_register(self) -> None:
        """A REGISTER calls no number: rules for hosts count."""
        self.access = self.control(AccessConfig(deny=rules(["*"]), allow=rules(["+49*"])))
        uri = "sip:0900123456@pbx.example.com"
        question = self.access.question(request("REGISTER", "sip:pbx.example.com", to=f"<{uri}>"), Caller(), "h", PBX)
        self.access.decide(question)
        denied = self.control(AccessConfig(deny=rules([PBX.host])))
        self.assertRaises(Denied, denied.decide, question)


class PluginTests(PolicyCase):
    """A plugin."""

    def test_what_it_is_asked(self) -> None:
        """It learns who calls whom from where at which trunk, in one form of the number, and may ask the rules."""
        asked: list[AccessRequest] = []

        def decide(question: AccessRequest) -> Permit:
            asked.append(question)
            return Permit(60)

        plugin = self.plugged(decide)
        verifyObject(IAccessPolicyFactory, plugin)
        caller = Caller("alice@pbx.example.com")
        permitted = self.ask("0088%2012345678", caller)
        assert isinstance(permitted, Permitted)
        self.assertEqual(permitted.permit.seconds, 60)
        (question,) = asked
        self.assertEqual(
            (question.method, question.caller, question.address, question.number, question.trunk),
            ("INVITE", caller, "198.51.100.9", "+8812345678", "pbx"),
        )
        assert plugin.rules is not None
        self.assertRaises(Denied, plugin.rules.decide, question)

    def test_takes_time(self) -> None:
        """It may decide later."""
        later: Deferred[Permit] = Deferred()
        self.plugged(lambda _: later)
        asked = self.ask("112")
        assert isinstance(asked, Deferred)
        self.assertNoResult(asked)
        later.callback(Permit(5))
        self.assertEqual(self.successResultOf(asked).permit, Permit(5))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_coroutine(self) -> None:
        """It may be a coroutine."""

        async def decide(question: AccessRequest) -> Permit:
            await succeed(None)
            if question.number == "112":
                return Permit(7)
            raise Refusal(480)

        self.plugged(decide)
        asked = self.ask("112")
        assert isinstance(asked, Deferred)
        self.assertEqual(self.successResultOf(asked).permit, Permit(7))
        asked = self.ask("110")
        assert isinstance(asked, Deferred)
        self.assertEqual(self.failureResultOf(asked, Denied).value.status, 480)

    def test_refuses(self) -> None:
        """Its refusal is the final response, at once or later; it is counted."""
        for decide in (
            lambda _: (_ for _ in ()).throw(Refusal(486, "Enough", [("Retry-After", "9")])),
            lambda _: fail(Refusal(486, "Enough", [("Retry-After", "9")])),
        ):
            self.plugged(decide)
            refused = self.refusal()
            self.assertEqual((refused.status, refused.reason), (486, "Enough"))
            self.assertEqual(refused.headers, (("Retry-After", "9"),))
            self.assertEqual(self.readings.moved(), {'refused_total{reason="policy"}': 1})

    def refusal(self) -> Denied:
        """What it is refused with, at once or later."""
        try:
            asked = self.ask("112")
        except Denied as denied:
            return denied
        assert isinstance(asked, Deferred)
        denied = self.failureResultOf(asked, Denied).value
        assert isinstance(denied, Denied)
        return denied

    def test_fails(self) -> None:
        """Where it raises, returns something else or fails, 503 with Retry-After: nothing is permitted, and no
        exception gets out."""
        for decide, logged in (
            (lambda _: 1 / 0, 1), (lambda _: fail(ZeroDivisionError()), 1), (lambda _: None, 0), (lambda _: True, 0),
            (lambda _: succeed(None), 0), (lambda _: succeed(True), 0), (lambda _: fail(CancelledError()), 0),
        ):  # fmt: skip
            self.plugged(decide)
            refused = self.refusal()
            self.assertEqual((refused.status, refused.reason), (503, "Access Policy Not Responding"))
            self.assertTrue(dict(refused.headers)["Retry-After"])
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), logged)
            self.assertEqual(self.readings.moved(), {'refused_total{reason="policy"}': 1})

    def test_hangs(self) -> None:
        """It is cancelled after `policy-timeout`, and the request refused."""
        cancelled = []
        self.plugged(lambda _: Deferred(cancelled.append))
        asked = self.ask("112")
        assert isinstance(asked, Deferred)
        self.clock.advance(1.9)
        self.assertNoResult(asked)
        self.clock.advance(0.2)
        self.assertEqual(self.failureResultOf(asked, Denied).value.status, 503)
        self.assertEqual(len(cancelled), 1)

    def test_given_up(self) -> None:
        """A caller that gives up cancels the question; that is no failure of the plugin."""
        self.plugged(lambda _: Deferred())
        asked = self.ask("112")
        assert isinstance(asked, Deferred)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual((self.readings.moved(), self.clock.getDelayedCalls()), ({}, []))

    def test_unknown(self) -> None:
        """A name that no plugin has is an error that has the names that there are."""
        self.patch(policy, "getPlugins", lambda _: [])
        wrong = self.assertRaises(NoSuchPolicy, self.control, AccessConfig(policy="mine"))
        self.assertIn("rules", str(wrong))


class ExampleTests(PolicyCase):
    """etc/working_hours.py, as it stands."""

    def test_example(self) -> None:
        """It asks the rules, permits an hour, and refuses abroad at night."""
        spec = spec_from_file_location("working_hours", EXAMPLE)
        assert spec is not None and spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        verifyObject(IAccessPolicyFactory, module.working_hours)
        verifyObject(IAccessPolicy, module.WorkingHours(None))
        self.patch(policy, "getPlugins", lambda _: [module.working_hours])
        self.access = self.control(replace(AccessConfig(), policy="working-hours"))
        day = time.struct_time((2026, 1, 5, 12, 0, 0, 0, 5, 0))
        night = time.struct_time((2026, 1, 5, 23, 0, 0, 0, 5, 0))
        for now, number, permitted in (
            (day, "+4930123456", True), (day, "+33123456789", True), (day, "+88212345678", False),
            (night, "+4930123456", True), (night, "+33123456789", False),
        ):  # fmt: skip
            self.patch(module.time, "localtime", lambda now=now: now)
            if permitted:
                found = self.ask(number)
                assert isinstance(found, Permitted)
                self.assertEqual(found.permit, Permit(3600))
            else:
                self.assertRaises(Denied, self.ask, number)
