"""Reads an INI file: sections, keys, values without comments, and the line of each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Final

from webrtcproxy.config.mistakes import ConfigError

_COMMENT: Final = re.compile(r"(?:^|\s);")
_HEADING: Final = re.compile(r"\[(.+)\]\s*(?:[;#].*)?")

Entries = list[tuple[int, str]]
"""The lines of a value: number and text."""


class IniFile:
    """What stands in a file.

    :param entries: of each value, by section and key.
    :param places: the line of each key, by section and key; the key of a heading is empty.
    :param broken: what is no INI, and what is there twice.
    """

    __slots__ = ("_entries", "_places", "broken", "sections")

    def __init__(
        self,
        entries: Mapping[tuple[str, str], Entries],
        places: Mapping[tuple[str, str], int],
        broken: Sequence[ConfigError] = (),
    ) -> None:
        self._entries = entries
        self._places = places
        self.broken = broken
        self.sections: dict[str, dict[str, str]] = {section: {} for section, key in places if not key}
        """Keys and values by section. The keys are in lower case; the entries of a value are separated by line ends,
        and are never empty."""
        for (section, key), lines in entries.items():
            self.sections[section][key] = "\n".join(text for _, text in lines)

    def line_of(self, error: ConfigError) -> int | None:
        """The line of a mistake: of the entry that is wrong, else of its key, else of the heading; None where the file
        has not even that."""
        entries = self._entries.get((error.section, error.key), [])
        if error.entry is not None and error.entry < len(entries):
            return entries[error.entry][0]
        if error.value:
            for number, text in entries:
                if error.value in (text, *text.replace(",", " ").split()):
                    return number
        return self.line(error.section, error.key)

    def written(self, error: ConfigError) -> str | None:
        """The entry that a mistake is about, as it stands in the file; None where it names none."""
        entries = self._entries.get((error.section, error.key), [])
        return None if error.entry is None or error.entry >= len(entries) else entries[error.entry][1]

    def line(self, section: str, key: str = "") -> int | None:
        """The line of a key, else that of the heading of its section."""
        return self._places.get((section, key)) or self._places.get((section, ""))


def read(path: Path) -> IniFile:
    """Read an INI file.

    A comment starts with ``;`` at the start of a line or after a blank; a line that starts with ``#`` is one too.
    A value in double quotes is used without them and otherwise unchanged. A value continues in lines that start with a
    blank.

    :raises ConfigError: the file cannot be read.
    """
    try:
        octets = path.read_bytes()
        text = octets.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError("", "", None, "give the path of a file that can be read", error.strerror or "") from error
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise ConfigError("", "", None, "save it as UTF-8", "the file is not UTF-8", line) from error
    if "\0" in text:  # ASCII as UTF-16 without a byte order mark
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ConfigError("", "", None, "save it as UTF-8", "the file is not UTF-8", line)
    reader = _LineReader()
    for number, written in enumerate(StringIO(text, newline=None), 1):
        reader.line(number, written.lstrip("\ufeff"))  # of a file that others were joined to
    return reader.finished()


class _LineReader:
    """Takes one line after the other."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entries] = {}
        self._places: dict[tuple[str, str], int] = {}
        self._broken: list[ConfigError] = []
        self._section: str | None = None
        self._indent = 0
        self._value: Entries | None = None  # of the key that was read last

    def line(self, number: int, line: str) -> None:
        text = line.strip()
        if not text or text[0] in "#;":
            return
        indent = len(line) - len(line.lstrip())
        if self._value is not None and indent > self._indent:
            self._entry(self._value, number, text)
            return
        self._indent = indent
        self._value = None
        heading = _HEADING.fullmatch(_COMMENT.split(text, maxsplit=1)[0].strip())
        if heading:
            self._section = heading[1]
            self._begins(number, heading[1], "", "join the two")
        elif text.startswith("["):
            self._refuse(number, "there is no name in brackets", "write [NAME]")
        elif self._section is not None:
            self._setting(number, self._section, text)
        elif not self._broken:  # all others are the same mistake
            self._refuse(number, "it belongs to no section", "start with a section such as [wss]")

    def finished(self) -> IniFile:
        """The file, when its last line was read."""
        return IniFile(self._entries, self._places, self._broken)

    def _setting(self, number: int, section: str, text: str) -> None:
        key, _equals, value = text.partition("=")
        key = key.strip().lower()
        if not key:
            self._refuse(number, "this is no setting", "write 'key = value'")
            return
        self._begins(number, section, key, "keep one")
        self._value = self._entries[section, key] = []
        self._entry(self._value, number, value)

    def _begins(self, number: int, section: str, key: str, remedy: str) -> None:
        """A section, or a key in it, begins. Note it where it is there twice."""
        first = self._places.setdefault((section, key), number)
        if first != number:
            problem = f"the {'key' if key else 'section'} is there twice, first in line {first}"
            self._broken.append(ConfigError(section, first_word(key), None, remedy, problem, number))

    def _entry(self, value: Entries, number: int, text: str) -> None:
        bare = _without_comment(text)
        if bare:
            value.append((number, bare))

    def _refuse(self, number: int, problem: str, remedy: str) -> None:
        """Note a line that is none of an INI file. Its text, which may be a secret, is not shown."""
        self._broken.append(ConfigError("", "", None, remedy, problem, number))


def first_word(key: str) -> str:
    """A key up to a wrong separator: what follows is a value, and may be a secret."""
    return re.split(r"[\s:]", key, maxsplit=1)[0]


def _without_comment(line: str) -> str:
    line = line.strip()
    if line.startswith('"'):
        inside, quote, rest = line[1:].partition('"')
        if quote and not _COMMENT.split(rest, maxsplit=1)[0].strip():
            return inside
    return _COMMENT.split(line, maxsplit=1)[0].strip()
