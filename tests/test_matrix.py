"""etc/matrix.sh, with Pythons and a Debian that only pretend."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from textwrap import dedent

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[1]

CI = """
    echo "ci: $BIN $*" >>calls
    case $BIN in *9.97*) echo "FAILED (failures=1, successes=6)"; exit 1 ;; esac
    echo "PASSED (successes=7)"
"""

PYTHON = r"""
    [ "$1" != -c ] || exit 0
    mkdir -p "$3/bin"
    printf '#!/bin/sh\necho "Python 9"\n' >"$3/bin/python"
    chmod +x "$3/bin/python"
"""

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

PROGRAMS = {
    "id": "echo $uid",
    "git": 'echo "git: $*" >>calls; mkdir -p "$4"',
    "debootstrap": r"""
        echo "debootstrap: $*" >>calls
        mkdir -p "$3/etc/apt/apt.conf.d" "$3/var/lib/dpkg"
        echo 99.1 >"$3/etc/debian_version"
    """,
    "chroot": r"printf 'kamailio 6\nrtpengine-daemon 12\n'",
    # Its options, the root, and the command, or what a script has of those that matter.
    "unshare": r"""
        options=
        while [ "$1" != sh ]; do options="$options $1"; shift; done
        root=$5
        shift 5
        command="$*"
        if [ "$2" = -c ]; then
            command=$(echo "$3" | grep -oE 'apt-get install|etc/demo.sh|[.]ci/run [a-z ]+' | head -n 1)
        fi
        echo "in $root,$options: $command" >>calls
        case "${root##*/} $command" in
            "forky "*test.sh) echo "5 passed, 1 failed"; exit 1 ;;
            *demo.sh) [ -z "$no_demo" ] ;;
            *test.sh) echo "6 passed, 0 failed" ;;
            *units) echo "PASSED (successes=8)" ;;
        esac
    """,
}


class MatrixTests(SynchronousTestCase):
    """What is tried, and what is said of it."""

    def run_matrix(self, *arguments: str, **environment: str) -> tuple[int, str, list[str]]:
        """Its exit code, its errors, and what it has called."""
        self.folder = folder = Path(self.mktemp()).absolute()
        programs = {f"path/{name}": text for name, text in PROGRAMS.items()}
        programs |= {f"path/python{version}": PYTHON for version in ("9.97", "9.98")}
        programs["path/python9.96"] = "exit 127"
        for name, text in ({".ci/run": CI} | programs).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f"#!/bin/sh\n{dedent(text)}\n")
            (folder / name).chmod(0o755)
        (folder / "etc").mkdir()
        (folder / "etc" / "matrix.sh").write_text((ROOT / "etc" / "matrix.sh").read_text())
        (folder / "certificates").write_text("# ours\n" + CERTIFICATE * 2)
        given = {"PATH": f"{folder}/path:/usr/bin:/bin", "SSL_CERT_FILE": f"{folder}/certificates", "uid": "0"}
        command = ("sh", "etc/matrix.sh", *arguments)
        result = subprocess.run(
            command, cwd=folder, env=given | environment, capture_output=True, text=True, check=False
        )
        calls = folder / "calls"
        said = calls.read_text().replace(f"{folder}/", "") if calls.exists() else ""
        return result.returncode, result.stderr, said.splitlines()

    def rows(self) -> list[list[str]]:
        """The rows of its table."""
        text = (self.folder / "run" / "matrix" / "results.rst").read_text()
        head, *rows = (re.sub(r"(?m)^ +- ", "", row).splitlines() for row in text.split("   * - ")[1:])
        self.assertEqual(head, ["Version", "Of what", "Command", "Result"])
        return rows

    def test_steps_of_ci(self) -> None:
        """Each version takes the steps of .ci/run in its own environment; the table has what came of it."""
        self.assertEqual(self.run_matrix("9.98"), (0, "", ["ci: run/matrix/9.98/bin mypy units"]))
        row = ["9.98", "Python 9", "``sh etc/matrix.sh 9.98``", "passed: PASSED (successes=7)"]
        self.assertEqual(self.rows(), [row])

    def test_wrong(self) -> None:
        """A version whose steps fail is named, and the others are tried."""
        code, errors, calls = self.run_matrix("9.97", "9.98")
        self.assertEqual((code, errors, len(calls)), (1, "wrong: 9.97\n", 2))
        self.assertEqual([row[3] for row in self.rows()],
                         ["wrong: FAILED (failures=1, successes=6)", "passed: PASSED (successes=7)"])  # fmt: skip

    def test_missing(self) -> None:
        """One that can't be had is named, with the reason, and counts as wrong, unless that is asked for; what is left
        is tried. Where nothing is left, nothing was checked, which is wrong in any case."""
        why = "9.99 can't be had: there is no python9.99 in PATH, and no Debian has it\nmissing: 9.99\n"
        for arguments, code in ((("9.99", "9.98"), 1), (("--skip-missing", "9.99", "9.98"), 0)):
            self.assertEqual(self.run_matrix(*arguments), (code, why, ["ci: run/matrix/9.98/bin mypy units"]))
        self.assertEqual(self.run_matrix("--skip-missing", "9.99"), (1, why, []))

    def test_debian(self) -> None:
        """A suite of Debian is a fresh root of it, with a clone and the certificates that this machine trusts; the demo
        comes up there, then all tests run without a network. Where they fail, it is named."""
        code, errors, calls = self.run_matrix("trixie", "forky")
        self.assertEqual((code, errors), (1, "wrong: forky\n"))
        root, options = "run/matrix/trixie", "--mount --pid --fork --kill-child"
        self.assertEqual(
            calls[:6],
            [
                f"debootstrap: --variant=minbase trixie {root} http://deb.debian.org/debian",
                f"git: clone -q . {root}/clone",
                f"in {root}, {options}: apt-get install",
                f"in {root}, {options}: etc/demo.sh",
                f"in {root}, {options}: sh /clone/etc/test.sh setup",
                f"in {root}, {options} --net: sh /clone/etc/test.sh",
            ],
        )
        self.assertIn(CERTIFICATE, (self.folder / root / "etc/ssl/matrix.crt").read_text())
        trusted = self.folder / root / "usr/local/share/ca-certificates"
        found = {path.name: path.read_text() for path in trusted.iterdir()}
        self.assertEqual(found, {"machine-1.crt": CERTIFICATE, "machine-2.crt": CERTIFICATE})
        parts = "Debian 99.1, kamailio 6, rtpengine-daemon 12"
        self.assertEqual(
            self.rows(),
            [
                ["trixie", parts, "``sh etc/matrix.sh trixie``", "passed: 6 passed, 0 failed"],
                ["forky", parts, "``sh etc/matrix.sh forky``", "wrong: 5 passed, 1 failed"],
            ],
        )

    def test_stand_in(self) -> None:
        """A program that only stands in for a Python which is not there is none."""
        code, errors, calls = self.run_matrix("9.96")
        self.assertEqual((code, calls), (1, []))
        self.assertIn("9.96 can't be had: ", errors)

    def test_no_demo(self) -> None:
        """A demo that does not come up is wrong, and no test runs."""
        code, errors, calls = self.run_matrix("trixie", no_demo="yes")
        self.assertEqual((code, errors, calls[-1].partition(": ")[2]), (1, "wrong: trixie\n", "etc/demo.sh"))
        self.assertEqual(self.rows()[0][3], "wrong: no test has run")

    def test_python_of_debian(self) -> None:
        """A Python that this machine has not is that of the suite that has it."""
        suites = {"3.11": "bookworm", "3.13": "trixie", "3.14": "sid"}
        version = next(one for one in suites if shutil.which(f"python{one}", path="/usr/bin:/bin") is None)
        code, errors, calls = self.run_matrix(version)
        self.assertEqual((code, errors), (0, ""))
        self.assertIn(f" {suites[version]} run/matrix/python{version} ", calls[0])
        self.assertEqual(calls[-1].partition(": ")[2], ".ci/run mypy units")
        self.assertEqual(self.rows()[0][3], "passed: PASSED (successes=8)")

    def test_no_root(self) -> None:
        """Who is not root is told what needs it; a Python of the machine does not."""
        code, errors, calls = self.run_matrix("trixie", "9.98", uid="1000")
        self.assertEqual((code, calls), (1, ["ci: run/matrix/9.98/bin mypy units"]))
        self.assertEqual(errors, "trixie can't be had: a root of Debian needs root\nmissing: trixie\n")
