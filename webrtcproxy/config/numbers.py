"""Telephone numbers of a trunk: which of them ring whom."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from operator import itemgetter
from pathlib import Path

from webrtcproxy.config.ini import Section
from webrtcproxy.config.kinds import Kind
from webrtcproxy.config.mistakes import Problems
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.telephone import MAX_DIGITS, number_of, without_separators
from webrtcproxy.sip.uri import Uri

THE_ONLY_ONE = "registered"
"""In place of an address-of-record: the one that is registered at the trunk, if there is exactly one."""

_pattern = re.compile(r"\+?[0-9#]*\*?", re.ASCII).fullmatch
NUMBER_REMEDY = "write NUMBER = USER@DOMAIN, such as +4930123* = alice@example.com sales@example.com"


Rung = tuple[str, ...]
"""Addresses-of-record, `THE_ONLY_ONE` perhaps among them."""


class NumberMap:
    """Numbers, or beginnings of numbers, and whom each rings. A look-up takes as many steps as the number has digits,
    however many there are. Not changed once it is made.

    :param exact: by the whole number.
    :param prefixes: by a beginning.
    """

    def __init__(self, exact: Iterable[tuple[str, Rung]] = (), prefixes: Iterable[tuple[str, Rung]] = ()) -> None:
        self.exact = dict(exact)
        self.prefixes = dict(prefixes)
        self._longest = max(map(len, self.prefixes), default=-1)

    def find(self, *spellings: str) -> Rung:
        """The addresses-of-record that a number rings, `THE_ONLY_ONE` among them; empty where it rings none. A whole
        number is preferred to a beginning, a longer beginning to a shorter one: the one that leaves fewest digits.

        :param spellings: of one number, without visual separators, the preferred one first.
        """
        for number in spellings:
            found = self.exact.get(number)
            if found is not None:
                return found
        for left in range(max(map(len, spellings), default=-1) + 1) if self.prefixes else ():
            for number in spellings:
                length = len(number) - left
                found = self.prefixes.get(number[:length]) if 0 <= length <= self._longest else None
                if found is not None:
                    return found
        return ()

    def over(self, other: NumberMap) -> NumberMap:
        """The numbers of both; where both have one, it rings whom it rings here."""
        return NumberMap({**other.exact, **self.exact}.items(), {**other.prefixes, **self.prefixes}.items())

    def __len__(self) -> int:
        return len(self.exact) + len(self.prefixes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NumberMap):
            return NotImplemented
        return (self.exact, self.prefixes) == (other.exact, other.prefixes)

    def __hash__(self) -> int:
        return hash((len(self.exact), len(self.prefixes)))


def number_line(text: str) -> tuple[str, Rung]:
    """A line ``NUMBER = USER@DOMAIN ...``.

    :returns: the number without visual separators, with ``*`` where it is a beginning; and whom it rings.
    :raises ValueError: it is none; says all that is wrong.
    """
    pattern, equals, aors = (part.strip() for part in text.partition("="))
    pattern = without_separators(pattern)
    if not equals or not pattern or not aors:
        raise ValueError("this is no NUMBER = USER@DOMAIN")
    problems = Problems()
    rung: Rung = ()
    with problems.noting():
        if not _pattern(pattern):
            raise ValueError(f"'{pattern}' is no number, and no beginning of one with a '*' after it")
        if len(pattern) > MAX_DIGITS:
            raise ValueError(f"a number has at most {MAX_DIGITS} digits")
    with problems.noting():
        rung = _rung(aors)
    problems.raise_any()
    return pattern, rung


@lru_cache(maxsize=1024)
def _rung(text: str) -> Rung:
    problems = Problems()
    aors: list[str] = []
    for word in text.replace(",", " ").split():
        with problems.noting():
            aors.append(_aor(word))
    problems.raise_any()
    return tuple(dict.fromkeys(aors))


def _aor(word: str) -> str:
    if word == THE_ONLY_ONE:
        return word
    address = re.sub(r"\Asips?:", "", word, flags=re.IGNORECASE)
    if not re.fullmatch(r"[^@:\s<>]+@[^@\s<>]+", address):
        raise ValueError(f"'{word}' is no USER@DOMAIN, and not the word {THE_ONLY_ONE}")
    try:
        return Uri.parse(f"sip:{address}").aor
    except BadMessage as error:
        raise ValueError(f"'{word}' is no USER@DOMAIN") from error


def number_map(lines: Iterable[tuple[str, Rung]]) -> NumberMap:
    """A map of lines, as `number_line` returns them."""
    lines = list(lines)
    return NumberMap(
        ((pattern, rung) for pattern, rung in lines if not pattern.endswith("*")),
        ((pattern[:-1], rung) for pattern, rung in lines if pattern.endswith("*")),
    )


def _map(section: Section, key: str) -> NumberMap:
    return number_map(section.each_line(key, NUMBER_REMEDY, number_line, name=itemgetter(0)))


def _show(numbers: NumberMap) -> str:
    lines = [*numbers.exact.items(), *((f"{beginning}*", aors) for beginning, aors in numbers.prefixes.items())]
    return "\n".join(f"{pattern} = {' '.join(aors)}" for pattern, aors in lines)


NUMBERS: Kind[NumberMap] = Kind(_map, NUMBER_REMEDY, show=_show)
"""Lines of ``NUMBER = USER@DOMAIN ...``."""


def one_number(text: str) -> str:
    """A telephone number without its visual separators.

    :raises ValueError: it is none.
    """
    number = number_of(text)
    if not number.lstrip("+").isdigit():
        raise ValueError(f"'{text}' has more than digits")
    return number


def numbers_file(section: Section, key: str, remedy: str) -> Path:
    """The path of a file with lines ``NUMBER = USER@DOMAIN ...``."""
    path = section.folder / section.text(key, remedy)
    try:
        path.open("rb").close()
    except OSError as error:
        raise section.error(key, f"{error.strerror} ({path})", remedy) from error
    return path
