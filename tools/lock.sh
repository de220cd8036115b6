#!/usr/bin/env bash
# Writes requirements/*.txt from the wishes in *.in, and package-lock.json: exact versions with checksums.
#
# The locks hold for all Pythons that the project runs on, and name no address: a machine asks the index it is set up
# for, and the checksums decide whether it got the right thing.
set -euo pipefail
cd "$(dirname "$0")/../requirements"

compile() {
    ../.venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
        --no-header --no-emit-index-url "$@"
}

compile base.in -o base.txt
for wish in *.in; do
    # Everything else fits itself to what the portal runs on.
    [ "$wish" = base.in ] || compile --constraint base.txt "$wish" -o "${wish%.in}.txt"
done

cd ..
npm update --package-lock-only --loglevel=error

if grep -nE '://' requirements/*.txt || grep -nE '"resolved"' package-lock.json; then
    echo "a lock names an address; see above" >&2
    exit 1
fi
