"""RegisterTransaction: what happens while the directory of bindings is being asked, as a remote store is."""

from __future__ import annotations

from tests.support.calls.registering import ALICE, JSSIP, REGISTRAR, RegistrarCase
from tests.support.directories import SlowDirectory
from webrtcproxy.sip.message import respond


class SlowDirectoryTests(RegistrarCase):
    """The directory answers when the test says so."""

    def setUp(self) -> None:
        super().setUp()
        self.slow = SlowDirectory(self.directory)
        self.registrar.directory = self.slow

    def test_registered(self) -> None:
        """The registrar is asked once the others' needs are known; the browser gets 200 once its binding is stored."""
        self.register(f"{JSSIP};expires=600")
        (flow,) = self.network.flows.values()
        self.assertEqual(flow.sent, [])
        self.slow.answer()
        self.transactions.message_received(respond(flow.last_request, 200), flow)
        self.assertEqual(self.replies(), [])
        self.slow.answer()
        self.assertEqual(self.replies(), [200])
        found = self.location.find(ALICE)
        self.assertEqual([binding.instance for binding in found.bindings], ["urn:uuid:8f4b"])
        self.assertEqual(found.registrars, [REGISTRAR])

    def test_directory_fails(self) -> None:
        """The browser gets 500, and nothing is noted as under way."""
        self.register(f"{JSSIP};expires=600")
        self.slow.fail()
        self.assertEqual(len(self.flushLoggedErrors(ConnectionError)), 1)
        self.assertEqual(self.replies(), [500])
        self.assertEqual(self.successResultOf(self.directory.intend(ALICE, 0, (), 0)), [])
