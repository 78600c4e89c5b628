"""What must not be in the log of a proxy that tells all that it can (corners.rst 5: Privacy; CONTRIBUTING)."""

from __future__ import annotations

from tests.support.real.case import RealCase
from tests.support.real.dialog import Calling
from tests.support.real.part import until
from tests.support.sdp import lines


class Log(RealCase):
    """A proxy at level debug."""

    changes = (("level = info", "level = debug"),)

    async def test_no_secrets(self) -> None:
        """A registration with a password, a call with the trunk's password, digits by INFO, and a re-INVITE that
        rtpengine refuses: neither passwords nor digests, keys of ICE, fingerprints or digits are told."""
        browser, trunk = await self.registered(), await self.peer()
        caller, callee = await self.connected(browser, trunk)
        info = caller.send("INFO", [("Content-Type", "application/dtmf-relay")], b"Signal=8\r\nDuration=777\r\n")
        trunk.reply(await trunk.request("INFO"), 200)
        self.assertEqual(200, (await browser.response(info)).status)
        refused = caller.send("INVITE", body=b"v=0\r\nthis is none\r\na=ice-pwd:thisIsNoSdpButHasAKeyInIt\r\n")
        self.assertEqual(488, (await Calling(browser, refused, True).final()).status)
        await self.hang_up(caller, callee)
        await until(lambda: "call over" in self.proxy.log(self._log_start), "the line of the call")
        log = self.proxy.log(self._log_start)
        secrets = ["wonderland", "secret", "Signal=", "Duration=", "ice-pwd", "ice-ufrag", "fingerprint", "a=crypto"]
        for message in (*browser.received, *trunk.received):
            secrets += [line.partition(":")[2] for line in lines(message.body, "a=ice-")]
            for name in ("Authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate"):
                secrets += message.headers.lines(name)
        for secret in secrets:
            self.assertNotIn(secret, log)
