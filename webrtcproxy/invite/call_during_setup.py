"""CallDuringSetup: the interface of a call that `CallSetup` uses."""

from __future__ import annotations

from typing import Protocol

from webrtcproxy.access.policy import Permitted
from webrtcproxy.config import Trunk
from webrtcproxy.dialog.call_record import EndedBy
from webrtcproxy.dialog.leg import DialogUser, Leg
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.transaction.server import ServerTransaction


class CallDuringSetup(DialogUser, Protocol):
    """A call that is being set up."""

    def goes_to(self, trunk: Trunk | None, permitted: Permitted | None) -> None:
        """A target is found, to be called next.

        :param trunk: where it leads, or None.
        :param permitted: what the access policy has permitted, where it was asked.
        :raises Denied: a limit of calls is reached.
        """

    def callee_found(self, aor: str) -> None:
        """The callee is a user with this address-of-record, whose browsers are called."""

    def session_agreed(self, branch: str) -> None:
        """Caller and callee have agreed on a session, which may be changed from now on.

        :param branch: name of the callee's branch at rtpengine.
        """

    def answer_relayed(self) -> None:
        """A callee's answer is relayed, or can't be: what it has asked for meanwhile is carried out."""

    def modify_session(self, leg: Leg, transaction: ServerTransaction) -> None:
        """The request of `transaction` offers to change the session."""

    def interrupt(self, refusal: Refusal, why: EndedBy) -> None:
        """End the set-up, and refuse the caller with `refusal`."""
