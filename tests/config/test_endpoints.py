"""Endpoint strings: paths made absolute, files looked at, mistakes found before anything listens."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.config.endpoints import check_public, check_server, check_sip, split
from webrtcproxy.config.mistakes import InvalidValue
from webrtcproxy.demo.certificate import write_certificate


class SplitTests(SynchronousTestCase):
    """`split` takes an endpoint string apart."""

    def test_escapes(self) -> None:
        """A ':' after a backslash is no end of a part, a backslash after a backslash is no escape."""
        self.assertEqual(split(r"tcp:80:interface=\:\:1"), ["tcp", "80", r"interface=\:\:1"])
        self.assertEqual(split("a\\\\:b\\"), ["a\\\\", "b\\"])


class ServerTests(SynchronousTestCase):
    """`check_server` checks any Twisted server endpoint."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute() / "a:b c"
        self.folder.mkdir(parents=True)
        write_certificate(self.folder / "tls")

    def check(self, text: str) -> str:
        return check_server(text, self.folder)

    def refused(self, text: str) -> str:
        return str(self.assertRaises(ValueError, self.check, text))

    def test_tcp(self) -> None:
        """What names no file stays as it is."""
        for text in ("tcp:8080:interface=127.0.0.1", "tcp:0", r"tcp:80:interface=\:\:1", "tcp6:80"):
            self.assertEqual(self.check(text), text)

    def test_paths(self) -> None:
        """Relative paths are relative to the folder of the file, and signs of endpoint strings in them are escaped."""
        folder = str(self.folder).replace(":", "\\:")
        self.assertEqual(
            self.check("ssl:443:privateKey=tls/key.pem:certKey=tls/cert.pem"),
            f"ssl:443:privateKey={folder}/tls/key.pem:certKey={folder}/tls/cert.pem",
        )
        self.assertEqual(self.check("unix:run/socket:mode=600"), f"unix:{folder}/run/socket:mode=600")

    def test_port_by_name(self) -> None:
        """The port may be written with its name, at any place, as Twisted has it; it is the first argument of what is
        returned (field.rst Y4: Endpoint written otherwise)."""
        for text, read in (
            ("tcp:port=8080", "tcp:8080"),
            ("tcp:port=8080:interface=127.0.0.1", "tcp:8080:interface=127.0.0.1"),
            (r"tcp:interface=\:\:1:port=0", r"tcp:0:interface=\:\:1"),
            ("tcp6:port=80:backlog=5", "tcp6:80:backlog=5"),
            ("unix:address=/run/x:mode=600", "unix:/run/x:mode=600"),
        ):
            self.assertEqual(self.check(text), read)
        pair = "privateKey=tls/key.pem:certKey=tls/cert.pem"
        self.assertEqual(self.check(f"ssl:{pair}:port=443"), self.check(f"ssl:443:{pair}"))
        for text in ("tcp:80:port=81", "tcp:port=80:port=80"):
            self.assertIn("two values for port", self.refused(text))
        for text in ("tcp:port=x", "tcp:port=", "tcp:port=70000", "tcp:interface=127.0.0.1"):
            self.assertIn("the port is no number", self.refused(text), text)

    def test_as_elsewhere(self) -> None:
        """An address of IPv6 as it is, or in brackets, is the interface, without the backslashes that Twisted wants;
        the kind may be in upper case, and blanks around the port are nothing (field.rst Y4: Endpoint written
        otherwise)."""
        for text, read in (
            ("tcp:80:interface=::1", r"tcp:80:interface=\:\:1"),
            ("tcp:80:interface=[2001:db8::a]:backlog=5", r"tcp:80:interface=2001\:db8\:\:a:backlog=5"),
            ("tcp6:interface=::ffff:192.0.2.1:port=80", r"tcp6:80:interface=\:\:ffff\:192.0.2.1"),
            ("TCP:80:interface=::", r"tcp:80:interface=\:\:"),
            ("Tcp: 80 :interface=127.0.0.1", "tcp:80:interface=127.0.0.1"),
            ("tcp:port= 80", "tcp:80"),
        ):
            self.assertEqual(self.check(text), read)
        pair = "privateKey=tls/key.pem:certKey=tls/cert.pem"
        self.assertEqual(
            self.check(f"SSL:443:interface=fe80::c:{pair}"), self.check(rf"ssl:443:interface=fe80\:\:c:{pair}")
        )
        for text in ("tcp:80:interface=[::1", "tcp:80:interface=1:2", "tcp:80:interface=:::1"):
            self.refused(text)

    def test_names_of_options(self) -> None:
        """An option that there is not is named, with the one that was meant."""
        for text, told in (
            ("ssl:443:privatekey=tls/key.pem:certkey=tls/cert.pem", "'privatekey' is not known here"),
            ("tcp:80:host=127.0.0.1", "'host' is not known here"),
            ("tcp6:80:x=", "'x' is not known here"),
        ):
            self.assertIn(told, self.refused(text))
        error = self.assertRaises(
            InvalidValue, self.check, "ssl:443:privatekey=x:privateKey=tls/key.pem:certKey=tls/cert.pem"
        )
        self.assertIn("privateKey", error.remedy)

    def test_absolute_path(self) -> None:
        """An absolute path stays, also on the second reading."""
        once = self.check("ssl:443:privateKey=tls/key.pem:certKey=tls/cert.pem")
        self.assertEqual(check_server(once, Path("/elsewhere")), once)

    def test_missing_file(self) -> None:
        """A file that is not there is named with its key and full path."""
        problem = self.refused("ssl:443:privateKey=tls/nokey.pem:certKey=tls/cert.pem")
        self.assertEqual(problem, f"privateKey: No such file or directory ({self.folder}/tls/nokey.pem)")

    def test_unreadable_file(self) -> None:
        """A file that cannot be read is named too."""
        self.assertIn("certKey: Is a directory", self.refused("ssl:443:privateKey=tls/key.pem:certKey=tls"))

    def test_self_signed(self) -> None:
        """Towards browsers, ``ssl:`` without key and certificate has those that the proxy makes; elsewhere it is a
        mistake, as is half a pair."""
        folder = str(self.folder).replace(":", "\\:")
        pair = f"privateKey={folder}/self-signed/key.pem:certKey={folder}/self-signed/cert.pem"
        self.assertEqual(check_public("ssl:8443", self.folder), f"ssl:8443:{pair}")
        self.assertEqual(check_public("ssl:interface=::1:port=1".replace("::1", r"\:\:1"), self.folder),
                         rf"ssl:1:interface=\:\:1:{pair}")  # fmt: skip
        for text in ("ssl:x", "ssl", "ssl:1:certKey=tls/cert.pem", "ssl:1:interfaces=x", "ssl:1:privateKey=no.pem"):
            self.assertRaises(ValueError, check_public, text, self.folder)
        self.assertEqual(check_public("tcp:80", self.folder), "tcp:80")
        whole = "ssl:1:privateKey=tls/key.pem:certKey=tls/cert.pem"
        self.assertEqual(check_public(whole, self.folder), check_server(whole, self.folder))

    def test_dh_parameters(self) -> None:
        """A file for DHE, of which no suite is offered, is refused before anything starts."""
        pair = "privateKey=tls/key.pem:certKey=tls/cert.pem"
        self.assertIn("dhParameters has no use", self.refused(f"ssl:443:{pair}:dhParameters=tls/dh.pem"))
        tls = self.assertRaises(ValueError, check_sip, f"tls:5061:{pair}:dhParameters=tls/dh.pem", self.folder)
        self.assertIn("dhParameters has no use", str(tls))

    def test_no_certificate(self) -> None:
        """A TLS endpoint without files would look for server.pem in the working folder: refused."""
        self.assertIn("privateKey= and certKey= are missing", self.refused("ssl:443"))

    def test_wrong_pair(self) -> None:
        """A certificate that belongs to another key is refused, and so is a file without any; for trunks as well."""
        write_certificate(self.folder / "other")
        (self.folder / "empty.pem").touch()
        for pair, told in (
            ("privateKey=other/key.pem:certKey=tls/cert.pem", "does not belong to the certificate"),
            ("privateKey=tls/cert.pem:certKey=tls/key.pem", "is a key, and"),
            ("privateKey=empty.pem:certKey=empty.pem", "no PEM certificate"),
            ("privateKey=tls/key.pem", "no PEM certificate"),
        ):
            self.assertIn(told, self.refused(f"ssl:443:{pair}"))
            tls = self.assertRaises(ValueError, check_sip, f"tls:5061:{pair}", self.folder)
            self.assertIn(told, str(tls))

    def test_refused(self) -> None:
        """Unknown kinds and options, missing and wild ports."""
        for text, reason in (
            ("8443", "Unknown endpoint type"),
            ("wss:443", "Unknown endpoint type"),
            ("tcp", "the port is no number"),
            ("tcp:", "the port is no number"),
            ("tcp:http", "the port is no number"),
            ("tcp:70000", "the port is no number"),
            ("tcp:80:interfaces=127.0.0.1", "'interfaces' is not known here"),
            ("tcp:80\\", "the port is no number"),
            ("", "Unknown endpoint type"),
        ):
            self.assertIn(reason, self.refused(text), text)


