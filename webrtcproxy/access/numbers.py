"""Telephone numbers in URIs: for which numbers a provider may take a URI (RFC 3966, RFC 3261 section 19.1.6).

A provider decides by itself what the user of a Request-URI means, and is generous: ``+882…``, ``00882…``, ``882…``,
``+49%20(0)900…`` and ``*31#0900…`` all reach somebody. So a rule that denies a number has to be compared with every
reading of a URI, and so has one that allows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from webrtcproxy.access.spellings import among_letters, decoded, half_decoded
from webrtcproxy.config.dialling import (
    after_plus,
    begins_national,
    keeps_zero,
    possible_prefixes,
    rule_prefixes,
    trunk_prefix,
)
from webrtcproxy.config.rules import normal_prefix
from webrtcproxy.sip.telephone import VISUAL_SEPARATORS
from webrtcproxy.sip.uri import Uri

SHORTEST_INTERNATIONAL = 8
"""Digits from which on a number without ``+`` or prefix may begin with a country code: extensions are shorter."""

SHORTEST_NATIONAL = 7
"""Digits from which on a number may be a national one: shorter ones are extensions and short numbers of services."""

MOST_DIAL_PREFIXES: Final = 3
"""How many of `dial_prefixes` may stand one after the other: an outside line, and the code of a carrier after it."""

SHORTEST_BARE: Final = 2
"""Digits of the shortest beginning in `deny` that begins an international number as well, without ``+``: a single one
is an outside line, or the beginning of extensions."""

SHORTEST_BARE_NATIONAL: Final = 3
"""Digits of the shortest that begins a national number as well, without what stands before these."""

UNCLEAR: Final = "?"
"""The last reading of what is more than a number: letters beside the digits, a ``+`` that is not the first sign. Nobody
knows what a provider dials then, so that nothing allows it."""

_is_digits = re.compile("[0-9]+").fullmatch
_is_plain = re.compile(r"\+?[0-9]+").fullmatch
_is_context = re.compile(r"\+.*|[0-9() -]+").fullmatch  # the beginning of a number, no domain
_between = f"[{VISUAL_SEPARATORS}]*"
_pause = re.compile(rf"(?<=[0-9]){_between}[,&]|(?<=[0-9]{{3}}){_between}[pPwWxX]")  # what follows is dialled later
_end = re.compile(rf"{_pause.pattern}|(?<=[0-9]){_between}[*#]")
_later = re.compile(r"[pPwWxX&,]")
_not_dialled = re.compile(r"[^0-9A-Za-z+*#]")  # more than visual separators: whatever a provider may pass over
_code = re.compile(r"(?:[*#]+[0-9]*[*#])+")  # *31#, **62*, #31#
_PARAMETERS: Final = frozenset(
    ("ext", "isub", "isub-encoding", "postd", "phone-context", "rn", "rn-context", "npdi", "cic", "cic-context", "tgrp",
     "trunk-context", "enumdi", "cpc", "oli", "premium-rate", "verstat")
)  # fmt: skip
"""Parameters of numbers that have been registered, and others that are in use: their values are no numbers to dial."""


class DialPlan:
    """How numbers are dialled where the proxy is.

    :param country: the country code without ``+``; empty where national numbers are known only as they are dialled.
    :param written: what the configuration says that stands for ``+``; empty for what does so in the country, and for
        what a provider may take for it besides.
    :param dial_prefixes: what else a provider takes before a number: a digit for an outside line, a carrier's code.
    """

    def __init__(
        self,
        country: str = "",
        written: tuple[str, ...] = (),
        dial_prefixes: Iterable[str] = (),
    ) -> None:
        self._country = country
        self._trunk_prefix = trunk_prefix(country)
        self._likely = rule_prefixes(country, written)
        self._international = possible_prefixes(country, written)
        self._dial_prefixes = tuple(dial_prefixes)
        self._has_nested = any(
            one != other and one.startswith(other) for one in self._international for other in self._international
        )
        self._home = "+" + country if country and self._trunk_prefix in ("0", "1", "06") else ""
        self._may_drop_zero = bool(country) and not self._trunk_prefix and not keeps_zero(country)
        self._doubled = self._home + self._trunk_prefix

    def readings(self, uri: Uri) -> Sequence[str]:
        """The numbers that a provider may take a URI for, the likeliest first: ``+`` and digits, where it may be an
        international one, and the digits as they were dialled; the last one is `UNCLEAR` where it is more than a
        number. Empty where it is none.

        Its parameters count as well: a routing number (RFC 4694) and a context (RFC 3966 section 5.1.5).
        """
        user = uri.user
        if not user or uri.scheme not in ("sip", "sips", "tel"):
            return ()
        if not uri.params and uri.password is None:
            if _is_plain(user):
                return self._of_dialled(user) if user[0] == "+" else self._of_digits(user)
            if user.isalpha() and user.isascii() and uri.scheme != "tel":
                return ()
        is_phone = uri.scheme == "tel" or (uri.param("user") or "").lower() == "phone"
        text, *params = decoded(user).split(";")
        of_uri = [(decoded(name).strip().lower(), decoded(value or "")) for name, value in uri.params]
        if uri.scheme == "tel":
            params += ["=".join(pair) for pair in of_uri]
        found = self._of_text(text, is_phone)
        for param in params:
            name, _, value = param.partition("=")
            if name.strip().lower() not in _PARAMETERS:
                found += self._of_letters(param)
            found += self._of_parameter(name.strip().lower(), decoded(value), text)
        for name, value in of_uri:
            found += self._of_parameter(name, value, text)
        if uri.password is not None:
            found += self._of_letters(decoded(uri.password))
        for form in half_decoded(user) if "%" in user else ():
            found += [*self._of_text(form.partition(";")[0], False), UNCLEAR]
        return _in_order(found)

    def twin(self, number: str) -> str:
        """The other form of a national number whose prefix may stand after the country code, as in ``+49030…``; empty
        for other numbers. Both ring the same telephone."""
        if not self._home or not number.startswith(self._home):
            return ""
        if number.startswith(self._doubled):
            return self._home + number[len(self._doubled) :]
        return self._doubled + number[len(self._home) :]

    def normal(self, number: str) -> str:
        """A number of a rule in the form in which `readings` has it.

        :param number: digits, perhaps after ``+`` or within a code of a service (``*97``).
        """
        return self._meant(number) if _is_digits(number) else number

    def normal_prefix(self, prefix: str) -> str:
        """A prefix of a rule in the form in which `readings` has its numbers."""
        return normal_prefix(prefix, self._country, self._likely)

    def denied_forms(self, number: str) -> Sequence[str]:
        """The forms of a number of `deny`, or of the beginning of numbers, each as `readings` may have it. Digits
        without anything before them may be meant as an international number, or as a national one.

        :param number: digits, perhaps after ``+`` or within a code of a service.
        """
        found = [normal_prefix(number, self._country, self._likely)]
        if self._has_nested:
            found += [normal_prefix(number, self._country, (each,)) for each in self._likely]
        if found == [number] and _is_digits(number) and number[0] != "0":
            if len(number) >= SHORTEST_BARE:
                found.append("+" + number)
            if self._country and len(number) >= SHORTEST_BARE_NATIONAL:
                found.append(f"+{self._country}{number}")
        return found

    def _of_parameter(self, name: str, value: str, number: str) -> list[str]:
        """The readings that a parameter of a number adds."""
        if name == "rn":
            return self._of_text(value, True)
        if name == "phone-context" and _is_context(value):
            local = _not_dialled.sub("", number)
            return [
                reading
                for text in (local, local.removeprefix(self._trunk_prefix))
                for reading in self._of_text(value + text, True)
            ]
        return []

    def _of_text(self, text: str, is_phone: bool) -> list[str]:
        """The readings of a number as people write it: up to a pause, or another end of it, and as a whole."""
        dialled = _not_dialled.sub("", text)
        is_code = dialled[:1] in ("*", "#")
        if self._dial_prefixes and not is_code:
            for rest in self._behind_dial_prefixes(dialled):
                if rest[0] in "*#":  # a code of a service on an outside line
                    return [*self._of_text(rest, is_phone), *self._up_to_end(text, is_code, is_phone)]
        return self._up_to_end(text, is_code, is_phone)

    def _up_to_end(self, text: str, is_code: bool, is_phone: bool) -> list[str]:
        """The readings of a number up to its end, and as a whole."""
        end = (_pause if is_code else _end).search(text)
        head = text[: end.start()] if end else text
        if end is None or _has_letters(head):
            return self._of_spoken(text, is_phone)
        return self._of_spoken(head, is_phone) + self._of_spoken(head + _later.sub("", text[end.start() :]), is_phone)

    def _of_spoken(self, spoken: str, is_phone: bool) -> list[str]:
        """The readings of a number without pauses."""
        found = []
        if _has_letters(spoken):
            found = self._of_letters(spoken)
            if not is_phone:
                return found
            found.append(UNCLEAR)
        dialled = _not_dialled.sub("", spoken)
        if dialled[:1] in ("*", "#"):
            code = "".join(sign for sign in dialled if sign in "*#" or sign.isdigit())
            return [*(reading for rest in _without_code(dialled) for reading in self._of_dialled(rest)), code, *found]
        if "(0)" in spoken:
            found += self._of_dialled(_not_dialled.sub("", spoken.replace("(0)", "")))
        return [*self._of_dialled(dialled), *found]

    def _of_letters(self, text: str) -> list[str]:
        """The readings of digits among letters."""
        found: list[str] = []
        for dialled in among_letters(text):
            found += self._of_dialled(dialled)
            digits = dialled.lstrip("+0")
            if len(digits) >= SHORTEST_INTERNATIONAL:
                found.append("+" + digits)
        return [*found, UNCLEAR] if found else found

    def _of_dialled(self, dialled: str) -> list[str]:
        """The readings of digits that have a plus at the beginning or elsewhere."""
        before, plus, after = dialled.rpartition("+")
        digits = "".join(sign for sign in after if sign.isdigit())
        if not plus:
            return list(self._of_digits(digits)) if digits else []
        number = "+" + digits.lstrip("0")
        found = [number]
        doubled = f"+{self._country}{self._trunk_prefix}"
        if self._country and number.startswith(doubled):
            found.append(f"+{self._country}{number.removeprefix(doubled)}")
        if not before:
            return found
        others = "".join(sign for sign in before if sign.isdigit())
        if others:
            found += [*self._of_digits(others), *self._of_digits(others + digits)]
        return [*found, UNCLEAR]

    def _of_digits(self, digits: str) -> Sequence[str]:
        """The readings of digits without a plus."""
        found = [self._meant(digits), digits]
        found += self._also(digits)
        for rest in self._behind_dial_prefixes(digits) if self._dial_prefixes else ():
            found += [self._meant(rest), rest, *self._also(rest)]
        return tuple(dict.fromkeys(found))

    def _behind_dial_prefixes(self, dialled: str) -> Sequence[str]:
        """What stands after one of `dial_prefixes`, or several of them; empty where there is none."""
        found: list[str] = []
        last = [dialled]
        for _ in range(MOST_DIAL_PREFIXES):
            last = [
                text[len(begin) :]
                for text in last
                for begin in self._dial_prefixes
                if text.startswith(begin) and text != begin
            ]
            found += last
        return tuple(dict.fromkeys(found))

    def _meant(self, digits: str) -> str:
        """What digits without a plus most likely are."""
        for rest, _ in after_plus(digits, self._likely) if digits.startswith(self._likely) else ():
            if rest:
                return "+" + rest.lstrip("0")
        if not self._country or len(digits) < SHORTEST_NATIONAL:
            return digits
        return f"+{self._country}{digits.removeprefix(self._trunk_prefix)}"

    def _also(self, digits: str) -> list[str]:
        """What else digits may be: an international number without its prefix, a national one without its own."""
        found = []
        if digits.startswith(self._international):
            found += ["+" + rest.lstrip("0") for rest, _ in after_plus(digits, self._international) if rest]
            if len(digits) >= SHORTEST_NATIONAL and begins_national(digits, self._country):
                found.append(f"+{self._country}{digits.removeprefix(self._trunk_prefix)}")
        if self._may_drop_zero and digits[0] == "0" and len(digits) > SHORTEST_NATIONAL:
            found.append(f"+{self._country}{digits[1:]}")
        if len(digits) >= SHORTEST_INTERNATIONAL and not digits.startswith("0"):
            found.append("+" + digits)
        if self._country and len(digits) >= SHORTEST_NATIONAL and not digits.startswith(self._likely):
            found.append(f"+{self._country}{digits}")
        return found


def _without_code(dialled: str) -> list[str]:
    """What follows the code of a service: after its closing sign (``*31#0900``), else after two to four digits
    (``*670900``), or up to a plus."""
    closed = _code.match(dialled)
    if closed is not None:
        return [dialled[closed.end() :]]
    digits = dialled.lstrip("*#")
    if 2 <= digits.find("+") <= 4:
        return [digits[digits.index("+") :]]
    return [digits[count:] for count in (2, 3, 4)]


def _has_letters(text: str) -> bool:
    return any(sign.isalpha() for sign in _not_dialled.sub("", text))


def _in_order(found: Iterable[str]) -> Sequence[str]:
    """Each reading once, and `UNCLEAR` as the last one."""
    readings = dict.fromkeys(found)
    if UNCLEAR in readings:
        del readings[UNCLEAR]
        readings[UNCLEAR] = None
    return tuple(readings)
