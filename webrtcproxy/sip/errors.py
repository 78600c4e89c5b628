"""BadMessage: the error that the parsers of this folder raise."""

from __future__ import annotations


class BadMessage(Exception):
    """The octets are not a SIP message, or a header value is malformed.

    :param why: the reason phrase of the response; ASCII, names the header: ``Bad CSeq``, ``Missing Call-ID``.
    :param status: the status code of the response: 400, 415, 416, 505 or 513.
    :param request: a `webrtcproxy.sip.request.Request` with what could be parsed, enough for `message.respond`, or
        what is usable; None if there is neither: no Via, not SIP at all. (Its type is object because the module of
        requests imports this one.)
    :param usable: whether `request`, or the response in its place, is to be used all the same (see
        :mod:`webrtcproxy.sip.salvage`).
    :param unusable: a response that can't be used, for the log: what could be read of it, with the status 0.
    """

    def __init__(
        self,
        why: str,
        status: int = 400,
        request: object | None = None,
        usable: bool = False,
        unusable: object | None = None,
    ) -> None:
        super().__init__(why, status)
        self.why = why
        self.status = status
        self.request = request
        self.usable = usable
        self.unusable = unusable

    def __str__(self) -> str:
        return f"{self.status} {self.why}"
