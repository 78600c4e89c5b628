"""Request and Response: headers, body, and header values that are parsed on demand (RFC 3261 section 7)."""

from __future__ import annotations

from typing import Final

from webrtcproxy.sip import mending
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.fields import Headers
from webrtcproxy.sip.grammar import media_type
from webrtcproxy.sip.headers import (
    STAR,
    CSeq,
    NameAddr,
    Star,
    Via,
    parse_contacts,
    parse_max_forwards,
    parse_seconds,
)
from webrtcproxy.sip.names import PHRASES
from webrtcproxy.sip.uri import Uri

_read_cseq: Final = CSeq.parse
_read_party: Final = NameAddr.parse_party


class Message:
    """The base of requests and responses.

    The parsed values (`via` to `expires`) raise BadMessage 400 that names the header; each is cached until its header
    changes. One that is malformed and decides little is mended (see :mod:`webrtcproxy.sip.mending`), and noted in
    `headers`.
    """

    __slots__ = ("body", "headers")

    headers: Headers
    body: bytes

    @property
    def start_line(self) -> str:
        """The first line, without its CRLF."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """The message as it is sent, always with Content-Length, in octets.

        :raises ValueError: the method, Request-URI or reason phrase would make the start line invalid.
        """
        text = f"{self.start_line}\r\n{self.headers.block(len(self.body))}\r\n\r\n"
        return text.encode("utf-8", "surrogateescape") + self.body

    def _mended(self, name: str, text: str) -> object | None:
        """A second reading of a value that its parser has refused; None where it has to be right."""
        if name == "From":
            return mending.address(text, "anonymous")
        if name == "To":
            return mending.address(text)
        if name == "CSeq":
            return None
        return mending.via(text) if name == "Via" else mending.max_forwards(text)

    @property
    def via(self) -> Via:
        """The top Via."""
        headers = self.headers
        kept = headers.typed.get("Via")
        return headers.parsed("Via", self._parse_via, self._mended) if kept is None else kept  # type: ignore[return-value]

    @via.setter
    def via(self, via: Via) -> None:
        """Replace the top Via."""
        self.headers.set_first("Via", str(via))
        self.headers.typed["Via"] = via

    def _parse_via(self, text: str) -> Via:
        return Via.parse(self.headers.first("Via") or "" if "," in text else text)

    @property
    def cseq(self) -> CSeq:
        """Sequence number and method."""
        headers = self.headers
        kept = headers.typed.get("CSeq")
        return headers.parsed("CSeq", _read_cseq, self._mended) if kept is None else kept  # type: ignore[return-value]

    @property
    def log_id(self) -> str:
        """The message's name in the log: its Call-ID, or a dash."""
        return self.headers.get("Call-ID") or "-"

    @property
    def call_id(self) -> str:
        """The Call-ID, compared octet by octet."""
        kept = self.headers.typed.get("Call-ID")
        return self.headers.parsed("Call-ID", _parse_call_id) if kept is None else kept  # type: ignore[return-value]

    @property
    def from_(self) -> NameAddr:
        """From; its tag is None with RFC 2543 peers."""
        headers = self.headers
        kept = headers.typed.get("From")
        return headers.parsed("From", _read_party, self._mended) if kept is None else kept  # type: ignore[return-value]

    @property
    def to(self) -> NameAddr:
        """To; its tag is None outside of a dialog."""
        headers = self.headers
        kept = headers.typed.get("To")
        return headers.parsed("To", _read_party, self._mended) if kept is None else kept  # type: ignore[return-value]

    @property
    def contacts(self) -> list[NameAddr] | Star:
        """All addresses of all Contact headers, in order, or `STAR`."""
        kept = self.headers.typed.get("Contact")
        if kept is STAR:
            return STAR
        if not isinstance(kept, tuple):
            try:
                contacts = parse_contacts(self.headers.lines("Contact"))
            except BadMessage as error:
                return self.readable_contacts(error)
            self.headers.typed["Contact"] = contacts if contacts is STAR else tuple(contacts)
            return contacts
        return list(kept)

    def readable_contacts(self, error: BadMessage) -> list[NameAddr]:
        """The Contacts that can be read, where others can't; from now on they are `contacts`.

        :param error: what is wrong with the others.
        :raises BadMessage: 400: none can be read, or all have to be right; 513: a URI is too long.
        """
        found = (
            mending.readable_addresses(self.headers.lines("Contact"))
            if error.status == 400 and self._may_mend_contacts
            else []
        )
        if not found:
            raise BadMessage("Bad Contact", error.status) from error
        self.headers.note("Bad Contact")
        self.headers.typed["Contact"] = tuple(found)
        return found

    @property
    def _may_mend_contacts(self) -> bool:
        return True

    @property
    def max_forwards(self) -> int | None:
        """The remaining hops, 0 to 255; None if the header is absent."""
        headers = self.headers
        kept = headers.typed.get("Max-Forwards")
        if kept is not None:
            return kept  # type: ignore[return-value]
        if "Max-Forwards" not in headers:
            return None
        return headers.parsed("Max-Forwards", parse_max_forwards, self._mended)

    @property
    def expires(self) -> int | None:
        """The seconds of the Expires header; None if it is absent, or malformed where it decides nothing: that one is
        taken out."""
        headers = self.headers
        kept = headers.typed.get("Expires")
        if kept is not None:
            return kept  # type: ignore[return-value]
        if "Expires" not in headers:
            return None
        try:
            return headers.parsed("Expires", parse_seconds)
        except BadMessage as error:
            if self._needs_expires:
                raise
            headers.note(error.why)
            headers.remove("Expires")
            return None

    @property
    def _needs_expires(self) -> bool:
        return False

    @property
    def content_type(self) -> str:
        """The media type in lower case without parameters; ``""`` if it is absent."""
        return media_type(self.headers.get("Content-Type") or "")


