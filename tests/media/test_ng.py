"""One command to rtpengine: cookie, resend, timeout, which replies count."""

from __future__ import annotations

import os
import socket
from typing import Any

import bencodepy
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.support.ngwire import FIRST, PORT, SECOND, FakeDaemon, FakeReactor
from webrtcproxy.media import ng
from webrtcproxy.media.bencode import Reply, to_items
from webrtcproxy.media.ng import Cookies, Node
from webrtcproxy.runtime.errors import NgError, NgOverload, NgRefused, NgTimeout


class CookieTests(SynchronousTestCase):
    def test_unique(self) -> None:
        """Two processes never make the same cookie: the daemon's memory of replies is by cookie alone."""
        one, other = Cookies(), Cookies()
        made = {cookies.next() for cookies in (one, other) for _ in range(10_000)}
        self.assertEqual(len(made), 20_000)
        self.assertFalse(any(b" " in cookie for cookie in made))

    def test_fork(self) -> None:
        """A child that was forked off after the first cookie makes others than its parent."""
        cookies = Cookies()
        cookies.next()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:  # pragma: no cover - not in this process
            os.write(writing, cookies.next())
            os._exit(0)
        os.waitpid(child, 0)
        os.close(writing)
        theirs, ours = os.read(reading, 100), cookies.next()
        os.close(reading)
        self.assertNotEqual(theirs, ours)
        self.assertNotEqual(theirs.partition(b"_")[0], ours.partition(b"_")[0])


class NodeCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.daemon = FakeDaemon(self.reactor)
        self.node = Node(self.reactor, FIRST, PORT)
        self.node.open(FIRST)

    def reply_of(self, done: Deferred[Reply]) -> Reply:
        self.reactor.settle()
        return self.successResultOf(done)

    def error_of(self, done: Deferred[Reply], kind: type[NgError]) -> Any:
        self.reactor.settle()
        return self.failureResultOf(done, kind).value

    def tearDown(self) -> None:
        """No timer is left behind by a node that is closed, once its commands are over."""
        self.node.give_up()
        self.node.close()
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class AskTests(NodeCase):
    def test_reply(self) -> None:
        """A command is one datagram, cookie, blank, dictionary; its Deferred fires with the reply."""
        reply = self.reply_of(self.node.command("offer", {"call-id": "c", "sdp": b"v=0"}, 2))
        self.assertEqual(reply[b"result"], b"ok")
        _, _, body = self.daemon.datagrams[0].partition(b" ")
        self.assertEqual(bencodepy.decode(body), {b"command": b"offer", b"call-id": b"c", b"sdp": b"v=0"})
        self.assertEqual(self.node.answered, 1)

    def test_made(self) -> None:
        """Items that are made already are part of the dictionary, beside the fields."""
        made = to_items({"sdp": b"v=0", "flags": ["a"]})
        self.reply_of(self.node.command("offer", {"call-id": b"c"}, 2, made))
        _, _, body = self.daemon.datagrams[0].partition(b" ")
        expected = {b"command": b"offer", b"call-id": b"c", b"sdp": b"v=0", b"flags": [b"a"]}
        self.assertEqual(bencodepy.decode(body), expected)

    def test_pong(self) -> None:
        """`pong` is a success."""
        self.assertEqual(self.reply_of(self.node.command("ping", {}, 2)), {b"result": b"pong"})

    def test_resend_schedule(self) -> None:
        """The same bytes go out at 0, 0.25, 0.75 and 1.75 s; at 2 s it is over: NgTimeout, a 503 with Retry-After."""
        self.daemon.silent = True
        done = self.node.command("offer", {"sdp": b"v=0"}, 2)
        sent = []
        for tick in range(201):
            sent += [tick / 100] * (len(self.daemon.datagrams) - len(sent))
            if tick < 200:
                self.assertNoResult(done)
            self.reactor.advance(0.01)
        self.assertEqual([round(when, 1) for when in sent], [0, 0.2, 0.8, 1.8])
        self.assertEqual(len(set(self.daemon.datagrams)), 1)
        error = self.failureResultOf(done, NgTimeout).value
        self.assertEqual((error.status, error.headers[0][0]), (503, "Retry-After"))
        self.assertIn("127.0.0.1:2223", error.why)

    def test_gap_is_bounded(self) -> None:
        """A command that may wait long is repeated every 4 s at least: a node that comes back learns of it soon."""
        self.daemon.silent = True
        done = self.node.command("delete", {}, 30)
        self.reactor.pump([0.05] * 500)
        self.daemon.silent = False
        self.reactor.pump([0.05] * 81)
        self.successResultOf(done)

    def test_late_reply_within_time(self) -> None:
        """A reply to the first datagram counts after the second was sent; its duplicate is ignored."""
        self.daemon.delay = 0.4
        done = self.node.command("offer", {}, 2)
        self.reactor.pump([0.1] * 5)
        self.successResultOf(done)
        self.assertEqual(len(self.daemon.datagrams), 2)
        self.assertEqual(len(self.daemon.commands), 1)
        self.reactor.pump([0.1] * 5)

    def test_too_late(self) -> None:
        """A reply after the timeout is of no use to the command, but a sign of life."""
        self.daemon.delay = 3
        done = self.node.command("offer", {}, 1)
        self.reactor.pump([0.1] * 11)
        self.failureResultOf(done, NgTimeout)
        self.assertEqual((self.node.silent, self.node.answered), (1, 0))
        self.reactor.advance(5)
        self.assertEqual((self.node.silent, self.node.answered > 0), (0, True))

    def test_foreign_replies(self) -> None:
        """Only the node's own address and port count, and only a cookie that is waited for
        (original.rst: a stray datagram to the port that talks to rtpengine)."""
        self.daemon.silent = True
        done = self.node.command("ping", {}, 1)
        port, cookie = self.reactor.ports[0], self.daemon.datagrams[0].partition(b" ")[0]
        good = cookie + b" d6:result4:ponge"
        for data, address in (
            (good, (SECOND, PORT)),
            (good, (FIRST, PORT + 1)),
            (b"x" + good, (FIRST, PORT)),
            (b"", (FIRST, PORT)),
            (b" d6:result4:ponge", (FIRST, PORT)),
            (good[:-1], (FIRST, PORT)),
        ):
            port.deliver(data, address)
            self.assertNoResult(done)
        port.deliver(good, (FIRST, PORT))
        self.successResultOf(done)

    def test_malformed_reply(self) -> None:
        """A reply that is no bencode, without a result, or with an unknown one, is logged and ignored."""
        for bad in (b"junk", b"le", b"d3:sdp3:v=0e", b"d6:result5:maybee"):
            self.daemon.replies = [bad]
            with capturedLogs() as logs:
                done = self.node.command("offer", {}, 1)
                self.reactor.settle()
            self.assertEqual(len(logs), 1)
            self.assertIn("malformed", logs[0]["log_format"])
            self.reactor.pump([0.1] * 11)
            self.failureResultOf(done, NgTimeout)

    def test_error(self) -> None:
        """`error` is NgRefused, a 488, with rtpengine's reason for the log."""
        self.daemon.result = {b"result": b"error", b"error-reason": b"Failed to parse SDP"}
        error = self.error_of(self.node.command("offer", {}, 2), NgRefused)
        self.assertEqual((error.status, error.why), (488, "Failed to parse SDP"))
        self.daemon.result = {b"result": b"error"}
        self.assertEqual(self.error_of(self.node.command("offer", {}, 2), NgRefused).why, "no reason given")

    def test_load_limit(self) -> None:
        """`load limit` is NgOverload, a 503 with Retry-After."""
        self.daemon.result = {b"result": b"load limit", b"message": b"too many sessions"}
        error = self.error_of(self.node.command("offer", {}, 2), NgOverload)
        self.assertEqual((error.status, error.headers[0][0], error.why), (503, "Retry-After", "too many sessions"))

    def test_faults_of_its_own(self) -> None:
        """Reasons that are rtpengine's own and not the SDP's are no 488: without ports or beyond its limits another
        node may do, and a call that it has lost may be tried again."""
        for reason in ("Ran out of ports", "Parallel session limit reached", "CPU usage limit exceeded"):
            self.daemon.result = {b"result": b"error", b"error-reason": reason.encode()}
            error = self.error_of(self.node.command("offer", {}, 2), NgOverload)
            self.assertEqual((error.status, error.headers[0][0], error.why), (503, "Retry-After", reason))
        for reason in ("Unknown call-id", "Unknown call-ID"):
            self.daemon.result = {b"result": b"error", b"error-reason": reason.encode()}
            error = self.error_of(self.node.command("answer", {}, 2), NgRefused)
            self.assertEqual((error.status, error.headers[0][0], error.why), (503, "Retry-After", reason))

    def test_reason_is_no_text(self) -> None:
        """A reason of the wrong kind is no harm."""
        self.daemon.result = {b"result": b"error", b"error-reason": 7}
        self.assertEqual(self.error_of(self.node.command("offer", {}, 2), NgRefused).why, "7")

    def test_many_at_once(self) -> None:
        """Replies find their commands in any order."""
        self.daemon.silent = True
        done = [self.node.command("ping", {"n": n}, 2) for n in range(3)]
        port = self.reactor.ports[0]
        for n in (1, 2, 0):
            cookie = self.daemon.datagrams[n].partition(b" ")[0]
            port.deliver(cookie + b" d1:ni%de6:result2:oke" % n, (FIRST, PORT))
            self.assertEqual(self.successResultOf(done[n])[b"n"], n)

    def test_too_many_in_work(self) -> None:
        """A node that answers nothing does not fill our memory: beyond a bound, NgOverload at once."""
        self.daemon.silent = True
        done = [self.node.command("ping", {}, 2) for _ in range(ng.MAX_PENDING)]
        self.error_of(self.node.command("ping", {}, 2), NgOverload)
        self.node.give_up()
        for one in done:
            self.failureResultOf(one, NgTimeout)

    def test_too_large(self) -> None:
        """What does not fit a datagram is refused at once, as SDP that rtpengine cannot take."""
        self.error_of(self.node.command("offer", {"sdp": b"a" * 65500}, 2), NgRefused)
        self.error_of(self.node.command("offer", {}, 2, to_items({"sdp": b"a" * 65500})), NgRefused)
        self.assertEqual(self.daemon.datagrams, [])

    def test_cancel(self) -> None:
        """Cancelling ends the resending; a reply is ignored then."""
        self.daemon.delay = 0.3
        done = self.node.command("offer", {}, 2)
        done.cancel()
        self.failureResultOf(done)
        self.reactor.pump([0.1] * 10)
        self.assertEqual(len(self.daemon.datagrams), 1)

    def test_nothing_of_sdp_is_logged(self) -> None:
        """A command leaves no line in the log (a line costs 19 us)."""
        with capturedLogs() as logs:
            self.reply_of(self.node.command("offer", {"sdp": b"a=crypto:secret"}, 2))
        self.assertEqual(logs, [])


