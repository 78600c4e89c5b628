"""What every directory of bindings must do, in whatever store: the tests of `IDirectory`, run against each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import FakeFlow
from webrtcproxy.registration.binding import Binding, Found, contact_user_of
from webrtcproxy.registration.directory import IDirectory
from webrtcproxy.registration.location import MAX_BINDINGS_PER_AOR
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.transport.flow import Flow

ALICE = "alice@pbx.example.com"
REGISTRAR = "192.0.2.50"


ASYNCHRONOUS = frozenset({"find", "find_token", "only_registered_at", "intend", "bind", "unbind"})
"""The methods of a directory that fire a Deferred, for which a store on another machine may be asked."""


class SlowDirectory:
    """A directory that takes its time, as a store on another machine does.

    :param directory: what answers in the end.
    :ivar waiting: its answers that have not been given yet.
    """

    def __init__(self, directory: IDirectory) -> None:
        self._directory = directory
        self.waiting: list[tuple[Deferred[Any], Deferred[Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._directory, name)
        return partial(self._later, method) if name in ASYNCHRONOUS else method

    def _later(self, method: Callable[..., Deferred[Any]], *arguments: object) -> Deferred[Any]:
        later: Deferred[Any] = Deferred()
        self.waiting.append((method(*arguments), later))
        return later

    def answer(self) -> None:
        """Give all answers."""
        while self.waiting:
            found, later = self.waiting.pop(0)
            found.chainDeferred(later)

    def fail(self) -> None:
        """Answer nothing any more."""
        while self.waiting:
            self.waiting.pop(0)[1].errback(ConnectionError("no store"))


class DirectoryContract:
    """Mixed into a test case, which makes the directories in its setUp.

    :ivar directory: through which changes are made.
    :ivar other: the same, or that of another process, which has to agree.
    """

    clock: Clock
    directory: IDirectory
    other: IDirectory
    multiple = True

    def binding(self, flow: Flow, instance: str = "one", *, reg_id: int = 1, seconds: float = 600) -> Binding:
        value = NameAddr.parse(f"<sip:{instance}@x.invalid;transport=ws>")
        expires_at = self.clock.seconds() + seconds
        return Binding(ALICE, instance, reg_id, value.uri, value, flow, expires_at, 1.0, "call-1")

    def bind(self, flow: Flow, instance: str = "one", seconds: float = 600, register_id: int = 1) -> Found:
        """What a 200 of the registrar does."""
        found = self.result(self.directory.bind([self.binding(flow, instance, seconds=seconds)], register_id))
        self.directory.registered(ALICE, REGISTRAR, seconds)
        return found

    def find(self) -> Found:
        return self.result(self.other.find(ALICE))

    def instances(self) -> list[str]:
        return [binding.instance for binding in self.find().bindings]

    def intended(self) -> list[int]:
        """The seconds that the other process learns of."""
        return self.result(self.other.intend(ALICE, 99, (), 0))

    def result(self, work):
        assert isinstance(self, SynchronousTestCase)
        return self.successResultOf(work)

    def test_nobody(self) -> None:
        """An AOR that nobody has registered has nothing, and is not known."""
        found = self.find()
        self.assertEqual((found.aor, *found.bindings, *found.registrars, found.known), (ALICE, False))
        self.assertIsNone(self.result(self.other.find_token(contact_user_of(ALICE))))
        self.assertFalse(self.other.is_registrar(REGISTRAR))

    def test_bound(self) -> None:
        """What is bound is found by AOR and by token, with its registrar; the newest binding is the first."""
        flow = FakeFlow.wss()
        self.assertEqual([binding.flow for binding in self.bind(flow).bindings], [flow])
        self.bind(FakeFlow.wss(), "two")
        self.assertEqual(self.instances(), ["two", "one"])
        found = self.result(self.other.find_token(contact_user_of(ALICE)))
        self.assertEqual((found.aor, found.registrars, found.known), (ALICE, [REGISTRAR], True))
        self.assertEqual([binding.instance for binding in found.targets()], ["two", "one"])
        self.assertTrue(self.other.is_registrar(REGISTRAR))

    def test_only_one(self) -> None:
        """The only AOR of a domain is found, and none where there are several or none."""

        def only(ending: str = "@pbx.example.com") -> str | None:
            return self.result(self.other.only_registered_at(ending))  # type: ignore[no-any-return]

        self.assertIsNone(only())
        self.bind(FakeFlow.wss())
        self.assertEqual((only(), only("@example.com")), (ALICE, None))
        other = self.binding(FakeFlow.wss())
        bob = Binding("bob@pbx.example.com", "bob", 1, other.contact, other.value, other.flow, other.expires_at)
        self.result(self.directory.bind([bob], 2))
        self.assertIsNone(only())

    def test_refused(self) -> None:
        """Where there are too many, `bind` fails, nothing is stored, and the intent has ended."""
        flow = FakeFlow.wss()
        self.bind(flow)
        self.result(self.directory.intend(ALICE, 2, (), 3000))
        many = [self.binding(flow, f"i{number}") for number in range(MAX_BINDINGS_PER_AOR + 1)]
        self.failureResultOf(self.directory.bind(many, 2), Refusal)
        self.assertEqual((self.instances(), self.intended()), (["one"], [600]))

    def test_unbound(self) -> None:
        """Bindings are removed by their keys, or all of them; what is not there is no error. The AOR stays known while
        a registrar has our Contact."""
        for instance in ("one", "two", "three"):
            self.bind(FakeFlow.wss(), instance)
        found = self.result(self.directory.unbind(ALICE, [("two", 1), ("nine", 1)]))
        self.assertEqual([binding.instance for binding in found.bindings], ["three", "one"])
        self.assertEqual(self.instances(), ["three", "one"])
        self.assertEqual(self.result(self.directory.unbind(ALICE)).bindings, [])
        self.result(self.directory.unbind("nobody@pbx.example.com"))
        self.assertEqual((self.instances(), self.find().known), ([], True))

    def test_registrar_has_it_no_more(self) -> None:
        """When the registrar has removed our Contact it is heard for a moment, and the AOR is forgotten after it."""
        self.bind(FakeFlow.wss())
        self.result(self.directory.unbind(ALICE))
        self.directory.registered(ALICE, REGISTRAR, 0)
        self.assertEqual(self.find().registrars, [REGISTRAR])
        self.clock.pump([10] * 5)
        self.assertEqual((*self.find().registrars, self.find().known), (False,))
        self.assertFalse(self.other.is_registrar(REGISTRAR))

    def test_flow_lost(self) -> None:
        """A binding ends with its flow, and a flow that is lost already is not bound."""
        flow = FakeFlow.wss()
        self.bind(flow)
        flow.lose()
        self.assertEqual(self.instances(), [])
        self.result(self.directory.intend(ALICE, 2, (), 600))
        self.assertEqual(self.bind(flow, register_id=2).bindings, [])
        self.assertEqual((self.instances(), self.intended()), ([], []))

    def test_expired(self) -> None:
        """A binding ends to the second when it expires."""
        self.bind(FakeFlow.wss(), seconds=33)
        self.clock.advance(32.9)
        self.assertEqual(self.instances(), ["one"])
        self.clock.advance(0.1)
        self.assertEqual(self.instances(), [])

    def test_watched(self) -> None:
        """New bindings and new flows are told of until that is ended; refreshes are not."""
        seen: list[Binding] = []
        forget = self.other.watch(seen.append)
        flow = FakeFlow.wss()
        self.bind(flow)
        self.bind(flow)
        self.bind(FakeFlow.wss(port=40009))
        self.assertEqual([binding.flow.peer.port for binding in seen], [flow.peer.port, 40009])
        forget()
        self.bind(FakeFlow.wss(), "two")
        self.assertEqual(len(seen), 2)

    def test_intent(self) -> None:
        """A REGISTER under way counts until it is withdrawn or bound, for as long as it asks; a withdrawal of nothing
        is no error."""
        self.assertEqual(self.result(self.directory.intend(ALICE, 1, [("one", 1)], 3000)), [])
        self.assertEqual(self.intended(), [3000])
        self.directory.withdraw(ALICE, 1)
        self.directory.withdraw(ALICE, 1)
        self.assertEqual(self.intended(), [])
        self.result(self.directory.intend(ALICE, 2, [("one", 1)], 3000))
        self.bind(FakeFlow.wss(), seconds=600, register_id=2)
        self.assertEqual(self.intended(), [600])

    def test_intent_of_its_own_binding(self) -> None:
        """A REGISTER learns of the other bindings, not of those that it is about; and one that adds nothing intends
        nothing."""
        self.bind(FakeFlow.wss(), "one", 600)
        self.bind(FakeFlow.wss(), "two", 900)
        self.clock.advance(0.5)
        self.assertEqual(self.result(self.other.intend(ALICE, 1, [("two", 1)], 0)), [600])
        self.assertEqual(self.intended(), [900, 600])

    def test_intent_of_several(self) -> None:
        """One that the registrar is asked for as long as others need keeps that time under way."""
        self.result(self.directory.intend(ALICE, 1, (), 6000))
        self.assertEqual(self.result(self.directory.intend(ALICE, 2, (), 60)), [6000] if self.multiple else [])
        self.directory.withdraw(ALICE, 1)
        self.assertEqual(self.intended(), [6000 if self.multiple else 60])
