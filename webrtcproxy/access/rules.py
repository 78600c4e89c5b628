"""Rules: which numbers and hosts may be called, from the lists `allow` and `deny`.

The longest matching word decides, and of two that are as long, the one of `deny`; a whole number is longer than a
prefix, and a host longer than a domain. What no word matches is permitted, unless `allow` names numbers, or hosts:
then only those are. ``deny = *`` says the same. A number is denied if one of the readings that a provider may have of
it is (`DialPlan`), and allowed only if all of them are. Where numbers are allowed, what is none is not, at a trunk,
unless a word allows its host.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from webrtcproxy.access.numbers import SHORTEST_INTERNATIONAL, UNCLEAR, DialPlan
from webrtcproxy.config import Destinations, Trunk
from webrtcproxy.config.addresses import ip, plain_host, same_hostport
from webrtcproxy.config.rules import RuleWords

_Match = tuple[bool, str]
"""Whether a word of `deny` is the longest match, and that word."""

_NO_RULE = "allow"
"""What is named where nothing allows a number or host."""


class NumberRules:
    """The words for numbers of two lists, as dictionaries: a look-up for each digit of a number.

    :param plan: how numbers are dialled.
    :param also: how the words of `deny` may be meant as well.
    """

    __slots__ = ("_exact", "_longest", "_only_allowed", "_plan", "_prefixes")

    def __init__(self, plan: DialPlan, allow: RuleWords, deny: RuleWords, also: DialPlan | None = None) -> None:
        self._plan = plan
        plans = (plan,) if also is None else (plan, also)
        self._only_allowed = deny.everything or (allow.has_numbers and not allow.everything)
        self._exact: dict[str, _Match] = {
            form: (False, word) for number, word in allow.numbers for form in _forms(number)
        }
        self._exact |= {plan.normal(number): (False, word) for number, word in allow.numbers}
        self._prefixes: dict[str, _Match] = {
            plan.normal_prefix(prefix): (False, word) for prefix, word in allow.prefixes
        }
        for each in plans:  # those of `deny` replace equal ones
            self._exact |= {
                form: (True, word)
                for number, word in deny.numbers
                for form in (each.normal(number), *each.denied_forms(number))
            }
            self._prefixes |= {
                form: (True, word) for prefix, word in deny.prefixes for form in each.denied_forms(prefix)
            }
        self._longest = max(map(len, self._prefixes), default=0)

    def denial(self, readings: Sequence[str]) -> str:
        """The word that denies a number; empty where it is permitted.

        :param readings: its readings, the likeliest first; at least one.
        """
        for reading in readings:
            match = self._match(reading)
            if match is not None and match[0]:
                return f"deny = {match[1]}"
        return _NO_RULE if self._only_allowed and not self._is_allowed(readings) else ""

    def _is_allowed(self, readings: Sequence[str]) -> bool:
        """Whether words of `allow` match whatever a provider may dial: each international number, and digits that are
        none. With the code of a service that they match, the digits within it may be no number."""
        if UNCLEAR in readings:
            return False
        codes = [reading for reading in readings if reading[0] in "*#"]
        has_code = bool(codes) and all(self._match(code) is not None for code in codes)
        numbers = [reading for reading in readings if reading[0] not in "*#"]
        if not numbers:
            return has_code
        return all(
            self._match(number) is not None
            or (self._is_other_form(number, readings) if number[0] == "+" else self._stands_for(number, readings))
            or (has_code and number[0] != "+")
            for number in numbers
        )

    def _is_other_form(self, number: str, readings: Sequence[str]) -> bool:
        """Whether a number is another form of one that is allowed."""
        twin = self._plan.twin(number)
        return twin in readings and self._match(twin) is not None

    def _stands_for(self, digits: str, readings: Sequence[str]) -> bool:
        """Whether digits are only a way to dial one of the other readings, which is looked at by itself."""
        meant = self._plan.normal(digits)
        return (meant != digits and meant in readings) or "+" + digits in readings

    def _match(self, number: str) -> _Match | None:
        """The longest match of one reading."""
        found = self._exact.get(number)
        if found is not None:
            return found
        prefixes = self._prefixes
        for length in range(min(len(number), self._longest), 0, -1):
            found = prefixes.get(number[:length])
            if found is not None:
                return found
        return None


def _forms(number: str) -> Sequence[str]:
    """The readings of a whole number that is dialled as `allow` has it: who names it knows what it is."""
    if number[0] in "+*#0" or len(number) < SHORTEST_INTERNATIONAL:
        return (number,)
    return number, "+" + number


class PlaceRules:
    """The words for hosts of two lists.

    :param trunks: all trunks of the configuration, which the word `trunks` stands for.
    """

    __slots__ = ("_allow", "_deny", "_is_empty", "_only_allowed", "_trunks")

    def __init__(self, trunks: Sequence[Trunk], allow: RuleWords, deny: RuleWords) -> None:
        self._trunks = trunks
        self._allow = allow.places
        self._deny = deny.places
        self._only_allowed = allow.has_places and not allow.everything
        self._is_empty = not (allow.has_places or deny.has_places)

    def denial(self, host: str, port: int | None) -> str:
        """The list that denies a host; empty where it is permitted."""
        if self._is_empty:
            return ""
        allowed, denied = self._length(self._allow, host, port), self._length(self._deny, host, port)
        if denied and denied >= allowed:
            return f"deny, which names {host}"
        return _NO_RULE if self._only_allowed and not allowed else ""

    def _length(self, places: Destinations, host: str, port: int | None) -> int:
        """How long the longest match of a host is; 0 where none matches."""
        host = plain_host(host)
        if any(same_hostport((host, port), each) for each in places.hosts if each.port is not None):
            return 2000
        if any(host == each.host for each in places.hosts if each.port is None):
            return 1000
        found = 1 if places.trunks and any(trunk.serves((host, port)) for trunk in self._trunks) else 0
        address = ip(host)
        if address is not None:
            fits = [network.prefixlen + 2 for network in places.networks if address in network]
        else:
            fits = [len(domain) + 2 for domain in places.domains if host.endswith(domain)]
        return max(found, *fits) if fits else found


class Rules:
    """The rules of one pair of lists, or of several together.

    :param plan: how numbers are dialled.
    :param trunks: all trunks of the configuration.
    :param also: how the numbers of `deny` may be meant as well.
    :ivar has_places: whether it matters which host is called.
    :ivar only_numbers: whether all that they deny is a number, so that nothing else has to be looked at.
    """

    __slots__ = ("_allows_numbers", "_denies_names", "_numbers", "_places", "has_places", "only_numbers")

    def __init__(
        self,
        plan: DialPlan,
        trunks: Sequence[Trunk],
        allow: RuleWords,
        deny: RuleWords,
        also: DialPlan | None = None,
    ) -> None:
        self._numbers = NumberRules(plan, allow, deny, also)
        self._places = PlaceRules(trunks, allow, deny)
        self.has_places = allow.has_places or deny.has_places
        self._denies_names = deny.everything and not allow.has_places
        self._allows_numbers = allow.has_numbers and not (allow.has_places or allow.everything)
        self.only_numbers = not (self.has_places or self._denies_names or self._allows_numbers)

    def denial(
        self,
        numbers: Iterable[Sequence[str]],
        host: str,
        port: int | None,
        is_user: bool = True,
        at_trunk: bool = False,
    ) -> str:
        """The rule that denies a target; empty where it is permitted.

        :param numbers: the readings of each URI that says where the request goes and has a number.
        :param host: of the Request-URI; empty where it has none (``tel:``).
        :param is_user: whether a user is called; else only the host is asked, as by a REGISTER.
        :param at_trunk: whether the target is at a trunk, which may take a name for a number.
        """
        is_number = False
        for readings in numbers:
            is_number = True
            why = self._numbers.denial(readings)
            if why:
                return why
        if self._denies_names and is_user and not is_number:
            return "deny = *"
        if self._allows_numbers and at_trunk and is_user and not is_number:
            return f"{_NO_RULE} names numbers, and this is none"
        return self._places.denial(host, port) if host else ""