class SocketTests(NodeCase):
    def test_bound_to_one_address(self) -> None:
        """The socket is bound to the address that leads to the node, never to all of them; whole datagrams are read."""
        port = self.reactor.ports[0]
        self.assertEqual((port.interface, port.size), ("127.0.0.1", 65536))
        self.assertIn((socket.SOL_SOCKET, socket.SO_RCVBUF, ng.RECEIVE_BUFFER), port.handle.options)

    def test_local_address(self) -> None:
        """The kernel's choice, for both families."""
        self.assertEqual(ng.local_address("127.0.0.1", 9), "127.0.0.1")
        self.assertEqual(ng.local_address("::1", 9), "::1")
        with self.assertRaises(OSError):
            ng.local_address("256.0.0.1", 9)

    def test_no_way(self) -> None:
        """No way to the node, or no local port: it is dead and commands time out, nothing is raised."""
        for error in (OSError("unreachable"), CannotListenError("127.0.0.1", 0, OSError("in use"))):
            self.reactor.listen_error = error
            self.node.alive = True
            self.node.open(FIRST)
            self.assertFalse(self.node.is_open or self.node.alive)
            done = self.node.command("ping", {}, 1)
            self.reactor.pump([0.1] * 11)
            self.failureResultOf(done, NgTimeout)

    def test_write_fails(self) -> None:
        """An error on sending is not the caller's: the datagram counts as lost."""
        for error in (OSError("no route"), MessageLengthError("too long")):
            self.reactor.ports[0].error = error
            done = self.node.command("ping", {}, 1)
            self.reactor.ports[0].error = None
            self.assertNoResult(done)
            self.reactor.advance(0.3)
            self.reply_of(done)

    def test_commands_before_the_socket(self) -> None:
        """What is asked before the socket is open goes out when it is."""
        self.node.close()
        done = self.node.command("ping", {}, 1)
        self.assertEqual(self.reactor.sent, [])
        self.node.open(FIRST)
        self.reply_of(done)

    def test_opened_again(self) -> None:
        """A new socket takes the place of the old one; the old one's end is no matter."""
        self.node.open(FIRST)
        self.assertTrue(self.reactor.ports[0].closed)
        self.assertTrue(self.node.is_open)
        self.reply_of(self.node.command("ping", {}, 1))

    def test_closed_by_the_reactor(self) -> None:
        """A socket that Twisted closes after an error on reading is seen as gone."""
        self.reactor.ports[0].protocol.doStop()
        self.assertFalse(self.node.is_open)

    def test_close(self) -> None:
        """Closing twice is closing once."""
        self.successResultOf(self.node.close())
        self.successResultOf(self.node.close())

    def test_names(self) -> None:
        """A node is host:port in logs, IPv6 in brackets."""
        self.assertEqual(str(self.node), "127.0.0.1:2223")
        self.assertEqual(str(Node(self.reactor, "::1", 5)), "[::1]:5")


