"""Replaces, as an endpoint of the tests writes it: the tests' own view of RFC 3891."""

from __future__ import annotations

from tests.support.real.dialog import Dialog
from webrtcproxy.sip.headers import NameAddr

ORDERS = (
    "{call};to-tag={to};from-tag={from_}",
    "{call};from-tag={from_};to-tag={to}",
    "{call};from-tag={from_};early-only;to-tag={to}",
)


def tag_of(value: str) -> str:
    return NameAddr.parse(value).tag or ""


def replaces(dialog: Dialog, order: str = ORDERS[0]) -> str:
    """What the one that has `dialog` calls it when it tells somebody to replace it; the parts in that order."""
    return order.format(call=dialog.call_id, to=tag_of(dialog.remote), from_=tag_of(dialog.local))
