"""Number format: the form in which a trunk has telephone numbers, beside that in which users have them.

Users and their pages write ``+`` and digits, or digits as they are dialled where the proxy is, as `[access]` says:
``country``, ``international-prefixes``. A trunk may want and send others. Only what is wholly clear is converted:
a number with its country code, and a national one. All else stays as it is: names, extensions, short numbers, those of
emergency services, codes of services, and whatever follows one of ``dial-prefixes``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from webrtcproxy.config.dialling import (
    after_plus,
    international_prefixes,
    is_bare,
    is_own,
    is_plain,
    may_be_national,
    trunk_prefix,
)
from webrtcproxy.config.kinds import Kind, one
from webrtcproxy.config.rules import country_code, dial_prefix

AS_DIALLED: Final = "as-dialled"
PLUS: Final = "+e164"
DIGITS: Final = "e164"
NATIONAL: Final = "national"
_STYLES: Final = (AS_DIALLED, PLUS, DIGITS, NATIONAL)
_NO_PREFIX: Final = "none"

SHORTEST_GLOBAL: Final = 8
"""Digits, with those of the country code, of the shortest number that is converted."""
SHORTEST_NATIONAL: Final = 7
"""Digits without any prefix of the shortest national number that is converted: numbers of emergency services and
others that are valid in one country only, such as 112 or 116117, have fewer."""
MOST_DIGITS: Final = 15
"""Digits of the longest number with a country code (E.164 section 6.1)."""
NORTH_AMERICAN: Final = 10
"""Digits of each number with the country code 1."""

_is_plain = re.compile(r"\+?[0-9]+", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Country:
    """How numbers are dialled in one country.

    :ivar code: the country code without ``+``; empty where it is not known.
    :ivar prefix: what stands before a national number; empty where nothing does.
    :ivar is_plain: whether it is plain which digits are national numbers.
    :ivar written: what the configuration says that stands for ``+``; empty for what does so in the country.
    """

    code: str = ""
    prefix: str = "0"
    is_plain: bool = True
    written: tuple[str, ...] = ()

    @property
    def international(self) -> str:
        """What stands for ``+`` before numbers of other countries."""
        return international_prefixes(self.code, self.written)[0]

    def global_number(self, digits: str) -> str | None:
        """A number that is dialled in the country, as ``+`` and digits; None where it is not clear which one it is."""
        if digits[0] == "+":
            return digits if _is_global(digits[1:]) else None
        national = self.of_national(digits)
        for rest, prefix in after_plus(digits, international_prefixes(self.code, self.written)):
            if _is_global(rest):
                return f"+{rest}" if national is None or is_own(prefix, self.code) else None
        return national

    def of_national(self, digits: str) -> str | None:
        """The number with its country code of a national one; None where it is none."""
        if not self.code or not self.is_plain or digits[0] == "+":
            return None
        number = digits.removeprefix(self.prefix)
        if self.prefix and (number != digits) == is_bare(number, self.code) and self.code != "1":
            return None  # in that of 1, the prefix need not be dialled
        if not self._is_long(number) or not self._begins(number):
            return None
        return f"+{self.code}{number}" if self.prefix or may_be_national(number, self.code) else None

    def is_short(self, number: str) -> bool:
        """Whether a number with ``+`` is one of this country, and too short to be sure that it is valid elsewhere."""
        return bool(self.code) and number.startswith(f"+{self.code}") and self.national_number(number) is None

    def national_number(self, number: str) -> str | None:
        """How a number with ``+`` is dialled in the country; None where it is another country's, or too short."""
        rest = number.removeprefix(f"+{self.code}")
        if not self.code or rest == number or not self._is_long(rest) or not self._begins(rest):
            return None
        return rest if is_bare(rest, self.code) else self.prefix + rest

    def _is_long(self, number: str) -> bool:
        if self.code == "1":
            return len(number) == NORTH_AMERICAN
        return SHORTEST_NATIONAL <= len(number) <= MOST_DIGITS - len(self.code)

    def _begins(self, number: str) -> bool:
        """Whether a national number may begin so: without a further prefix."""
        return number[0] not in "01" if self.code == "1" else not (self.prefix and number[0] == "0")


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """The form in which one trunk has numbers.

    :ivar style: `AS_DIALLED`, `PLUS`, `DIGITS` or `NATIONAL`.
    :ivar country: of the trunk's national numbers.
    :ivar home: of those that users dial.
    :ivar dial_prefixes: what is dialled before a number for another purpose.
    """

    style: str = AS_DIALLED
    country: Country = Country()
    home: Country = Country()
    dial_prefixes: tuple[str, ...] = ()

    @property
    def converts(self) -> bool:
        """Whether any number is converted."""
        return self.style != AS_DIALLED

    def at(self, code: str, international: tuple[str, ...], dial_prefixes: tuple[str, ...]) -> NumberFormat:
        """The format where the proxy is.

        :param code: the country code of national numbers there; empty where it is not known.
        :param international: what the configuration says that stands for ``+``; empty for what does so in each country.
        """
        own = self.country.code in ("", code)
        home = replace(self.country if own and self.country.code else usual_country(code), written=international)
        abroad = replace(self.country, written=international)
        return replace(self, home=home, country=home if own and self.converts else abroad, dial_prefixes=dial_prefixes)

    def dialled(self, number: str) -> str | None:
        """A number that a user has or dials, as ``+`` and digits; None where it is not wholly clear.

        :param number: without visual separators.
        """
        if not self.converts or not _is_plain(number):
            return None
        if number[0] != "+" and number.startswith(self.dial_prefixes):
            return None
        known = self.home.global_number(number)
        return None if known is None or self.home.is_short(known) else known

    def received(self, number: str) -> str | None:
        """A number that the trunk sends, as ``+`` and digits; None where it is not wholly clear.

        :param number: without visual separators.
        """
        if not self.converts or not _is_plain(number):
            return None
        if self.style == DIGITS and number[0] not in "+0":
            return f"+{number}" if _is_global(number) else None
        if self.style == NATIONAL:
            return self.country.global_number(number)
        known = self.home.global_number(number)  # to see what stands for the plus there
        return None if known == self.home.of_national(number) else known

    def outgoing(self, number: str) -> str:
        """A number that a user has or dials, as the trunk has it."""
        known = self.dialled(number)
        return number if known is None else self._written(known)

    def incoming(self, number: str) -> str:
        """A number that the trunk sends, as users see it: with ``+`` where it is clear."""
        return self.received(number) or number

    def spellings(self, number: str) -> tuple[str, ...]:
        """The forms that a number which the trunk sends may have in `numbers`, in an account or a registration: with
        ``+``, as it is sent, as the trunk is to have it, and as a user dials it. Where the trunk is not known to send
        such numbers, as it is sent comes first, then what it may be: as it is dialled where the proxy is, or with its
        country code without ``+``."""
        known = self.received(number)
        if known is not None:
            at_home = self.home.national_number(known)
            return tuple(dict.fromkeys((known, number, self._written(known), at_home or known)))
        if not _is_plain(number):
            return (number,)
        known = self.home.global_number(number)
        if known is None:
            if number[0] == "+" or not _is_global(number):
                return (number,)
            known = f"+{number}"
        return tuple(dict.fromkeys((number, known, self.home.national_number(known) or known)))

    def _written(self, number: str) -> str:
        """A number with ``+`` in the form of the trunk."""
        if self.style == PLUS:
            return number
        if self.style == DIGITS:
            return number[1:]
        national = self.country.national_number(number)
        if national is not None:
            return national
        return number if self.country.is_short(number) else f"{self.country.international}{number[1:]}"


