"""A small ng client of the tests' own: one command, one reply, one socket."""

from collections.abc import Callable
from itertools import count
from os import getpid
from typing import Any, cast

import bencodepy
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IReactorUDP
from twisted.internet.protocol import DatagramProtocol

from tests.support.real.ports import LOOPBACK

_cookies = count()
RESEND, GIVE_UP = 0.5, 5.0


class _Question(DatagramProtocol):
    def __init__(self, port: int, data: bytes) -> None:
        self.target, self.data = (LOOPBACK, port), data
        self.reply: Deferred[bytes] = Deferred()

    def startProtocol(self) -> None:
        self.send()

    def send(self) -> None:
        assert self.transport is not None
        self.transport.write(self.data, self.target)

    def datagramReceived(self, data: bytes, address: object) -> None:
        if address == self.target and not self.reply.called:
            self.reply.callback(data)


async def ask(port: int, command: dict[bytes, Any]) -> dict[bytes, Any]:
    """Send one ng command to the port on loopback, again every half second.

    Returns the reply. Raises AssertionError where none comes within five seconds or its result is an error.
    """
    cookie = b"test_%d_%d" % (getpid(), next(_cookies))
    question = _Question(port, cookie + b" " + bencodepy.encode(command))
    listening = cast(IReactorUDP, reactor).listenUDP(0, question, LOOPBACK)
    cancel = _repeat(question.send)
    question.reply.addTimeout(GIVE_UP, cast(IReactorTime, reactor))
    try:
        data = await question.reply
    except Exception as error:
        raise AssertionError(f"rtpengine gave no reply to {command}") from error
    finally:
        cancel()
        await listening.stopListening()
    reply = cast(dict[bytes, Any], bencodepy.decode(data.partition(b" ")[2]))
    assert reply[b"result"] != b"error", reply
    return reply


def _repeat(call: Callable[[], None]) -> Callable[[], None]:
    """Call every RESEND seconds; returns what ends it."""
    time = cast(IReactorTime, reactor)

    def again() -> None:
        nonlocal pending
        call()
        pending = time.callLater(RESEND, again)

    pending = time.callLater(RESEND, again)
    return lambda: pending.cancel()
