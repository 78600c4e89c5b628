"""The directory says nothing after the registrar's 200: the REGISTER has a final response all the same."""

from __future__ import annotations

from tests.support.calls.case import CallCase
from tests.support.configs import PBX
from webrtcproxy.sip.message import Headers, Request


class StoreSilent(CallCase):
    """The store of the bindings hangs."""

    trunks = (PBX,)

    def test_504(self) -> None:
        """Within 32 s (RFC 4320), as where the registrar is silent."""
        world = self.make_world(slow=True)
        alice, trunk = world.browser(), world.trunk()
        headers = Headers([
            ("Via", f"SIP/2.0/WSS {alice.via};branch=z9hG4bKreg"), ("Max-Forwards", "70"),
            ("From", f"<{alice.uri}>;tag=1"), ("To", f"<{alice.uri}>"), ("Call-ID", "reg"), ("CSeq", "1 REGISTER"),
            ("Contact", f"<{alice.contact}>;expires=600"),
        ])  # fmt: skip
        alice.say(Request("REGISTER", "sip:pbx.example.com", headers))
        world.slow.answer()  # `intend`
        register = trunk.request("REGISTER")
        trunk.answer(register, 200, headers=[("Contact", register.headers.get("Contact") or "")])
        for _ in range(31):  # `bind` is asked, and never answered
            world.turn(1)
        finals = [name for name in alice.pending() if name != "100"]
        world.slow.answer()
        self.assertEqual(finals, ["504"])
