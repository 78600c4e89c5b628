"""Replaces: names the dialog that an INVITE replaces, as a header (RFC 3891) or escaped within the URI of a Refer-To
(RFC 3261 section 19.1.1, RFC 5589 section 7)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import quote_from_bytes, unquote_to_bytes

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.grammar import Params, find_param, format_params, parse_params
from webrtcproxy.sip.refer_to import PLAIN_IN_URI
from webrtcproxy.sip.request import Request
from webrtcproxy.sip.uri import Uri

_is_tag = re.compile(r'[^\x00-\x20\x7f,;"<>]+').fullmatch
_is_call_id = re.compile(r"[^\x00-\x20\x7f,;]+").fullmatch


@dataclass(frozen=True, slots=True)
class Replaces:
    """One dialog, identified from the view of the receiver of the INVITE (RFC 3891 section 3).

    :ivar call_id: its Call-ID.
    :ivar to_tag: the receiver's own tag.
    :ivar from_tag: the tag of the receiver's peer.
    :ivar early_only: replace it only while it is not confirmed.
    :ivar others: unknown parameters.
    """

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False
    others: Params = ()

    @staticmethod
    def parse(text: str) -> Replaces:
        """Parse the header value, its parameters in any order. The tags are any text, as those of From and To are, and
        may be in quotes.

        :raises BadMessage: 400: there is no Call-ID, or not exactly one to-tag and one from-tag.
        """
        call_id, _, tail = text.strip().partition(";")
        try:
            params = parse_params(tail)
        except BadMessage as error:
            raise BadMessage("Bad Replaces") from error
        names = [name.lower() for name, _ in params]
        to_tag, from_tag = [(find_param(params, name) or "").strip('"') for name in ("to-tag", "from-tag")]
        once = names.count("to-tag") == names.count("from-tag") == 1
        if not once or not _is_tag(to_tag) or not _is_tag(from_tag) or not _is_call_id(call_id.strip()):
            raise BadMessage("Bad Replaces")
        others = tuple(param for param in params if param[0].lower() not in ("to-tag", "from-tag", "early-only"))
        return Replaces(call_id.strip(), to_tag, from_tag, "early-only" in names, others)

    def __str__(self) -> str:
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}{format_params(self.others)}"

    @property
    def key(self) -> tuple[str, str, str]:
        """The dialog's identity at the receiver: Call-ID, its own tag, its peer's tag. A from-tag of 0 stands for a
        peer without a tag and becomes empty here (RFC 3891 section 3)."""
        return self.call_id, self.to_tag, "" if self.from_tag == "0" else self.from_tag

    def names(self, call_id: str, local_tag: str, remote_tag: str) -> Replaces:
        """A copy that names another dialog.

        :param local_tag: the receiver's own tag there.
        :param remote_tag: the tag of its peer; may be empty.
        """
        return replace(self, call_id=call_id, to_tag=local_tag or "0", from_tag=remote_tag or "0")


def replaces_of(uri: Uri) -> Replaces | None:
    """The Replaces among the headers of a URI, or None.

    :raises BadMessage: 400: there are several, or it is malformed.
    """
    found = [value for name, value in _headers(uri) if _is_replaces(name)]
    if not found:
        return None
    if len(found) > 1:
        raise BadMessage("Bad Replaces")
    return Replaces.parse(_unescaped(found[0]).decode("utf-8", "surrogateescape"))


def with_replaces(uri: Uri, replaces: Replaces) -> Uri:
    """`uri` with its Replaces exchanged for `replaces`; its other headers stay unchanged, in order."""
    escaped = quote_from_bytes(str(replaces).encode("utf-8", "surrogateescape"), safe=PLAIN_IN_URI)
    pairs = [(name, escaped if _is_replaces(name) else value) for name, value in _headers(uri)]
    return replace(uri, headers="&".join(f"{name}={value}" for name, value in pairs))


def replaces_headers(source: Request, value: str | None) -> tuple[tuple[str, str], ...]:
    """The headers of an INVITE that replaces a dialog.

    :param source: the INVITE that it is made from.
    :param value: the dialog, from the receiver's view; None for no Replaces.
    """
    if value is None:
        return ()
    required = any(tag.lower() == "replaces" for tag in source.headers.all("Require"))
    return (("Replaces", value), *([("Require", "replaces")] if required else []))


def _headers(uri: Uri) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (part.partition("=") for part in uri.headers.split("&")) if name]


def _is_replaces(name: str) -> bool:
    return _unescaped(name).lower() == b"replaces"


def _unescaped(text: str) -> bytes:
    return unquote_to_bytes(text.encode("utf-8", "surrogateescape"))
