"""The certificate follows its files: one that is renewed needs no restart, which would end the calls."""

import contextlib
from pathlib import Path

from OpenSSL import SSL
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.support.authority import Authority
from webrtcproxy.demo.certificate import write_certificate
from webrtcproxy.transport import certificate
from webrtcproxy.transport.certificate import (
    RETRY,
    BadCertificate,
    KeyFiles,
    ReloadingCertificate,
    server_endpoint,
)


def handshake(
    server: SSL.Connection,
    version: int | None = None,
    *,
    suites: str = "",
    pair: tuple[Path, Path] | None = None,
):
    """Shake hands in memory.

    :param version: the newest that the client speaks.
    :param suites: those that the client offers for TLS 1.2; empty for the usual ones.
    :param pair: key and certificate of the client.
    :returns: the certificates that the client saw, the server's first.
    """
    context = SSL.Context(SSL.TLS_METHOD)
    if version is not None:
        context.set_max_proto_version(version)
    if suites:
        context.set_cipher_list(suites.encode())
    if pair is not None:
        context.use_privatekey_file(str(pair[0]))
        context.use_certificate_file(str(pair[1]))
    client = SSL.Connection(context, None)
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(10):
        for one, other in ((client, server), (server, client)):
            with contextlib.suppress(SSL.WantReadError):
                one.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(65536))
    return [certificate.to_cryptography() for certificate in client.get_peer_cert_chain()]


