"""Properties of the parser that must hold for any octets, found by hypothesis."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.sip import strategies as sip
from webrtcproxy.sip.authentication import Credentials, parse_challenges
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import STAR, CSeq, NameAddr, Via
from webrtcproxy.sip.message import Message, Request, check, read, respond
from webrtcproxy.sip.stream import StreamReader
from webrtcproxy.sip.uri import Uri

often = settings(derandomize=True, database=None, deadline=None, max_examples=200)

WORDS = [
    *(
        b"INVITE",
        b"sip:a@b",
        b"SIP/2.0",
        b"Via",
        b"v",
        b"To",
        b"From",
        b"i",
        b"CSeq",
        b"1",
        b"200",
        b"SIP/2.0/UDP",
        b"l",
    ),
    *(b"Contact", b"*", b" ", b"\t", b"\r\n", b"\n", b"\r", b":", b";", b",", b'"', b"<", b">", b"\0", b"\\", b"\xff"),
]


def use(message: Message) -> None:
    """Ask for everything that a message has to say."""
    for name, _ in message.headers:
        message.headers.all(name)
        message.headers.first(name)
    addresses = [message.from_, message.to]
    contacts = message.contacts
    addresses += [] if contacts is STAR else contacts
    for value in addresses:
        _ = str(value), value.tag, value.param("x")
        _ = str(value.address), value.address.aor, value.address.hostport, value.address.same_as(message.from_.address)
    _ = (
        str(message.via),
        message.via.branch,
        message.via.received,
        message.via.rport,
        message.content_type,
        repr(message),
    )


class OctetTests(SynchronousTestCase):
    """Any octets in, no exception but BadMessage out; what is written is read the same."""

    def holds(self, data: bytes) -> None:
        """All that must hold for these octets."""
        for options in ({}, {"stream": True}, {"framed": True}):
            try:
                message = read(data, **options)
            except BadMessage as error:
                self.answerable(error)
                continue
            written = message.to_bytes()
            self.assertNotIn(b"\0", written[: len(written) - len(message.body)])
            again = read(written, stream=True, framed=True)
            self.assertEqual(again.to_bytes(), written)
            self.assertEqual((again.body, again.start_line), (message.body, message.start_line))
            self.assertEqual(again.headers.without({"Content-Length"}), message.headers.without({"Content-Length"}))
            try:
                check(message)
                use(message)
            except BadMessage as error:
                self.answerable(error)
            if isinstance(message, Request):
                read(respond(message, 200, to_tag="ours").to_bytes(), stream=True)
        try:
            StreamReader().feed(data)
        except BadMessage as error:
            self.answerable(error)

    def answerable(self, error: BadMessage) -> None:
        """The phrase fits a status line, and the answer to a request can be read by lines."""
        self.assertTrue(error.why.isascii() and error.why.isprintable() and error.status in (400, 416, 505, 513), error)
        if isinstance(error.request, Request):
            answer = respond(error.request, error.status, error.why, to_tag="ours").to_bytes()
            self.assertEqual(
                answer.count(b"\r\n"), len(error.request.headers.only({"Via", "From", "To", "Call-ID", "CSeq"})) + 3
            )
            self.assertNotIn(b"\0", answer)

    @often
    @given(st.binary(max_size=200))
    def test_any(self, data: bytes) -> None:
        """Any octets."""
        self.holds(data)

    @often
    @given(st.lists(st.sampled_from(WORDS), max_size=60).map(b"".join))
    def test_words(self, data: bytes) -> None:
        """The words of SIP in any order."""
        self.holds(data)

    @often
    @given(sip.mutations())
    def test_mutations(self, data: bytes) -> None:
        """The torture messages with octets changed, put in, left out, doubled."""
        self.holds(data)

    @often
    @given(sip.messages())
    def test_plausible(self, data: bytes) -> None:
        """Plausible messages are accepted, and parse-write-parse is a fixed point."""
        message = read(data)
        use(message)
        self.assertEqual(message.call_id, message.headers.get("i"))
        self.holds(data)


class ValueTests(SynchronousTestCase):
    """Values: what is read, written and read again is the same."""

    @often
    @given(sip.uris)
    def test_uri(self, text: str) -> None:
        """A URI is written as it was read, but for the case of its scheme; its AOR is one and the same."""
        uri = Uri.parse(text)
        scheme, _, rest = text.partition(":")
        self.assertEqual(str(uri), f"{scheme.lower()}:{rest}")
        self.assertEqual(Uri.parse(str(uri)), uri)
        self.assertTrue(uri.same_as(uri))
        if uri.host:
            again = Uri.parse(f"{uri.scheme}:{uri.aor}")
            self.assertEqual(again.aor, uri.aor)

    @often
    @given(sip.name_addrs())
    def test_name_addr(self, text: str) -> None:
        """An address comes back from what it writes; its parts are those that were put in."""
        address = NameAddr.parse(text.replace("\r\n", ""))
        self.assertEqual(NameAddr.parse(str(address)), address)
        self.assertEqual(address.with_tag("x").tag, "x")
        self.assertEqual(NameAddr.parse(str(address.with_tag("x"))).uri, address.uri)

    @often
    @given(sip.texts, sip.uris, sip.params)
    def test_name_addr_made(self, display: str, uri: str, params: tuple[tuple[str, str | None], ...]) -> None:
        """Whatever the display name, it is read back as it was."""
        address = NameAddr(display, uri, params)
        self.assertEqual(NameAddr.parse(str(address)), address)

    @often
    @given(sip.vias())
    def test_via(self, text: str) -> None:
        """A Via comes back from what it writes."""
        via = Via.parse(text.replace("\r\n", ""))
        self.assertEqual(Via.parse(str(via)), via)
        self.assertEqual(Via.parse(str(via.with_param("rport", "1"))).rport, "1")

    @often
    @given(st.dictionaries(st.sampled_from(["realm", "nonce", "qop", "opaque"]), sip.texts, min_size=1))
    def test_challenge(self, params: dict[str, str]) -> None:
        """A challenge with anything in its quoted strings, and two of them in one line."""
        text = str(Credentials("Digest", params)) if "qop" not in params else ""
        for challenge in parse_challenges([text, ", ".join([text, text])] if text else []):
            self.assertEqual((challenge.scheme, challenge.params), ("Digest", params))

    @often
    @given(st.text(max_size=40), st.sampled_from([Uri.parse, NameAddr.parse, Via.parse, CSeq.parse, Credentials.parse]))
    def test_any_text(self, text: str, parse: Callable[[str], object]) -> None:
        """Any text is read or refused with BadMessage, and what is read can be written."""
        try:
            value = parse(text)
        except BadMessage:
            return
        self.assertEqual(str(parse(str(value))), str(value))
