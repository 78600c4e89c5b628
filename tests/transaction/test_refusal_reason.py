"""Why a request was refused: statuses become a few words for the metrics."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.transaction.refusal_reason import reason_of


class ReasonTests(SynchronousTestCase):
    """One word for each status that the proxy refuses with."""

    def test_reasons(self) -> None:
        """What the proxy refuses with a status has one reason; a status that it has not listed is `other`."""
        for status, reason in (
            (400, "malformed"), (513, "malformed"), (403, "forbidden"), (405, "method"), (501, "method"),
            (416, "scheme"), (420, "extension"), (481, "no_dialog"), (482, "loop"), (483, "loop"),
            (503, "overload"), (500, "other"),
        ):  # fmt: skip
            self.assertEqual(reason_of(status), reason, status)
