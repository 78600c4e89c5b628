"""BadMessage: what the readers of this folder raise."""

from __future__ import annotations


class BadMessage(Exception):
    """Octets that are no SIP message, or a header that is not what its name promises.

    :param why: the reason phrase for the answer; ASCII, names the header: ``Bad CSeq``, ``Missing Call-ID``.
    :param status: the status code for the answer: 400, 415, 416, 505 or 513.
    :param request: a `webrtcproxy.sip.request.Request` with what could be read, enough for `message.respond`; None
        where nothing can be answered: no Via, an ACK, a response, no SIP at all. (It is typed as an object since
        requests are read by modules that raise this.)
    """

    def __init__(self, why: str, status: int = 400, request: object | None = None) -> None:
        super().__init__(why, status)
        self.why = why
        self.status = status
        self.request = request

    def __str__(self) -> str:
        return f"{self.status} {self.why}"
