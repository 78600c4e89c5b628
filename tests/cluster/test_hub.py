"""Hub: starts, watches, joins and ends the workers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.net import ALICE, Net
from tests.support.fakes import FakeFlow
from webrtcproxy.cluster.cluster import joint_health
from webrtcproxy.cluster.hub import (
    CLOSING,
    PING_INTERVAL,
    QUERY_TIMEOUT,
    STOP_TIMEOUT,
    WATCHDOG,
    Hub,
    WorkerProcess,
)
from webrtcproxy.cluster.link import Header
from webrtcproxy.cluster.ownership import ALL
from webrtcproxy.cluster.protocol import (
    BIND,
    DONE,
    DRAIN,
    FLOW_CLOSED,
    HURRY,
    INTEND,
    LOG,
    QUERY,
    READY,
    REGISTERED,
    RELOAD,
    RESULT,
    STOP,
    WORKER_ENDED,
    WORKERS_UP,
    WRITE,
)
from webrtcproxy.runtime.child_process import MAX_BACKOFF, STABLE


class Process:
    """A worker that runs, in memory."""

    def __init__(self, number: int, run: int, user: WorkerProcess, ended: Callable[[str], None]) -> None:
        self.number, self.run, self.user, self.ended = number, run, user, ended
        self.pid = 1000 * number + run
        self.received: list[tuple[Header, bytes]] = []
        self.killed = False

    def send(self, header: Mapping[str, object], body: bytes = b"", *, lossy: bool = False) -> bool:
        self.received.append((dict(header), body))
        return True

    def send_raw(self, raw: bytes) -> bool:
        line, _, body = raw.partition(b"\n")
        return self.send(json.loads(line), body)

    def kill(self) -> None:
        self.killed = True

    def say(self, header: Header, body: bytes = b"") -> None:
        """Send the hub a frame."""
        self.user.frame(header, body, json.dumps(header).encode() + b"\n" + body)

    def take(self) -> list[str]:
        """The frames that it got since the last time."""
        taken = [header["do"] for header, _ in self.received]
        self.received.clear()
        return taken


class HubCase(SynchronousTestCase):
    """A hub with two workers that are up."""

    drain = 0.0

    def setUp(self) -> None:
        self.net = Net()
        self.clock = self.net.clock
        self.events: list[dict] = []
        self.started: list[Process] = []
        self.fails = False
        net = self.net.hub
        parts = net.flows, net.location, net.directory
        self.hub = Hub(self.clock, 2, self.launch, *parts, self.drain, self.events.append)
        self.hub.startService()
        self.addCleanup(self.finish)
        for process in self.started:
            process.say({"do": READY})
        self.one, self.two = self.started
        self.clear()

    def launch(self, number: int, run: int, user: WorkerProcess, ended: Callable[[str], None]) -> Process:
        if self.fails:
            raise OSError("too many open files")
        self.started.append(Process(number, run, user, ended))
        return self.started[-1]

    def clear(self) -> None:
        for process in self.started:
            process.take()

    def finish(self) -> None:
        """End all, and see that nothing is left."""
        if self.hub.running:
            self.hub.stopService()
        for process in self.started:
            if self.hub.workers[process.number - 1].process is process:
                process.ended("done")
        self.net.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def seconds(self, seconds: float) -> None:
        self.clock.pump([0.25] * int(seconds * 4))


class LifeTests(HubCase):
    """Start, death, and the time between."""

    def test_up(self) -> None:
        """One that is ready takes messages, and all learn of it."""
        self.assertEqual(self.hub.up, [1, 2])
        self.one.say({"do": READY})
        self.assertEqual(self.two.received, [({"do": WORKERS_UP, "workers": [1, 2]}, b"")])

    def test_death(self) -> None:
        """The others learn of it and forget its sockets; a second later it is started again, with the next number of
        its run, and gets the state of the directory."""
        flow = FakeFlow.wss()
        self.net.two.bind(flow)
        self.net.one.bind(FakeFlow.wss(port=40001), "one's")
        self.one.ended("killed")
        self.assertEqual(self.hub.up, [2])
        self.assertEqual(self.two.received, [({"do": WORKER_ENDED, "worker": 1}, b"")])
        self.assertEqual(self.net.hub.instances(), ["one"])
        self.seconds(0.75)
        self.assertEqual(len(self.started), 2)
        self.seconds(0.25)
        again = self.started[2]
        self.assertEqual((again.number, again.run), (1, 2))
        self.assertEqual(again.take(), [REGISTERED, BIND])
        self.assertEqual(self.hub.up, [2])
        again.say({"do": READY})
        self.assertEqual(self.hub.up, [1, 2])

    def test_back_off(self) -> None:
        """One that dies again and again is started ever later, up to half a minute; after a minute of life, soon."""
        breaks = []
        for _ in range(7):
            before = len(self.started)
            self.started[-1 if self.started[-1].number == 1 else 0].ended("killed")
            waited = 0.0
            while len(self.started) == before:
                self.clock.advance(0.25)
                waited += 0.25
            breaks.append(waited)
        self.assertEqual(breaks, [1, 2, 4, 8, 16, MAX_BACKOFF, MAX_BACKOFF])
        for process in self.started[1:]:
            process.say({"do": RESULT, "number": 0, "result": None})
        self.seconds(STABLE - 30)
        self.started[-1].say({"do": RESULT, "number": 0, "result": None})
        self.seconds(30)
        self.started[-1].ended("killed")
        before = len(self.started)
        self.seconds(1)
        self.assertEqual(len(self.started), before + 1)

    def test_can_not_be_started(self) -> None:
        """No descriptor, no process: tried again later."""
        self.one.ended("killed")
        self.fails = True
        self.seconds(1)
        self.assertEqual(len(self.started), 2)
        self.fails = False
        self.seconds(2)
        self.assertEqual(len(self.started), 3)

    def test_stuck(self) -> None:
        """One that says nothing for a minute is killed; one that answers is not."""
        self.seconds(PING_INTERVAL)
        self.assertEqual(self.one.take(), [QUERY])
        for _ in range(int(WATCHDOG / PING_INTERVAL) + 1):
            self.two.say({"do": RESULT, "number": 0, "result": None})
            self.seconds(PING_INTERVAL)
        self.assertTrue(self.one.killed)
        self.assertFalse(self.two.killed)

    def test_suspended(self) -> None:
        """After the machine was suspended for an hour nobody is stuck: it is a minute from then on that counts."""
        self.seconds(PING_INTERVAL)
        self.clock.advance(3600)
        self.clock.pump([0.25] * int((WATCHDOG - PING_INTERVAL) * 4))
        self.assertEqual((self.one.killed, self.two.killed), (False, False))
        self.seconds(2 * PING_INTERVAL)
        self.assertEqual((self.one.killed, self.two.killed), (True, True))

    def test_without_link(self) -> None:
        """One that has cut its link, and does not end, is killed."""
        self.one.user.link_ended()
        self.seconds(CLOSING)
        self.assertTrue(self.one.killed)
        self.assertFalse(self.two.killed)


class FrameTests(HubCase):
    """What passes through."""

    def test_to_one(self) -> None:
        """A frame for another worker goes there as it is."""
        self.one.say({"to": 2, "do": WRITE, "flow": 7}, b"\xff\n")
        self.assertEqual(self.two.received, [({"to": 2, "do": WRITE, "flow": 7}, b"\xff\n")])
        self.assertEqual(self.one.received, [])
        self.two.ended("killed")
        self.one.say({"to": 2, "do": WRITE, "flow": 7}, b"x")

    def test_to_all(self) -> None:
        """A change of bindings goes to all others, and into the hub's replica."""
        self.net.held = True
        self.net.one.bind(FakeFlow.wss())
        for _, header, body in self.net.frames:
            self.one.say(json.loads(json.dumps(header)), body)
        self.assertEqual(self.two.take(), [BIND, REGISTERED])
        self.assertEqual(self.one.received, [])
        self.assertEqual(self.net.hub.directory.owner(ALICE), 1)
        flow = self.net.frames[0][1]["flow"]  # type: ignore[index]
        self.one.say({"to": ALL, "do": FLOW_CLOSED, "flow": flow[:2]})  # type: ignore[index]
        self.assertEqual(self.net.hub.directory.owner(ALICE), 0)

    def test_intents(self) -> None:
        """The REGISTERs that a worker has under way end with it, in the hub's replica too."""
        self.net.held = True
        self.successResultOf(self.net.one.directory.intend(ALICE, 1, (), 600))
        ((_, header, _),) = self.net.frames
        self.one.say(dict(header))
        self.assertEqual(self.two.take(), [INTEND])
        self.assertEqual(self.net.hub.intended(), [600])
        self.one.ended("killed")
        self.assertEqual(self.net.hub.intended(), [])

    def test_log(self) -> None:
        """Events of workers are published with their number."""
        event = {"time": 1.5, "level": "warn", "namespace": "x.y", "system": "x.y#warn", "text": "a", "traceback": ""}
        self.two.say({"do": LOG}, json.dumps([event]).encode())
        (event,) = self.events
        self.assertEqual((event["worker"], event["text"], event["log_level"].name), (2, "a", "warn"))

    def test_question(self) -> None:
        """A question goes to all, and fires with all answers."""
        asked = self.hub.query_all("health")
        header = self.one.received[0][0]
        self.assertEqual((header["do"], header["what"]), (QUERY, "health"))
        self.two.say({"do": RESULT, "number": header["number"], "result": {"calls": 2}})
        self.assertNoResult(asked)
        self.one.say({"do": RESULT, "number": header["number"], "result": {"calls": 1}})
        self.assertEqual(self.successResultOf(asked), {1: {"calls": 1}, 2: {"calls": 2}})

    def test_question_about(self) -> None:
        """A question may be about something; others have no such field."""
        self.hub.query_all("lift", "192.0.2.1")
        self.hub.query_all("health")
        headers = [header for header, *_ in self.one.received]
        self.assertEqual([header.get("about") for header in headers], ["192.0.2.1", None])
        self.seconds(QUERY_TIMEOUT)

    def test_answer_missing(self) -> None:
        """One that does not answer in time is left out; too late an answer is ignored."""
        asked = self.hub.query_all("health")
        number = self.one.received[0][0]["number"]
        self.two.say({"do": RESULT, "number": number, "result": "yes"})
        self.seconds(QUERY_TIMEOUT)
        self.assertEqual(self.successResultOf(asked), {2: "yes"})
        self.one.say({"do": RESULT, "number": number, "result": "late"})
        for process in (self.one, self.two):
            process.ended("killed")
        self.assertEqual(self.successResultOf(self.hub.query_all("health")), {})

    def test_health(self) -> None:
        """The sums; healthy while one of them is."""
        state = {"healthy": True, "rtpengine": "1 of 2", "calls": 1, "sockets": 2, "bindings": 3}
        joint = joint_health({1: state, 2: {**state, "healthy": False, "rtpengine": "0 of 2"}}, self.hub)
        self.assertEqual(
            joint,
            {
                "healthy": True,
                "rtpengine": "1 of 2",
                "calls": 2,
                "sockets": 4,
                "bindings": 6,
                "workers": "2 of 2",
            },
        )
        self.assertFalse(joint_health({}, self.hub)["healthy"])
        self.hub.stopService()
        self.assertFalse(joint_health({1: state}, self.hub)["healthy"])


