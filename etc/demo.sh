#!/bin/sh
# A first call on one machine: sets up what is missing, runs the proxy with etc/demo.ini and says which page to open.
# Ctrl-C ends it. Logs: run/setup.log and run/demo.log.
set -eu
cd "$(dirname "$0")/.."
mkdir -p run

[ -e .venv ] || echo "The first time takes some minutes; what is being set up stands in run/setup.log" >&2
if ! sh etc/setup.sh apt rtpengine:rtpengine-daemon -- python -- page >run/setup.log 2>&1; then
    tail -n 20 run/setup.log >&2
    echo "The set-up failed; all of its log is in run/setup.log" >&2
    exit 1
fi
python=.venv/bin/python
if [ -z "$(find run/tls/cert.pem -mtime -360 2>/dev/null)" ]; then
    $python -m webrtcproxy.demo.certificate run/tls
fi
.venv/bin/twistd webrtcproxy --check -c etc/demo.ini >>run/setup.log

port=$(sed -n 's/^listen = ssl:\([0-9]*\):.*/\1/p' etc/demo.ini)
$python etc/demo_wait.py "$port" 0
rm -f run/demo.log
$python etc/demo_wait.py "$port" $$ &
exec .venv/bin/twistd -n --pidfile= --logfile=run/demo.log webrtcproxy -c etc/demo.ini