class CertificateCase(SynchronousTestCase):
    """Two pairs of files, ``one`` and ``two``."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.one = write_certificate(self.folder / "one", ["one.example"])
        self.two = write_certificate(self.folder / "two", ["two.example"])
        self.key, self.certificate = write_certificate(self.folder / "live", ["live.example"])
        self.clock = Clock()

    def copy(self, source: Path, target: Path) -> None:
        """Renew a file."""
        fresh = target.with_suffix(".new")
        fresh.write_bytes(source.read_bytes())
        fresh.replace(target)

    def name(self, follower: ReloadingCertificate) -> str:
        """Whose certificate a client sees now."""
        seen = handshake(follower.serverConnectionForTLS(None))[0]
        return seen.subject.rfc4514_string().removeprefix("CN=")

    def follow(self, **files) -> ReloadingCertificate:
        """Follow the live pair."""
        return ReloadingCertificate(self.clock, KeyFiles(self.key, self.certificate, **files))


class Following(CertificateCase):
    """Renewal."""

    def test_renewed(self) -> None:
        """A renewed pair is used by the next handshake."""
        follower = self.follow()
        self.assertEqual(self.name(follower), "live.example")
        self.copy(self.one[0], self.key)
        self.copy(self.one[1], self.certificate)
        self.assertEqual(self.name(follower), "one.example")
        self.copy(self.two[0], self.key)
        self.copy(self.two[1], self.certificate)
        self.assertEqual(self.name(follower), "two.example")

    def test_half_renewed(self) -> None:
        """Half a pair keeps the old one, until the other half is there."""
        follower = self.follow()
        self.copy(self.one[1], self.certificate)
        self.assertEqual(self.name(follower), "live.example")
        self.assertEqual(self.name(follower), "live.example")
        self.copy(self.one[0], self.key)
        self.assertEqual(self.name(follower), "one.example")

    def test_broken(self) -> None:
        """Files that are gone or broken keep the old pair."""
        follower = self.follow()
        self.certificate.write_bytes(b"")
        self.assertEqual(self.name(follower), "live.example")
        self.certificate.unlink()
        self.assertEqual(self.name(follower), "live.example")
        self.copy(self.one[0], self.key)
        self.copy(self.one[1], self.certificate)
        self.assertEqual(self.name(follower), "one.example")

    def test_reload(self) -> None:
        """At SIGHUP the files are read at once, changed or not; those that can't be used are an error in the log, with
        their names, and what was read before stays."""
        follower = self.follow()
        context = follower._context
        follower.reload()
        self.assertIsNot(follower._context, context)
        self.copy(self.one[1], self.certificate)
        with capturedLogs() as events:
            follower.reload()
        (line,) = [formatEvent(event) for event in events if event["log_level"] is LogLevel.error]
        self.assertIn(f"{self.certificate} with {self.key}", line)
        self.assertEqual(self.name(follower), "live.example")
        self.copy(self.one[0], self.key)
        follower.reload()
        self.assertEqual(self.name(follower), "one.example")

    def test_reload_endpoints(self) -> None:
        """So it is for all endpoints with a certificate; others are left alone."""
        texts = [f"ssl:0:privateKey={self.key}:certKey={self.certificate}", "tcp:0"]
        endpoints = [server_endpoint(MemoryReactorClock(), text) for text in texts]
        with capturedLogs() as events:
            certificate.reload_certificates(endpoints)
        self.assertEqual(len(events), 1)

    def test_looked_at_again(self) -> None:
        """A pair that did not fit is looked at again though its files look the same (a chain that is being written)."""
        follower = self.follow()
        self.copy(self.one[1], self.certificate)
        self.assertEqual(self.name(follower), "live.example")
        follower._seen = KeyFiles(self.key, self.certificate).fingerprint()
        self.copy(self.one[0], self.key)
        follower._seen = KeyFiles(self.key, self.certificate).fingerprint()
        self.assertEqual(self.name(follower), "live.example")
        self.clock.advance(RETRY)
        self.assertEqual(self.name(follower), "one.example")

    def test_not_read_in_vain(self) -> None:
        """While nothing changes the files are not read."""
        follower = self.follow()
        context = follower._context
        self.name(follower)
        self.assertIs(follower._context, context)

    def test_bad_start(self) -> None:
        """A pair that does not fit at the start is an error that names its files."""
        self.copy(self.one[1], self.certificate)
        error = self.assertRaises(BadCertificate, self.follow)
        self.assertIn(str(self.certificate), str(error))
        self.certificate.unlink()
        self.assertIn("No such file", str(self.assertRaises(BadCertificate, self.follow)))
        self.certificate.write_bytes(b"hello")
        self.assertIn("no PEM certificate", str(self.assertRaises(BadCertificate, self.follow)))

    def test_chain(self) -> None:
        """The chain may stand after the certificate (fullchain.pem), or in a file that is followed too."""
        with self.certificate.open("ab") as file:
            file.write(self.one[1].read_bytes())
        follower = self.follow(chain=self.two[1])
        names = [seen.subject.rfc4514_string() for seen in handshake(follower.serverConnectionForTLS(None))]
        self.assertEqual(names, ["CN=live.example", "CN=one.example", "CN=two.example"])
        self.copy(self.one[1], self.two[1])
        names = [seen.subject.rfc4514_string() for seen in handshake(follower.serverConnectionForTLS(None))]
        self.assertEqual(names[-1], "CN=one.example")

    def test_versions(self) -> None:
        """TLS 1.2 is the oldest."""
        follower = self.follow()
        self.assertEqual(len(handshake(follower.serverConnectionForTLS(None), SSL.TLS1_2_VERSION)), 1)
        self.assertRaises(SSL.Error, handshake, follower.serverConnectionForTLS(None), SSL.TLS1_1_VERSION)


class Strength(CertificateCase):
    """What is agreed on, in memory; tests/integration/test_tls_server.py has the real ports (RFC 9325)."""

    def agreed(self, *given: object, **more: object) -> SSL.Connection:
        """The server's side after a handshake."""
        server = self.follow().serverConnectionForTLS(None)
        handshake(server, *given, **more)  # type: ignore[arg-type]
        return server

    def test_suites(self) -> None:
        """TLS 1.2 has suites with ECDHE and authenticated encryption, and no other, whatever the client would take."""
        for suite in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"):
            suite = f"ECDHE-ECDSA-{suite}"
            self.assertEqual(self.agreed(SSL.TLS1_2_VERSION, suites=suite).get_cipher_name(), suite)
        for suite in ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-CCM8"):
            self.assertRaises(SSL.Error, self.agreed, SSL.TLS1_2_VERSION, suites=f"{suite}:@SECLEVEL=0")

    def test_no_other_suites(self) -> None:
        """So it is for a certificate with an RSA key, too: no suite on offer exchanges keys with RSA, which lacks
        forward secrecy, or in finite fields, or goes without authentication."""
        offered = self.follow().serverConnectionForTLS(None).get_cipher_list()
        self.assertIn("ECDHE-RSA-AES128-GCM-SHA256", offered)
        for suite in offered:
            self.assertRegex(suite, r"^(TLS_|ECDHE-(ECDSA|RSA)-).*(GCM[-_]SHA\d+|POLY1305(_SHA256)?)$")

    def test_tls13(self) -> None:
        """TLS 1.3 is what two who can have it agree on."""
        self.assertEqual(self.agreed().get_protocol_version_name(), "TLSv1.3")

    def test_older_openssl(self) -> None:
        """A version of OpenSSL that lacks the first list of groups gets the second; the error of the first is no error
        of the next handshake."""
        self.patch(certificate, "GROUPS", (b"NoSuchGroup:X25519", b"P-384"))
        self.assertEqual(self.agreed().get_protocol_version_name(), "TLSv1.3")