class StopTests(HubCase):
    """The end."""

    drain = 20.0

    def test_in_order(self) -> None:
        """All are drained before any closes its sockets: a call in one may have its browser in the other."""
        stopped = self.hub.stopService()
        self.assertEqual((self.one.take(), self.two.take()), ([DRAIN], [DRAIN]))
        self.one.say({"do": DONE, "what": DRAIN})
        self.seconds(10)
        self.assertEqual((self.one.take(), self.two.take()), ([], []))
        self.two.say({"do": DONE, "what": DRAIN})
        self.assertEqual((self.one.take(), self.two.take()), ([STOP], [STOP]))
        self.one.ended("done")
        self.assertNoResult(stopped)
        self.two.ended("done")
        self.successResultOf(stopped)
        self.seconds(60)
        self.assertEqual(len(self.started), 2)

    def test_bounded(self) -> None:
        """One that does not end is killed."""
        stopped = self.hub.stopService()
        self.one.say({"do": DONE, "what": DRAIN})
        self.seconds(self.drain + STOP_TIMEOUT)
        self.assertEqual(self.one.take(), [DRAIN, STOP])
        self.one.ended("done")
        self.seconds(CLOSING)
        self.assertEqual((self.one.killed, self.two.killed), (False, True))
        self.assertNoResult(stopped)
        self.two.ended("killed")
        self.successResultOf(stopped)

    def test_hurry(self) -> None:
        """A further signal is passed on; who does not report soon afterwards is not waited for."""
        self.hub.stopService()
        self.hub.hurry()
        self.assertEqual((self.one.take(), self.two.take()), ([DRAIN, HURRY], [DRAIN, HURRY]))
        self.one.say({"do": DONE, "what": DRAIN})
        self.seconds(STOP_TIMEOUT)
        self.assertEqual((self.one.take(), self.two.take()), ([STOP], [STOP]))
        self.hub.hurry()
        self.assertEqual(self.one.take(), [HURRY])

    def test_hurry_alone(self) -> None:
        """While nothing ends, nothing changes."""
        self.hub.hurry()
        self.seconds(STOP_TIMEOUT)
        self.assertEqual((self.one.killed, self.two.killed), (False, False))

    def test_reload(self) -> None:
        """SIGHUP is passed on, and ends nothing."""
        self.hub.reload()
        self.assertEqual((self.one.take(), self.two.take()), ([RELOAD], [RELOAD]))

    def test_death_meanwhile(self) -> None:
        """One that dies while the other drains is not waited for, and not started again."""
        stopped: Deferred[None] = self.hub.stopService()
        self.one.say({"do": DONE, "what": DRAIN})
        self.two.ended("killed")
        self.one.ended("done")
        self.successResultOf(stopped)
        self.seconds(60)
        self.assertEqual(len(self.started), 2)

    def test_between_two_lives(self) -> None:
        """One that was to be started again is not."""
        self.one.ended("killed")
        stopped = self.hub.stopService()
        self.two.ended("done")
        self.successResultOf(stopped)
        self.seconds(60)
        self.assertEqual(len(self.started), 2)


