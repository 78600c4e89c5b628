"""The kinds of values of options: how each is parsed, and what an error says to write instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from webrtcproxy.config.ini import Secret, Section

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


def _show(value: Any) -> str:
    if isinstance(value, tuple | frozenset):
        return " ".join(map(_show, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Kind(Generic[T_co]):
    """A kind of value.

    :param read: returns the value of a key that the section has; raises ConfigError.
    :param remedy: the correction that an error proposes; it begins with "write".
    :param unit: the unit of a number, in the plural.
    :param secret: the value appears in no error text and no log.
    :param show: returns the text of a value in the file; empty for None and for an empty list.
    """

    read: Callable[[Section, str], T_co]
    remedy: str
    unit: str = ""
    secret: bool = False
    show: Callable[[Any], str] = _show


def number(low: float, high: float, unit: str = "") -> Kind[float]:
    """A number from `low` to `high`."""
    return Kind(lambda section, key: section.number(key, low, high), f"write a number from {low} to {high}", unit)


def whole(low: int, high: int, unit: str = "") -> Kind[int]:
    """A whole number from `low` to `high`."""
    remedy = f"write a whole number from {low} to {high}"
    return Kind(lambda section, key: section.whole(key, low, high), remedy, unit)


def flag() -> Kind[bool]:
    """Yes or no."""
    return Kind(lambda section, key: section.flag(key), "write yes or no", show=lambda value: "yes" if value else "no")


def choice(words: Mapping[str, T]) -> Kind[T]:
    """One of a few words.

    :param words: each with its value.
    """

    def show(value: Any) -> str:
        return next((word for word, meant in words.items() if meant == value), "")

    remedy = "write one of " + ", ".join(words)
    return Kind(lambda section, key: words[section.choice(key, words)], remedy, show=show)


def word(*words: T) -> Kind[T]:
    """One of a few words, each of which is its own value."""
    return choice({str(one_of): one_of for one_of in words})


def text(remedy: str) -> Kind[str]:
    """Any text of one line."""
    return Kind(lambda section, key: section.text(key, remedy), remedy)


def password(remedy: str) -> Kind[str]:
    """A text of one line that is never shown."""
    return Kind(lambda section, key: Secret(section.text(key, remedy)), remedy, secret=True)


def one(parse: Callable[[str], T], remedy: str) -> Kind[T]:
    """A value of one line.

    :param parse: raises ValueError that says what is wrong.
    """
    return Kind(lambda section, key: section.one(key, remedy, parse), remedy)


def each(parse: Callable[[str], T], remedy: str) -> Kind[tuple[T, ...]]:
    """A list of words.

    :param parse: parses one word; raises ValueError that says what is wrong.
    """
    return Kind(lambda section, key: section.each(key, remedy, parse), remedy)


def custom(read: Callable[[Section, str, str], T], remedy: str) -> Kind[T]:
    """A value with a parser of its own.

    :param read: gets the section, the key and the remedy; raises ConfigError.
    """
    return Kind(lambda section, key: read(section, key, remedy), remedy)


def endpoints(check: Callable[[str, Path], str], remedy: str) -> Kind[tuple[str, ...]]:
    """Endpoint strings, one a line.

    :param check: returns one with its paths made absolute, relative to the folder of the file; raises ValueError.
    """

    def read(section: Section, key: str) -> tuple[str, ...]:
        return section.each_line(key, remedy, lambda line: check(line, section.folder))

    return Kind(read, remedy, show="\n".join)
