"""The dialog of a BYE or an ACK that does not name it in full: a second matching, after that by Call-ID and both tags
(RFC 3261 section 12.2.2).

Nobody is told that an ACK is not understood, and who has sent a BYE is gone, whatever it hears. So both mean the only
dialog that they can mean: with who has sent them, and with what of its names is there.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from webrtcproxy.dialog.leg import Leg
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.runtime.quiet import Quiet
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Request
from webrtcproxy.transport.flow import Flow

log = Logger()

Names = tuple[str | None, str | None, str | None]
"""Call-ID, the proxy's tag and that of its peer; None for what is missing or can't be read."""

_NAMES = ("Call-ID", "tag in To", "tag in From")
_NOTHING: Names = (None, None, None)


class LikelyDialogs:
    """Finds the dialog that a BYE or an ACK means.

    :param legs: the index of dialogs.
    :param clock: for the log, which they must not fill.
    """

    def __init__(self, legs: DialogTable, clock: IReactorTime) -> None:
        self._legs = legs
        self._quiet = Quiet(clock)

    def leg_of(self, request: Request, flow: Flow, accepts: Callable[[Leg], bool]) -> Leg | None:
        """The leg whose dialog `request` names, whoever has sent it. Where it does not name one in full, the only leg
        of its sender that it may mean; the headers note what is missing. Where it may mean several, the log says so.

        :param flow: the request has arrived on it.
        :param accepts: whether a leg comes into question that is not named in full.
        """
        try:
            leg = self._legs.find(request)
        except BadMessage:
            leg = None
        if leg is not None:
            return leg
        names = _names_of(request)
        if None not in names:
            return None
        found = self._candidates(request, names, flow, accepts)
        if len(found) == 1:
            request.headers.note(f"no {_lacking(names)}, likely of {found[0].dialog.call_id}")
            return found[0]
        if found:
            self._log_doubt(request, names, flow, len(found))
        return None

    def _candidates(self, request: Request, names: Names, flow: Flow, accepts: Callable[[Leg], bool]) -> list[Leg]:
        """The legs that the request may mean; only one, where its Request-URI is the Contact in that dialog."""
        found = [
            leg for leg in self._legs.of_peer(flow) if _has(leg.key, names) and accepts(leg) and leg.is_from_peer(flow)
        ]
        called = [leg for leg in found if NameAddr.parse(leg.dialog.contact).uri == request.uri]
        if len(called) == 1 or (names == _NOTHING and not flow.reliable):
            return called
        return found

    def _log_doubt(self, request: Request, names: Names, flow: Flow, count: int) -> None:
        host = flow.peer.host
        more = self._quiet.more((request.method, host))
        if more is not None:
            log.warn(
                "{call}: {method} from {host} is dropped, it may mean {count} dialogs: it has no {lacks} that can be"
                " read{more}",
                call=request.log_id,
                method=request.method,
                host=host,
                count=count,
                lacks=_lacking(names),
                more=more,
            )


def _has(key: tuple[str, str, str], names: Names) -> bool:
    return all(name is None or name == own for name, own in zip(names, key, strict=True))


def _lacking(names: Names) -> str:
    """What of them is missing or can't be read."""
    return ", ".join([what for what, name in zip(_NAMES, names, strict=True) if name is None])


def _names_of(request: Request) -> Names:
    return _readable(lambda: request.call_id), _readable(lambda: request.to.tag), _readable(lambda: request.from_.tag)


def _readable(value: Callable[[], str | None]) -> str | None:
    try:
        return value()
    except BadMessage:
        return None