class Clients(CertificateCase):
    """Certificates of clients (RFC 8446 section 4.3.2)."""

    def setUp(self) -> None:
        super().setUp()
        self.authority, self.other = Authority(self.folder, "ours"), Authority(self.folder, "other")
        self.follower = self.follow(client_ca=self.authority.file)

    def taken(self, pair: tuple[Path, Path] | None, version: int) -> bool:
        """Whether a client with this pair of files gets a connection."""
        try:
            handshake(self.follower.serverConnectionForTLS(None), version, pair=pair)
        except SSL.Error:
            return False
        return True

    def test_required(self) -> None:
        """The right one connects; none, that of another authority, an expired one, and one that has signed
        itself do not."""
        right = self.authority.issue("phone.example")
        wrong = [None, self.other.issue("phone.test"), self.authority.issue("old.example", expired=True), self.one]
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            self.assertTrue(self.taken(right, version))
            self.assertEqual([self.taken(pair, version) for pair in wrong], [False] * len(wrong))

    def test_not_asked(self) -> None:
        """Without the option nobody is asked."""
        self.follower = self.follow()
        self.assertTrue(self.taken(None, SSL.TLS1_3_VERSION))

    def test_renewed(self) -> None:
        """Authorities that are changed are those of the next handshake; a file without any keeps the old ones."""
        right, others = self.authority.issue("phone.example"), self.other.issue("phone.test")
        self.authority.file.write_text("nothing")
        self.assertEqual([self.taken(pair, SSL.TLS1_3_VERSION) for pair in (right, others, None)], [True, False, False])
        self.copy(self.other.file, self.authority.file)
        self.assertEqual([self.taken(pair, SSL.TLS1_3_VERSION) for pair in (right, others)], [False, True])

    def test_bad_start(self) -> None:
        """A file without a certificate ends the start, and is named."""
        self.authority.file.write_text("nothing")
        error = self.assertRaises(BadCertificate, self.follow, client_ca=self.authority.file)
        self.assertIn(f"there is no PEM certificate in {self.authority.file}", str(error))


class Endpoints(CertificateCase):
    """Endpoint strings."""

    def endpoint(self, text: str):
        """The endpoint on a reactor in memory."""
        return server_endpoint(MemoryReactorClock(), text)

    def test_ssl(self) -> None:
        """``ssl:`` as Twisted has it."""
        reactor = MemoryReactorClock()
        text = f"ssl:8443:interface=127.0.0.1:privateKey={self.key}:certKey={self.certificate}:backlog=7"
        endpoint = server_endpoint(reactor, text)
        self.successResultOf(endpoint.listen(None))
        port, _factory, backlog, interface = reactor.tcpServers[0]
        self.assertEqual((port, backlog, interface), (8443, 7, "127.0.0.1"))

    def test_ipv6(self) -> None:
        """With an IPv6 interface, which Twisted's own ``ssl:`` can't have."""
        reactor = MemoryReactorClock()
        text = f"ssl:port=8443:interface=\\:\\:1:privateKey={self.key}:certKey={self.certificate}"
        self.successResultOf(server_endpoint(reactor, text).listen(None))
        self.assertEqual(reactor.tcpServers[0][3], "::1")

    def test_one_file(self) -> None:
        """Key and certificate in one file."""
        both = self.folder / "both.pem"
        both.write_bytes(self.key.read_bytes() + self.certificate.read_bytes())
        self.endpoint(f"ssl:8443:privateKey={both}")

    def test_others(self) -> None:
        """All other endpoint strings are up to Twisted."""
        self.assertIsInstance(self.endpoint("tcp:8080"), TCP4ServerEndpoint)

    def test_mistakes(self) -> None:
        """What is wrong is said."""
        pair = f"privateKey={self.key}:certKey={self.certificate}"
        for text, word in (
            (f"ssl:8443:{pair}:sslmethod=SSLv23_METHOD", "sslmethod"),
            (f"ssl:x:{pair}", "port"),
            (f"ssl:8443:{pair}:dhParameters={self.key}", "dhParameters"),
            (f"ssl:8443:{pair}:backlog=x", "backlog"),
            (f"ssl:8443:{pair}:", "empty"),
            ("ssl:8443:privateKey=/nowhere", "/nowhere"),
        ):
            self.assertIn(word, str(self.assertRaises(ValueError, self.endpoint, text)))
