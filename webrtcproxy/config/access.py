"""The section `[access]`: who may do what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Final, Literal

from webrtcproxy.config.addresses import Destinations, destination
from webrtcproxy.config.dialling import rule_prefixes
from webrtcproxy.config.ini import Section
from webrtcproxy.config.kinds import custom, each, number, one, word
from webrtcproxy.config.option import option
from webrtcproxy.config.ranges import RANGES
from webrtcproxy.config.rules import NO_RULES, RuleWords, country_code, dial_prefix, normal_prefix, rule_list, rules

DEFAULT_DENY: Final = rules(("premium", "satellite"))
"""What browsers may not call unless the configuration says otherwise."""


def _destinations(section: Section, key: str, remedy: str) -> Destinations:
    return reduce(or_, section.each(key, remedy, destination))


@dataclass(frozen=True, slots=True)
class AccessConfig:
    """Who may do what."""

    destinations: Destinations = option(
        custom(_destinations, "write trunks, hosts, *.domains, networks or *"),
        "Where browsers may call and register: ``trunks`` (the hosts of the trunks), hosts, ``host:port``,"
        " ``*.domains``, networks (for addresses: names are not resolved), or ``*`` for anywhere.",
        default=Destinations(trunks=True),
        absent="``trunks``",
    )
    trunk_credentials: Literal["registered", "anyone"] = option(
        word("registered", "anyone"),
        "Who may use the account of a trunk: a browser that has registered on its connection with a password of its"
        " own, or anyone who connects, even to register.",
        default="registered",
    )
    foreign_from: Literal["refuse", "replace"] = option(
        word("refuse", "replace"),
        "What happens to a request of a registered browser whose From, or Referred-By, is another's: it gets 403, or"
        " the address that the browser has registered is written there; a Referred-By is taken out where the request is"
        " no REFER.",
        default="refuse",
    )
    allow: RuleWords = option(
        rule_list(),
        "The only numbers, or hosts, that browsers may call within ``destinations``: prefixes such as ``+49*``, whole"
        " numbers, ranges (``premium``, ``satellite``), hosts, ``*.domains``, networks, or ``*``. Of ``allow`` and"
        " ``deny`` the longest matching word decides, of two that are as long ``deny``.",
        default=NO_RULES,
        absent="whatever is not denied",
    )
    deny: RuleWords = option(
        rule_list(),
        "What browsers may not call: words as those of ``allow``; ``none`` for nothing.",
        default=DEFAULT_DENY,
    )
    country: str = option(
        one(country_code, "write a country code such as +49"),
        "The country code of national numbers, those in ``allow`` and ``deny`` included.",
        default="",
        absent="national numbers are compared as they are dialled",
    )
    international_prefixes: tuple[str, ...] = option(
        each(dial_prefix, "write prefixes such as 00 and 011"),
        "What stands for the ``+`` of an international number, in place of what does so in ``country``: ``00`` in most,"
        " ``011`` where it is 1. Without it, rules also judge what follows ``00`` or ``011`` as one, wherever it is"
        " dialled.",
        default=(),
        absent="what it is in ``country``",
    )
    dial_prefixes: tuple[str, ...] = option(
        each(dial_prefix, "write digits such as 0 and 01033"),
        "What providers or PBXs take before a number and drop: a digit for an outside line, the code of a carrier."
        " Codes such as ``*31#`` are known.",
        default=(),
    )
    policy: str = option(
        one(str, "write rules, or the name of a plugin"),
        "Who decides where browsers may call: ``rules`` (``allow`` and ``deny``), or a plugin; see"
        " ``docs/policy.rst``.",
        default="rules",
    )
    policy_timeout: float = option(
        number(0.1, 30, "seconds"), "How long a plugin may take for its decision; then the caller gets 503.",
        default=2.0,
    )  # fmt: skip

    @property
    def denies_others(self) -> bool:
        """Whether only numbers may be called that `allow` names."""
        return self.deny.everything or (self.allow.has_numbers and not self.allow.everything)

    def allowed_in(self, range_name: str) -> list[str]:
        """The words of `allow` by which numbers of a range may be called: no word of `deny` for these is as long.

        :param range_name: one of `RANGES`.
        """
        starts, denied = self._normal(RANGES[range_name]), self._normal(prefix for prefix, _ in self.deny.prefixes)
        denied_numbers = self._normal(exact for exact, _ in self.deny.numbers)
        found = []
        for prefix, written in self.allow.prefixes:
            (allowed,) = self._normal([prefix])
            common = [start for start in starts if start.startswith(allowed)]
            common += [allowed] if _longest(allowed, starts) else []
            if any(_longest(beginning, denied) < len(allowed) for beginning in common):
                found.append(written)
        for exact, written in self.allow.numbers:
            (allowed,) = self._normal([exact])
            if allowed not in denied_numbers and _longest(allowed, starts):
                found.append(written)
        return list(dict.fromkeys(found))

    def _normal(self, prefixes: Iterable[str]) -> frozenset[str]:
        international = rule_prefixes(self.country, self.international_prefixes)
        return frozenset(normal_prefix(prefix, self.country, international) for prefix in prefixes)


def _longest(digits: str, prefixes: Iterable[str]) -> int:
    """The length of the longest prefix that a number, or the beginning of one, has; 0 where it has none of them."""
    return max((len(prefix) for prefix in prefixes if digits.startswith(prefix)), default=0)
