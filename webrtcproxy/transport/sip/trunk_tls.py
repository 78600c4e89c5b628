"""TLS towards trunks: the trusted authorities for each domain, and the certificate to present (RFC 5922)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import (
    Certificate,
    PrivateCertificate,
    TLSVersion,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory

from webrtcproxy.config import ClientTls, ConfigError, Trunk
from webrtcproxy.config.key_pair import check_pair, private_key
from webrtcproxy.runtime.bounded import BoundedDict
from webrtcproxy.runtime.fingerprint import Fingerprint, fingerprint
from webrtcproxy.transport.certificate import CERTIFICATE, reason_of

log = Logger()

MAX_DOMAINS = 256
"""Domains whose settings are cached; bounded, since browsers may choose them."""

_PLAIN = ClientTls()

_NOBODY = Factory.forProtocol(Protocol)
"""Makes protocols of connections that are never opened."""


class TrunkTls:
    """Makes the client side of TLS connections.

    :param trunks: the configured trunks: each has the settings for the names by which it is reached over TLS; trunks
        that share a name have equal settings.
    """

    def __init__(self, trunks: Sequence[Trunk] = ()) -> None:
        self._settings: dict[str, ClientTls] = {}
        self._names = [frozenset(server.host for server in trunk.servers) for trunk in trunks]
        self._creators: BoundedDict[str, tuple[Fingerprint, IOpenSSLClientConnectionCreator]] = BoundedDict(MAX_DOMAINS)
        self._unusable: BoundedDict[str, Fingerprint] = BoundedDict(MAX_DOMAINS)
        for trunk in trunks:
            if trunk.may_be_tls:
                self._settings.update((server.host, trunk.tls) for server in trunk.servers)

    def same_trunk(self, one: str, other: str) -> bool:
        """Whether two domains are servers of the same trunk."""
        return any(one in names and other in names for names in self._names)

    def creator(self, domain: str) -> IOpenSSLClientConnectionCreator:
        """Begins handshakes with a server whose certificate must contain `domain`, a host name or an IP address.

        The certificate must contain it in its subjectAltName, and be issued by an authority of the trunk's ``tls-ca``
        or, without that option, of the system. Files that have changed are read again; if
        they can't be used, what was read before stays.

        :raises Exception: a file can't be read or has no usable content, and nothing was read before.
        """
        tls = self._settings.get(domain, _PLAIN)
        seen = fingerprint(tls.ca, tls.certificate, tls.key)
        kept = self._creators.get(domain)
        if kept is not None and kept[0] == seen:
            return kept[1]
        try:
            creator = _creator(domain, tls)
        except Exception as error:
            if kept is None:
                raise
            if self._unusable.get(domain) != seen:
                self._unusable[domain] = seen
                _log_unusable(domain, tls, error)
            return kept[1]
        self._creators[domain] = seen, creator
        return creator

    def reload(self) -> None:
        """Read all files of trunks now, whether they have changed or not, and the authorities of the system before the
        next connection. A file that can't be used is logged as an error, and what was read before stays."""
        for domain in tuple(self._creators):
            if self._settings.get(domain, _PLAIN) == _PLAIN:
                del self._creators[domain]
        for domain, tls in self._settings.items():
            if tls == _PLAIN:
                continue
            try:
                creator = _creator(domain, tls)
            except Exception as error:
                _log_unusable(domain, tls, error)
            else:
                self._creators[domain] = fingerprint(tls.ca, tls.certificate, tls.key), creator


def _log_unusable(domain: str, tls: ClientTls, error: Exception) -> None:
    files = ", ".join(str(path) for path in (tls.ca, tls.certificate, tls.key) if path is not None)
    why = error.strerror if isinstance(error, OSError) and error.strerror else reason_of(error)
    log.error("TLS with {domain} stays as it was, {files} can't be used: {why}", domain=domain, files=files, why=why)


def _creator(domain: str, tls: ClientTls) -> IOpenSSLClientConnectionCreator:
    trust = platformTrust()
    if tls.ca is not None:
        trust = trustRootFromCertificates([Certificate.loadPEM(text) for text in _certificates(tls.ca)])
    ours, chain = None, []
    if tls.certificate is not None and tls.key is not None:
        first, *chain = _certificates(tls.certificate)
        ours = PrivateCertificate.loadPEM(first + b"\n" + private_key(tls.key.read_bytes()))
    extra = {
        "raiseMinimumTo": TLSVersion.TLSv1_2,
        **({"extraCertChain": [Certificate.loadPEM(text).original for text in chain]} if ours is not None else {}),
    }
    return optionsForClientTLS(domain, trust, ours, extraCertificateOptions=extra)


def trunk_tls_mistakes(trunks: Sequence[Trunk]) -> Iterator[ConfigError]:
    """The files of trunks that OpenSSL does not take: they are loaded as for a connection. A pair that is none has been
    told by who has read the section."""
    for trunk in trunks:
        if trunk.tls != _PLAIN and _is_pair(trunk.tls):
            try:
                creator = _creator("localhost", trunk.tls)
                creator.clientConnectionForTLS(TLSMemoryBIOFactory(creator, True, _NOBODY).buildProtocol(None))
            except Exception as error:  # OpenSSL's, cryptography's, Twisted's
                key = "tls-ca" if trunk.tls.certificate is None else "tls-certificate"
                remedy = "write the paths of PEM files that can be used for TLS"
                yield ConfigError(f"trunk {trunk.name}", key, None, remedy, reason_of(error))


def _is_pair(tls: ClientTls) -> bool:
    if tls.key is None or tls.certificate is None:
        return True
    try:
        check_pair(tls.key, tls.certificate)
    except (OSError, ValueError):
        return False
    return True


def _certificates(path: Path) -> list[bytes]:
    return CERTIFICATE.findall(path.read_bytes())
