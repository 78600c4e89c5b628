"""What is looked at before anything starts: by ``--check`` and by the start, with the same words."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy import self_signed
from webrtcproxy.config import ConfigErrors
from webrtcproxy.config.key_pair import check_pair
from webrtcproxy.demo.certificate import write_certificate
from webrtcproxy.preflight import preflight
from webrtcproxy.runtime.own_address import own_address

RIGHT = """\
[wss]
listen = {wss}
[sip]
listen = udp:0:interface=127.0.0.1
    {sip}
[rtpengine]
nodes = 127.0.0.1
[trunk a]
host = voip.example
"""
WSS = "ssl:0:interface=127.0.0.1:privateKey=tls/key.pem:certKey=tls/cert.pem"


class PreflightTests(SynchronousTestCase):
    """`preflight`."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        write_certificate(self.folder / "tls")
        self.path = self.folder / "proxy.ini"

    def told(
        self, more: str = "", *, wss: str = WSS, sip: str = "tcp:0:interface=127.0.0.1", check: bool = False
    ) -> list[str]:
        self.path.write_text(RIGHT.format(wss=wss, sip=sip) + more)
        return [str(error) for error in preflight(self.path, check=check).mistakes]

    def test_right(self) -> None:
        """Nothing is told of what is right, and the command line is in the configuration."""
        self.assertEqual(self.told(), [])
        self.assertEqual(preflight(self.path, ["memory:a:b"]).config.auth, ("memory:a:b",))

    def test_unreadable(self) -> None:
        """A file that can't be read is all that can be told."""
        errors = self.assertRaises(ConfigErrors, preflight, self.folder / "none.ini").mistakes
        self.assertEqual(len(errors), 1)

    def test_all(self) -> None:
        """Mistakes in the file, those of what it names, and addresses, in one list: each with its line."""
        told = self.told("ping = x\n[access]\npolicy = mine\n[web]\nlisten = tcp:1:interface=192.0.2.99\n")
        self.assertEqual([line.split(":")[1] for line in told], ["10", "12", "14"])

    def test_entry(self) -> None:
        """Of several lines the one is named that is wrong, as it is written, though paths in it were made absolute."""
        pair = "privateKey=tls/key.pem:certKey=tls/cert.pem"
        wrong = f"ssl:port=0:interface=192.0.2.99:{pair}"
        (line,) = self.told(wss=f"{WSS}\n    ; between\n    {wrong}")
        self.assertTrue(line.startswith(f"{self.path}:4: [wss] listen = {wrong}: this machine"), line)

    def test_trunk_tls(self) -> None:
        """TLS files of a trunk that a connection can use are no mistake."""
        sip = f"tls:0:interface=127.0.0.1:{WSS.partition('127.0.0.1:')[2]}"
        ours = "tls-certificate = tls/cert.pem\ntls-key = tls/key.pem\n"
        for files in ("tls-ca = tls/cert.pem\n", ours, f"tls-ca = tls/cert.pem\n{ours}"):
            self.assertEqual(self.told(f"transport = tls\n{files}", sip=sip), [])

    def test_swapped(self) -> None:
        """The certificate for the key and the other way round, in each section, without a traceback (field.rst Y3: Key
        and certificate swapped)."""
        swapped = "privateKey=tls/cert.pem:certKey=tls/key.pem"
        for line, told in (
            (2, self.told(wss=f"ssl:0:{swapped}")),
            (5, self.told(sip=f"tls:0:{swapped}")),
            (11, self.told(f"[web]\nlisten = ssl:0:{swapped}")),
        ):
            self.assertEqual(len(told), 1)
            self.assertTrue(told[0].startswith(f"{self.path}:{line}: "), told[0])
            self.assertIn("swap the two", told[0])

    def test_loaded(self) -> None:
        """A pair that belongs together and that OpenSSL does not take: a key that is too short."""
        key = rsa.generate_private_key(65537, 1024)
        (self.folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "short")])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
        certificate = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
        (self.folder / "cert.pem").write_bytes(certificate)
        for check in (False, True):
            (line,) = self.told(wss="ssl:0:privateKey=key.pem:certKey=cert.pem", check=check)
            self.assertIn("key too small", line)
            (line,) = self.told("tls-certificate = cert.pem\ntls-key = key.pem\n", check=check)
            self.assertIn(f"{self.path}:10: [trunk a] tls-certificate: ", line)
            self.assertIn("key too small", line)

    def test_pair_of_a_trunk(self) -> None:
        """A pair of a trunk that is none is told once, and nobody is asked for the password of a key (field.rst Y3: Key
        and certificate swapped)."""
        key = load_pem_private_key((self.folder / "tls" / "key.pem").read_bytes(), None)
        locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        (self.folder / "locked.pem").write_bytes(locked)
        write_certificate(self.folder / "other")
        for own, certificate, told in (
            ("locked.pem", "tls/cert.pem", "has a password"),
            ("other/key.pem", "tls/cert.pem", "does not belong"),
            ("tls/cert.pem", "tls/key.pem", "swap the two"),
        ):
            (line,) = self.told(f"tls-key = {own}\ntls-certificate = {certificate}\n", check=True)
            self.assertIn(told, line)

    def test_marked_files(self) -> None:
        """Certificates and keys with a byte order mark, as editors write it, are loaded (field.rst Y2: Byte order
        mark)."""
        for name in ("key.pem", "cert.pem"):
            (self.folder / name).write_bytes(b"\xef\xbb\xbf" + (self.folder / "tls" / name).read_bytes())
        pair = "privateKey=key.pem:certKey=cert.pem"
        ours = "tls-certificate = cert.pem\ntls-key = key.pem\ntls-ca = cert.pem\n"
        for check in (False, True):
            sip = f"tls:0:interface=127.0.0.1:{pair}"
            self.assertEqual(self.told(ours, wss=f"ssl:0:interface=127.0.0.1:{pair}", sip=sip, check=check), [])

    def self_signed(self, *, check: bool = False) -> list[str]:
        return self.told(wss="ssl:0:interface=127.0.0.1", check=check)

    def test_self_signed(self) -> None:
        """Where a line names no certificate the start makes one, for its owner alone; --check writes nothing (field.rst
        Y1: Sample in a clone)."""
        folder = self.folder / "self-signed"
        self.assertEqual(self.self_signed(check=True), [])
        self.assertFalse(folder.exists())
        self.assertEqual(self.self_signed(), [])
        self.assertEqual([folder.stat().st_mode & 0o777, (folder / "key.pem").stat().st_mode & 0o777], [0o700, 0o600])
        check_pair(folder / "key.pem", folder / "cert.pem")
        made = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
        names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertIn("localhost", names.get_values_for_type(x509.DNSName))
        self.assertIn(ip_address(own_address()), names.get_values_for_type(x509.IPAddress))

    def test_self_signed_stays(self) -> None:
        """It is made once, so that who accepted it is not asked again, and renewed where it is broken or ends soon."""
        folder = self.folder / "self-signed"
        self.self_signed()
        first = (folder / "cert.pem").read_bytes()
        self.self_signed()
        self.assertEqual((folder / "cert.pem").read_bytes(), first)
        self.patch(self_signed, "RENEW_BEFORE", timedelta(days=400))
        self.self_signed()
        second = (folder / "cert.pem").read_bytes()
        self.assertNotEqual(second, first)
        self.patch(self_signed, "RENEW_BEFORE", timedelta(days=30))
        (folder / "key.pem").write_bytes(b"")
        self.assertEqual(self.self_signed(check=True), [])
        self.self_signed()
        self.assertNotEqual((folder / "cert.pem").read_bytes(), second)

    def test_self_signed_unwritable(self) -> None:
        """Where it can't be written, that is the mistake, with what to write; with another mistake it is not made
        (field.rst Y1: Sample in a clone)."""
        (self.folder / "self-signed").touch()
        for check in (False, True):
            (line,) = self.self_signed(check=check)
            self.assertTrue(
                line.startswith(f"{self.path}:2: [wss] listen: a self-signed certificate can't be written"), line
            )
        (self.folder / "self-signed").unlink()
        self.assertEqual(len(self.told("ping = x\n", wss="ssl:0")), 1)
        self.assertFalse((self.folder / "self-signed").exists())

    def test_ports(self) -> None:
        """A port that is taken is a mistake for the start only: the proxy that runs may have it."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            line = f"tcp:{other.getsockname()[1]}:interface=127.0.0.1"
            self.assertIn("the port is taken", self.told(sip=line)[0])
            self.assertEqual(self.told(sip=line, check=True), [])

    def test_users(self) -> None:
        """Lines of users files, of accounts and of numbers that can't be used are mistakes for --check; the start takes
        the others, and logs these."""
        (self.folder / "users").write_text("alice@a.example\nbob\n")
        (self.folder / "accounts").touch(0o600)
        (self.folder / "accounts").write_bytes(b"\xff a b\n")
        (self.folder / "numbers").write_text("+4930 = alice@a.example alicia@a.example\n+4931 = bob\n")
        more = "accounts = accounts\nnumbers-file = numbers\n[domain a.example]\nusers = users\n"
        self.assertEqual(self.told(more), [])
        accounts, numbers, silent, users = sorted(self.told(more, check=True))
        self.assertTrue(users.startswith(f"{self.folder}/users:2: "), users)
        self.assertTrue(accounts.startswith(f"{self.folder}/accounts: it can't be read"), accounts)
        self.assertTrue(numbers.startswith(f"{self.folder}/numbers:2: 'bob' is no USER@DOMAIN"), numbers)
        self.assertIn("numbers-file: +4930 can't ring alicia@a.example", silent)
