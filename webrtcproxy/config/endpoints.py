"""Checks endpoint strings of the configuration before anything listens, and makes their paths absolute."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from twisted.internet.endpoints import serverFromString

from webrtcproxy.config.addresses import ip, port_number
from webrtcproxy.config.ini import did_you_mean
from webrtcproxy.config.key_pair import check_pair
from webrtcproxy.config.mistakes import InvalidValue, Problems

FILE_KEYS = frozenset({"privateKey", "certKey", "extraCertChain"})
_TLS_KEYS = FILE_KEYS | {"dhParameters"}
_PATH_FIRST = frozenset({"unix", "tls"})
_FIRST = {"tcp": "port", "tcp6": "port", "ssl": "port", "udp": "port", "tls": "port", "unix": "address"}
"""What the first argument of each kind of endpoint is, which may be written with its name, too."""
_PLAIN = ("port", "interface", "backlog")
_NAMES = {"tcp": _PLAIN, "tcp6": _PLAIN, "ssl": (*_PLAIN, "privateKey", "certKey", "extraCertChain")}
"""The options of the kinds of endpoints that are opened here."""
_IPV6 = re.compile(r":interface=(\[)?([0-9A-Fa-f:]+:[0-9A-Fa-f:.]*)(?(1)\])(?=:\s*[A-Za-z]+\s*=|$)")
"""An address of IPv6 as it is, or in brackets, in place of one whose colons have backslashes."""


def split(text: str) -> list[str]:
    """The parts of an endpoint string, split at each ':' without a backslash before it; escapes are kept."""
    parts = [""]
    letters = iter(text)
    for letter in letters:
        if letter == ":":
            parts.append("")
        else:
            parts[-1] += letter + next(letters, "") if letter == "\\" else letter
    return parts


def positional(text: str) -> str:
    """An endpoint string as Twisted has it, with its port as the first argument: ``tcp:port=8080`` and
    ``tcp:interface=127.0.0.1:port=8080`` mean what ``tcp:8080:interface=127.0.0.1`` means. The same for the ``address``
    of ``unix:``. An address of IPv6 gets its backslashes, and a kind in upper case is the same kind.

    :raises ValueError: a port is there twice.
    """
    kind, *rest = split(_IPV6.sub(_escaped_interface, text))
    kind = kind.lower() if kind.lower() in _FIRST else kind
    if kind != "unix":
        rest = [*(part.strip() if "=" not in part else part for part in rest[:1]), *rest[1:]]
    text = ":".join([kind, *rest])
    name = _FIRST.get(kind)
    named = [part for part in rest if part.partition("=")[0] == name and "=" in part]
    if name is None or not named:
        return text
    others = [part for part in rest if part not in named]
    if len(named) > 1 or (others and "=" not in rest[0]):
        raise ValueError(f"there are two values for {name}")
    return ":".join([kind, named[0].partition("=")[2].strip(), *others])


def _escaped_interface(found: re.Match[str]) -> str:
    address = found[2]
    return f":interface={_escaped(address)}" if ip(address) is not None else found[0]


def unescape(part: str) -> str:
    """A part of an endpoint string without its backslashes."""
    return re.sub(r"\\(.)", r"\1", part)


def check_server(text: str, folder: Path) -> str:
    """Check a Twisted server endpoint string, and that its files can be read and match each other.

    :param folder: what relative paths are relative to.
    :returns: the string with absolute paths, and the port as its first argument.
    :raises ValueError: says what is wrong: `InvalidValues` where it is more than one thing.
    """
    parts = split(text if text.lower().startswith("tls:") else positional(text))
    problems = Problems()
    with problems.noting():
        if parts[0] == "ssl" and not any(part.startswith("privateKey=") for part in parts):
            has_certificate = any(part.startswith("certKey=") for part in parts)
            raise ValueError("privateKey= is missing" if has_certificate else "privateKey= and certKey= are missing")
    for index, part in enumerate(parts):
        with problems.noting():
            _check_name(parts[0], index, part)
            parts[index] = _part(parts[0], index, part, folder)
    with problems.noting():
        if parts[0] in ("tcp", "ssl", "tcp6") and parts[1:2] != ["0"]:
            port_number(parts[1] if len(parts) > 1 else "")
    problems.raise_any()
    if parts[0] == "ssl":
        _check_pair(parts)
    absolute = ":".join(parts)
    plain = ["tcp", *(part for part in parts[1:] if part.partition("=")[0] not in FILE_KEYS)]
    try:
        # It only parses: nothing listens. The files of ssl: are loaded elsewhere, as they will be by the start.
        serverFromString(None, ":".join(plain) if parts[0] == "ssl" else absolute)
    except Exception as error:  # the parser of an endpoint type may raise anything
        why = " ".join(map(str, error.args)) or type(error).__name__
        raise ValueError(f"this is no server endpoint ({why})") from error
    return absolute


def _check_name(kind: str, index: int, part: str) -> None:
    """Check the name of an option.

    :raises InvalidValue: an endpoint of this kind has none such.
    """
    name, equals, _value = part.partition("=")
    known = _NAMES.get(kind)
    if known is not None and index > 0 and equals and name not in (*known, "dhParameters"):
        raise InvalidValue(f"'{name}' is not known here", did_you_mean(name, known))


def _part(kind: str, index: int, part: str, folder: Path) -> str:
    """A part of a server endpoint string, in which a path is made absolute.

    :raises ValueError: it has no place there, or its file can't be read.
    """
    key, equals, value = part.partition("=")
    if key == "dhParameters" and kind == "ssl":
        raise InvalidValue("dhParameters has no use: no suite with DHE is offered", "leave it out")
    if equals and key in FILE_KEYS:
        _readable(key, folder / unescape(value))
        return f"{key}={_absolute(value, folder)}"
    if index == 1 and not equals and kind in _PATH_FIRST:
        return _absolute(part, folder)
    return part


def self_signed_files(folder: Path) -> tuple[Path, Path]:
    """Key and certificate that the proxy makes itself, for the configuration file in this folder."""
    return folder / "self-signed" / "key.pem", folder / "self-signed" / "cert.pem"


def check_public(text: str, folder: Path) -> str:
    """The same as `check_server`, for browsers: an ``ssl:`` line that names neither key nor certificate gets those that
    the proxy makes itself, which need not exist yet."""
    kind, *rest = split(text)
    if kind.lower() != "ssl" or any(part.partition("=")[0] in FILE_KEYS for part in rest):
        return check_server(text, folder)
    plain = check_server(f"tcp{text[3:]}", folder)
    key, certificate = map(_escaped, self_signed_files(folder))
    return f"ssl{plain[3:]}:privateKey={key}:certKey={certificate}"


def check_sip(text: str, folder: Path, kinds: Collection[str] = ("udp", "tcp", "tls")) -> str:
    """Check ``KIND:PORT`` with optional ``:interface=ADDRESS``; ``tls:`` has the files of an ``ssl:`` endpoint.

    :param folder: what relative paths are relative to.
    :returns: `text`, with absolute paths, and the port as its first argument.
    :raises ValueError: says what is wrong: `InvalidValues` where it is more than one thing.
    """
    if split(text)[0].lower() in kinds:
        text = positional(text)
    kind, *rest = split(text)
    if kind not in kinds:
        raise ValueError(f"'{kind}:' is not known here")
    problems = Problems()
    right = rest[:1]
    for option in rest[1:]:
        with problems.noting():
            if kind != "tls" or option.partition("=")[0] not in _TLS_KEYS:
                _check_sip_option(option)
            right.append(option)
    with problems.noting():
        if kind == "tls":
            text = "tls" + check_server(":".join(["ssl", *right]), folder)[3:]
        elif rest[:1] != ["0"]:
            port_number(rest[0] if rest else "")
    problems.raise_any()
    return text


def _check_sip_option(option: str) -> None:
    key, _equals, value = option.partition("=")
    if key != "interface":
        raise ValueError(f"'{option}' is not known here")
    if ip(unescape(value)) is None:
        raise ValueError(f"'{value}' is no IP address")


def worker_ports(line: str, workers: int) -> range:
    """The UDP ports that a line of ``[sip] listen`` needs: its own, and the following ones, one for each of several
    workers.

    :returns: no ports for TCP, whose port the workers share, and for port 0, which means any free ports.
    """
    kind, port, *_ = split(line)
    if kind != "udp" or port == "0":
        return range(0)
    return range(int(port), int(port) + (workers if workers > 1 else 0) + 1)


def _absolute(value: str, folder: Path) -> str:
    return _escaped(folder / unescape(value))


def _escaped(path: Path | str) -> str:
    return re.sub(r"([\\:])", r"\\\1", str(path))


def _check_pair(parts: list[str]) -> None:
    """Check the files of an ``ssl:`` endpoint.

    :raises InvalidValue: they don't belong together.
    """
    files = {
        key: Path(unescape(value)) for key, _, value in (part.partition("=") for part in parts) if key in FILE_KEYS
    }
    key = files["privateKey"]
    check_pair(key, files.get("certKey", key))


def _readable(key: str, path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        remedy = f"put the PEM file there, or let {key} name it; a relative path starts at the configuration file"
        raise InvalidValue(f"{key}: {error.strerror} ({path})", remedy) from error
