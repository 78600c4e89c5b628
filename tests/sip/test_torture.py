"""The torture messages of RFC 4475 and RFC 5118, all 61, against the table in tests/data/torture/README.md."""

from pathlib import Path
from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import STAR
from webrtcproxy.sip.message import Request, Response, check, read, respond
from webrtcproxy.transport.wss.frame import TwoMessages, read_one

FOLDER = Path(__file__).parents[1] / "data" / "torture"


class Row(NamedTuple):
    """One row of the table."""

    file: str
    section: str
    kind: str
    treat: str
    codes: str
    parser: str
    about: str


def table() -> list[Row]:
    lines = (FOLDER / "README.md").read_text("utf-8").splitlines()
    return [Row(*(cell.strip() for cell in line.split("|")[1:-1])) for line in lines if line.startswith("| rfc")]


def octets(file: str) -> bytes:
    return (FOLDER / file).read_bytes()


def request(file: str) -> Request:
    message = read(octets(file))
    assert isinstance(message, Request)
    return message


class TableTests(SynchronousTestCase):
    """All rows."""

    def test_all_there(self) -> None:
        """49 messages of RFC 4475 and 12 of RFC 5118, each in the table."""
        files = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.glob("rfc*/*.dat"))
        self.assertEqual(sorted(row.file for row in table()), files)
        self.assertEqual(len(files), 61)

    def test_column(self) -> None:
        """The parser's column is one of the treatments that the table allows."""
        for row in table():
            code = row.parser.partition(" ")[0]
            allowed = {
                "accept": ["ok"],
                "reject": ["ok"] if row.codes == "420" else row.codes.split("/"),  # 420 is for the layer above
                "either": ["ok", "400"],
                "silent": ["ok", "400"],
            }[row.treat]
            self.assertIn(code, allowed, row)

    def test_verdicts(self) -> None:
        """Each message gets the verdict of its row; a refused request can be answered, a response can't."""
        for row in table():
            try:
                message = read(octets(row.file))
                check(message)
            except BadMessage as error:
                self.assertEqual(str(error), row.parser, row)
                self.assertEqual(error.request is not None, row.kind == "request", row)
                if error.request is not None:
                    answer = respond(error.request, error.status, error.why, to_tag="ours")
                    self.assertEqual(answer.headers.lines("Via"), error.request.headers.lines("Via"))
                    answer.to_bytes()
            else:
                self.assertEqual("ok", row.parser, row)
                self.assertIsInstance(message, Request if row.kind == "request" else Response)

    def test_written(self) -> None:
        """What was accepted is written so that it reads the same."""
        for row in table():
            if row.parser == "ok":
                message = read(octets(row.file))
                written = message.to_bytes()
                again = read(written)
                self.assertEqual((again.to_bytes(), again.body), (written, message.body), row)
                message.headers.remove("Content-Length")
                again.headers.remove("Content-Length")
                self.assertEqual(again.headers, message.headers, row)


class DetailTests(SynchronousTestCase):
    """What some of them say, not just that they are read."""

    def test_wsinv(self) -> None:
        """Folds and whitespace everywhere (RFC 4475 3.1.1.1)."""
        message = request("rfc4475/wsinv.dat")
        self.assertEqual((message.to.uri, message.to.tag), ("sip:vivekg@chair-dnrc.example.com", "1918181833n"))
        self.assertEqual((message.from_.display, message.from_.tag), ('J Rosenberg \\"', "98asjd8"))
        self.assertEqual((message.max_forwards, message.cseq.number, message.cseq.method), (68, 9, "INVITE"))
        self.assertEqual((message.via.host, message.via.branch), ("192.0.2.2", "390skdjuw"))
        self.assertEqual(
            message.headers.all("Via")[1:],
            ["SIP  / 2.0  / TCP     spindle.example.com   ; branch  =   z9hG4bK9ikj8", "SIP  /    2.0   / UDP  "
             "192.168.255.111   ; branch= z9hG4bK30239"],
        )  # fmt: skip
        self.assertEqual(message.headers.get("Subject"), "")
        self.assertEqual(message.headers.get("newfangledheader"), "newfangled value continued newfangled value")
        self.assertEqual(message.headers.all("UnknownHeaderWithUnusualValue"), [";;,,;;,;"])
        contacts = message.contacts
        assert contacts is not STAR
        self.assertEqual(contacts[0].display, 'Quoted string ""')
        self.assertEqual(
            [contacts[0].param(name) for name in ("newparam", "secondparam", "q")], ["newvalue", "", "0.33"]
        )
        self.assertEqual(message.request_uri.param("unknownparam"), "")
        self.assertEqual(len(message.body), 150)

    def test_users(self) -> None:
        """User parts with everything in them (RFC 4475 3.1.1.2, 3.1.1.3, 3.1.1.4, 3.1.1.9)."""
        self.assertEqual(
            request("rfc4475/intmeth.dat").request_uri.user, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
        )
        self.assertEqual(
            request("rfc4475/intmeth.dat").request_uri.password, "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
        )
        self.assertEqual(request("rfc4475/esc01.dat").request_uri.user, "sips%3Auser%40example.com")
        self.assertEqual(request("rfc4475/esc01.dat").request_uri.host, "example.net")
        self.assertEqual(request("rfc4475/semiuri.dat").request_uri.user, "user;par=u%40example.net")
        self.assertEqual(request("rfc4475/escnull.dat").to.address.user, "null-%00-null")

    def test_methods(self) -> None:
        """A method is compared as it is written (RFC 4475 3.1.1.5)."""
        message = request("rfc4475/esc02.dat")
        self.assertEqual((message.method, message.cseq.method), ("RE%47IST%45R", "RE%47IST%45R"))
        self.assertEqual(len(message.headers.all("Contact")), 2, "C%6Fntact is not Contact")

    def test_many_vias(self) -> None:
        """34 Vias in their order (RFC 4475 3.1.1.7)."""
        vias = request("rfc4475/longreq.dat").headers.all("v")
        self.assertEqual(
            (len(vias), vias[0], vias[32]), (34, "SIP/2.0/TCP sip33.example.com", "SIP/2.0/TCP sip1.example.com")
        )

    def test_two_requests(self) -> None:
        """What follows the body is nothing (RFC 4475 3.1.1.8), on a WebSocket it is a fault (RFC 7118 section 5)."""
        self.assertEqual(request("rfc4475/dblreq.dat").body, b"")
        self.assertRaises(TwoMessages, read_one, octets("rfc4475/dblreq.dat"))

    def test_multipart(self) -> None:
        """A binary body of several parts is kept octet for octet (RFC 4475 3.1.1.11)."""
        self.assertTrue(octets("rfc4475/mpart01.dat").endswith(request("rfc4475/mpart01.dat").body))
        self.assertEqual(len(request("rfc4475/mpart01.dat").body), 553)

    def test_ipv6(self) -> None:
        """Address and port are told apart by the brackets (RFC 5118 4.1, 4.3, 4.4, 4.5)."""
        for file, hostport in (
            *(("ipv6-good", ("2001:db8::10", None)), ("port-ambiguous", ("2001:db8::10:5070", None))),
            ("port-unambiguous", ("2001:db8::10", 5070)),
        ):
            self.assertEqual(request(f"rfc5118/{file}.dat").request_uri.hostport, hostport)
        for file in ("via-received-param-with-delim", "via-received-param-no-delim"):
            self.assertEqual(request(f"rfc5118/{file}.dat").via.received, "2001:db8::9:255")
