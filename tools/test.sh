#!/bin/sh
# Every test. Installs what the tests need beside Python (Debian, as root), or says at once what is missing.
set -eu
cd "$(dirname "$0")/.."

PATH=$PATH:/usr/sbin:/sbin

# A Debian package, and the file or program by which we know that it is there.
needs="busybox-static:busybox chromium:chromium libfaketime:/usr/lib/*/faketime/libfaketime.so.1
postgresql:/usr/lib/postgresql/*/bin/postgres"
engine_needs="docker.io:dockerd iptables:iptables iproute2:ip"

present() {
    case $1 in
        /*) ls $1 >/dev/null 2>&1 ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

if [ "$(id -u)" = 0 ]; then
    needs="$needs $engine_needs"
elif ! .venv/bin/python -c 'import docker; docker.from_env().ping()' 2>/dev/null; then
    echo "make test: no Docker engine answers, and only root can start one." >&2
    echo "Start Docker and join its group (usermod -aG docker $(id -un)), or run make test as root." >&2
    no_engine=yes
fi

missing=
for need in $needs; do
    present "${need#*:}" || missing="$missing ${need%%:*}"
done

if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "make test: missing:$missing" >&2
        echo "On Debian 12, as root: apt-get install --no-install-recommends$missing" >&2
        echo "Elsewhere install the same programs; PostgreSQL is looked for in /usr/lib/postgresql/*/bin." >&2
        exit 1
    fi
    echo "make test: installing$missing"
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1 </dev/null || {
        tail -n 20 "$log" >&2
        echo "make test: could not install$missing" >&2
        exit 1
    }
    rm -f "$log"
fi

[ -z "${no_engine:-}" ] || exit 1

exec .venv/bin/python -m pytest "$@"
