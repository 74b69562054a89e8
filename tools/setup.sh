#!/bin/sh
# Make .venv with every pinned requirement and this project itself; do nothing when it is up to date.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "make setup: $*" >&2
    exit 1
}

# One at a time: two terminals may ask at once.
exec 9<Makefile
flock 9

# A moved or copied clone needs a new environment, so the stamp holds the place as well.
wanted=$({ pwd; cat requirements/*.txt; } | sha256sum)
if [ -x .venv/bin/python ] && [ "$(cat .venv/stamp 2>/dev/null || true)" = "$wanted" ]; then
    exit 0
fi

supported() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

python=
for candidate in "${PYTHON:-python3}" python3.11 python3.12 python3.13 /usr/bin/python3; do
    if supported "$candidate"; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "needs Python 3.11, 3.12 or 3.13 (Debian 12: apt-get install python3 python3-venv)"

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
        fail "Python's venv module is missing; as root: apt-get install $package"
    echo "make setup: installing $package"
    { apt-get update && apt-get install -y --no-install-recommends "$package"; } >/dev/null ||
        fail "could not install $package"
fi

echo "make setup: building .venv with $("$python" --version)"
rm -rf .venv
"$python" -m venv .venv
set -- --quiet --disable-pip-version-check --no-input
for list in control daemons tests lint; do
    set -- "$@" --requirement "requirements/$list.txt"
done
.venv/bin/pip install --require-hashes --only-binary :all: "$@"
# The build tool comes from the lists too (they pin it), so nothing unpinned is fetched.
.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
    --config-settings editable_mode=compat --editable .
echo "$wanted" >.venv/stamp
