"""Telephone numbers of a trunk: which of them ring whom."""

from __future__ import annotations

import re
from dataclasses import dataclass

from webrtcproxy.config.ini import Section
from webrtcproxy.config.kinds import Kind
from webrtcproxy.sip.uri import Uri, without_separators

THE_ONLY_ONE = "registered"
"""In place of an address-of-record: the one that is registered at the trunk, if there is exactly one."""

_pattern = re.compile(r"\+?[0-9#]*\*?", re.ASCII).fullmatch
_REMEDY = "write NUMBER = USER@DOMAIN, such as +4930123* = alice@example.com sales@example.com"


@dataclass(frozen=True, slots=True)
class NumberMap:
    """Numbers, or beginnings of numbers, and the addresses-of-record that each rings.

    :ivar exact: by the whole number.
    :ivar prefixes: beginnings, the longest first.
    """

    exact: tuple[tuple[str, tuple[str, ...]], ...] = ()
    prefixes: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def find(self, number: str) -> tuple[str, ...]:
        """The addresses-of-record that a number rings, `THE_ONLY_ONE` among them; empty where it rings none. A whole
        number is preferred to a beginning, a longer beginning to a shorter one.

        :param number: without visual separators.
        """
        for whole, aors in self.exact:
            if whole == number:
                return aors
        for beginning, aors in self.prefixes:
            if number.startswith(beginning):
                return aors
        return ()


def _line(text: str) -> tuple[str, tuple[str, ...]]:
    pattern, equals, aors = (part.strip() for part in text.partition("="))
    pattern = without_separators(pattern)
    if not equals or not pattern or not aors:
        raise ValueError("this is no NUMBER = USER@DOMAIN")
    if not _pattern(pattern):
        raise ValueError(f"'{pattern}' is no number, and no beginning of one with a '*' after it")
    return pattern, tuple(_aor(word) for word in aors.split())


def _aor(word: str) -> str:
    if word == THE_ONLY_ONE:
        return word
    if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", word):
        raise ValueError(f"'{word}' is no USER@DOMAIN, and not the word {THE_ONLY_ONE}")
    return Uri.parse(f"sip:{word}").aor


def _map(section: Section, key: str) -> NumberMap:
    lines = section.each_line(key, _REMEDY, _line)
    seen: set[str] = set()
    for pattern, _ in lines:
        if pattern in seen:
            raise section.error(key, "this number is there twice", "keep one of the lines", pattern)
        seen.add(pattern)
    exact = tuple(line for line in lines if not line[0].endswith("*"))
    prefixes = [(pattern[:-1], aors) for pattern, aors in lines if pattern.endswith("*")]
    return NumberMap(exact, tuple(sorted(prefixes, key=lambda line: -len(line[0]))))


def _show(numbers: NumberMap) -> str:
    lines = [*numbers.exact, *((f"{beginning}*", aors) for beginning, aors in numbers.prefixes)]
    return "\n".join(f"{pattern} = {' '.join(aors)}" for pattern, aors in lines)


NUMBERS: Kind[NumberMap] = Kind(_map, _REMEDY, show=_show)
"""Lines of ``NUMBER = USER@DOMAIN ...``."""


def one_number(text: str) -> str:
    """A telephone number without its visual separators.

    :raises ValueError: it is none.
    """
    number = without_separators(text)
    if not re.fullmatch(r"\+?[0-9]{1,32}", number, re.ASCII):
        raise ValueError("this is no telephone number")
    return number
