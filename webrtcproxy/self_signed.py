"""The certificate that the proxy makes itself, for ``ssl:`` lines of ``[wss] listen`` that name none: so it comes up
before there is one that browsers trust."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from twisted.logger import Logger

from webrtcproxy.config import Config, ConfigError
from webrtcproxy.config.endpoints import self_signed_files, split, unescape
from webrtcproxy.config.key_pair import check_pair
from webrtcproxy.demo.certificate import write_certificate
from webrtcproxy.runtime.own_address import own_address

log = Logger()

RENEW_BEFORE: Final = timedelta(days=30)
"""Before the end of a certificate, the start makes a new one."""


def unmade(config: Config) -> Path | None:
    """The path of the key that the start has to make, with its certificate; None where no line needs it, or where there
    is a pair that serves for a while."""
    key, certificate = self_signed_files(config.path.parent)
    wanted = f"privateKey={key}"
    if not any(unescape(part) == wanted for line in config.wss.listen for part in split(line)):
        return None
    try:
        check_pair(key, certificate)
        end = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return key
    return key if datetime.now(UTC) > end - RENEW_BEFORE else None


def make(key: Path) -> Iterator[ConfigError]:
    """Make key and certificate. The names in it are those of this machine.

    :param key: as `unmade` has it.
    :returns: the mistake that they can't be written, if so.
    """
    try:
        write_certificate(key.parent, _own_names())
    except OSError as error:
        yield _unwritable(key.parent, error.strerror or "")
    else:
        log.info("A new self-signed certificate is in {folder}", folder=str(key.parent))


def unmakeable(key: Path) -> Iterator[ConfigError]:
    """The mistake that `make` would find; nothing is written.

    :param key: as `unmade` has it.
    """
    folder = key.parent
    if not folder.exists():
        folder = folder.parent
    elif not folder.is_dir():
        yield _unwritable(folder, "Not a directory")
        return
    certificate = key.with_name("cert.pem")
    if not os.access(folder, os.W_OK | os.X_OK) or (certificate.exists() and not os.access(certificate, os.W_OK)):
        yield _unwritable(key.parent, "Permission denied")


def _unwritable(folder: Path, why: str) -> ConfigError:
    remedy = "write privateKey= and certKey= of a certificate of your own, or let this user write there"
    problem = f"a self-signed certificate can't be written to {folder} ({why})"
    return ConfigError("wss", "listen", None, remedy, problem)


def _own_names() -> list[str]:
    names = ["localhost", "127.0.0.1", "::1", socket.gethostname(), own_address(), own_address(socket.AF_INET6)]
    return [name for name in dict.fromkeys(names) if name.isascii() and 0 < len(name) <= 64]
