"""The options of a trunk for its transport: UDP, TCP, TLS, stop codes of failover, pings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from cryptography import x509

from webrtcproxy.config.ini import Section
from webrtcproxy.config.key_pair import check_pair, has_private_key
from webrtcproxy.config.kinds import Kind, custom
from webrtcproxy.config.mistakes import InvalidValue
from webrtcproxy.config.option import option

Transport = Literal["udp", "tcp", "tls"]

_TRANSPORTS: Final[dict[frozenset[str], tuple[Transport, bool]]] = {
    frozenset({"udp"}): ("udp", False),
    frozenset({"tcp"}): ("tcp", False),
    frozenset({"tls"}): ("tls", False),
    frozenset({"udp", "tcp"}): ("udp", True),
}


def _transport(section: Section, key: str, remedy: str) -> tuple[Transport, bool]:
    found = _TRANSPORTS.get(frozenset(word.lower() for word in section.words(key, remedy)))
    if found is None:
        raise section.error(key, "not known here", remedy)
    return found


def _codes(word: str) -> range:
    if len(word) == 3 and word[0] in "3456" and word[1:].lower() == "xx":
        return range(int(word[0]) * 100, int(word[0]) * 100 + 100)
    if not (word.isascii() and word.isdigit() and 300 <= int(word) < 700):
        raise ValueError("this is no final response")
    return range(int(word), int(word) + 1)


def _stop_codes(section: Section, key: str, remedy: str) -> frozenset[int]:
    return frozenset(code for codes in section.each(key, remedy, _codes) for code in codes)


def _ping(section: Section, key: str, remedy: str) -> float:
    seconds = section.number(key, 0, 3600)
    if 0 < seconds < 1:
        raise section.error(key, "that is too often", remedy)
    return seconds


def _file(section: Section, key: str, remedy: str) -> Path:
    path = section.folder / section.text(key, remedy)
    try:
        path.read_bytes()
    except OSError as error:
        raise section.error(key, f"{error.strerror} ({path})", remedy) from error
    return path


def _certificate_file(section: Section, key: str, remedy: str) -> Path:
    path = _file(section, key, remedy)
    try:
        x509.load_pem_x509_certificates(path.read_bytes())
    except ValueError as error:
        problem = f"there is no certificate in {path}"
        if has_private_key(path.read_bytes()):
            problem += ", but a key"
            remedy = "swap the two, if tls-key is the certificate" if key == "tls-certificate" else remedy
        raise section.error(key, problem, remedy) from error
    return path


_PEM: Final = "write the path of a PEM file; a relative one starts at the configuration file"

TRANSPORT: Final[Kind[tuple[Transport, bool]]] = custom(
    _transport, "write udp, tcp or tls, or 'udp tcp' for a trunk that takes by TCP what is too large for UDP"
)
"""The transport, and whether requests that are too large for a datagram go over TCP."""
CERTIFICATE_FILE: Final[Kind[Path]] = custom(_certificate_file, _PEM)
"""The path of a PEM file with certificates."""
STOP_CODES: Final = custom(_stop_codes, "write final responses such as 404 486 603, or 4xx for all of them")
"""Status codes of final responses."""
PING: Final = custom(_ping, "write a number from 1 to 3600, or 0 for none")
"""The interval of pings, in seconds."""


@dataclass(frozen=True, slots=True)
class ClientTls:
    """TLS towards a trunk: paths of PEM files."""

    ca: Path | None = option(
        CERTIFICATE_FILE,
        "With TLS: the authorities that may have issued its certificate.",
        default=None,
        key="tls-ca",
        absent="those that the system trusts",
    )
    certificate: Path | None = option(
        CERTIFICATE_FILE,
        "With TLS: the certificate to present if the trunk requests one, followed by its chain.",
        default=None,
        key="tls-certificate",
    )
    key: Path | None = option(
        custom(_file, _PEM),
        "The private key of ``tls-certificate``, without a password.",
        default=None,
        key="tls-key",
    )


def check_client_tls(section: Section, tls: ClientTls) -> None:
    """Note where the certificate or the key is missing, or they don't match."""
    if (tls.certificate is None) != (tls.key is None):
        missing = "tls-key" if tls.key is None else "tls-certificate"
        section.note(missing, "it is missing", "write both tls-certificate and tls-key, or neither")
    if tls.certificate is None or tls.key is None:
        return
    try:
        check_pair(tls.key, tls.certificate)
    except InvalidValue as error:
        section.note("tls-key", str(error), error.remedy)
