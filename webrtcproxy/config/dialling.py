"""Dialling procedures: what stands before international and national numbers where they are dialled.

The facts are those of ITU-T, "Dialling procedures (international prefix, national (trunk) prefix and national
(significant) number) (in accordance with Recommendation E.164)", annex to the Operational Bulletin, and of the later
national plans that were communicated to it. In countries that are not named here ``00`` stands for ``+``, and ``0``
before national numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

_INTERNATIONAL: Final = {
    "1": "011", "7": "810", "53": "119", "57": "009 007 005", "61": "0011", "62": "001 007 008 009", "65": "001",
    "66": "001 007 008 009", "81": "010", "82": "001 002 005 006 008 00700", "234": "009", "254": "000",
    "255": "000 005 006", "256": "000 005 007", "375": "810", "592": "001", "680": "011", "692": "011", "852": "001",
    "855": "001 007 008", "886": "002 005 006 007 009", "976": "001 002", "992": "810", "993": "810",
}  # fmt: skip
"""What stands for ``+``, the usual one first, by the country code."""

_USUAL: Final = ("00",)

_ANYWHERE: Final = ("00", "011")
"""What a provider may take for ``+`` wherever it is."""

_TRUNK_PREFIXES: Final = {"1": "1", "7": "8", "36": "06", "375": "80", "692": "1", "993": "8"}
"""What stands before national numbers, by the country code."""

_WITHOUT: Final = (
    (6, 11, "39"), (7, 7, "238 239 248 269 297 354 501 592 673 674 679 680 691 960"),
    (7, 8, "230 267 372 507 670 675 975"), (7, 9, "423"),
    (8, 8, "45 47 65 216 222 223 226 227 228 235 236 253 257 266 268 350 356 357 371 502 503 504 505 506 509 852 853"
           " 965 968 973 974"),
    (8, 9, "224 258 377"), (9, 9, "34 48 56 221 237 240 242 244 245 351 420 992 998"), (10, 10, "30 52 57 225 229"),
    (0, 0, "220 241 246 247 290 298 299 352 376 378 500 597 599 672 676 677 678 681 682 683 685 687 688 689 690"),
)  # fmt: skip
"""Fewest and most digits of the national numbers of countries where nothing stands before them; none where they are too
few, or vary too much, to tell such a number from others."""

_LENGTHS: Final = {code: (fewest, most) for fewest, most, codes in _WITHOUT for code in codes.split()}

_ZERO_IS_KEPT: Final = frozenset({"39", "225", "229", "242", "378"})
"""Where the 0 with which a national number may begin is a part of it, which stands after the country code, too."""


_BARE: Final = {"598": (8, "24")}
"""Digits of the national numbers before which nothing stands, and with what they begin, in countries where something
does before others: in Uruguay before those of mobile telephones."""


@lru_cache(maxsize=256)
def international_prefixes(country: str, written: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What stands for ``+`` in a country, the usual one first.

    :param country: its code without ``+``; empty where it is not known.
    :param written: what the configuration says; empty for what is so in the country.
    """
    own = _own(country)
    return tuple(sorted(written, key=lambda prefix: prefix not in own)) or own


def is_own(prefix: str, country: str) -> bool:
    """Whether a prefix stands for ``+`` in a country, or this is not known."""
    return not country or prefix in _own(country)


def rule_prefixes(country: str, written: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What stands for ``+`` in a rule, and likely in what is dialled: what does so in the country, and what may do so
    and begins no national number there. The parameters are those of `international_prefixes`."""
    own = international_prefixes(country, written)
    others = [prefix for prefix in possible_prefixes(country, written) if not begins_national(prefix, country)]
    return tuple(dict.fromkeys((*own, *others)))


def possible_prefixes(country: str, written: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What a provider may take for ``+``, wherever it is; the parameters are those of `international_prefixes`."""
    return written or tuple(dict.fromkeys((*_own(country), *_ANYWHERE)))


def after_plus(digits: str, prefixes: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """What may follow the ``+`` for which the first digits stand, each with these; the longest of these first."""
    for prefix in _longest_first(prefixes):
        if digits.startswith(prefix):
            yield digits[len(prefix) :], prefix


@lru_cache(maxsize=256)
def _longest_first(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(prefixes, key=len, reverse=True))


def trunk_prefix(country: str) -> str:
    """What stands before national numbers; empty where nothing does."""
    return "" if country in _LENGTHS else _TRUNK_PREFIXES.get(country, "0")


def is_bare(number: str, country: str) -> bool:
    """Whether nothing stands before this national number, though something does before others of the country."""
    digits, first = _BARE.get(country, (0, ""))
    return len(number) == digits > 0 and number[0] in first


def keeps_zero(country: str) -> bool:
    """Whether the 0 at the beginning of a national number is a part of it."""
    return country in _ZERO_IS_KEPT


def is_plain(country: str) -> bool:
    """Whether it is plain which digits are national numbers, though nothing stands before these in the country."""
    return _LENGTHS.get(country, (1, 1)) != (0, 0)


def may_be_national(number: str, country: str) -> bool:
    """Whether digits may be a national number of a country where nothing stands before these; True where nothing is
    known of them."""
    if country not in _LENGTHS or not is_plain(country):
        return True
    if country == "39":  # mobile numbers begin with 3, and have fewer digits than one with the country code
        return (number[0] == "0" and 6 <= len(number) <= 11) or (number[0] == "3" and 9 <= len(number) <= 10)
    fewest, most = _LENGTHS[country]
    return fewest <= len(number) <= most and (number[0] != "0" or keeps_zero(country))


def begins_national(digits: str, country: str) -> bool:
    """Whether digits may be the beginning of a national number, with what stands before it."""
    if not country:
        return False
    before = trunk_prefix(country)
    if not before:
        return keeps_zero(country) and not digits.startswith("00")
    return digits.startswith(before) and digits.removeprefix(before)[:1] != "0"


def _own(country: str) -> tuple[str, ...]:
    return tuple(_INTERNATIONAL[country].split()) if country in _INTERNATIONAL else _USUAL
