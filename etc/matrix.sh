#!/bin/sh
# Types and unit tests with each supported Python that this machine has: sh etc/matrix.sh [VERSION...]
# Each version has an environment of its own in run/matrix; those that are not found are named and skipped.
set -u
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- 3.11 3.12 3.13 3.14

units=
for test in tests/*/test_*.py tests/*/*/test_*.py tests/test_*.py; do
    case $test in
        tests/integration/* | tests/browser/*) ;;
        *) units="$units $(echo "${test%.py}" | tr / .)" ;;
    esac
done

checked() {
    python=run/matrix/$1/bin/python
    if [ ! -x "$python" ]; then
        "python$1" -m venv "run/matrix/$1" || return 1
    fi
    "$python" -m pip install -qq --disable-pip-version-check --editable '.[test]' || return 1
    "$python" -m mypy --strict --cache-dir "run/matrix/mypy" || return 1
    "$python" -m twisted.trial --temp-directory="run/matrix/$1.trial" --reporter=text $units
}

wrong=
for version in "$@"; do
    echo "== Python $version =="
    if ! command -v "python$version" >/dev/null; then
        echo "not found, skipped"
    elif ! checked "$version"; then
        wrong="$wrong $version"
    fi
done
[ -z "$wrong" ] || echo "wrong:$wrong" >&2
[ -z "$wrong" ]
