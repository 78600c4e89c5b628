"""Any octets in: each parser returns or raises BadMessage, and never anything else (docs/decisions.rst)."""

import contextlib
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fuzz import OURS, TORTURE, rounds
from webrtcproxy import sip
from webrtcproxy.sip.authentication import Challenge, Credentials, parse_challenges
from webrtcproxy.sip.body import sdp_of
from webrtcproxy.sip.digest import Nonces, authorize, choose, verify
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import STAR, CSeq, NameAddr, Via, parse_contacts, parse_max_forwards, parse_seconds
from webrtcproxy.sip.message import Message, Request, check, read, respond
from webrtcproxy.sip.replaces import Replaces, replaces_of, with_replaces
from webrtcproxy.sip.sdp import answering, questions, reading, rewriting, writing
from webrtcproxy.sip.sdp.reading import BadSdp
from webrtcproxy.sip.stream import StreamReader
from webrtcproxy.sip.uri import Uri, normal

CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f]")
"""What no header value may have (RFC 3261 section 25.1)."""
SOME_CONTROLS = (b"\x1b[31m", b"\x07", b"\x08", b"\x7f", b"\xc2\x9b")
"""Escape, bell, backspace, delete, and a C1 control in UTF-8."""


def credentials(text: str) -> None:
    """Read credentials, write them, and check them."""
    given = Credentials.parse(text)
    _ = str(given), repr(given)
    verify(given, Nonces("example.com", secret=b"x" * 32), 0.0, "REGISTER", "secret", uri="sip:example.com")


def challenges(text: str) -> None:
    """Read challenges and answer those that can be answered."""
    for challenge in choose(parse_challenges([text])):
        _ = str(authorize(challenge, "INVITE", "sip:a@b", "alice", "secret", body=b"x"))


def uri(text: str) -> None:
    """Read a URI, and ask what it says."""
    parsed = Uri.parse(text)
    _ = str(parsed), parsed.aor, parsed.hostport, parsed.param("transport"), hash(parsed)
    parsed.same_as(parsed)
    parsed.same_as(replace(parsed, headers="a=b"))
    replaced = replaces_of(parsed)
    if replaced is not None:
        _ = str(with_replaces(parsed, replaced)), replaced.key


def address(text: str) -> None:
    """Read an address, and ask what it says."""
    parsed = NameAddr.parse(text)
    _ = str(parsed), parsed.tag, parsed.param("q"), str(parsed.with_tag("x"))
    uri(parsed.uri)


def via(text: str) -> None:
    """Read a Via, and ask what it says."""
    parsed = Via.parse(text)
    _ = str(parsed), parsed.branch, parsed.received, parsed.rport, parsed.sent_by


def contacts(text: str) -> None:
    """Read Contacts."""
    parsed = parse_contacts([text, text])
    for contact in [] if parsed is STAR else parsed:
        address(str(contact))


def describe(one: bytes, other: bytes) -> None:
    """Read, compare and change two session descriptions."""
    with contextlib.suppress(BadSdp):
        writing.write(reading.read(one))
        answer, offer = reading.read(one), reading.read(other)
        answering.fit(answer, offer)
        writing.write(answering.as_numbered(offer, answer))
        answering.use_numbers(answer)
    questions.same_session(one, other)
    questions.has_only_formats_of(one, other)
    questions.is_ice_restart(one, other)
    rewriting.refuse_all(one)
    rewriting.sent_nowhere(one)


PARSERS: tuple[Callable[[str], object], ...] = (
    credentials, challenges, uri, address, via, contacts, CSeq.parse, Challenge.parse, parse_max_forwards,
    parse_seconds, Replaces.parse, normal,
)  # fmt: skip


