"""AccessControl: asks the access policy about each request, and has the limits of everything.

A request outside of dialogs is counted first (`RateLimits`), and a call of it once more (`CallLimits`). The policy is
asked when its target is known. What is refused here is counted and logged here.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.access.caller import Caller
from webrtcproxy.access.calls import CallLimits
from webrtcproxy.access.numbers import DialPlan
from webrtcproxy.access.policy import (
    RULES,
    AccessPolicy,
    AccessRequest,
    Permit,
    Permitted,
    RulePolicy,
    policy_plugin,
)
from webrtcproxy.access.rates import RateLimits
from webrtcproxy.access.refusal_log import RefusalLog
from webrtcproxy.config import Config, Trunk
from webrtcproxy.runtime.errors import Denied, DeniedByRule, Refusal
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.telephone import number_in
from webrtcproxy.sip.uri import Uri

log = Logger()

RETRY_AFTER = 10.0
"""Seconds after which a policy that could not decide may be asked again."""


class AccessControl:
    """The access policy of this process, and the limits beside it.

    :param config: the whole configuration.
    :param clock: for the time, and for the time limit of a plugin.
    :param metrics: counts what is refused.
    :raises NoSuchPolicy: no plugin has the name of `[access] policy`.
    :ivar rates: how often something may be asked.
    :ivar calls: how many calls there may be.
    """

    def __init__(self, config: Config, clock: IReactorTime, metrics: Metrics) -> None:
        access = config.access
        refusals = RefusalLog(clock, metrics)
        self.rates = RateLimits(config, clock, refusals)
        self.calls = CallLimits(config, clock, self.rates, refusals, self._ended)
        self._metrics = metrics
        self._clock = clock
        self._refusals = refusals
        self._timeout = access.policy_timeout
        self._plan = DialPlan(access.country, access.international_prefixes, access.dial_prefixes)
        self._policy: AccessPolicy = RulePolicy(config, self._plan)
        if access.policy != RULES:
            self._policy = policy_plugin(access.policy).make(config, self._policy, clock)

    def question(
        self, request: Request, caller: Caller, host: str, trunk: Trunk | None, target: Uri | None = None
    ) -> AccessRequest:
        """What the policy is asked about a request.

        :param caller: on whose behalf it is sent.
        :param host: the IP address of the browser.
        :param trunk: where it goes, or None.
        :param target: its target; where it is None, the Request-URI and To.
        :raises BadMessage: To can't be read.
        """
        uri = request.request_uri if target is None else target
        numbers = () if request.method == "REGISTER" else self._numbers(request, uri, target is None)
        if trunk is not None and trunk.number_format.converts and numbers:
            numbers += self._converted(trunk, uri, request.to.address if target is None else uri, numbers)
        name = "" if trunk is None else trunk.name
        return AccessRequest(request.method, caller, host, uri, numbers, name, request.call_id)

    def _numbers(self, request: Request, uri: Uri, with_to: bool) -> tuple[Sequence[str], ...]:
        """The readings of each URI that names a number."""
        plan = self._plan
        called = plan.readings(uri)
        if with_to and request.to.uri != request.uri:
            to = request.to.address
            if (to.scheme, to.user, to.params) != (uri.scheme, uri.user, uri.params):
                other = plan.readings(to)
                if other:
                    return (called, other) if called else (other,)
        return (called,) if called else ()

    def _converted(
        self, trunk: Trunk, uri: Uri, to: Uri, known: tuple[Sequence[str], ...]
    ) -> tuple[Sequence[str], ...]:
        """The numbers for which those of two URIs are taken when they are written as a trunk has them, if no reading is
        the same."""
        read = {reading for readings in known for reading in readings}
        found = [trunk.number_format.dialled(number_in(each.user or "") or "-") for each in (uri, to)]
        return tuple((number,) for number in dict.fromkeys(found) if number is not None and number not in read)

    def decide(self, question: AccessRequest) -> Permitted | Deferred[Permitted]:
        """Ask the policy.

        :returns: what is permitted, or a Deferred that fires with it, or fails as this method does.
        :raises Denied: the policy does not permit it; 503 where it could not decide, or not in time.
        """
        try:
            decided = self._policy.decide(question)
        except Exception:
            raise self._refusal(Failure(), question) from None
        if isinstance(decided, Permit):
            return Permitted(question, decided)
        if isinstance(decided, Coroutine):
            decided = Deferred.fromCoroutine(decided)
        if isinstance(decided, Deferred):
            return self._wait(decided, question)
        return self._decided(decided, question)

    def _wait(self, decided: Deferred[Permit], question: AccessRequest) -> Deferred[Permitted]:
        """Fires with the decision of a plugin that takes time. Whoever waits may cancel it, as when a caller gives
        up; then nothing that the plugin says matters."""
        is_wanted = True

        def withdraw(_: object) -> None:
            nonlocal is_wanted
            is_wanted = False
            decided.cancel()

        answer: Deferred[Permitted] = Deferred(withdraw)

        def finish(result: object) -> None:
            if is_wanted:
                try:
                    permitted = self._decided(result, question)
                except Denied as denied:
                    answer.errback(denied)
                else:
                    answer.callback(permitted)

        def fail(failure: Failure) -> None:
            if is_wanted:
                answer.errback(self._refusal(failure, question))

        decided.addTimeout(self._timeout, self._clock)
        decided.addCallbacks(finish, fail)
        return answer

    def _ended(self, question: AccessRequest, seconds: float) -> None:
        """Tell the policy that a call is over."""
        try:
            self._policy.ended(question, seconds)
        except Exception:
            log.failure("{call}: the access policy could not take its end", call=question.call_id)

    def _decided(self, decided: object, question: AccessRequest) -> Permitted:
        if isinstance(decided, Permit):
            return Permitted(question, decided)
        log.error("{call}: the access policy returned no Permit", call=question.call_id)
        raise self._undecided()

    def _refusal(self, failure: Failure, question: AccessRequest) -> Denied:
        """The final response for what the policy has raised."""
        why = failure.value
        if not isinstance(why, Refusal):
            if isinstance(why, (TimeoutError, CancelledError)):
                log.error("{call}: the access policy did not decide in time", call=question.call_id)
            else:
                log.failure("{call}: the access policy failed", failure, call=question.call_id)
            return self._undecided()
        denied = why if isinstance(why, Denied) else Denied(why.status, why.reason, "policy", headers=why.headers)
        rule = why.rule if isinstance(why, DeniedByRule) else str(why)
        who = question.caller.aor or question.address
        what = question.number or question.target.host
        line = f"{who} may not reach {what}: {rule}"
        return self._refusals.denied(denied, question.call_id, question.method, (who, rule), line)

    def _undecided(self) -> Denied:
        self._metrics.refused("policy")
        return Denied(503, "Access Policy Not Responding", "policy", retry_after=RETRY_AFTER)
