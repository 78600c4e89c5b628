"""Shares the memory of relayed REFERs among all workers: any of them may have the dialog that one may replace, or the
socket of the browser that was referred."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.cluster.ownership import ALL
from webrtcproxy.cluster.protocol import GRANT, REFERRED
from webrtcproxy.cluster.remote import RemoteFlows, Send
from webrtcproxy.dialog.referred import DialogKey, Referrers, ReplacesGrant, ReplacesGrants
from webrtcproxy.transport.flow import Flow


class SharedReplacesGrants(ReplacesGrants):
    """One replica of the grants.

    :param flows: describes flows to other processes.
    :param send: sends a frame.
    """

    def __init__(self, clock: IReactorTime, flows: RemoteFlows, send: Send) -> None:
        super().__init__(clock)
        self._flows = flows
        self._send = send

    def add(self, dialog: DialogKey, grant: ReplacesGrant) -> None:
        """Store a grant, and send it to the other workers."""
        super().add(dialog, grant)
        flow = None if grant.flow is None else self._flows.describe(grant.flow)
        self._send(
            {"to": ALL, "do": GRANT, "dialog": dialog, "flow": flow, "host": grant.host, "referrer": grant.referrer}
        )

    def apply(self, change: dict[str, Any]) -> None:
        """Store a grant of another worker."""
        call_id, local, remote = change["dialog"]
        flow = None if change["flow"] is None else self._flows.flow_of(change["flow"])
        super().add((call_id, local, remote), ReplacesGrant(flow, change["host"], change["referrer"]))


class SharedReferrers(Referrers):
    """One replica of who has referred whom.

    :param flows: describes flows to other processes.
    :param send: sends a frame.
    """

    def __init__(self, clock: IReactorTime, flows: RemoteFlows, send: Send) -> None:
        super().__init__(clock)
        self._flows = flows
        self._send = send

    def add(self, flow: Flow, aors: Iterable[str], referrer: str) -> None:
        """Note a referrer, and tell the other workers."""
        known = list(aors)
        super().add(flow, known, referrer)
        self._send({"to": ALL, "do": REFERRED, "flow": self._flows.describe(flow), "aors": known, "referrer": referrer})

    def apply(self, change: dict[str, Any]) -> None:
        """Note a referrer of another worker."""
        super().add(self._flows.resolve(change["flow"]), change["aors"], change["referrer"])
