"""Extensions: which of them are up to the proxy (RFC 3261 section 8.2.2.3)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.messages import request
from webrtcproxy.dialog.extensions import carry_extensions, refuse_required
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Headers


class Required(SynchronousTestCase):
    """What Require and Proxy-Require may ask for. (corners.rst 1: Extensions)"""

    def missing(self, method: str, *headers: tuple[str, str]) -> str:
        """The Unsupported of the 420."""
        refusal = self.assertRaises(Refusal, refuse_required, request(method, headers=headers))
        self.assertEqual(refusal.status, 420)
        return dict(refusal.headers)["Unsupported"]

    def test_of_a_session(self) -> None:
        """The proxy is an end of a call: what it does not know it can't do, whoever else could."""
        for method in ("INVITE", "UPDATE", "REGISTER", "OPTIONS"):
            self.assertEqual(self.missing(method, ("Require", "eventlist, x")), "eventlist, x")

    def test_between_the_ends(self) -> None:
        """Where a request crosses, what is required of the other end is for it to say; what is of a leg is not."""
        for method in ("MESSAGE", "SUBSCRIBE", "NOTIFY", "INFO", "FROBNICATE"):
            refuse_required(request(method, headers=[("Require", "eventlist")]))
            self.assertEqual(self.missing(method, ("Require", "eventlist, Outbound")), "Outbound")

    def test_of_a_proxy(self) -> None:
        """What every proxy on the way has to know."""
        self.assertEqual(self.missing("MESSAGE", ("Proxy-Require", "foo"), ("Require", "eventlist")), "foo")

    def test_nothing(self) -> None:
        """Nothing is required, by no header or an empty one."""
        refuse_required(request("INVITE"))
        refuse_required(request("INVITE", headers=[("Require", ""), ("Proxy-Require", "")]))

    def test_carried(self) -> None:
        """Of what both sides say of extensions, that of a leg stays behind."""
        headers = Headers()
        carry_extensions(
            Headers(
                [("Supported", "timer, eventlist"), ("Require", "100rel"), ("Unsupported", "a"), ("Supported", "b")]
            ),
            headers,
        )
        self.assertEqual(list(headers), [("Supported", "eventlist, b"), ("Unsupported", "a")])
