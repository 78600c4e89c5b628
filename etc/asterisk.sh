#!/bin/sh
# Runs tests.asterisk against a real Asterisk, which Debian has in sid only: it is installed into a root of its own in
# run/asterisk, once. Needs to be root, debootstrap, and what sh etc/test.sh has installed.
#
#   sh etc/asterisk.sh [TEST...]
#
# MIRROR is Debian's mirror, ASTERISK_ROOT a root that has Asterisk already.
set -eu
cd "$(dirname "$0")/.."

root=${ASTERISK_ROOT:-$PWD/run/asterisk}
if [ ! -x "$root/usr/sbin/asterisk" ]; then
    command -v debootstrap >/dev/null || sh etc/setup.sh apt debootstrap:debootstrap
    debootstrap --variant=minbase --include=ca-certificates sid "$root" "${MIRROR:-http://deb.debian.org/debian}"
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod +x "$root/usr/sbin/policy-rc.d"
    chroot "$root" apt-get -o Acquire::Check-Valid-Until=false update -q
    chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends asterisk
fi
ASTERISK_ROOT=$root
export ASTERISK_ROOT
[ $# -gt 0 ] || set -- tests.asterisk
exec .venv/bin/python -m twisted.trial --temp-directory=run/asterisk.trial "$@"
