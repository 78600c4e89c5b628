"""SharedHeirs: what a worker has let cross by REFER is known to all, since the dialog may be in any of them."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.cluster.ownership import ALL
from webrtcproxy.cluster.remote import RemoteFlows, Send
from webrtcproxy.dialog.referred import DialogKey, ReplacesGrant, ReplacesGrants


class SharedReplacesGrants(ReplacesGrants):
    """One replica.

    :param flows: names sockets towards others.
    :param send: sends a frame.
    """

    def __init__(self, clock: IReactorTime, flows: RemoteFlows, send: Send) -> None:
        super().__init__(clock)
        self._flows = flows
        self._send = send

    def add(self, dialog: DialogKey, heir: ReplacesGrant) -> None:
        """Remember one, and tell the others."""
        super().add(dialog, heir)
        facts = None if heir.flow is None else self._flows.facts(heir.flow)
        told = {"to": ALL, "do": "heir", "dialog": dialog, "flow": facts, "host": heir.host, "teller": heir.teller}
        self._send(told)

    def heard(self, told: dict[str, Any]) -> None:
        """Another worker tells of one."""
        call_id, local, remote = told["dialog"]
        flow = None if told["flow"] is None else self._flows.known(told["flow"])
        super().add((call_id, local, remote), ReplacesGrant(flow, told["host"], told["teller"]))