class HealthTests(NodeCase):
    def silence(self, commands: int) -> None:
        for _ in range(commands):
            done = self.node.command("ping", {}, 1)
            self.reactor.pump([0.1] * 11)
            self.failureResultOf(done, NgTimeout)

    def test_dies_and_returns(self) -> None:
        """Two commands in a row without a reply: dead, one line in the log. The first reply: alive, and told."""
        back: list[str] = []
        self.node.on_alive = lambda: back.append("back")
        self.daemon.silent = True
        self.silence(1)
        self.assertTrue(self.node.alive)
        with capturedLogs() as logs:
            self.silence(3)
        self.assertFalse(self.node.alive)
        self.assertEqual(len(logs), 1)
        self.daemon.silent = False
        self.reply_of(self.node.command("ping", {}, 1))
        self.assertTrue(self.node.alive)
        self.assertEqual(back, ["back"])
        self.reply_of(self.node.command("ping", {}, 1))
        self.assertEqual(back, ["back"])

    def test_one_reply_forgives(self) -> None:
        """Only silence in a row counts."""
        self.daemon.silent = True
        self.silence(1)
        self.daemon.silent = False
        self.reply_of(self.node.command("ping", {}, 1))
        self.daemon.silent = True
        self.silence(1)
        self.assertTrue(self.node.alive)

    def test_errors_are_life(self) -> None:
        """A node that refuses is alive."""
        self.node.alive = False
        self.daemon.result = {b"result": b"error"}
        self.error_of(self.node.command("offer", {}, 1), NgRefused)
        self.assertTrue(self.node.alive)
        Node(self.reactor, FIRST, PORT).on_alive()

    def test_give_up(self) -> None:
        """At the end nothing is waited for."""
        self.daemon.silent = True
        done = self.node.command("delete", {}, 30)
        self.node.give_up()
        self.failureResultOf(done, NgTimeout)
