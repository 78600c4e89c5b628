"""CalledNumbers: whom the numbers ring that the trunks call, as their sections and their numbers files say.

A line of a numbers file is a number, or the beginning of numbers, and the addresses-of-record that it rings::

    +4930123400 = sales@example.com
    +49301234*  = alice@example.com bob@example.com

A comment starts with ``#`` or ``;`` at the start of a line or after a blank. A line that can't be used is named in the
log, and by ``--check``; the others count. The file is read again when it changes, as users files are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path

from twisted.logger import Logger

from webrtcproxy.config import ConfigError, Trunk
from webrtcproxy.config.numbers import NUMBER_REMEDY, NumberMap, Rung, number_line, number_map
from webrtcproxy.runtime.fingerprint import Fingerprint, fingerprint
from webrtcproxy.users.users_file import MAX_LOGGED, BrokenLine, text_of

log = Logger()

_comment = re.compile(r"(?:^|\s)[#;].*")


class NumbersFile:
    """The numbers of one trunk.

    :param path: of its file.
    :param own: the numbers of its section, which come before those of the file.
    :ivar numbers: all of them.
    """

    def __init__(self, path: Path, own: NumberMap) -> None:
        self.numbers = own
        self._path = path
        self._own = own
        self._seen: Fingerprint | None = None
        self.refresh()

    def refresh(self) -> None:
        """Read the file again if it has changed. The numbers stay as they are where it can't be read."""
        now = fingerprint(self._path)
        if now == self._seen:
            return
        first, self._seen = self._seen is None, now
        found, broken = read_numbers(self._path)
        for why in broken[:MAX_LOGGED]:
            log.error("Numbers file {file}: {why}", file=str(self._path), why=why)
        if len(broken) > MAX_LOGGED:
            log.error("Numbers file {file}: so are {more} more", file=str(self._path), more=len(broken) - MAX_LOGGED)
        if found is None:
            return
        self.numbers = self._own.over(found)
        text = "Numbers file {file} has {count} lines" if first else "Numbers file {file} has changed: {count} lines"
        log.info(text, file=str(self._path), count=len(found))


def read_numbers(path: Path) -> tuple[NumberMap | None, list[BrokenLine]]:
    """Read a numbers file.

    :returns: its numbers, None where it can't be read; and what can't be used.
    """
    try:
        text = text_of(path)
    except ValueError as error:
        return None, [BrokenLine(0, str(error), "the numbers that were read before stay")]
    lines: dict[str, Rung] = {}
    broken: list[BrokenLine] = []
    for number, line in enumerate(StringIO(text), 1):
        written = _comment.sub("", line).strip() if "#" in line or ";" in line else line.strip()
        if not written:
            continue
        try:
            pattern, rung = number_line(written)
        except ValueError as error:
            broken.append(BrokenLine(number, str(error), NUMBER_REMEDY))
            continue
        if pattern in lines:
            broken.append(BrokenLine(number, f"{pattern} stands in an earlier line too", "keep one of the lines"))
        else:
            lines[pattern] = rung
    return number_map(lines.items()), broken


class CalledNumbers:
    """The numbers of all trunks.

    :param trunks: those of the configuration.
    """

    def __init__(self, trunks: Iterable[Trunk] = ()) -> None:
        self._files = {
            trunk.name: NumbersFile(trunk.numbers_file, trunk.numbers)
            for trunk in trunks
            if trunk.numbers_file is not None
        }

    def __len__(self) -> int:
        """How many files there are."""
        return len(self._files)

    def of(self, trunk: Trunk) -> NumberMap:
        """The numbers of a trunk."""
        file = self._files.get(trunk.name)
        return trunk.numbers if file is None else file.numbers

    def refresh(self) -> None:
        """Read the files that have changed."""
        for file in self._files.values():
            file.refresh()


def broken_numbers(trunks: Iterable[Trunk]) -> Iterator[ConfigError]:
    """What can't be used in the files of trunks."""
    for trunk in trunks:
        if trunk.numbers_file is not None:
            for broken in read_numbers(trunk.numbers_file)[1]:
                mistake = ConfigError("", "", None, broken.remedy, broken.problem, broken.number or None)
                mistake.path = trunk.numbers_file
                yield mistake
