#!/bin/sh
# Installs what the tests need (Debian packages, .venv, npm packages), then runs them all: sh etc/test.sh
# `sh etc/test.sh setup` only installs; after it, the tests need no network but the loopback interface.
# Those with real parts run twice: with the rtpengine of the system, and with another one, 12.5 where the system has 10, else
# 10.5 (etc/rtpengine.sh). Those with browsers run beside the others, since both wait more than they compute.
# Up to five of a stage with real parts that were red run once more, by themselves: what is green then is named ("unsteady:
# ...") and counts as passed, since a browser or a server that a busy machine has held up says nothing of the proxy.
# Logs are in run/test. The last line counts: "N passed, N failed"; the lines before it name what was red ("red: ..."), and
# the exit code is 0 where all is well.
set -u
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

logs=run/test
passed=0
failed=0
skipped=0
red=
unsteady=
trouble=

# Folders with an npm lock file: the pages of the browser tests.
pages=$(find tests -name node_modules -prune -o -name package-lock.json -print | sed 's|/package-lock.json$||')
sh etc/setup.sh apt rtpengine:rtpengine-daemon kamailio:kamailio sipp:sip-tester baresip:baresip-core chromium:chromium \
    firefox-esr:firefox-esr openssl:openssl turnserver:coturn libfaketime \
    -- python test -- page -- npm $pages || exit 1

# Another rtpengine, for what depends on its version.
case $(rtpengine --version 2>&1) in
    *" 10."*) other=trixie ;;
    *) other=bookworm ;;
esac
another=$(sh etc/rtpengine.sh $other) || trouble="$trouble no-rtpengine-of-$other"
if [ "${1:-}" = setup ]; then
    [ -z "$trouble" ] || echo "trouble:$trouble"
    [ -z "$trouble" ]
    exit
fi

rm -rf $logs
mkdir -p $logs

# trial's last line has the counts: PASSED (skips=1, successes=7)
counted() {
    sed -n 's/^\(PASSED\|FAILED\) (\(.*\))$/\2/p' "$1" | tail -n 1 | tr ',' '\n' | sed -n "s/^ *$2=//p"
}

# stage NAME SECONDS TRIAL...: runs the tests, shows and keeps their output, and counts.
stage() {
    echo "== $1 =="
    name=$1
    limit=$2
    shift 2
    { timeout --foreground -k 30 "$limit" "$@"; echo $? >$logs/$name.code; } 2>&1 </dev/null | tee "$logs/$name.log"
    count "$name" "$limit" "$(cat $logs/$name.code)"
}

# count NAME SECONDS CODE: counts what has run for that long at most, and ended with that code.
count() {
    good=0
    bad=0
    for word in successes expectedFailures; do
        count=$(counted "$logs/$1.log" $word)
        good=$((good + ${count:-0}))
    done
    for word in failures errors unexpectedSuccesses; do
        count=$(counted "$logs/$1.log" $word)
        bad=$((bad + ${count:-0}))
    done
    count=$(counted "$logs/$1.log" skips)
    skipped=$((skipped + ${count:-0}))
    if [ "$3" -ne 0 ] && [ $bad -eq 0 ]; then
        bad=1
    fi
    passed=$((passed + good))
    failed=$((failed + bad))
    echo $bad >"$logs/$1.bad"
    [ "$3" -eq 0 ] || red="$red $logs/$1.log"
    [ "$3" -ne 124 ] || trouble="$trouble $1:took-longer-than-$2-s"
    [ $good -gt 0 ] || trouble="$trouble $1:no-test-passed"
}

# again NAME: once more what was red in that stage, and is counted already, where it is little.
again() {
    names=$($python etc/red_tests.py --names $logs/$1.log | sort -u)
    set -- "$1" $names
    [ $# -gt 1 ] && [ $# -le 6 ] && [ "$(cat $logs/$1.code)" = 1 ] || return 0
    echo "== $1, what was red =="
    $python $(trial $1-again verbose) $names </dev/null 2>&1 | tee $logs/$1-again.log
    green=$(counted $logs/$1-again.log successes)
    [ "${green:-0}" -eq $(($# - 1)) ] || return 0
    passed=$((passed + $# - 1))
    failed=$((failed - $(cat $logs/$1.bad)))  # one test may have several errors
    red=$(echo "$red" | sed "s| $logs/$1.log||")
    unsteady="$unsteady $names"
}

trial() {
    echo "-m twisted.trial --temp-directory=$logs/$1.trial --reporter=$2"
}

# real RTPENGINE: runs the tests with real parts and, beside them, those with browsers, with that rtpengine. Each of the two
# takes its ports from a range of its own.
real() {
    version=$("$1" --version 2>&1 | sed -n 's/^Version: \([0-9]*\.[0-9]*\.[0-9]*\).*/\1/p')
    browser=browser-rtpengine-$version
    integration=integration-rtpengine-$version
    echo "== $browser, of which the output follows after the next =="
    PORTS=21000-32000 timeout -k 30 $seconds $python $(trial $browser verbose) tests.browser >$logs/$browser.log 2>&1 </dev/null &
    beside=$!
    stage $integration $seconds env PORTS=10000-21000 $python $(trial $integration verbose) tests.integration
    wait $beside
    code=$?
    beside=
    echo $code >$logs/$browser.code
    echo "== $browser =="
    cat $logs/$browser.log
    count $browser $seconds $code
    again $integration
    again $browser
}

python=.venv/bin/python
COVERAGE_FILE=$logs/coverage
export COVERAGE_FILE
stage unit 1200 $python -m coverage run $(trial unit text) $(sh etc/units.sh)

seconds=2000
beside=
trap '[ -z "$beside" ] || kill $beside' EXIT
trap 'exit 130' INT TERM
real rtpengine
if [ -n "$another" ]; then
    RTPENGINE=$another
    export RTPENGINE
    real "$another"
fi

echo "== coverage of the unit tests =="
$python -m coverage json --quiet -o $logs/coverage.json
$python etc/coverage_gate.py $logs/coverage.json access admin call cluster config demo dialog invite media registration routing \
    runtime session sip subscription transaction transfer transport users || trouble="$trouble coverage"

[ -z "$trouble" ] || echo "trouble:$trouble"
for test in $unsteady; do echo "unsteady: $test"; done
[ -z "$red" ] || $python etc/red_tests.py $red
echo "$passed passed, $failed failed$([ $skipped -eq 0 ] || echo ", $skipped skipped")"
[ $failed -eq 0 ] && [ -z "$trouble" ]
