#!/bin/sh
# The versions that people run: what the tests say on each Debian, and with each Python.
#
#   sh etc/matrix.sh [--skip-missing] [VERSION...]
#
#   bookworm, trixie ...   a fresh minimal root of that suite of Debian, and in it a clone of what is committed here: the demo
#                          comes up and its page answers, then sh etc/test.sh runs, without a network. About an hour each
#                          with two cores
#   3.11, 3.12 ...         types and unit tests with that Python: the machine's where it is in PATH, else that of a suite of
#                          Debian which has it, in a root of its own
#
# Without versions it takes all that are supported. One that can't be had is named and counts as wrong; with --skip-missing
# it is only named. Roots need root, debootstrap, and the ports of the demo. Logs and the table of results (results.rst) are in
# run/matrix. MIRROR is Debian's mirror.
set -u
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

here=$PWD/run/matrix
mirror=${MIRROR:-http://deb.debian.org/debian}
certificates=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
wrong=
missing=

# The suites of Debian that have these Pythons; none has 3.12.
suite_of() {
    case $1 in
        3.11) echo bookworm ;;
        3.13) echo trixie ;;
        3.14) echo sid ;;
    esac
}

# Whether this machine has that Python; what stands in for one that is not active, as pyenv has it, does not run.
is_here() {
    "python$1" -c "" 2>/dev/null
}

# Why there can be no root here; nothing where there can.
obstacle() {
    if [ "$(id -u)" -ne 0 ]; then
        echo "a root of Debian needs root"
    elif ! command -v debootstrap >/dev/null; then
        echo "a root of Debian needs debootstrap"
    fi
}

# A network that leads nowhere. Without a default route Firefox has no candidates; with one, questions to a name server would
# wait for an answer: there is none in the root, $1.
nowhere='ip link set lo up && ip link add out type veth peer name in && ip address add 198.18.0.1/24 dev out &&
    ip link set in up && ip link set out up && ip route add default dev out &&
    mount --bind /dev/null "$1/etc/resolv.conf" || exit 1'

# inside ROOT [--no-network] COMMAND...: runs it there. Its mounts, its processes and its network are gone when it ends.
inside() {
    root=$1
    shift
    options="--mount --pid --fork --kill-child"
    before=:
    if [ "$1" = --no-network ]; then
        options="$options --net"
        before=$nowhere
        shift
    fi
    unshare $options sh -c "$before
"'
        root=$1
        shift
        mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" || exit 1
        exec chroot "$root" env HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive SSL_CERT_FILE=/etc/ssl/matrix.crt \
            PIP_CERT=/etc/ssl/matrix.crt NODE_EXTRA_CA_CERTS=/etc/ssl/matrix.crt npm_config_cafile=/etc/ssl/matrix.crt "$@"
    ' sh "$root" "$@"
}

# fresh SUITE ROOT PACKAGE...: makes a root with the packages, the certificates that this machine trusts, and a clone in /clone.
fresh() {
    suite=$1
    root=$2
    shift 2
    rm -rf --one-file-system "$root"
    debootstrap --variant=minbase "$suite" "$root" "$mirror" || return 1
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    mkdir -p "$root/etc/ssl" && cp "$certificates" "$root/etc/ssl/matrix.crt" || return 1
    # Those that every program there trusts: pip of Debian 12 asks for what it builds with by the system's alone.
    trusted=$root/usr/local/share/ca-certificates
    mkdir -p "$trusted"
    awk -v folder="$trusted" '/BEGIN CERT/ {n++} n {print >(folder "/machine-" n ".crt")} /END CERT/ {close(folder "/machine-" n ".crt")}' \
        "$certificates" || return 1
    # A mirror may keep old lists, as those of sid are after a while.
    echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/99matrix"
    git clone -q . "$root/clone" || return 1
    inside "$root" sh -c 'apt-get update -q && apt-get install -q -y --no-install-recommends "$@"' sh "$@"
}

