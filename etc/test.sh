#!/bin/sh
# Installs what the tests need (Debian packages, .venv, npm packages), then runs them all: sh etc/test.sh
# The tests of media run once more with another rtpengine: 12.5 where the system has 10, else 10.5 (etc/rtpengine.sh).
# Logs are in run/test. The last line counts: "N passed, N failed", and the exit code is 0 where all is well.
set -u
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

logs=run/test
passed=0
failed=0
skipped=0
trouble=

# Folders with an npm lock file: the pages of the browser tests.
pages=$(find tests -name node_modules -prune -o -name package-lock.json -print | sed 's|/package-lock.json$||')
sh etc/setup.sh apt rtpengine:rtpengine-daemon kamailio:kamailio sipp:sip-tester baresip:baresip-core chromium:chromium \
    firefox-esr:firefox-esr openssl:openssl turnserver:coturn \
    -- python test -- page -- npm $pages || exit 1
rm -rf $logs
mkdir -p $logs

# trial's last line has the counts: PASSED (skips=1, successes=7)
counted() {
    sed -n 's/^\(PASSED\|FAILED\) (\(.*\))$/\2/p' "$1" | tail -n 1 | tr ',' '\n' | sed -n "s/^ *$2=//p"
}

# stage NAME SECONDS TRIAL...: runs the tests, shows and keeps their output, and counts.
stage() {
    name=$1
    limit=$2
    shift 2
    echo "== $name =="
    log=$logs/$name.log
    { timeout --foreground -k 30 "$limit" "$@"; echo $? >$logs/$name.code; } 2>&1 </dev/null | tee "$log"
    code=$(cat $logs/$name.code)
    good=0
    bad=0
    for word in successes expectedFailures; do
        count=$(counted "$log" $word)
        good=$((good + ${count:-0}))
    done
    for word in failures errors unexpectedSuccesses; do
        count=$(counted "$log" $word)
        bad=$((bad + ${count:-0}))
    done
    count=$(counted "$log" skips)
    skipped=$((skipped + ${count:-0}))
    if [ "$code" -ne 0 ] && [ $bad -eq 0 ]; then
        bad=1
    fi
    passed=$((passed + good))
    failed=$((failed + bad))
    [ "$code" -ne 124 ] || trouble="$trouble $name:took-longer-than-$limit-s"
    [ $good -gt 0 ] || trouble="$trouble $name:no-test-passed"
}

trial() {
    echo "-m twisted.trial --temp-directory=$logs/$1.trial --reporter=$2"
}

python=.venv/bin/python
COVERAGE_FILE=$logs/coverage
export COVERAGE_FILE
stage unit 1200 $python -m coverage run $(trial unit text) $(sh etc/units.sh)
stage integration 1500 $python $(trial integration verbose) tests.integration
stage browser 1500 $python $(trial browser verbose) tests.browser

# What depends on the version of rtpengine.
media="tests.integration.test_rtpengine tests.integration.test_media tests.integration.test_descriptions
    tests.integration.test_offer tests.integration.test_offer_answer tests.integration.test_offer_answer_refused
    tests.integration.test_far_fork tests.integration.test_local_transfer tests.integration.test_media_lost
    tests.integration.test_spawn tests.integration.test_sprayed_calls tests.integration.test_sprayed_media
    tests.integration.test_trunk_options
    tests.browser.test_media tests.browser.test_offer_answer tests.browser.test_video"
case $(rtpengine --version 2>&1) in
    *" 10."*) other=trixie ;;
    *) other=bookworm ;;
esac
if RTPENGINE=$(sh etc/rtpengine.sh $other); then
    export RTPENGINE
    stage "rtpengine-of-$other" 1000 $python $(trial "rtpengine-of-$other" verbose) $media
else
    trouble="$trouble no-rtpengine-of-$other"
fi

echo "== coverage of the unit tests =="
$python -m coverage json --quiet -o $logs/coverage.json
$python etc/coverage_gate.py $logs/coverage.json access admin call cluster config demo dialog invite media registration routing \
    runtime session sip subscription transaction transfer transport users || trouble="$trouble coverage"

[ -z "$trouble" ] || echo "trouble:$trouble"
echo "$passed passed, $failed failed$([ $skipped -eq 0 ] || echo ", $skipped skipped")"
[ $failed -eq 0 ] && [ -z "$trouble" ]
