"""The ways to a trunk as its section has them: transports, TLS, and when the next target is tried."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from webrtcproxy.config.ini import Section
from webrtcproxy.config.values import ClientTls

Transport = Literal["udp", "tcp", "tls"]

_TRANSPORTS: Final[dict[frozenset[str], tuple[Transport, bool]]] = {
    frozenset({"udp"}): ("udp", False),
    frozenset({"tcp"}): ("tcp", False),
    frozenset({"tls"}): ("tls", False),
    frozenset({"udp", "tcp"}): ("udp", True),
}
_REMEDY = "write udp, tcp or tls, or 'udp tcp' for a trunk that takes by TCP what is too large for UDP"
_CODES = "write final responses such as 404 486 603, or 4xx for all of them"


def transport_of(section: Section, kinds: Collection[str]) -> tuple[Transport | None, bool]:
    """The transport, None where it is left to the DNS; and whether TCP takes what is too large for a datagram.

    :param kinds: the transports that ``[sip] listen`` has.
    :raises ConfigError: it is none, or one without a listen line.
    """
    words = frozenset(word.lower() for word in section.words("transport", _REMEDY))
    if not words:
        return None, False
    if words not in _TRANSPORTS:
        raise section.error("transport", "not known here", _REMEDY)
    for word in sorted(words - set(kinds)):
        remedy = f"add a {word}: line there, the trunk has to reach us as we reach it"
        raise section.error("transport", f"there is no {word}: line in [sip] listen", remedy)
    return _TRANSPORTS[words]


def client_tls(section: Section, folder: Path) -> ClientTls:
    """TLS towards the trunk.

    :param folder: what relative paths are relative to.
    :raises ConfigError: a file can't be read or has no certificate, or a certificate and key are not both there, or no
        pair.
    """
    ca, certificate, key = (_file(section, name, folder) for name in ("tls-ca", "tls-certificate", "tls-key"))
    if (certificate is None) != (key is None):
        missing = "tls-key" if key is None else "tls-certificate"
        raise section.error(missing, "it is missing", "write both tls-certificate and tls-key, or neither")
    if certificate is not None and key is not None:
        _check_pair(section, certificate, key)
    return ClientTls(ca, certificate, key)


def stop_codes(section: Section) -> frozenset[int] | None:
    """The final responses that end the search for a target; None where the section says nothing.

    :raises ConfigError: one is none.
    """
    found = section.each("stop-codes", _CODES, _codes)
    return frozenset(code for codes in found for code in codes) if found else None


def ping_of(section: Section) -> float:
    """Seconds between two pings, 0 for none."""
    seconds = section.number("ping", 0, 0, 3600)
    if 0 < seconds < 1:
        raise section.error("ping", "that is too often", "write a number from 1 to 3600, or 0 for none")
    return seconds


def _codes(word: str) -> range:
    if len(word) == 3 and word[0] in "3456" and word[1:].lower() == "xx":
        return range(int(word[0]) * 100, int(word[0]) * 100 + 100)
    if not (word.isascii() and word.isdigit() and 300 <= int(word) < 700):
        raise ValueError("this is no final response")
    return range(int(word), int(word) + 1)


def _check_pair(section: Section, certificate: Path, key: Path) -> None:
    remedy = "write the PEM file of the key of tls-certificate, which has no password"
    try:
        own = load_pem_private_key(key.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise section.error("tls-key", "this is no private key that can be used", remedy) from error
    if own.public_key() != x509.load_pem_x509_certificates(certificate.read_bytes())[0].public_key():
        raise section.error("tls-key", f"it does not belong to {certificate}", remedy)


def _file(section: Section, name: str, folder: Path) -> Path | None:
    remedy = "write the path of a PEM file; a relative one starts at the configuration file"
    text = section.text(name, remedy)
    if text is None:
        return None
    path = folder / text
    try:
        data = path.read_bytes()
        if name != "tls-key":
            x509.load_pem_x509_certificates(data)
    except OSError as error:
        raise section.error(name, f"{error.strerror} ({path})", remedy) from error
    except ValueError as error:
        raise section.error(name, f"there is no certificate in {path}", remedy) from error
    return path
