"""An rtpengine that never was: `FakeNodes` stands in for `webrtcproxy.media.nodes.Nodes` in tests of the call layer.

    nodes = FakeNodes()                       # every operation succeeds at once, with canned SDP
    nodes.fail("offer", NgTimeout("silent"))  # the next offer fails (once); times=... for more
    nodes.hold()                              # operations wait ...
    nodes.release()                           # ... until this (all that wait, and those to come)
    nodes = FakeNodes(clock, delay=0.2)       # every operation takes 0.2 s of `clock`
    nodes.log                                 # [("offer", "b1"), ("answer", "b1"), ("delete", "")] over all sessions
    nodes.leaks()                             # sessions that sent something and were never deleted
    nodes.lose(session)                       # it gives up a session of a call that is up

Give `record`, a list of your own, to have the operations appear in order between other things that happen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from webrtcproxy.media.placement import Loss, OnLoss
from webrtcproxy.media.profile import Profile
from webrtcproxy.runtime.errors import NgRefused

BROWSER_SDP = (
    b"v=0\r\no=- 1 %(version)d IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    b"m=audio %(port)d UDP/TLS/RTP/SAVPF 0 101\r\nc=IN IP4 127.0.0.1\r\na=mid:0\r\na=rtpmap:0 PCMU/8000\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\na=rtcp-mux\r\na=setup:actpass\r\n"
    b"a=fingerprint:sha-256 75:3D:78:17:78:E4:44:6A:B3:CE:89:68:C2:F2:C8:C0:"
    b"DE:6E:9A:9A:4B:CB:FB:F7:CC:1F:91:30:81:65:25:DC\r\n"
    b"a=ice-ufrag:C4w6tlXa\r\na=ice-pwd:KLpCGw5IgvNAqS7FjfM4LjZ0e6\r\na=ice-options:trickle\r\n"
    b"a=candidate:q1beNWeQYHPqC429 1 UDP 2130706431 127.0.0.1 %(port)d typ host\r\na=end-of-candidates\r\n"
)
TRUNK_SDP = (
    b"v=0\r\no=- 1 %(version)d IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    b"m=audio %(port)d RTP/AVP 0 101\r\nc=IN IP4 127.0.0.1\r\na=rtpmap:0 PCMU/8000\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
)


@dataclass
class Operation:
    """One thing that a session was asked to do, as it was asked."""

    command: str
    branch: str
    from_tag: str = ""
    to_tag: str = ""
    to: Profile | None = None
    sdp: bytes = b""
    cancelled: bool = False
    digit: str = ""
    duration: int = 0


class FakeSession:
    """Has the interface of `webrtcproxy.media.session.MediaSession`: operations in order, one in work at a time."""

    def __init__(self, nodes: FakeNodes, call_id: str) -> None:
        self.nodes = nodes
        self.call_id = call_id
        self.operations: list[Operation] = []  # as they were started
        self.used = False  # anything was sent to the node
        self.deleted = 0  # deletes that reached the node
        self.loses_digits = nodes.loses_digits
        self._queue: deque[tuple[Operation, Deferred[bytes]]] = deque()
        self._working = False
        self._ending = False
        self._delete: Deferred[bytes] | None = None

    def offer(self, sdp: bytes, *, from_tag: str, branch: str, to: Profile) -> Deferred[bytes]:
        return self._enqueue(Operation("offer", branch, from_tag, "", to, sdp))

    def answer(self, sdp: bytes, *, from_tag: str, to_tag: str, branch: str, to: Profile) -> Deferred[bytes]:
        return self._enqueue(Operation("answer", branch, from_tag, to_tag, to, sdp))

    def play(self, digit: str, duration: int, *, from_tag: str, branch: str) -> Deferred[None]:
        played = self._enqueue(Operation("play", branch, from_tag, digit=digit, duration=duration))
        return played.addCallback(lambda _: None)

    def packets(self, *, from_tag: str, branch: str) -> Deferred[int]:
        self.nodes.counted.append((branch, from_tag))
        return self.nodes.packets()

    def drop(self, branch: str) -> None:
        if not self._ending:
            self._enqueue(Operation("drop", branch)).addErrback(lambda failure: None)

    def watch(self, lost: OnLoss) -> None:
        if not self._ending:
            self.nodes.watched[self] = lost

    def delete(self) -> Deferred[None]:
        self.nodes.watched.pop(self, None)
        done: Deferred[None] = Deferred()
        if not self._ending:
            self._ending = True
            waiting, self._queue = self._queue, deque()
            for _, result in waiting:
                _fire(result, Failure(NgRefused("the media session is deleted")))
            self._delete = self._enqueue(Operation("delete", ""), last=True)
            self._delete.addErrback(lambda failure: b"")
        assert self._delete is not None
        self._delete.addBoth(lambda result: (done.callback(None), result)[1])
        return done

    def _enqueue(self, operation: Operation, last: bool = False) -> Deferred[bytes]:
        def cancel(deferred: Deferred[bytes]) -> None:
            operation.cancelled = True

        result: Deferred[bytes] = Deferred(cancel)
        if self._ending and not last:
            _fire(result, Failure(NgRefused("the media session is deleted")))
            return result
        self._queue.append((operation, result))
        self._next()
        return result

    def _next(self) -> None:
        if self._working or not self._queue:
            return
        operation, result = self._queue.popleft()
        if operation.cancelled or (operation.command in ("drop", "delete") and not self.used):
            _fire(result, b"")
            self._next()
            return
        self._working = True
        self.operations.append(operation)
        self.nodes.note(self, operation)
        self.used = True
        self.deleted += operation.command == "delete"
        self.nodes.when_done(operation).addBoth(self._done, result)

    def _done(self, outcome: object, result: Deferred[bytes]) -> None:
        self._working = False
        _fire(result, outcome)
        self._next()


def _fire(result: Deferred[bytes], outcome: object) -> None:
    """Give `outcome` to the one that waits for `result`; a caller that lost interest is not told."""
    if not result.called:
        if isinstance(outcome, bytes):
            result.callback(outcome)
        else:
            result.errback(outcome)  # type: ignore[arg-type]


class FakeNodes:
    """Has the interface of `webrtcproxy.media.nodes.Nodes` as far as the call layer uses it."""

    def __init__(
        self,
        clock: IReactorTime | None = None,
        delay: float = 0.0,
        record: list[object] | None = None,
        answer: Callable[[Operation], bytes] | None = None,
    ) -> None:
        self.clock = clock
        self.delay = delay
        self.record = record
        self.sdp = answer or self.canned
        self.sessions: list[FakeSession] = []
        self.log: list[tuple[str, str]] = []
        self.watched: dict[FakeSession, OnLoss] = {}
        self.loses_digits = False
        self.packets: Callable[[], Deferred[int]] = lambda: succeed(len(self.counted))  # media flows
        self.counted: list[tuple[str, str]] = []
        self._failures: list[tuple[str, Exception]] = []
        self._held: list[Deferred[None]] | None = None
        self._port = 30000

    def session(self, call_id: str) -> FakeSession:
        session = FakeSession(self, f"fake-{len(self.sessions)}-{call_id}")
        self.sessions.append(session)
        return session

    def fail(self, command: str, error: Exception, times: int = 1) -> None:
        """Let the next `times` operations of that name fail with `error`."""
        self._failures.extend([(command, error)] * times)

    def hold(self) -> None:
        """Let operations wait from now on."""
        self._held = []

    def release(self) -> None:
        """Finish what waits, in order; operations do not wait any more."""
        held, self._held = self._held or [], None
        for waiting in held:
            waiting.callback(None)

    def leaks(self) -> list[FakeSession]:
        """Sessions of which rtpengine still holds ports: something was sent and no delete."""
        return [session for session in self.sessions if session.used and not session.deleted]

    def lose(self, session: FakeSession, loss: Loss = Loss.SESSION) -> None:
        """rtpengine has given up that session by itself, or is lost."""
        self.watched[session](loss)

    def forget(self) -> None:
        """Forget all sessions that there were."""
        self.sessions.clear()
        self.log.clear()

    def note(self, session: FakeSession, operation: Operation) -> None:
        self.log.append((operation.command, operation.branch))
        if self.record is not None:
            self.record.append(("ng", operation.command, operation.branch))

    def when_done(self, operation: Operation) -> Deferred[bytes]:
        """Fires with the SDP that the operation gives (empty for drop and delete), or fails as ordered."""
        error = self._failure(operation.command)
        wait: Deferred[None] = succeed(None)
        if self._held is not None:
            wait = Deferred()
            self._held.append(wait)
        elif self.clock is not None and self.delay:
            wait = Deferred()
            self.clock.callLater(self.delay, wait.callback, None)
        outcome: Deferred[bytes] = wait.addCallback(lambda _: self._outcome(operation, error))
        return outcome

    def _failure(self, command: str) -> Exception | None:
        for index, (name, error) in enumerate(self._failures):
            if name == command:
                del self._failures[index]
                return error
        return None

    def _outcome(self, operation: Operation, error: Exception | None) -> bytes | Failure:
        if error is not None:
            return Failure(error)  # as of the real one, there is no traceback that would lead to the one that has asked
        return self.sdp(operation) if operation.to is not None else b""

    def canned(self, operation: Operation) -> bytes:
        """SDP of the profile that was asked for; another port each time."""
        self._port += 2
        template = TRUNK_SDP if operation.to is not None and operation.to.name == "trunk" else BROWSER_SDP
        sdp = template % {b"port": self._port, b"version": 1}
        return sdp.replace(b"actpass", b"passive") if operation.command == "answer" else sdp


def on_one_port(operation: Operation) -> bytes:
    """What rtpengine makes, always with the same port, and the direction that the other side has."""
    to_trunk = operation.to is not None and operation.to.name == "trunk"
    sdp = (TRUNK_SDP if to_trunk else BROWSER_SDP) % {b"port": 30000, b"version": 1}
    other = (direction for direction in (b"sendonly", b"recvonly", b"inactive") if direction in operation.sdp)
    return sdp.replace(b"sendrecv", next(other, b"sendrecv"))


__all__ = ["BROWSER_SDP", "TRUNK_SDP", "CancelledError", "FakeNodes", "FakeSession", "Operation", "on_one_port"]
