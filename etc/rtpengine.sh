#!/bin/sh
# Another rtpengine than that of this Debian, for the tests: sh etc/rtpengine.sh [SUITE]
#
# SUITE is a suite of Debian: bookworm has rtpengine 10.5, trixie (the default) 12.5, sid the newest. The package and all
# that it needs are unpacked, not installed, into run/rtpengine/SUITE, once; root is not needed. What is
# printed is the path of the program, which runs with the libraries of its suite:
#
#   RTPENGINE=$(sh etc/rtpengine.sh trixie) .venv/bin/trial tests.integration.test_rtpengine
#
# MIRROR is Debian's mirror.
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin
export PATH

suite=${1:-trixie}
mirror=${MIRROR:-http://deb.debian.org/debian}
root=$PWD/run/rtpengine/$suite
apt=$root.apt

fail() {
    echo "rtpengine of $suite: $*" >&2
    exit 1
}

# apt as on a machine of that suite that has nothing installed, in folders of its own. Packages of sid may be older than
# their lists say.
ask_apt() {
    apt-get -q -o Dir::State="$apt" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" -o Dir::Etc="$apt" \
        -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::trustedparts=/usr/share/keyrings -o APT::Sandbox::User= -o APT::Install-Recommends=false \
        -o Acquire::Languages=none -o Acquire::Check-Valid-Until=false -o Acquire::Retries=3 "$@"
}

download() {
    rm -rf "$apt"
    mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/preferences.d"
    : >"$apt/status"
    echo "deb $mirror $suite main" >"$apt/sources.list"
    ask_apt -o APT::Update::Error-Mode=any update && ask_apt install --download-only -y rtpengine-daemon
}

unpack() {
    rm -rf "$root.part"
    mkdir -p "$root.part"
    for package in "$apt"/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root.part" --exclude=./usr/share --exclude=./usr/sbin || return 1
    done
}

# A script that starts the program by the loader of its suite, with the libraries of its suite only. The loader has the
# program's name, which `ps` shows. Some packages leave links to their libraries to be made at their installation.
write_program() {
    loader=$(find "$root.part" -name 'ld-linux*.so.*' -type f | head -n 1)
    libraries=
    for folder in "$root.part"/usr/lib/*-linux-gnu* "$root.part"/lib/*-linux-gnu*; do
        [ -d "$folder" ] || continue
        ldconfig -n "$folder" || return 1
        folder=$root${folder#"$root.part"}
        libraries=$libraries:$folder:$folder/blas:$folder/lapack
    done
    [ -n "$loader" ] && [ -n "$libraries" ] || return 1
    cp "$loader" "$root.part/rtpengine-loader"
    mkdir "$root.part/program"
    cat >"$root.part/program/rtpengine" <<END
#!/bin/sh
exec "$root/rtpengine-loader" --library-path "${libraries#:}" "$root/usr/bin/rtpengine" "\$@"
END
    chmod +x "$root.part/program/rtpengine"
}

if [ ! -x "$root/program/rtpengine" ]; then
    echo "unpacking rtpengine of $suite into $root" >&2
    mkdir -p "${root%/*}"
    download >"$root.log" 2>&1 || fail "not to be had from $mirror, see $root.log: $(grep -m 1 '^E:' "$root.log" || true)"
    unpack >>"$root.log" 2>&1 || fail "not to be unpacked, see $root.log"
    write_program || fail "its packages have no loader or no libc"
    rm -rf "$apt" "$root"
    mv "$root.part" "$root"
fi
"$root/program/rtpengine" --version >"$root.log" 2>&1 || fail "does not run, see $root.log: $(head -n 1 "$root.log")"
echo "$root/program/rtpengine"
