#!/usr/bin/env bash
# Set-up: brings a fresh machine to where the portal (or its tests) can run; quick when nothing is to do.
#
# Usage: setup.sh [--tests]
# In order: system packages (setup-system.sh), the virtual environment .venv, the browser packages in node_modules.
# What cannot be had is named and left out; only a missing Python environment ends it, since nothing runs without.
#
# KVWEB_PYTHON   the interpreter for .venv (default: the first of python3, python3.13, 3.12, 3.11 that is new enough)
# KVWEB_KINDS    more kinds of provider whose SDK is wanted, as in "aws,hcloud": requirements/<kind>.txt
set -euo pipefail
cd "$(dirname "$0")/.."

tests=no
[ "${1-}" != --tests ] || tests=yes
say() { printf '  %-9s %s\n' "$1" "$2"; }

# Two set-ups at once in one tree would install into each other's half-made environment.
mkdir -p var/stamps
if command -v flock >/dev/null 2>&1; then
    exec 9>var/stamps/lock
    flock 9
fi

# --- system packages
lists=(tools/apt-packages.txt)
if [ $tests = yes ]; then
    lists+=(tools/apt-packages-test.txt)
fi
if [ -e guest/HOST_PACKAGES ]; then lists+=(guest/HOST_PACKAGES); fi
tools/setup-system.sh "var/stamps/system-$tests" "${lists[@]}" || true

# --- Python
usable() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
if ! [ -x .venv/bin/python ] || ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=
    for candidate in ${KVWEB_PYTHON:-python3 python3.13 python3.12 python3.11 /usr/bin/python3}; do
        if command -v "$candidate" >/dev/null 2>&1 && usable "$candidate"; then python=$candidate && break; fi
    done
    if [ -z "$python" ]; then
        say python "no Python 3.11 or newer with its venv module was found; install one or name it in KVWEB_PYTHON"
        exit 1
    fi
    say python "making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv
fi

locks=(requirements/base.txt)
if [ $tests = yes ]; then
    for lock in requirements/*.txt; do
        case $lock in */base.txt | */kvm.txt | */setup.txt) ;; *) locks+=("$lock") ;; esac
    done
else
    kinds=${KVWEB_KINDS-}
    for kind in ${kinds//,/ }; do
        if [ -e "requirements/$kind.txt" ]; then locks+=("requirements/$kind.txt"); fi
    done
fi
# A stamp lies inside what it describes, so that both go together.
stamp_of() { echo ".venv/.set-up-$(basename "$1" .txt)-$(cksum <"$1" | tr ' ' -)"; }
# uv is quick but knows neither a company's certificates nor its mirror in pip's configuration; pip does.
install() {
    .venv/bin/uv --quiet --system-certs pip install --python .venv/bin/python --require-hashes --compile-bytecode "$@" ||
        { say python "once more with pip" && .venv/bin/python -m pip install --quiet --require-hashes "$@"; }
}
if ! [ -e "$(stamp_of requirements/setup.txt)" ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/setup.txt
    touch "$(stamp_of requirements/setup.txt)"
fi
arguments=() stamps=()
for lock in "${locks[@]}"; do
    if ! [ -e "$(stamp_of "$lock")" ]; then
        arguments+=(-r "$lock")
        stamps+=("$(stamp_of "$lock")")
        say python "installing $lock"
    fi
done
if [ ${#stamps[@]} -gt 0 ]; then
    install "${arguments[@]}"
    touch "${stamps[@]}"
fi
# Apart from the others: it is compiled against this machine's libvirt, and the portal runs without it.
stamp=$(stamp_of requirements/kvm.txt)
if ! [ -e "$stamp" ]; then
    if ! command -v pkg-config >/dev/null 2>&1 || ! pkg-config --exists libvirt; then
        say python "libvirt's headers are not here, so there will be no local hypervisor"
    elif install -r requirements/kvm.txt; then
        touch "$stamp"
    else
        say python "the libvirt binding could not be built, so there will be no local hypervisor (see the lines above)"
    fi
fi

# --- what pages load in the browser
if command -v npm >/dev/null 2>&1; then
    key=$(cat package-lock.json .npmrc | cksum | tr -d ' ')
    if ! [ -e "node_modules/.set-up-$key" ]; then
        say npm "installing the browser packages"
        npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
        touch "node_modules/.set-up-$key"
    fi
else
    say npm "Node and npm are missing, so pages would come without style and consoles; install them and start again"
fi