def _parse_call_id(text: str) -> str:
    if not text or len(text.split()) != 1:
        raise BadMessage("Bad Call-ID")
    return text


class Request(Message):
    """A request.

    :ivar method: case-sensitive.
    :ivar uri: the Request-URI as written.
    """

    __slots__ = ("method", "uri")

    def __init__(self, method: str, uri: str, headers: Headers | None = None, body: bytes = b"") -> None:
        self.method = method
        self.uri = uri
        self.headers = Headers() if headers is None else headers
        self.body = body

    def _mended(self, name: str, text: str) -> object | None:
        """A second reading; not of what names a user to register, nor of a To outside of a dialog with a quote left
        open (RFC 4475 section 3.1.2.6)."""
        if name in ("From", "To") and self.method == "REGISTER":
            return None
        if name == "CSeq":
            return mending.cseq(text, self.method)
        mended = super()._mended(name, text)
        if name == "To" and isinstance(mended, NameAddr) and mended.tag is None:
            return None if text.count('"') % 2 and self.method not in ("ACK", "CANCEL") else mended
        return mended

    @property
    def _may_mend_contacts(self) -> bool:
        return self.method != "REGISTER"

    @property
    def _needs_expires(self) -> bool:
        return self.method in mending.NEEDS_EXPIRES

    @property
    def request_uri(self) -> Uri:
        """The Request-URI, parsed.

        :raises BadMessage: 400 if it is malformed, 513 if it is too long.
        """
        try:
            return Uri.parse(self.uri)
        except BadMessage as error:
            raise BadMessage("Bad Request-URI", error.status) from error

    @property
    def start_line(self) -> str:
        """The first line, without its CRLF."""
        line = f"{self.method} {self.uri} SIP/2.0"
        if line.count(" ") != 2 or "\r" in line or "\n" in line or "\0" in line:
            raise ValueError(f"not a request line: {line!r}")
        return line

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri} {self.headers.get('CSeq')}>"


class Response(Message):
    """A response.

    :param reason: the reason phrase; empty for the standard one.
    """

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str = "", headers: Headers | None = None, body: bytes = b"") -> None:
        self.status = status
        self.reason = reason or PHRASES.get(status, "")
        self.headers = Headers() if headers is None else headers
        self.body = body

    @property
    def start_line(self) -> str:
        """The first line, without its CRLF."""
        line = f"SIP/2.0 {self.status} {self.reason}"
        if not 100 <= self.status <= 699 or "\r" in line or "\n" in line or "\0" in line:
            raise ValueError(f"not a status line: {line!r}")
        return line

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason} {self.headers.get('CSeq')}>"
