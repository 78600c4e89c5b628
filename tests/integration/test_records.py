"""The file of call records, on a disk that gets full. It is a tmpfs of its own, which root mounts."""

import json
import subprocess
import tempfile
from os import kill
from pathlib import Path
from signal import SIGKILL
from typing import Any, ClassVar

from tests.integration.workers import WorkersCase
from tests.support.real.case import RealCase
from tests.support.real.part import pause, until

DISK = Path(tempfile.gettempdir()) / "webrtcproxy-records"
FILE = DISK / "calls.jsonl"
RECORDS = ("[logging]", f"[records]\nfile = {FILE}\nqueue = 500\n\n[logging]")


class RecordsCase(RealCase):
    """A proxy that writes its records to a disk of 64 KiB."""

    changes: ClassVar[tuple[tuple[str, str], ...]] = (RECORDS,)

    async def setUp(self) -> None:
        DISK.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", DISK], check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", DISK], check=True)
        await super().setUp()

    def records(self) -> list[dict[str, Any]]:
        """What is written by now; each line is whole."""
        return [json.loads(line) for line in FILE.read_text().splitlines()] if FILE.exists() else []

    async def written(self, count: int) -> list[dict[str, Any]]:
        """So many records, in the file within two seconds."""
        await until(lambda: len(self.records()) >= count, f"{count} records", 2)
        found = self.records()
        self.assertEqual(len(found), count)
        return found


class Written(RecordsCase):
    """Each attempt has one record."""

    async def test_call_and_refusal(self) -> None:
        """A call has both Call-IDs, how it ended and for how long it was up; a refused attempt is there, too."""
        browser, trunk = await self.browser(), await self.peer()
        caller, callee = await self.connected(browser, trunk)
        await pause(0.5)
        await self.hang_up(callee, caller)
        refused = browser.invite("sip:bob@elsewhere.example")
        self.assertEqual(403, (await refused.final()).status)
        one, other = await self.written(2)
        keys = "call-id", "callee-call-id", "direction", "trunk", "code", "ended-by"
        self.assertEqual(
            [one[key] for key in keys], [caller.call_id, callee.call_id, "outbound", "plain", 200, "callee"]
        )
        self.assertTrue(0.4 < one["duration"] < 3, one)
        self.assertEqual((other["to"], other["code"], other["duration"]), ("sip:bob@elsewhere.example", 403, 0))
        self.assertEqual(FILE.stat().st_mode & 0o777, 0o640)

    async def test_killed(self) -> None:
        """Records of more than a second ago are there after kill -9."""
        browser, trunk = await self.browser(), await self.peer()
        for _ in range(3):
            await self.hang_up(*await self.connected(browser, trunk))
        await browser.close()
        await pause(1.2)
        self.proxy_ends = True
        for pid in (*self.proxy.worker_pids().values(), self.proxy.pid):
            kill(pid, SIGKILL)
        await until(lambda: not self.proxy.alive, "killed", 10)
        self.assertEqual(len(self.records()), 3)

    async def test_stopped(self) -> None:
        """Those of the calls that SIGTERM ends are there when the process has ended."""
        browser, trunk = await self.browser(), await self.peer()
        await self.connected(browser, trunk)
        self.proxy.terminate()
        self.proxy_ends = True
        for phone in (browser, trunk):
            phone.reply(await phone.request("BYE"), 200)
        await until(lambda: not self.proxy.alive, "the process ended", 10)
        self.assertEqual([record["ended-by"] for record in self.records()], ["shutdown"])

    async def test_rotated(self) -> None:
        """After logrotate has renamed the file, there is a new one."""
        browser, trunk = await self.browser(), await self.peer()
        await self.hang_up(*await self.connected(browser, trunk))
        await self.written(1)
        FILE.rename(f"{FILE}.1")
        await self.hang_up(*await self.connected(browser, trunk))
        await self.written(1)


class FullDisk(RecordsCase):
    """The disk is full for a while."""

    async def test_calls_go_on(self) -> None:
        """Calls go on while the disk is full; when there is room, no record is missing, and the log has one line about
        it at the beginning and one at the end."""
        browser, trunk = await self.browser(), await self.peer()
        await self.hang_up(*await self.connected(browser, trunk))
        await self.written(1)
        ballast = DISK / "ballast"
        with ballast.open("wb", buffering=0) as file, self.assertRaises(OSError):
            while True:
                file.write(bytes(512))
        calls = []
        for _ in range(20):
            caller, callee = await self.connected(browser, trunk)
            await self.hang_up(caller, callee)
            calls.append(caller.call_id)
        await pause(2.5)
        self.assertLess(len(self.records()), 21)
        ballast.unlink()
        found = await self.written(21)
        self.assertEqual(sorted(record["call-id"] for record in found[1:]), sorted(calls))

        def logged(text: str) -> int:
            return self.proxy.log(self._log_start).count(f"calls.jsonl {text}")

        alarms = logged("can't be written: No space left on device")
        await until(lambda: logged("is written again; 0 lines are lost") == alarms, "written again, once each")
        self.assertIn(alarms, range(1, self.proxy.workers + 1))


class Workers(RecordsCase, WorkersCase):
    """Two workers write to one file."""

    changes: ClassVar[tuple[tuple[str, str], ...]] = (*WorkersCase.changes, RECORDS)

    async def test_once(self) -> None:
        """Each call has one record, whichever process has had it."""
        alice, bob, trunk = await self.at(1, "alice"), await self.at(2, "bob"), await self.peer()
        calls = []
        for browser in (alice, bob) * 5:
            caller, callee = await self.connected(browser, trunk)
            await self.hang_up(caller, callee)
            calls.append(caller.call_id)
        found = await self.written(10)
        self.assertEqual(sorted(record["call-id"] for record in found), sorted(calls))
