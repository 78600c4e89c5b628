"""Mistakes in the configuration: each is one line with file, line number, section, key, value, and what to write
instead; and `Mistakes`, which collects them, so that all of a file are told at once."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol


class ConfigError(Exception):
    """One mistake in the configuration; its text is one line.

    :param section: the name in the brackets; empty if the file as a whole is at fault.
    :param key: the key; empty if the section as a whole is at fault.
    :param value: the value in the file; None if there is none, or if it must not be shown.
    :param remedy: what to write or do instead.
    :param problem: what is wrong with it.
    :param line: its line in the file, counted from 1; None where `Mistakes` is to find it, or there is none.
    :ivar entry: which entry of a value of several lines it is about, counted from 0; None where `value` tells it.
    :ivar path: the file.
    """

    def __init__(
        self, section: str, key: str, value: str | None, remedy: str, problem: str = "", line: int | None = None
    ) -> None:
        super().__init__(section, key, value, remedy, problem)
        self.section = section
        self.key = key
        self.value = value
        self.remedy = remedy
        self.problem = problem
        self.line = line
        self.entry: int | None = None
        self.path: Path | None = None

    def __str__(self) -> str:
        place = f"[{self.section}]" if self.section else ""
        if self.key:
            place += f" {self.key}"
            if self.value:
                place += f" = {self.value}"
        file = "" if self.path is None else f"{self.path}:{self.line}" if self.line else str(self.path)
        text = f"{self.problem}; {self.remedy}" if self.problem else self.remedy
        return " ".join(": ".join(filter(None, (file, place, text))).split())


class ConfigErrors(Exception):
    """All mistakes of a configuration; its text is a line for each.

    :param mistakes: at least one, in the order of the file.
    """

    def __init__(self, mistakes: Iterable[ConfigError]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__(self.mistakes)

    def __str__(self) -> str:
        return "\n".join(map(str, self.mistakes))


class InvalidValue(ValueError):
    """A value is invalid; raised by a parser that has a better remedy than its caller."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


class InvalidValues(ValueError):
    """Several things are wrong with one value.

    :param errors: each of them; at least two.
    """

    def __init__(self, errors: Iterable[ValueError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(map(str, self.errors)))


class Problems:
    """Collects what is wrong with one value, so that all of it is told at once."""

    def __init__(self) -> None:
        self._found: list[ValueError] = []

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note the ValueError that is raised within."""
        try:
            yield
        except InvalidValues as several:
            self._found += several.errors
        except ValueError as error:
            self._found.append(error)

    def raise_any(self) -> None:
        """Raise what was noted.

        :raises ValueError: something was; `InvalidValues` where it was more than one.
        """
        if self._found:
            raise self._found[0] if len(self._found) == 1 else InvalidValues(self._found)


class LineNumbers(Protocol):
    """Where sections, keys and values stand in a file: `webrtcproxy.config.ini_file.IniFile`."""

    def line_of(self, error: ConfigError) -> int | None:
        """The line of what a mistake is about."""

    def written(self, error: ConfigError) -> str | None:
        """The entry that a mistake is about, as it stands in the file; None where it names none."""

    def line(self, section: str, key: str = "") -> int | None:
        """The line of a key, else that of the heading of its section."""


class Mistakes:
    """Collects the mistakes of a file.

    What can't be read is replaced by a stand-in, so that the rest can be checked. What would follow from the stand-in
    alone is no mistake: a place that was given up takes no further one.

    :param path: the file.
    :param lines: the lines of what stands in it.
    """

    def __init__(self, path: Path | None = None, lines: LineNumbers | None = None) -> None:
        self._path = path
        self._lines = lines
        self._found: list[ConfigError] = []
        self._given_up: set[tuple[str, str]] = set()

    def __iter__(self) -> Iterator[ConfigError]:
        """The mistakes in the order of the file; those without a line, and those of other files, come last."""
        return iter(sorted(self._found, key=lambda error: (error.path != self._path, error.line or sys.maxsize)))

    def line_of(self, section: str, key: str) -> int | None:
        """The line of a key, else that of the heading of its section; None where there is neither."""
        return None if self._lines is None else self._lines.line(section, key)

    def note(self, *errors: ConfigError) -> None:
        """Note mistakes, unless their place was given up, or has the same one already."""
        for error in errors:
            if error.path is None:
                error.path = self._path
                self._locate(error)
            if not self.is_given_up(error.section, error.key) and str(error) not in map(str, self._found):
                self._found.append(error)

    def _locate(self, error: ConfigError) -> None:
        """Complete a mistake with its line, and its value as it is written: paths in it may have been made absolute."""
        if self._lines is not None:
            error.value = self._lines.written(error) or error.value
            error.line = error.line or self._lines.line_of(error)

    def give_up(self, section: str, key: str = "") -> None:
        """Take no further mistakes of a key, or of a whole section."""
        self._given_up.add((section, key))

    def is_given_up(self, section: str, key: str = "") -> bool:
        """Whether a key, or its section, was given up."""
        return (section, key) in self._given_up or (section, "") in self._given_up

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note the mistakes that are raised within."""
        try:
            yield
        except ConfigErrors as errors:
            self.note(*errors.mistakes)
        except ConfigError as error:
            self.note(error)

    def raise_any(self) -> None:
        """Raise what was noted.

        :raises ConfigErrors: something was.
        """
        if self._found:
            raise ConfigErrors(self)
