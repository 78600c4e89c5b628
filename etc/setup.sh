#!/bin/sh
# Installs what the project needs, each thing only where it is missing:
#
#   sh etc/setup.sh [apt [COMMAND:]PACKAGE...] [-- python EXTRA...] [-- page] [-- npm FOLDER...]
#
#   apt      Debian packages, each where its command is missing; one that has none, where it is not installed
#   python   the virtual environment .venv with the package in it, editable, and the named extras
#   compiled the package once more, compiled (see setup.py), in run/compiled; needs a C compiler. WEBRTCPROXY_COMPILE=quick
#            before it has it compiled in half the time, and slower
#   page     the phone page in webrtcproxy/phone/dist, built
#   npm      npm packages by lock file in the named folders
#
# Needs to be root, or to have sudo, for apt only.
# PYTHON names the Python to take (3.11 or newer); else the first fitting one is found.
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

say() {
    echo "setup: $*"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif ! command -v sudo >/dev/null; then
        say "this needs root: $*"
        exit 1
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

apt() {
    missing=
    for pair in "$@"; do
        is_there "$pair" || missing="$missing ${pair#*:}"
    done
    install_packages $missing
}

is_there() {
    case $1 in
        *:*) command -v "${1%%:*}" >/dev/null ;;
        *) [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ;;
    esac
}

install_packages() {
    [ $# -gt 0 ] || return 0
    say "installing Debian packages: $*"
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
    # These packages start a service with a configuration of their own; here each is run as it is needed.
    if [ -d /run/systemd/system ]; then
        for service in rtpengine-daemon kamailio coturn; do
            case " $* " in
                *" $service "*) as_root systemctl disable --now --quiet "$service" || true ;;
            esac
        done
    fi
}

fitting() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13 python3.14}; do
        if fitting "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

python() {
    python=$(find_python)
    if [ -z "$python" ]; then
        install_packages python3
        python=python3
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
    if ! fitting .venv/bin/python; then
        say "making .venv"
        "$python" -m venv --clear .venv
    fi
    extras=$(echo "$*" | tr ' ' ',')
    stamp=".venv/installed-$extras"
    if [ -e "$stamp" ] && cmp -s setup.cfg "$stamp"; then
        return
    fi
    say "installing the package and what it needs into .venv"
    .venv/bin/python -m pip install -qq --disable-pip-version-check --editable ".${extras:+[$extras]}"
    cp setup.cfg "$stamp"
}

compiled() {
    made=run/compiled/made
    how=${WEBRTCPROXY_COMPILE:-1}
    if [ "$(cat $made 2>/dev/null)" = "$how" ] &&
        [ -z "$(find setup.py setup.cfg webrtcproxy -name '*.py' -newer $made -print)" ]; then
        return
    fi
    command -v cc >/dev/null || install_packages gcc libc6-dev
    .venv/bin/python -c 'import os, sysconfig, sys
sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || install_packages python3-dev
    say "compiling the package; this takes minutes"
    rm -rf run/compiled build
    WEBRTCPROXY_COMPILE=$how .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps \
        --target run/compiled .
    echo "$how" >$made
}

npm_folder() {
    command -v npm >/dev/null || install_packages nodejs npm
    cmp -s package-lock.json node_modules/installed-lock.json && return
    say "installing npm packages in $1"
    npm ci --no-audit --no-fund --loglevel=error
    cp package-lock.json node_modules/installed-lock.json
}

npm_packages() {
    for folder in "$@"; do
        (cd "$folder" && npm_folder "$folder")
    done
}

page() {
    cd webrtcproxy/phone
    newer=$([ ! -e dist/index.html ] ||
        find . \( -name node_modules -o -name dist \) -prune -o -type f -newer dist/index.html -print)
    if [ ! -e dist/index.html ] || [ -n "$newer" ]; then
        npm_folder webrtcproxy/phone
        say "building the phone page"
        npm run --silent build
    fi
    cd ../..
}

while [ $# -gt 0 ]; do
    step=$1
    shift
    arguments=
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        arguments="$arguments $1"
        shift
    done
    [ $# -eq 0 ] || shift
    case $step in
        apt | python | compiled | page) "$step" $arguments ;;
        npm) npm_packages $arguments ;;
        *) say "no such step: $step"; exit 2 ;;
    esac
done
