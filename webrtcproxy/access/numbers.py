"""Telephone numbers in URIs: for which numbers a provider may take a URI (RFC 3966, RFC 3261 section 19.1.6).

A provider decides by itself what the user of a Request-URI means, and is generous: ``+882…``, ``00882…``, ``882…``,
``+49%20(0)900…`` and ``*31#0900…`` all reach somebody. So a rule that denies a number has to be compared with every
reading of a URI, and one that allows it with the likeliest ones.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

from webrtcproxy.sip.uri import Uri

SHORTEST_INTERNATIONAL = 8
"""Digits from which on a number without ``+`` or prefix may begin with a country code: extensions are shorter."""

SHORTEST_NATIONAL = 7
"""Digits from which on a number may be a national one: shorter ones are extensions and short numbers of services."""

LIKELY = 2
"""How many readings, from the first one on, are what the caller may well mean; the others are what a provider may make
of it."""

_TRUNK_PREFIXES = {"1": "1", "7": "8"}
"""What precedes a national number, by the country code; in most countries it is 0."""

_is_digits = re.compile("[0-9]+").fullmatch
_is_plain = re.compile(r"\+?[0-9]+").fullmatch
_pause = re.compile(r"(?<=[0-9]{3})[ .()-]*[,pPwWxX&]")  # what follows is dialled when the call is up
_separators = re.compile(r"[^0-9A-Za-z+*#]")
_code = re.compile(r"(?:[*#]+[0-9]*[*#])+")  # *31#, **62*, #31#
_escaped = re.compile(rb"%([0-9A-Fa-f]{2})")


class DialPlan:
    """How numbers are dialled where the proxy is.

    :param country: the country code without ``+``; empty where national numbers are known only as they are dialled.
    :param international_prefixes: what may stand for ``+``: ``00``, ``011``.
    :param dial_prefixes: what else a provider takes before a number: a digit for an outside line, a carrier's code.
    """

    def __init__(
        self,
        country: str = "",
        international_prefixes: Iterable[str] = ("00", "011"),
        dial_prefixes: Iterable[str] = (),
    ) -> None:
        self._country = country
        self._trunk_prefix = _TRUNK_PREFIXES.get(country, "0")
        self._international = tuple(international_prefixes)
        self._dial_prefixes = tuple(dial_prefixes)

    def readings(self, uri: Uri) -> Sequence[str]:
        """The numbers that a provider may take a URI for, the likeliest first: ``+`` and digits, where it may be an
        international one, and the digits as they were dialled. Empty where it is no number.

        Its parameters count as well: a routing number (RFC 4694) and a context (RFC 3966 section 5.1.5).
        """
        user = uri.user
        if not user or uri.scheme not in ("sip", "sips", "tel"):
            return ()
        if not uri.params and _is_plain(user):
            return self._of_dialled(user) if user[0] == "+" else self._of_digits(user)
        if not uri.params and user.isalpha() and user.isascii() and uri.scheme != "tel":
            return ()
        is_phone = uri.scheme == "tel" or (uri.param("user") or "").lower() == "phone"
        text, *params = _decoded(user).split(";")
        params += [f"{name}={value}" for name, value in uri.params if value]
        found = self._of_text(text, is_phone)
        for param in params:
            name, _, value = param.partition("=")
            found += self._of_parameter(name.strip().lower(), _decoded(value), text)
        return tuple(dict.fromkeys(found))

    def normal(self, number: str) -> str:
        """A number of a rule in the form in which `readings` has it.

        :param number: digits, perhaps after ``+`` or within a code of a service (``*97``).
        """
        return self._meant(number) if _is_digits(number) else number

    def normal_prefix(self, prefix: str) -> str:
        """A prefix of a rule in the form in which `readings` has its numbers."""
        for international in self._international:
            if prefix.startswith(international):
                return "+" + prefix[len(international) :]
        if self._country and prefix.startswith(self._trunk_prefix):
            return f"+{self._country}{prefix.removeprefix(self._trunk_prefix)}"
        return prefix

    def _of_parameter(self, name: str, value: str, number: str) -> list[str]:
        """The readings that a parameter of a number adds."""
        if name == "rn":
            return self._of_text(value, True)
        if name == "phone-context" and value.startswith("+"):
            local = _separators.sub("", number)
            return [
                reading
                for text in (local, local.removeprefix(self._trunk_prefix))
                for reading in self._of_text(value + text, True)
            ]
        return []

    def _of_text(self, text: str, is_phone: bool) -> list[str]:
        """The readings of a number as people write it."""
        pause = _pause.search(text)
        spoken = text[: pause.start()] if pause else text
        dialled = _separators.sub("", spoken)
        if not is_phone and any(sign.isalpha() for sign in dialled):
            return []
        if dialled[:1] in ("*", "#"):
            found = [reading for rest in _without_code(dialled) for reading in self._of_dialled(rest)]
            found.insert(LIKELY, "".join(sign for sign in dialled if sign in "*#" or sign.isdigit()))
            return found
        found = self._of_dialled(dialled)
        if "(0)" in spoken:
            found += self._of_dialled(_separators.sub("", spoken.replace("(0)", "")))
        return found

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
        others = "".join(sign for sign in before if sign.isdigit())
        return [*found, *self._of_digits(others + digits)] if others else found

    def _of_digits(self, digits: str) -> Sequence[str]:
        """The readings of digits without a plus."""
        found = [self._meant(digits), digits]
        found += self._also(digits)
        for begin in self._dial_prefixes:
            rest = digits.removeprefix(begin)
            if rest and rest != digits:
                found += [self._meant(rest), rest, *self._also(rest)]
        return tuple(dict.fromkeys(found))

    def _meant(self, digits: str) -> str:
        """What digits without a plus most likely are."""
        for prefix in self._international:
            if digits.startswith(prefix) and len(digits) > len(prefix):
                return "+" + digits[len(prefix) :].lstrip("0")
        if not self._country or len(digits) < SHORTEST_NATIONAL:
            return digits
        return f"+{self._country}{digits.removeprefix(self._trunk_prefix)}"

    def _also(self, digits: str) -> list[str]:
        """What else digits may be: an international number without its prefix, a national one without its own."""
        found = []
        if len(digits) >= SHORTEST_INTERNATIONAL and not digits.startswith("0"):
            found.append("+" + digits)
        if self._country and len(digits) >= SHORTEST_NATIONAL:
            found.append(f"+{self._country}{digits}")
        return found


def _without_code(dialled: str) -> list[str]:
    """What follows the code of a service: after its closing sign (``*31#0900``), else after two to four digits
    (``*670900``)."""
    closed = _code.match(dialled)
    if closed is not None:
        return [dialled[closed.end() :]]
    digits = dialled.lstrip("*#")
    return [digits[count:] for count in (2, 3, 4)]


@lru_cache(maxsize=1024)
def _decoded(text: str) -> str:
    """A text without escapes, and with the digits of all scripts as 0 to 9."""
    if "%" in text:
        octets = _escaped.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode("utf-8", "surrogateescape"))
        text = octets.decode("utf-8", "replace")
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(sign, sign)) for sign in unicodedata.normalize("NFKC", text))