class FuzzTests(SynchronousTestCase):
    """Broken messages, from a fixed seed; more with FUZZ_SECONDS."""

    def held(self, given: object, calls: Iterable[Callable[[], object]]) -> None:
        """Each call returns or raises BadMessage."""
        for call in calls:
            try:
                call()
            except BadMessage:
                pass
            except Exception as error:
                raise AssertionError(f"{type(error).__name__}: {error} for {given!r}") from error

    def test_every_parser(self) -> None:
        """Each parser of sip/ is among those that get broken messages here; those of the grammar are reached by way of
        the others."""
        here = Path(__file__).read_text()
        for found in iter_modules(sip.__path__, "webrtcproxy.sip."):
            module = import_module(found.name)
            for name, value in vars(module).items():
                if getattr(value, "__module__", "") != found.name or found.name.endswith("grammar"):
                    continue
                parser = name if name.startswith("parse") else f"{name}.parse" if hasattr(value, "parse") else ""
                self.assertIn(parser, here)

    def used(self, message: Message) -> None:
        """Each part of a message can be asked for, and it can be written and answered."""
        self.held(message.to_bytes(), [
            lambda: message.via, lambda: message.from_.address, lambda: message.to, lambda: message.cseq,
            lambda: message.call_id, lambda: message.contacts, lambda: message.max_forwards, lambda: message.expires,
            lambda: message.content_type, lambda: sdp_of(message), lambda: check(message), lambda: repr(message),
            *[lambda name=name: message.headers.all(name) for name, _ in message.headers],
            *[lambda name=name: message.headers.first(name) for name, _ in message.headers],
            lambda: message.headers.set_first("Via", "x"),
        ])  # fmt: skip
        if isinstance(message, Request):
            self.held(message.to_bytes(), [lambda: message.request_uri, lambda: respond(message, 180, to_tag="1")])

    def read(self, data: bytes, options: dict[str, bool]) -> None:
        """Read a message, and use it or its refusal."""
        try:
            self.used(read(data, **options))
        except BadMessage as error:
            refused = error.request
            if isinstance(refused, Request):
                answer = respond(refused, error.status, error.why, to_tag="1")
                self.held(data, [answer.to_bytes, lambda: check(refused)])

    def test_messages(self) -> None:
        """Messages, as a datagram, a stream, and a frame; what is refused can be answered (RFC 3261 section 8.2)."""
        for mutator in rounds(1500):
            data = mutator.message()
            for options in ({}, {"stream": True}, {"framed": True}):
                self.held(data, [partial(self.read, data, options)])

    def test_streams(self) -> None:
        """The octets of a connection, cut anywhere: messages come out, or the framing is lost, and then stays so."""
        for mutator in rounds(300):
            reader = StreamReader()
            data = mutator.message() + mutator.message()
            step = mutator.random.randint(1, len(data) + 1)
            for at in range(0, len(data), step):
                self.held(data, [partial(reader.feed, data[at : at + step]), partial(reader.feed, b"")])

    def test_values(self) -> None:
        """Values of headers."""
        for mutator in rounds(1500):
            text = mutator.text()
            self.held(text, [partial(parse, text) for parse in PARSERS])

    def test_descriptions(self) -> None:
        """Session descriptions."""
        for mutator in rounds(300):
            one, other = (mutator.message().partition(b"\r\n\r\n")[2] for _ in "12")
            self.held((one, other), [partial(describe, one, other)])

    def test_every_end(self) -> None:
        """Each message of ours, and each torture message, cut at each place of its first lines: a start line without
        its last parts is refused."""
        for data in (*OURS, *TORTURE):
            for end in range(min(len(data), 200)):
                for cut in (data[:end] + b"\r\n\r\n", data[:end] + data[data.find(b"\r\n") :]):
                    self.held(cut, [partial(read, cut)])

    def test_no_controls(self) -> None:
        """What is read has no control characters in its headers, which a terminal or a display would obey (RFC 3261
        section 25.1: TEXT-UTF8-TRIM has none)."""
        for mutator in rounds(300):
            data = mutator.message()
            at = mutator.random.randint(0, data.find(b"\r\n\r\n") + 1)
            data = data[:at] + mutator.random.choice(SOME_CONTROLS) + data[at:]
            self.held(data, [partial(self.clean, data)])

    def clean(self, data: bytes) -> None:
        """Read a message, and find no control characters."""
        message = read(data)
        self.assertNotRegex(message.start_line, CONTROLS)
        for name, value in message.headers:
            self.assertNotRegex(name + value, CONTROLS)
