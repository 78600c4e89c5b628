"""The sections of an INI file as typed values; each mistake is a ConfigError that says what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from webrtcproxy.config.ini_file import first_word
from webrtcproxy.config.mistakes import ConfigError, ConfigErrors, InvalidValue, InvalidValues, Mistakes

T = TypeVar("T")

_SETTING = re.compile(r"([A-Za-z-]+)\s*=")
_YES = frozenset({"yes", "true", "on", "1"})
_NO = frozenset({"no", "false", "off", "0"})


class Secret(str):
    """A text that ``repr`` does not show, not even within a dataclass."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Section:
    """The keys of one section. The methods that read a value need a key that exists.

    :param name: the name in the brackets.
    :param raw: keys and values from the file, without comments.
    :param known: the keys that this section may have.
    :param secrets: those keys whose values appear in no error text.
    :param folder: what relative paths are relative to.
    :param mistakes: where the mistakes of the section are noted, that of an unknown key at once.
    """

    def __init__(
        self,
        name: str,
        raw: Mapping[str, str],
        known: Collection[str],
        secrets: Collection[str] = (),
        folder: Path = Path(),
        mistakes: Mistakes | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        self.mistakes = Mistakes() if mistakes is None else mistakes
        self._raw = raw
        self._known = known
        self._secrets = secrets
        for key in raw:
            if key not in known:
                self._unknown(key)

    def _unknown(self, key: str) -> None:
        """Note a key that is not known. The one that was meant is not missing then."""
        word, known = first_word(key), self._known
        if word in known:
            remedy, problem, meant = "write 'key = value'", "there is no '=' after the key", word
        else:
            remedy, problem, meant = did_you_mean(word, known), "there is no such key", closest(word, known)
        error = ConfigError(self.name, word, None, remedy, problem)
        error.line = self.mistakes.line_of(self.name, key)
        self.mistakes.note(error)
        if meant and meant not in self._raw:
            self.mistakes.give_up(self.name, meant)

    def __contains__(self, key: str) -> bool:
        return key in self._raw

    def error(self, key: str, problem: str, remedy: str, value: str | None = None) -> ConfigError:
        """A ConfigError for `key`, with its value, or with `value`, the part of it that is wrong."""
        shown = value if value is not None else self._raw.get(key)
        if key in self._secrets:
            shown = None
        elif shown is not None:
            shown = shown.partition("\n")[0]
        return ConfigError(self.name, key, shown, remedy, problem)

    def note(self, key: str, problem: str, remedy: str, value: str | None = None) -> None:
        """Note such a mistake."""
        self.mistakes.note(self.error(key, problem, remedy, value))

    def is_right(self, *keys: str) -> bool:
        """Whether each of these could be read, or is absent."""
        return not any(self.mistakes.is_given_up(self.name, key) for key in keys)

    def text(self, key: str, remedy: str) -> str:
        """A value of one line.

        :param remedy: what to write, for the error if the value is empty.
        """
        value = self._raw[key]
        if not value:
            raise self.error(key, "the value is missing", remedy)
        if "\n" in value:
            raise self.error(key, "one line is wanted here", "take the blanks from the start of the next line")
        return value

    def lines(self, key: str, remedy: str) -> tuple[str, ...]:
        """A value of one or more lines, one entry a line."""
        entries = tuple(line for line in self._raw[key].split("\n") if line)
        if not entries:
            raise self.error(key, "the value is missing", remedy)
        return entries

    def words(self, key: str, remedy: str) -> tuple[str, ...]:
        """A list of words, separated by blanks, commas or line ends."""
        entries = tuple(word for line in self.lines(key, remedy) for word in line.replace(",", " ").split())
        if not entries:
            raise self.error(key, "the value is missing", remedy)
        return entries

    def one(self, key: str, remedy: str, parse: Callable[[str], T]) -> T:
        """A value of one line, parsed by `parse`, which raises ValueError."""
        (value,) = self._all_parsed(key, remedy, [self.text(key, remedy)], parse)
        return value

    def each(self, key: str, remedy: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        """Words, each parsed by `parse`, which raises ValueError."""
        return self._all_parsed(key, remedy, self.words(key, remedy), parse)

    def each_line(
        self, key: str, remedy: str, parse: Callable[[str], T], name: Callable[[T], str] | None = None
    ) -> tuple[T, ...]:
        """Lines, each parsed by `parse`, which raises ValueError.

        :param name: returns what only one of the lines may be about.
        """
        return self._all_parsed(key, remedy, self.lines(key, remedy), parse, name)

    def parsed(self, key: str, remedy: str, texts: Iterable[str], parse: Callable[[str], T]) -> tuple[T, ...]:
        """Parts of a value, each parsed by `parse`, which raises ValueError."""
        return self._all_parsed(key, remedy, texts, parse)

    def _all_parsed(
        self,
        key: str,
        remedy: str,
        texts: Iterable[str],
        parse: Callable[[str], T],
        name: Callable[[T], str] | None = None,
    ) -> tuple[T, ...]:
        """:raises ConfigErrors: all mistakes of all texts."""
        values: list[T] = []
        wrong: list[ConfigError] = []
        seen: set[str] = set()
        for entry, text in enumerate(texts):
            try:
                value = parse(text)
            except ValueError as error:
                wrong += self._errors_of(key, remedy, text, error)
                continue
            values.append(value)
            if name is None:
                continue
            if name(value) in seen:
                twice = self.error(key, f"{name(value)} is there twice", "keep one of the lines", text)
                twice.entry = None if key in self._secrets else entry
                wrong.append(twice)
            seen.add(name(value))
        if wrong:
            raise self._swallowed(key) or ConfigErrors(wrong)
        return tuple(values)

    def _swallowed(self, key: str) -> ConfigError | None:
        """The mistake of a wrong value that has the next setting in it, for the blanks in front of that. What follows
        its key may be a secret."""
        for line in self._raw[key].split("\n"):
            setting = _SETTING.match(line)
            if setting is not None and closest(setting[1], self._known):
                remedy = "take the blanks from the start of its line"
                return self.error(key, f"the setting {setting[1]} was read as a part of this value", remedy, "")
        return None

    def _errors_of(self, key: str, remedy: str, text: str, error: ValueError) -> Iterator[ConfigError]:
        """What a parser has found wrong with a text."""
        for each in error.errors if isinstance(error, InvalidValues) else (error,):
            yield self.error(key, str(each), each.remedy if isinstance(each, InvalidValue) else remedy, text)

    def number(self, key: str, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        between = f"write a number from {low} to {high}"
        try:
            number = float(self.text(key, between))
        except ValueError:
            raise self.error(key, "this is no number", between) from None
        if not low <= number <= high:
            raise self.error(key, "out of range", between)
        return number

    def whole(self, key: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        number = self.number(key, low, high)
        if number != int(number):
            raise self.error(key, "this is no whole number", f"write a whole number from {low} to {high}")
        return int(number)

    def flag(self, key: str) -> bool:
        """``yes`` or ``no``, or one of their usual synonyms."""
        value = self.text(key, "write yes or no")
        if not is_flag(value):
            raise self.error(key, "neither yes nor no", "write yes or no")
        return value.lower() in _YES

    def choice(self, key: str, choices: Collection[str]) -> str:
        """One of `choices`."""
        one_of = "write one of " + ", ".join(choices)
        value = self.text(key, one_of).lower()
        if value not in choices:
            raise self.error(key, "not known here", one_of)
        return value


def is_flag(word: str) -> bool:
    """True for ``yes``, ``no`` and their usual synonyms."""
    return word.lower() in _YES | _NO


def closest(word: str, known: Collection[str]) -> str:
    """The known word that was probably meant; empty where none is like it."""
    return next(iter(get_close_matches(word.lower(), known, 1)), "")


def did_you_mean(word: str, known: Collection[str]) -> str:
    """The remedy for an unknown word."""
    meant = closest(word, known)
    return f"did you mean '{meant}'?" if meant else "known are " + ", ".join(known)