# What demo.sh says when it is up is in run/demo.out; its page is asked for from inside.
demo='cd /clone && mkdir -p run && sh etc/demo.sh >run/demo.out 2>&1 &
demo=$!
cd /clone
while kill -0 $demo 2>/dev/null && ! grep -q "^Open https" run/demo.out 2>/dev/null; do sleep 1; done
cat run/demo.out
page=$(sed -n "s/^Open \(https[^ ]*\).*/\1/p" run/demo.out)
.venv/bin/python -c "import ssl, sys, urllib.request as u
answer = u.urlopen(sys.argv[1], context=ssl._create_unverified_context())
print(\"the page of the demo:\", answer.status)
sys.exit(answer.status != 200)" "$page"
seen=$?
kill $demo
exit $seen'

debian() {
    root=$here/$1
    fresh "$1" "$root" git ca-certificates || return 1
    inside "$root" sh -c "$demo" || return 1
    inside "$root" sh /clone/etc/test.sh setup || return 1
    inside "$root" --no-network sh /clone/etc/test.sh
}

python() {
    if is_here "$1"; then
        bin=run/matrix/$1/bin
        if [ ! -x "$bin/python" ]; then
            "python$1" -m venv "run/matrix/$1" || return 1
        fi
        "$bin/python" -m pip install -qq --disable-pip-version-check --editable '.[test]' || return 1
        BIN=$bin .ci/run mypy units
        return
    fi
    root=$here/python$1
    fresh "$(suite_of "$1")" "$root" git ca-certificates "python$1-venv" || return 1
    inside "$root" sh -c 'cd /clone && "python$1" -m venv /venv &&
        /venv/bin/python -m pip install -qq --disable-pip-version-check --editable ".[test]" &&
        BIN=/venv/bin .ci/run mypy units' sh "$1"
}

# What was in it: the releases of Debian's packages, or that of Python.
parts() {
    if [ -d "$here/$1/var/lib/dpkg" ]; then
        echo "Debian $(cat "$here/$1/etc/debian_version")"
        chroot "$here/$1" dpkg-query --show --showformat '${Package} ${Version}\n' python3 rtpengine-daemon kamailio \
            sip-tester baresip-core coturn chromium firefox-esr nodejs 2>/dev/null
    elif [ -d "$here/python$1/venv" ]; then
        chroot "$here/python$1" /venv/bin/python --version
    elif [ -x "run/matrix/$1/bin/python" ]; then
        "run/matrix/$1/bin/python" --version
    fi
}

# A row of the table: the version, what was in it, the command, and the last line that counts tests, or that nothing counted.
row() {
    counts=$(grep -E '^(PASSED|FAILED) \(|^[0-9]+ passed, [0-9]+ failed' "$here/$1.log" 2>/dev/null | tail -n 1)
    printf '   * - %s\n     - %s\n     - ``sh etc/matrix.sh %s``\n     - %s: %s\n' "$1" "$(parts "$1" | paste -s -d, | sed 's/,/, /g')" \
        "$1" "$2" "${counts:-no test has run}" >>"$here/results.rst"
}

# What keeps a version from being tried; nothing where it can be.
lacks() {
    case $1 in
        [0-9]*)
            is_here "$1" && return
            if [ -z "$(suite_of "$1")" ]; then
                echo "there is no python$1 in PATH, and no Debian has it"
            else
                obstacle
            fi
            ;;
        *) obstacle ;;
    esac
}

skip=
if [ "${1:-}" = --skip-missing ]; then
    skip=yes
    shift
fi
[ $# -gt 0 ] || set -- bookworm trixie 3.11 3.12 3.13 3.14
mkdir -p "$here"
printf '.. list-table::\n   :header-rows: 1\n\n   * - Version\n     - Of what\n     - Command\n     - Result\n' >"$here/results.rst"

tried=
for version in "$@"; do
    echo "== $version =="
    why=$(lacks "$version")
    if [ -n "$why" ]; then
        echo "$version can't be had: $why" >&2
        missing="$missing $version"
        continue
    fi
    tried=yes
    case $version in
        [0-9]*) step=python ;;
        *) step=debian ;;
    esac
    rm -f "$here/$version.code"
    { "$step" "$version"; echo $? >"$here/$version.code"; } 2>&1 </dev/null | tee "$here/$version.log"
    if [ "$(cat "$here/$version.code")" = 0 ]; then
        row "$version" passed
    else
        row "$version" wrong
        wrong="$wrong $version"
    fi
done
cat "$here/results.rst"
[ -z "$wrong" ] || echo "wrong:$wrong" >&2
[ -z "$missing" ] || echo "missing:$missing" >&2
[ -n "$tried" ] && [ -z "$wrong" ] && { [ -z "$missing" ] || [ -n "$skip" ]; }
