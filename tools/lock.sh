#!/bin/sh
# Recompile requirements/*.txt from *.in. All four agree: the union is solved first and constrains each.
set -eu
cd "$(dirname "$0")/../requirements"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet uv

compile() {
    "$scratch/venv/bin/uv" pip compile --quiet --universal --python-version 3.11 \
        --no-header --no-emit-index-url --no-emit-find-links "$@"
}

compile --no-annotate ./*.in -o "$scratch/all.txt"
for name in control daemons tests lint; do
    compile --generate-hashes --no-annotate --constraint "$scratch/all.txt" "$name.in" -o "$scratch/$name.txt"
    { echo "# Made by \`make lock\` from $name.in."; cat "$scratch/$name.txt"; } >"$name.txt"
done
