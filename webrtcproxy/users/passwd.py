"""Changes users files, for ``webrtcproxy passwd``: sets a user's hashes, or removes the user."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from pwd import getpwuid

from webrtcproxy.sip.digest import ha1
from webrtcproxy.users.attributes import AttributeRefused, user_from
from webrtcproxy.users.users_file import HASHES, aor_of, words_of_line

DEFAULT_ALGORITHMS = ("md5", "sha-256")
"""The hashes that a line gets: what SIP in browsers can do, and what RFC 8760 wants."""

OWNER_ONLY = 0o600
"""The mode of a users file, but for a group that somebody has chosen."""


def set_password(path: Path, who: str, password: str, realm: str = "", algorithms: Sequence[str] = ()) -> bool:
    """Give a user a password. Its attributes, and all other lines, stay as they are.

    :param who: ``USER@DOMAIN``.
    :param realm: of the digests, as the section of the domain has it; empty for the domain.
    :param algorithms: names of `HASHES`; none for `DEFAULT_ALGORITHMS`.
    :returns: whether the user is new.
    :raises AttributeRefused: there can be no such user.
    :raises OSError: the file can't be read or written.
    """
    name, domain = aor_of(who)
    aor = user_from(name, domain, {}).aor
    hashes = [
        f"{algorithm}={ha1(algorithm, name, realm or domain, password)}"
        for algorithm in algorithms or DEFAULT_ALGORITHMS
    ]
    with _rewriting(path) as lines:
        places = [place for place, line in enumerate(lines) if _aor_in(line) == aor]
        if not places:
            lines.append(" ".join([f"{name}@{domain}", *hashes]))
            return True
        lines[places[0]] = " ".join([f"{name}@{domain}", *hashes, *_others(lines[places[0]])])
        for place in reversed(places[1:]):
            del lines[place]
    return False


def remove(path: Path, who: str) -> bool:
    """Remove a user.

    :returns: whether there was one.
    :raises AttributeRefused: `who` is no ``USER@DOMAIN``.
    :raises OSError: the file can't be read or written.
    """
    aor = user_from(*aor_of(who), {}).aor
    with _rewriting(path) as lines:
        staying = [line for line in lines if _aor_in(line) != aor]
        found = len(staying) < len(lines)
        lines[:] = staying
    return found


def _aor_in(line: str) -> str | None:
    """The address-of-record that a line begins with; None where it has none."""
    try:
        word = next((word for _, word in words_of_line(line)), None)
        return None if word is None else user_from(*aor_of(word), {}).aor
    except AttributeRefused:
        return None


def _others(line: str) -> list[str]:
    """The words of a line but the user and its hashes, as they are written, and its comment."""
    others, at = [], 0
    for index, (written, word) in enumerate(words_of_line(line)):
        at = line.index(written, at) + len(written)
        if index and word.partition("=")[0].lower() not in HASHES:
            others.append(written)
    comment = line[at:].strip()
    return [*others, comment] if comment else others


@contextmanager
def _rewriting(path: Path) -> Iterator[list[str]]:
    """The lines of a file, which is replaced as a whole by what they are at the end: a reader sees the old lines or the
    new ones, and of two writers one waits."""
    path = path.resolve()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        try:
            text, state = path.read_text("utf-8-sig"), path.stat()
        except FileNotFoundError:
            text, state = "", None
        lines = [line.removesuffix("\n") for line in StringIO(text)]
        yield lines
        written = "".join(f"{line}\n" for line in lines)
        if written != text:
            _replace(path, written, state)
    finally:
        os.close(folder)


def _group_of(uid: int) -> int | None:
    """The group that new files of a user have; None for a user that the system does not know."""
    try:
        return getpwuid(uid).pw_gid
    except KeyError:
        return None


def _mode(state: os.stat_result) -> int:
    """The mode of a file that replaces another. What its group may do stays where the file has been given to a group
    that is not its owner's: any other access came by the umask, as ``touch`` makes it."""
    is_chosen = _group_of(state.st_uid) not in (None, state.st_gid)
    return state.st_mode & 0o770 if is_chosen else OWNER_ONLY


def _replace(path: Path, text: str, state: os.stat_result | None) -> None:
    """Replace a file. Its owner and group stay."""
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(number, OWNER_ONLY if state is None else _mode(state))
            if state is not None and (state.st_uid, state.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(number, state.st_uid, state.st_gid)
            os.fsync(number)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