def _is_global(digits: str) -> bool:
    """Whether digits may be a number with its country code."""
    return SHORTEST_GLOBAL <= len(digits) <= MOST_DIGITS and digits[0] != "0"


def usual_country(code: str) -> Country:
    """How numbers are dialled in a country."""
    return Country(code, trunk_prefix(code), is_plain(code))


def _format(text: str) -> NumberFormat:
    style, *words = text.split()
    if style.lower() not in _STYLES:
        raise ValueError("it is not known here")
    style = style.lower()
    if not words:
        return NumberFormat(style)
    if style == AS_DIALLED or len(words) > 2:
        raise ValueError("there is too much in this line")
    code = country_code(words[0])
    if len(words) == 1:
        return NumberFormat(style, usual_country(code))
    prefix = "" if words[1].lower() == _NO_PREFIX else dial_prefix(words[1])
    return NumberFormat(style, Country(code, prefix))


def _show(value: NumberFormat) -> str:
    if not value.country.code:
        return value.style
    if not value.country.is_plain:
        return f"{value.style} {value.country.code}"
    return f"{value.style} {value.country.code} {value.country.prefix or _NO_PREFIX}"


def number_format() -> Kind[NumberFormat]:
    """A format of numbers, perhaps with a country code and the prefix of national numbers there."""
    kind = one(_format, "write as-dialled, +e164, e164, national, or national COUNTRY PREFIX such as national 49 0")
    return replace(kind, show=_show)
