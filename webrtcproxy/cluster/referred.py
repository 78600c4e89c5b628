"""SharedReplacesGrants: shares the Replaces grants of a REFER among all workers; any of them may have the dialog."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.cluster.ownership import ALL
from webrtcproxy.cluster.protocol import GRANT
from webrtcproxy.cluster.remote import RemoteFlows, Send
from webrtcproxy.dialog.referred import DialogKey, ReplacesGrant, ReplacesGrants


class SharedReplacesGrants(ReplacesGrants):
    """One replica.

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