class SipTests(SynchronousTestCase):
    """`check_sip` checks where the proxy listens for trunks."""

    def test_read(self) -> None:
        """UDP and TCP, a port or 0, one address of either family."""
        for text in ("udp:5060", "tcp:0", "udp:5060:interface=192.0.2.1", r"tcp:5060:interface=\:\:1"):
            self.assertEqual(check_sip(text, Path()), text)

    def test_port_by_name(self) -> None:
        """The port may be written with its name, at any place (field.rst Y4: Endpoint written otherwise)."""
        self.assertEqual(check_sip("udp:port=5060", Path()), "udp:5060")
        self.assertEqual(check_sip("udp:port=0:interface=192.0.2.1", Path()), "udp:0:interface=192.0.2.1")
        self.assertEqual(check_sip(r"tcp:interface=\:\:1:port=5060", Path()), r"tcp:5060:interface=\:\:1")
        folder = Path(self.mktemp()).absolute()
        write_certificate(folder)
        pair = "privateKey=key.pem:certKey=cert.pem"
        self.assertEqual(check_sip(f"tls:{pair}:port=5061", folder), check_sip(f"tls:5061:{pair}", folder))

    def test_as_elsewhere(self) -> None:
        """The kind in upper case, an address of IPv6 without backslashes, with brackets or not (field.rst Y4: Endpoint
        written otherwise)."""
        for text, read in (
            ("UDP:5060", "udp:5060"),
            ("udp:5060:interface=::1", r"udp:5060:interface=\:\:1"),
            ("tcp:interface=[2001:db8::1]:port=5060", r"tcp:5060:interface=2001\:db8\:\:1"),
            ("udp: 5060", "udp:5060"),
        ):
            self.assertEqual(check_sip(text, Path()), read)
        folder = Path(self.mktemp()).absolute()
        write_certificate(folder)
        pair = "privateKey=key.pem:certKey=cert.pem"
        self.assertEqual(
            check_sip(f"TLS:5061:{pair}:interface=::1", folder), check_sip(rf"tls:5061:{pair}:interface=\:\:1", folder)
        )

    def test_refused(self) -> None:
        """Other kinds, ports and options, and names in place of an address."""
        for text, reason in (
            ("sctp:5060", "'sctp:' is not known"),
            ("tls:5061", "privateKey= and certKey= are missing"),
            ("5060", "'5060:' is not known"),
            ("udp", "port"),
            ("udp:sip", "port"),
            ("udp:port=sip", "port"),
            ("udp:5060:port=5061", "two values for port"),
            ("udp:5060:interface=localhost", "no IP address"),
            ("udp:5060:backlog=5", "'backlog=5' is not known"),
        ):
            self.assertIn(reason, str(self.assertRaises(ValueError, check_sip, text, Path())), text)
