"""Rules of `allow` and `deny`: their words, which name telephone numbers, hosts and networks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Final

from webrtcproxy.config.addresses import Destinations, destination
from webrtcproxy.config.dialling import after_plus, trunk_prefix
from webrtcproxy.config.ini import Section
from webrtcproxy.config.kinds import Kind
from webrtcproxy.config.ranges import RANGES
from webrtcproxy.sip.telephone import VISUAL_SEPARATORS, without_separators

MAX_DIGITS: Final = 32
"""Digits of the longest number of a rule."""

NOTHING: Final = "none"
"""The word of an empty list, in place of the default."""

NOWHERE: Final = Destinations()
"""No host at all."""

REMEDY: Final = (
    "write numbers (+49301234), prefixes of numbers (+49* 0900*), premium, satellite, trunks, hosts, *.domains,"
    " networks, * or none"
)
NUMBERS_REMEDY: Final = "write numbers (+49301234), prefixes of numbers (+49* 0900*), premium, satellite, * or none"

_number = re.compile(rf"(\+?[0-9][{VISUAL_SEPARATORS}0-9]*|\+|[*#]+[0-9][0-9*#]*[0-9#]|[*#]+[0-9])(\*?)").fullmatch


@dataclass(frozen=True, slots=True)
class RuleWords:
    """The words of one list of rules.

    :ivar words: as they are written, for the log and the reference.
    :ivar everything: the word ``*``.
    :ivar prefixes: the beginnings of numbers, and what was written for each.
    :ivar numbers: whole numbers, and what was written for each.
    :ivar places: hosts, domains, networks, and trunks.
    """

    words: tuple[str, ...] = ()
    everything: bool = False
    prefixes: tuple[tuple[str, str], ...] = ()
    numbers: tuple[tuple[str, str], ...] = ()
    places: Destinations = NOWHERE

    def __or__(self, other: RuleWords) -> RuleWords:
        return RuleWords(
            self.words + other.words,
            self.everything or other.everything,
            self.prefixes + other.prefixes,
            self.numbers + other.numbers,
            self.places | other.places,
        )

    def __bool__(self) -> bool:
        return bool(self.words)

    @property
    def has_numbers(self) -> bool:
        """Whether it names numbers."""
        return bool(self.prefixes or self.numbers)

    @property
    def has_places(self) -> bool:
        """Whether it names hosts."""
        return self.places != NOWHERE


NO_RULES: Final = RuleWords()
"""A list without words."""


def rule(word: str) -> RuleWords:
    """Parse one word.

    :raises ValueError: says what is wrong.
    """
    words = (word,)
    if word == NOTHING:
        return RuleWords(words)
    if word == "*":
        return RuleWords(words, everything=True)
    if word in RANGES:
        return RuleWords(words, prefixes=tuple((prefix, word) for prefix in RANGES[word]))
    found = _number(word)
    if found is None:
        if word.startswith("+") or (word.endswith("*") and word[:1].isdigit()):
            raise ValueError("a number has digits, perhaps with + in front and * at the end")
        return RuleWords(words, places=destination(word))
    if _is_address(word):
        return RuleWords(words, places=destination(word))
    number, star = without_separators(found[1]), found[2]
    if len(number) > MAX_DIGITS:
        raise ValueError(f"a number has at most {MAX_DIGITS} digits")
    if star:
        return RuleWords(words, prefixes=((number, word),))
    if number == "+":
        raise ValueError("write +* for all international numbers")
    return RuleWords(words, numbers=((number, word),))


def rules(words: Iterable[str]) -> RuleWords:
    """Parse the words of a list.

    :raises ValueError: says what is wrong with the first wrong one.
    """
    return reduce(or_, map(rule, words), NO_RULES)


def number_rules(words: Iterable[str]) -> RuleWords:
    """Parse the words of a list that has numbers only.

    :raises ValueError: says what is wrong with the first wrong one.
    """
    found = rules(words)
    if found.has_places:
        raise ValueError("there are hosts; only numbers have a place here")
    return found


def rule_list(hosts: bool = True) -> Kind[RuleWords]:
    """An option that is a list of rules.

    :param hosts: whether hosts have a place in it, beside numbers.
    """
    remedy = REMEDY if hosts else NUMBERS_REMEDY
    parse = rule if hosts else lambda word: number_rules((word,))

    def read(section: Section, key: str) -> RuleWords:
        return reduce(or_, section.each(key, remedy, parse), NO_RULES)

    return Kind(read, remedy, show=lambda value: " ".join(value.words))


def normal_prefix(prefix: str, country: str, international_prefixes: tuple[str, ...]) -> str:
    """A prefix of a rule as it is compared: with ``+``, where it is one of international numbers, or of national ones
    and the country is known.

    :param country: the country code without ``+``; empty where it is not known.
    :param international_prefixes: what stands for ``+`` there.
    """
    for rest, _ in after_plus(prefix, international_prefixes):
        return "+" + rest
    before = trunk_prefix(country)
    if country and prefix.startswith(before or "0"):
        return f"+{country}{prefix.removeprefix(before)}"
    return prefix


def dial_prefix(text: str) -> str:
    """Check what is dialled before a number: digits.

    :raises ValueError: says what is wrong.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise ValueError("a prefix has digits only")
    return text


def country_code(text: str) -> str:
    """Check a country code: ``49``, ``+49``.

    :returns: its digits.
    :raises ValueError: says what is wrong.
    """
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and 0 < len(digits) < 4) or digits.startswith("0"):
        raise ValueError("a country code has one to three digits, and no 0 in front")
    return digits


def _is_address(word: str) -> bool:
    """Whether a word with digits, points and slashes is an IPv4 address or network."""
    octets = word.partition("/")[0].split(".")
    return len(octets) == 4 and all(octet.isdigit() and len(octet) <= 3 for octet in octets)
