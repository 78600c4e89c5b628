"""Reads an INI file as sections of typed values; each mistake is a ConfigError that says what to write instead."""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_COMMENT = re.compile(r"(?:^|\s);")
_YES = frozenset({"yes", "true", "on", "1"})
_NO = frozenset({"no", "false", "off", "0"})


class ConfigError(Exception):
    """One mistake in the configuration; its text is one line.

    :param section: the name in the brackets; empty if the file as a whole is at fault.
    :param key: the key; empty if the section as a whole is at fault.
    :param value: the value in the file; None if there is none, or if it must not be shown.
    :param remedy: what to write or do instead.
    :param problem: what is wrong with it.
    """

    def __init__(self, section: str, key: str, value: str | None, remedy: str, problem: str = "") -> None:
        super().__init__(section, key, value, remedy, problem)
        self.section = section
        self.key = key
        self.value = value
        self.remedy = remedy
        self.problem = problem
        self.path: Path | None = None

    def __str__(self) -> str:
        place = f"[{self.section}]" if self.section else ""
        if self.key:
            place += f" {self.key}"
            if self.value:
                place += f" = {self.value}"
        where = f"{self.path}: {place}" if self.path and place else place or str(self.path or "")
        line = f"{where}: {self.problem}; {self.remedy}" if self.problem else f"{where}: {self.remedy}"
        return " ".join(line.split())


class InvalidValue(ValueError):
    """A value is invalid; raised by a parser that has a better remedy than its caller."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


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
    :raises ConfigError: a key is not known.
    """

    def __init__(
        self,
        name: str,
        raw: Mapping[str, str],
        known: Collection[str],
        secrets: Collection[str] = (),
        folder: Path = Path(),
    ) -> None:
        self.name = name
        self.folder = folder
        self._raw = raw
        self._secrets = secrets
        for key in raw:
            word = _first_word(key)
            if key in known:
                continue
            if word in known:
                raise ConfigError(name, word, None, "write 'key = value'", "there is no '=' after the key")
            raise ConfigError(name, word, None, did_you_mean(word, known), "there is no such key")

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
        return self._parsed(key, remedy, self.text(key, remedy), parse)

    def each(self, key: str, remedy: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        """Words, each parsed by `parse`, which raises ValueError."""
        return tuple(self._parsed(key, remedy, word, parse) for word in self.words(key, remedy))

    def each_line(self, key: str, remedy: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        """Lines, each parsed by `parse`, which raises ValueError."""
        return tuple(self._parsed(key, remedy, line, parse) for line in self.lines(key, remedy))

    def _parsed(self, key: str, remedy: str, text: str, parse: Callable[[str], T]) -> T:
        try:
            return parse(text)
        except InvalidValue as wrong:
            raise self.error(key, str(wrong), wrong.remedy, text) from wrong
        except ValueError as error:
            raise self.error(key, str(error), remedy, text) from error

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


def did_you_mean(word: str, known: Collection[str]) -> str:
    """The remedy for an unknown word."""
    close = get_close_matches(word.lower(), known, 1)
    return f"did you mean '{close[0]}'?" if close else "known are " + ", ".join(known)


def read(path: Path) -> dict[str, dict[str, str]]:
    """Read an INI file: sections, their keys in lower case, and the values without comments.

    A comment starts with ``;`` at the start of a line or after a blank; a line that starts with ``#`` is one too.
    A value in double quotes is used without them and otherwise unchanged. A value continues in lines that start with a
    blank.

    :raises ConfigError: the file cannot be read or is not an INI file.
    """
    parser = configparser.RawConfigParser(delimiters=("=",), allow_no_value=True, default_section="")
    try:
        parser.read_string(path.read_text("utf-8-sig"), str(path))
    except OSError as error:
        raise ConfigError("", "", None, "give the path of a file that can be read", error.strerror or "") from error
    except UnicodeDecodeError as error:
        raise ConfigError("", "", None, "save it as UTF-8", "the file is not UTF-8") from error
    except configparser.DuplicateSectionError as error:
        raise ConfigError(error.section, "", None, "join the two", "the section stands there twice") from None
    except configparser.DuplicateOptionError as error:
        raise ConfigError(
            error.section, _first_word(error.option), None, "keep one", "the key stands there twice"
        ) from None
    except configparser.MissingSectionHeaderError as error:
        remedy = "start with a section such as [wss]"
        raise ConfigError("", "", None, remedy, f"line {error.lineno} belongs to no section") from None
    except configparser.ParsingError as error:
        lines = ", ".join(str(number) for number, _text in error.errors)
        raise ConfigError("", "", None, "write 'key = value' there", f"line {lines} is no setting") from None
    return {name: {key: _bare(value) for key, value in parser.items(name)} for name in parser.sections()}


def _first_word(key: str) -> str:
    # What follows is a value after a wrong separator, and may be a secret.
    return re.split(r"[\s:]", key, maxsplit=1)[0]


def _bare(value: str | None) -> str:
    return "\n".join(filter(None, map(_without_comment, (value or "").split("\n"))))


def _without_comment(line: str) -> str:
    line = line.strip()
    if line.startswith('"'):
        inside, quote, rest = line[1:].partition('"')
        if quote and not _COMMENT.split(rest, maxsplit=1)[0].strip():
            return inside
    return _COMMENT.split(line, maxsplit=1)[0].strip()
