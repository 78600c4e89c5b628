"""An access policy of one's own, as a plugin: abroad is called at working hours only, and no call lasts longer than an
hour. What the rules of the configuration deny stays denied.

Copy it to a folder ``twisted/plugins`` on the PYTHONPATH, without an ``__init__.py``, and name it in the
configuration::

    [access]
    policy = working-hours
"""

from __future__ import annotations

import time

from twisted.internet.interfaces import IReactorTime
from twisted.plugin import IPlugin
from zope.interface import implementer

from webrtcproxy.access.policy import AccessPolicy, AccessRequest, IAccessPolicy, IAccessPolicyFactory, Permit
from webrtcproxy.config import Config
from webrtcproxy.runtime.errors import Refusal


@implementer(IAccessPolicy)
class WorkingHours:
    """The policy of one process.

    :param rules: the policy of the configuration.
    """

    def __init__(self, rules: AccessPolicy) -> None:
        self._rules = rules

    def decide(self, request: AccessRequest) -> Permit:
        self._rules.decide(request)  # raises where `allow` or `deny` forbid it
        if request.method == "REGISTER":
            return Permit()
        abroad = request.number.startswith("+") and not request.number.startswith("+49")
        if abroad and not 8 <= time.localtime().tm_hour < 18:
            raise Refusal(403, "Closed At This Hour")
        return Permit(seconds=3600)

    def ended(self, request: AccessRequest, seconds: float) -> None:
        self._rules.ended(request, seconds)


@implementer(IPlugin, IAccessPolicyFactory)
class WorkingHoursFactory:
    """Makes it."""

    name = "working-hours"

    def make(self, config: Config, rules: AccessPolicy, clock: IReactorTime) -> AccessPolicy:
        return WorkingHours(rules)


working_hours = WorkingHoursFactory()
