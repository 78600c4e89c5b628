#!/bin/sh
# Prints the modules of the unit tests, in one line: all tests but those that need real servers, browsers or an Asterisk.
set -eu
cd "$(dirname "$0")/.."

for test in tests/*/test_*.py tests/*/*/test_*.py tests/test_*.py; do
    case $test in
        tests/integration/* | tests/browser/* | tests/asterisk/*) ;;
        *) printf '%s ' "${test%.py}" ;;
    esac
done | tr / .