class LateTests(HubCase):
    """What comes from a process, or is meant for one, that is gone or not yet there."""

    def test_nothing_is_waited_for(self) -> None:
        """A process that says that it is done with something that nobody waits for changes nothing."""
        self.one.say({"do": "done", "what": "drain"})
        self.assertEqual(self.hub.up, [1, 2])

    def test_unknown_frame(self) -> None:
        """A frame that this version does not know is ignored."""
        self.one.say({"do": "sing"})
        self.assertEqual((self.one.received, self.two.received, self.hub.up), ([], [], [1, 2]))

    def test_process_is_gone(self) -> None:
        """A worker without a process: nothing is waited for, a frame for it is dropped, its link and an order to end
        it mean nothing."""
        worker = self.hub.workers[0]
        self.one.ended("killed")
        self.clear()
        self.successResultOf(worker.when_done("drain"))
        self.successResultOf(worker.command("drain"))
        worker.kill()
        timers = len(self.clock.getDelayedCalls())
        worker.link_ended()
        self.assertEqual(len(self.clock.getDelayedCalls()), timers)
        self.hub.send(1, {"do": "datagram"}, b"x")
        self.two.say({"to": 1, "do": "write", "flow": 7})
        self.two.say({"to": ALL, "do": "flow_closed", "flow": [2, 9]})
        self.assertEqual((self.one.received, self.one.killed), ([], False))

    def test_datagram(self) -> None:
        """A frame that may be lost reaches a process that runs."""
        self.hub.send(2, {"do": "datagram"}, b"x")
        self.assertEqual(self.two.received, [({"do": "datagram"}, b"x")])

    def test_stopped_before_it_started(self) -> None:
        """A hub that never ran ends without a word."""
        hub = Hub(
            self.clock, 1, self.launch, self.net.hub.flows, self.net.hub.location, self.net.hub.directory, 0.0, print
        )
        self.successResultOf(hub.stopService())
