"""Spellings of a number that are more than digits: escapes, digits of other scripts, and letters beside the digits.

Some providers drop what they can't dial, and then ring the digits that are left. So the digits among letters count.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

ROUNDS: Final = 8
"""How often escapes of escapes are decoded. Each round takes two characters of each, so that few URIs have more."""

MIN_RUN: Final = 3
"""Digits of the shortest number among letters: ``bob7`` and ``alice22`` are names."""

MIN_SPREAD: Final = 7
"""Digits of the shortest number that has letters between its digits."""

MAX_SPREAD: Final = 20
"""Digits of the longest number: 15 of E.164, and prefixes."""

_escaped = re.compile(rb"%([0-9A-Fa-f]{2})")
_runs = re.compile(r"\+?[0-9]+").findall
_not_dialled = re.compile(r"[^0-9A-Za-z+]")
_not_digits = re.compile(r"[^0-9+]")
_is_number = re.compile(r"\+?[0-9]+").fullmatch
_lookalikes = str.maketrans("OolIi", "00111")


@lru_cache(maxsize=1024)
def decoded(text: str) -> str:
    """A text without escapes, however often they are escaped, and with the digits of all scripts as 0 to 9."""
    for _ in range(ROUNDS):
        before, text = text, _decoded_once(text)
        if text == before:
            break
    return text


def half_decoded(text: str) -> Sequence[str]:
    """The forms of a text on the way to `decoded`, itself included, where a provider may well dial one of them: where
    escapes are escaped, or stand for what is no text, so that the digits of the escapes themselves may be left. Empty
    for other texts."""
    forms: list[str] = []
    for _ in range(ROUNDS):
        once = _decoded_once(text)
        if once == text:
            break
        forms.append(text)
        text = once
    return forms if len(forms) > 1 or "\ufffd" in text or not text.isprintable() else ()


def _decoded_once(text: str) -> str:
    if "%" in text:
        octets = text.encode("utf-8", "surrogateescape")
        text = _escaped.sub(_octet, octets).decode("utf-8", "replace")
    if not text.isascii():
        text = "".join(str(unicodedata.decimal(sign, sign)) for sign in unicodedata.normalize("NFKC", text))
    return text


def _octet(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex(found[1].decode())


def among_letters(text: str) -> Sequence[str]:
    """What may be dialled of a text that has letters: its runs of digits, all its digits, and the number that it
    looks like, as with O for 0. Empty for a name: it has no run of three digits, no ``+`` with digits, and few digits
    or more letters.

    :param text: without escapes.
    """
    text = _not_dialled.sub("", text)
    runs = [run for run in _runs(text) if run[0] == "+" or len(run) >= MIN_RUN]
    count = sum(sign.isdigit() for sign in text)
    letters = len(text) - count - text.count("+")
    is_spread = ("+" in text and count > 0) or (count >= MIN_SPREAD and letters <= count)
    if not runs and not is_spread:
        return ()
    if count <= MAX_SPREAD and (is_spread or letters <= count):
        runs.append(_not_digits.sub("", text))
        looks = text.translate(_lookalikes)
        if _is_number(looks):
            runs.append(looks)
    return tuple(dict.fromkeys(runs))
