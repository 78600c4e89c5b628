#!/bin/sh
# Installs what the benchmark needs, then runs it: sh bench/run.sh [ARGUMENTS of python -m bench]
# What is installed stands in run/bench/setup.log.
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH
mkdir -p run/bench

if ! sh etc/setup.sh apt kamailio:kamailio kamailio-tls-modules kamailio-websocket-modules sipp:sip-tester \
    rtpengine:rtpengine-daemon node:nodejs cc:gcc libc6-dev openssl:openssl setpriv:util-linux \
    -- python bench -- compiled >run/bench/setup.log 2>&1; then
    tail -n 20 run/bench/setup.log >&2
    exit 1
fi
exec .venv/bin/python -m bench "$@"
