"""A key and its certificate: each way in which two files are no pair is told, with what to do."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.config.key_pair import check_pair, private_key
from webrtcproxy.config.mistakes import InvalidValue
from webrtcproxy.demo.certificate import write_certificate


class KeyPairTests(SynchronousTestCase):
    """`check_pair` reads both."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.key, self.certificate = write_certificate(self.folder)
        self.other_key, self.other = write_certificate(self.folder / "other")

    def file(self, name: str, octets: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(octets)
        return path

    def refused(self, key: Path, certificate: Path) -> str:
        error = self.assertRaises(InvalidValue, check_pair, key, certificate)
        self.assertTrue(error.remedy)
        return f"{error}; {error.remedy}"

    def test_pair(self) -> None:
        """Two files, one file with both in either order, a certificate with its chain after it, text around them."""
        check_pair(self.key, self.certificate)
        key, certificate, chain = self.key.read_bytes(), self.certificate.read_bytes(), self.other.read_bytes()
        for both in (key + certificate + chain, b"comment\n" + certificate + key):
            file = self.file("both.pem", both)
            check_pair(file, file)

    def test_around_it(self) -> None:
        """What stands around a key is not handed to OpenSSL: a byte order mark, line ends of Windows, text."""
        key = self.key.read_bytes()
        for octets in (b"\xef\xbb\xbf" + key, b"comment\n" + key + b"\n\n", self.certificate.read_bytes() + key):
            self.assertEqual(private_key(octets), key.strip())
            check_pair(self.file("around.pem", octets), self.certificate)
        check_pair(self.key, self.file("marked.pem", b"\xef\xbb\xbf" + self.certificate.read_bytes()))
        self.assertRaises(ValueError, private_key, self.certificate.read_bytes())

    def test_swapped(self) -> None:
        """The key for the certificate and the other way round (field.rst Y3: Key and certificate swapped)."""
        self.assertIn("swap the two", self.refused(self.certificate, self.key))

    def test_other_key(self) -> None:
        """The key of another certificate; the certificate behind its chain."""
        self.assertIn("does not belong to the certificate", self.refused(self.other_key, self.certificate))
        chain_first = self.file("chain.pem", self.other.read_bytes() + self.certificate.read_bytes())
        self.assertIn("put it first", self.refused(self.key, chain_first))

    def test_nothing(self) -> None:
        """A file without a key, or without a certificate; broken ones; none."""
        empty = self.file("empty.pem", b"")
        self.assertIn(f"no PEM certificate in {empty}", self.refused(self.key, empty))
        self.assertIn(f"no PEM private key in {empty}", self.refused(empty, self.certificate))
        self.assertIn("no PEM private key", self.refused(self.certificate, self.certificate))
        broken = self.key.read_bytes().replace(b"M", b"N")
        self.assertIn("can't be read", self.refused(self.file("broken.pem", broken), self.certificate))
        broken = self.certificate.read_bytes().replace(b"M", b"N")
        self.assertIn("can't be read", self.refused(self.key, self.file("broken.pem", broken)))
        self.assertRaises(OSError, check_pair, self.folder / "none.pem", self.certificate)

    def test_password(self) -> None:
        """A key with a password can't be used by a daemon."""
        key = load_pem_private_key(self.key.read_bytes(), None)
        locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        self.assertIn("openssl pkey -in", self.refused(self.file("locked.pem", locked), self.certificate))
        traditional = key.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"secret")
        )
        for octets in (locked, traditional):
            self.assertIn("has a password", str(self.assertRaises(ValueError, private_key, octets)))

    def test_der(self) -> None:
        """DER in place of PEM: how to convert it."""
        der = x509.load_pem_x509_certificate(self.certificate.read_bytes()).public_bytes(Encoding.DER)
        self.assertIn("openssl x509 -inform der", self.refused(self.key, self.file("cert.der", der)))
