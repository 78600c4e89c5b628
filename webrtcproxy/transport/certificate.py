"""TLS server endpoints that reload their certificate: after a renewal, the next handshake uses the new files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from OpenSSL import SSL
from OpenSSL.crypto import X509StoreFlags
from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    serverFromString,
)
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IReactorTime, IStreamServerEndpoint
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    PrivateCertificate,
    TLSVersion,
)
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from webrtcproxy.config import Config, ConfigError
from webrtcproxy.config.addresses import family_of
from webrtcproxy.config.endpoints import split, unescape
from webrtcproxy.config.key_pair import private_key
from webrtcproxy.runtime.fingerprint import Fingerprint, fingerprint
from webrtcproxy.runtime.internals import limit_groups
from webrtcproxy.transport.connection import TcpReactor
from webrtcproxy.transport.tls import TlsEndpoint

log = Logger()

RETRY = 5.0
"""Seconds until unchanged files that do not match each other are read again."""

SUITES = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"
    b"ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
)
"""The suites for TLS 1.2: with forward secrecy and authenticated encryption (RFC 9325 section 4.2). Those of TLS 1.3
all have both."""

GROUPS = (b"X25519MLKEM768:X25519:P-256:P-384:P-521", b"X25519:P-256:P-384:P-521")
"""The groups for both, with and without the hybrid that older versions of OpenSSL lack. Finite-field groups, which TLS
1.3 has too, would let a client have the server compute for milliseconds (CVE-2002-20001)."""

_OPTIONS = frozenset({"port", "interface", "backlog", "privateKey", "certKey", "extraCertChain"})
CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----\s.+?-----END CERTIFICATE-----", re.DOTALL)


class BadCertificate(ValueError):
    """A certificate and its key can't be used; the text names the files and the reason."""


def server_endpoint(
    reactor: TcpReactor, text: str, descriptor: int | None = None, client_ca: Path | None = None
) -> IStreamServerEndpoint:
    """The endpoint of a Twisted endpoint string.

    ``ssl:`` is parsed here: the certificate is reloaded, the chain may be in the file of the certificate (as in
    fullchain.pem of Let's Encrypt), `interface` may be IPv6, and TLS is 1.2 or newer. All else is left to Twisted.

    :param descriptor: of a socket that already listens there; only for ``ssl:`` and ``tcp:``.
    :param client_ca: for ``ssl:``, the authorities that must have issued the certificates of clients; None to ask for
        none.
    :raises ValueError: the string, or one of its files, is not valid.
    """
    kind, *rest = split(text)
    if kind != "ssl" and descriptor is not None:
        return _adopted(reactor, text, descriptor)
    if kind != "ssl":
        return serverFromString(reactor, text)  # type: ignore[no-any-return]
    options = _options(rest)
    files = KeyFiles.named(options, client_ca)
    port, backlog = _number(options, "port", "443"), _number(options, "backlog", "1024")
    interface = options.get("interface", "")
    plain: IStreamServerEndpoint
    if descriptor is not None:
        plain = _adopted(reactor, text, descriptor)
    else:
        plain = (TCP6ServerEndpoint if ":" in interface else TCP4ServerEndpoint)(reactor, port, backlog, interface)
    return TlsEndpoint(ReloadingCertificate(reactor, files), plain, reactor)


def reload_certificates(endpoints: Iterable[IStreamServerEndpoint]) -> None:
    """Read the certificates of those endpoints of `server_endpoint` again that have one."""
    for endpoint in endpoints:
        if isinstance(endpoint, TlsEndpoint) and isinstance(endpoint.creator, ReloadingCertificate):
            endpoint.creator.reload()


def _adopted(reactor: TcpReactor, text: str, descriptor: int) -> IStreamServerEndpoint:
    """An endpoint on a socket that already listens."""
    interface = next((unescape(part) for part in split(text) if part.startswith("interface=")), "")
    return AdoptedStreamServerEndpoint(reactor, descriptor, family_of(interface))


class KeyFiles:
    """The files of one certificate.

    :param key: the private key, PEM.
    :param certificate: the certificate, PEM, with or without its chain after it.
    :param chain: more certificates of the chain.
    :param client_ca: PEM; each client has to present a certificate that one of these has issued. None to ask for none.
    """

    __slots__ = ("certificate", "chain", "client_ca", "key")

    def __init__(self, key: Path, certificate: Path, chain: Path | None = None, client_ca: Path | None = None) -> None:
        self.key = key
        self.certificate = certificate
        self.chain = chain
        self.client_ca = client_ca

    @classmethod
    def named(cls, options: Mapping[str, str], client_ca: Path | None = None) -> KeyFiles:
        """The files named by the options of an endpoint."""
        key = Path(options.get("privateKey", "server.pem"))
        return cls(
            key=key,
            certificate=Path(options.get("certKey", key)),
            chain=Path(options["extraCertChain"]) if "extraCertChain" in options else None,
            client_ca=client_ca,
        )

    def fingerprint(self) -> Fingerprint:
        """A value that changes when one of the files changes."""
        return fingerprint(self.key, self.certificate, self.chain, self.client_ca)

    def load(self) -> SSL.Context:
        """Read the files.

        :raises BadCertificate: one can't be read, or they do not match each other.
        """
        try:
            return self._load()
        except Exception as error:  # OSError, OpenSSL's, cryptography's, Twisted's: the remedy is the same
            why = error.strerror if isinstance(error, OSError) else reason_of(error)
            clients = f" and {self.client_ca}" if self.client_ca is not None else ""
            raise BadCertificate(f"{self.certificate} with {self.key}{clients}: {why}") from error

    def _load(self) -> SSL.Context:
        certificates = CERTIFICATE.findall(self.certificate.read_bytes())
        if not certificates:
            raise ValueError("there is no PEM certificate")
        pair = PrivateCertificate.loadPEM(certificates[0] + b"\n" + private_key(self.key.read_bytes()))
        chain = certificates[1:]
        if self.chain is not None:
            chain += CERTIFICATE.findall(self.chain.read_bytes())
        options = CertificateOptions(
            privateKey=pair.privateKey.original,
            certificate=pair.original,
            extraCertChain=[Certificate.loadPEM(text).original for text in chain],
            raiseMinimumTo=TLSVersion.TLSv1_2,
        )
        context: SSL.Context = options.getContext()
        context.set_cipher_list(SUITES)
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
        limit_groups(context, GROUPS)
        if self.client_ca is not None:
            _ask_for_certificates(context, self.client_ca)
        return context


