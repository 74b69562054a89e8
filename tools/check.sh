#!/bin/sh
# What CI checks before it tests. Every check runs, so that one round shows all that is wrong.
set -u
cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH
failed=

check() {
    echo "== $*"
    "$@" || failed="$failed
    $*"
}

check ruff check .
check ruff format --check .
check mypy .
check lint-imports --no-logo
# No database is asked: Django only says that it could not.
check python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
check pytest -q tests/meta

if [ -n "$failed" ]; then
    echo "make check: failed:$failed" >&2
    exit 1
fi
echo "make check: all is well"
