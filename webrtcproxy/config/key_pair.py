"""Checks that a private key and a certificate, each in a PEM file, belong together, and says what to do where not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from webrtcproxy.config.mistakes import InvalidValue

_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----\s.+?-----END CERTIFICATE-----", re.DOTALL)
_KEY: Final = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----\s.+?-----END \1-----", re.DOTALL)


def check_pair(key: Path, certificate: Path) -> None:
    """Check that a key can be used, and belongs to the first certificate of a file.

    :param certificate: the file; its chain may follow in it.
    :raises InvalidValue: they are no pair; says what is wrong, and how to mend it.
    :raises OSError: a file can't be read.
    """
    keys, certificates = key.read_bytes(), certificate.read_bytes()
    found = [match.group() for match in _CERTIFICATE.finditer(certificates)]
    own = _KEY.search(keys)
    if not found and own is None and _KEY.search(certificates) and _CERTIFICATE.search(keys):
        raise InvalidValue(f"{certificate} is a key, and {key} a certificate", "swap the two")
    if not found:
        raise InvalidValue(
            f"there is no PEM certificate in {certificate}", _remedy(certificates, "x509", "certificate")
        )
    if own is None:
        raise InvalidValue(f"there is no PEM private key in {key}", _remedy(keys, "pkey", "key"))
    _check_belongs(own.group(), key, found, certificate)


def has_private_key(octets: bytes) -> bool:
    """Whether there is a private key in PEM text."""
    return _KEY.search(octets) is not None


def private_key(octets: bytes) -> bytes:
    """The first private key in PEM text, without what stands around it, such as a byte order mark.

    :raises ValueError: there is none, or it has a password, for which OpenSSL would ask at the terminal.
    """
    found = _KEY.search(octets)
    if found is None:
        raise ValueError("there is no PEM private key")
    if b"ENCRYPTED" in found.group():
        raise ValueError("the key has a password")
    return found.group()


def _check_belongs(text: bytes, key: Path, certificates: list[bytes], certificate: Path) -> None:
    try:
        public = load_pem_private_key(text, None).public_key()
    except TypeError as error:  # as cryptography says it
        remedy = f"take it out: openssl pkey -in {key} -out NEW, chmod 600 NEW"
        raise InvalidValue(f"the key in {key} has a password", remedy) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidValue(f"the key in {key} can't be read", "write the path of a whole PEM file") from error
    try:
        owners = [x509.load_pem_x509_certificate(each).public_key() == public for each in certificates]
    except (ValueError, UnsupportedAlgorithm) as error:
        problem = f"a certificate in {certificate} can't be read"
        raise InvalidValue(problem, "write the path of a whole PEM file") from error
    if not any(owners):
        remedy = "write the key for which the certificate was issued"
        raise InvalidValue(f"the key in {key} does not belong to the certificate in {certificate}", remedy)
    if not owners[0]:
        problem = f"in {certificate} the certificate of the key stands behind others"
        raise InvalidValue(problem, "put it first in the file, and its chain after it")


def _remedy(octets: bytes, command: str, what: str) -> str:
    if octets[:1] == b"\x30":  # a SEQUENCE of ASN.1
        return f"it seems to be DER; convert it: openssl {command} -inform der -in FILE -out NEW"
    return f"write the path of the PEM file of the {what}"