def certificate_mistakes(config: Config, unmade: Path | None = None) -> Iterator[ConfigError]:
    """The certificates and keys of a configuration that OpenSSL does not take: they are loaded as the start does.

    :param unmade: the key of a pair that the start will make, and that is not looked at.
    """
    for section, kind, lines, client_ca in (
        ("wss", "ssl", config.wss.listen, config.wss.client_ca),
        ("sip", "tls", config.sip.listen, config.sip.client_ca),
        ("web", "ssl", config.web.listen, None),
    ):
        for entry, line in enumerate(lines):
            name, *rest = split(line)
            if name == kind:
                files = KeyFiles.named(_options(rest), client_ca)
                if files.key == unmade:
                    continue
                try:
                    files.load()
                except ValueError as error:
                    remedy = "write the paths of PEM files that belong together"
                    mistake = ConfigError(section, "listen", line, remedy, str(error))
                    mistake.entry = entry
                    yield mistake


def reason_of(error: Exception) -> str:
    """What an exception says; of OpenSSL's, the last word of each of its errors."""
    if isinstance(error, SSL.Error) and error.args and isinstance(error.args[0], list):
        return ", ".join(str(entry[-1]) for entry in error.args[0])
    return str(error) or type(error).__name__


def _ask_for_certificates(context: SSL.Context, file: Path) -> None:
    """Have each client present a certificate that one of the authorities in a PEM file has issued (RFC 5246 section
    7.4.4, RFC 8446 section 4.3.2)."""
    authorities = CERTIFICATE.findall(file.read_bytes())
    if not authorities:
        raise ValueError(f"there is no PEM certificate in {file}")
    store = context.get_cert_store()
    assert store is not None
    store.set_flags(X509StoreFlags.PARTIAL_CHAIN)  # an intermediate authority will do, without the root above it
    for text in authorities:
        authority = Certificate.loadPEM(text).original
        store.add_cert(authority)
        context.add_client_ca(authority)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)


@implementer(IOpenSSLServerConnectionCreator)
class ReloadingCertificate:
    """Begins each handshake with the newest files that match each other.

    :param clock: for reading files again that did not match.
    :raises BadCertificate: they do not match at first.
    """

    def __init__(self, clock: IReactorTime, files: KeyFiles) -> None:
        self._clock = clock
        self._files = files
        self._seen = files.fingerprint()
        self._retry_at = float("inf")
        self._context = files.load()

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """A handshake begins: check the files, which takes microseconds."""
        now = self._files.fingerprint()
        if now != self._seen or self._clock.seconds() >= self._retry_at:
            self._renew(now)
        return SSL.Connection(self._context, None)

    def reload(self) -> None:
        """Read the files now. If they can't be used, the old pair stays, and an error is logged."""
        self._seen = self._files.fingerprint()
        try:
            self._context = self._files.load()
        except BadCertificate as error:
            self._retry_at = self._clock.seconds() + RETRY
            log.error("The certificate in use stays, its files can't be used: {why}", why=str(error))
            return
        self._retry_at = float("inf")
        log.info("The certificate was read again from {file}", file=str(self._files.certificate))

    def _renew(self, now: Fingerprint) -> None:
        """Use the new files if they match, else keep the old pair (a renewal writes two files, one after the other)."""
        changed, self._seen = now != self._seen, now
        try:
            self._context = self._files.load()
        except BadCertificate as error:
            self._retry_at = self._clock.seconds() + RETRY
            if changed:
                log.warn("The certificate in use stays, its files changed but are no pair: {why}", why=str(error))
            return
        self._retry_at = float("inf")
        log.info("New certificate from {file}", file=str(self._files.certificate))


def _options(parts: list[str]) -> dict[str, str]:
    """The options of an ``ssl:`` string; the first without a name is the port."""
    options: dict[str, str] = {}
    for place, part in enumerate(parts):
        key, equals, value = part.partition("=")
        if not equals and place == 0:
            key, value = "port", part
        if key not in _OPTIONS:
            raise ValueError(f"ssl: '{key}' is not known; TLS is 1.2 or newer" if key else "ssl: an empty option")
        options[key] = unescape(value)
    return options


def _number(options: Mapping[str, str], name: str, default: str) -> int:
    value = options.get(name, default)
    if not (value.isascii() and value.isdecimal()):
        raise ValueError(f"ssl: {name} is no number")
    return int(value)
