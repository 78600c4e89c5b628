#!/bin/sh
# Types and unit tests with each supported Python that this machine has: sh etc/matrix.sh [VERSION...]
# Each version has an environment of its own in run/matrix; those that are not found are named and skipped.
set -u
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- 3.11 3.12 3.13 3.14

checked() {
    bin=run/matrix/$1/bin
    if [ ! -x "$bin/python" ]; then
        "python$1" -m venv "run/matrix/$1" || return 1
    fi
    "$bin/python" -m pip install -qq --disable-pip-version-check --editable '.[test]' || return 1
    BIN=$bin .ci/run mypy units
}

found=
wrong=
for version in "$@"; do
    echo "== Python $version =="
    if ! command -v "python$version" >/dev/null; then
        echo "not found, skipped"
        continue
    fi
    found=yes
    checked "$version" || wrong="$wrong $version"
done
[ -n "$found" ] || echo "no Python was found: $*" >&2
[ -z "$wrong" ] || echo "wrong:$wrong" >&2
[ -n "$found" ] && [ -z "$wrong" ]
