"""The access policy: who may call where. The one that comes with the proxy is the rules of the configuration; a plugin
can take its place, or add to it.

The policy is asked for each request of a browser outside of dialogs that would leave the proxy for the SIP side, and
for each further target: of a redirect that is followed, of a transfer. It is asked again for a call that replaces one
of them. It is not asked about calls between users of domains that are served here. The limits (`AccessControl`) hold
beside it, whatever it says.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.plugin import getPlugins
from zope.interface import Attribute, Interface

from webrtcproxy.access.caller import Caller
from webrtcproxy.access.numbers import DialPlan
from webrtcproxy.access.rules import Rules
from webrtcproxy.config import AccessConfig, Config, ConfigError, Trunk
from webrtcproxy.config.rules import RuleWords
from webrtcproxy.runtime.bounded import BoundedDict
from webrtcproxy.runtime.errors import DeniedByRule
from webrtcproxy.sip.uri import Uri

RULES = "rules"
"""The name of the policy that comes with the proxy, in `[access] policy`."""


class AccessRequest(NamedTuple):
    """What is asked: may this caller reach that target?

    :ivar method: of the request; ``INVITE`` also for the target of a redirect, and of a transfer that the proxy itself
        carries out; ``REFER`` for the target of a transfer that the trunk carries out.
    :ivar caller: on whose behalf, as far as that is proven.
    :ivar address: the IP address of its browser.
    :ivar target: where it goes: the Request-URI, the Contact of a redirect, Refer-To.
    :ivar numbers: the readings of each URI that names a number: of the target, and of To, by which some providers go.
        Of each, the likeliest reading is the first: ``+`` and digits, or the digits that were dialled. The last one is
        ``?`` where it is more than a number, as with letters beside the digits.
    :ivar trunk: the name of the trunk that it goes to; empty where it goes to no trunk.
    :ivar call_id: for the log.
    """

    method: str
    caller: Caller
    address: str
    target: Uri
    numbers: tuple[Sequence[str], ...]
    trunk: str
    call_id: str

    @property
    def number(self) -> str:
        """The number that is called, most likely; empty where none is."""
        return self.numbers[0][0] if self.numbers else ""


@dataclass(frozen=True, slots=True)
class Permit:
    """A request is permitted.

    :ivar seconds: how long a call may last from its 2xx on, at most; then it is ended. 0 for no limit.
    """

    seconds: float = 0.0


PERMIT = Permit()
"""A permit without a condition."""


class Permitted(NamedTuple):
    """A request that is permitted, and how.

    :ivar question: what the policy was asked.
    """

    question: AccessRequest
    permit: Permit


Decision = Permit | Deferred[Permit] | Coroutine[Any, Any, Permit]
"""What a policy returns."""


class IAccessPolicy(Interface):
    """Decides who may call where. All methods are called in the thread of the reactor, and must not block."""

    def decide(request: AccessRequest) -> Decision:
        """Whether a request may be sent to its target; it may be a coroutine.

        :returns: a `Permit`, or a Deferred that fires with one. It is cancelled after `[access] policy-timeout`, and
            the request refused with 503.
        :raises Refusal: it may not: the final response. A Deferred may fail with one instead. Any other exception is
            logged, and the request is refused with 503.
        """

    def ended(request: AccessRequest, seconds: float) -> None:
        """A call that was permitted is over.

        :param request: as it was decided.
        :param seconds: from its 2xx to its end; 0 where it was not answered.
        """


class AccessPolicy(Protocol):
    """`IAccessPolicy`, for the type checker."""

    def decide(self, request: AccessRequest) -> Decision: ...

    def ended(self, request: AccessRequest, seconds: float) -> None: ...


class IAccessPolicyFactory(Interface):
    """A plugin of Twisted that makes an access policy."""

    name: str = Attribute("The word for `[access] policy`.")

    def make(config: Config, rules: AccessPolicy, clock: IReactorTime) -> AccessPolicy:
        """Make the policy of a process. Called once in each process.

        :param rules: the policy that comes with the proxy, to be asked as well.
        :param clock: the reactor.
        """


class NoSuchPolicy(ValueError):
    """No plugin has this name."""


def policy_plugin(name: str) -> IAccessPolicyFactory:
    """The plugin with this name.

    :raises NoSuchPolicy: there is none.
    """
    plugins = {plugin.name: plugin for plugin in getPlugins(IAccessPolicyFactory)}
    found: IAccessPolicyFactory | None = plugins.get(name)
    if found is None:
        known = ", ".join(sorted([*plugins, RULES]))
        raise NoSuchPolicy(f"there is no policy of this name; there are: {known}")
    return found


def policy_mistakes(config: Config) -> Iterator[ConfigError]:
    """What is wrong with the policy of a configuration: no plugin has its name."""
    name = config.access.policy
    if name != RULES:
        try:
            policy_plugin(name)
        except NoSuchPolicy as error:
            yield ConfigError("access", "policy", name, "install the plugin, or write rules", str(error))


class RulePolicy:
    """The policy that comes with the proxy: `allow` and `deny` of `[access]`, of a trunk, and of a user.

    :param config: the whole configuration.
    """

    def __init__(self, config: Config, plan: DialPlan) -> None:
        access, trunks = config.access, config.trunks
        self._plan = plan
        self._config = config
        self._general = Rules(plan, trunks, access.allow, access.deny)
        self._of_trunks = {
            trunk.name: Rules(plan, trunks, trunk.allow, trunk.deny, _plan_of(trunk, access))
            for trunk in trunks
            if trunk.allow or trunk.deny
        }
        self._of_users: BoundedDict[tuple[RuleWords, RuleWords], Rules] = BoundedDict(1024)

    def decide(self, request: AccessRequest) -> Permit:
        """See `IAccessPolicy`.

        :raises Denied: 403 where a rule denies the target.
        """
        rules, of_trunk, numbers = self._rules_of(request.caller), self._of_trunks.get(request.trunk), request.numbers
        if not numbers and rules.only_numbers and of_trunk is None:
            return PERMIT
        target = request.target
        host, port = target.hostport if rules.has_places else ("", None)
        is_user = request.method != "REGISTER" and target.user is not None
        is_other = target.aor != request.caller.aor  # a user asks for its own messages, whatever its name
        why = rules.denial(numbers, host, port, is_user, bool(request.trunk) and is_other)
        if not why and of_trunk is not None:
            why = of_trunk.denial(numbers, "", None, is_user, is_other)
            why = why and f"{why} of trunk {request.trunk}"
        if why:
            raise DeniedByRule(why)
        return PERMIT

    def ended(self, request: AccessRequest, seconds: float) -> None:
        """See `IAccessPolicy`: the rules keep no count."""

    def _rules_of(self, caller: Caller) -> Rules:
        """The rules of `[access]`, together with those of the user."""
        user = caller.user
        if user is None or not (user.allow or user.deny):
            return self._general
        key = user.allow, user.deny
        rules = self._of_users.get(key)
        if rules is None:
            access = self._config.access
            rules = Rules(self._plan, self._config.trunks, access.allow | user.allow, access.deny | user.deny)
            self._of_users[key] = rules
        return rules


def _plan_of(trunk: Trunk, access: AccessConfig) -> DialPlan | None:
    """How numbers are dialled in the country of a trunk, where that is another one."""
    country = trunk.number_format.country.code
    return None if country in ("", access.country) else DialPlan(country, access.international_prefixes)
