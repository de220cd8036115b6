#!/usr/bin/env bash
# System packages: says or installs what is missing, through apt, with sudo when needed.
#
# Usage: setup-system.sh STAMP LIST...
#   STAMP  a file that remembers the last complete look, so that the next one costs nothing
#   LIST   files with one package a line; "#" starts a comment, "name?" is wanted only where the distribution has it
# Exit code 0: nothing is missing any more. 1: something is, and every missing piece has been named.
set -uo pipefail

stamp=$1
shift
policy=/usr/sbin/policy-rc.d
policy_mark="# made by kvweb's set-up for the time of one installation"

say() { printf '  system    %s\n' "$*"; }
has() { command -v "$1" >/dev/null 2>&1; }

if ! has dpkg-query || ! has apt-get; then
    absent=()
    for tool in nginx redis-server node npm; do has "$tool" || absent+=("$tool"); done
    [ ${#absent[@]} -gt 0 ] || exit 0
    say "this is neither Debian nor Ubuntu, so these must come from its own package manager: ${absent[*]}"
    [ "$(uname -s)" != Darwin ] || say "with Homebrew: brew install nginx redis node"
    say "local virtual machines also need libvirt with its headers and QEMU; without them the portal shows a simulated provider"
    exit 1
fi

# Any installation or removal rewrites dpkg's status file.
look=$(cat -- "$@" /etc/os-release | cksum; stat -c '%Y %s' /var/lib/dpkg/status; has npm && echo npm)
if [ -e "$stamp" ] && [ "$look" = "$(cat "$stamp")" ]; then exit 0; fi
finish() {
    look=$(cat -- "$@" /etc/os-release | cksum; stat -c '%Y %s' /var/lib/dpkg/status; has npm && echo npm)
    mkdir -p "$(dirname "$stamp")" && printf '%s' "$look" >"$stamp"
    exit 0
}

have=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p')
wanted=() optional=()
while read -r name; do
    if grep -qxF -- "${name%?}" <<<"$have" && [ "${name: -1}" = '?' ]; then continue; fi
    case $name in
        *'?') optional+=("${name%?}") ;;
        *) grep -qxF -- "$name" <<<"$have" || wanted+=("$name") ;;
    esac
done < <(cat -- "$@" | sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' | sort -u)
# Node may come from elsewhere, as a package that brings npm along; so the commands count.
has node || wanted+=(nodejs)
has npm || wanted+=(npm)

# Those of the given names that apt could install now; Ubuntu's "chromium", for one, is a name without a package.
obtainable() {
    [ $# -eq 0 ] || apt-cache policy -- "$@" | awk '/^[^ ]/ {name = $1; sub(/:$/, "", name)} /Candidate:/ && $2 != "(none)" {print name}'
}
mapfile -t extra < <(obtainable ${optional[@]+"${optional[@]}"})
if [ ${#wanted[@]} -eq 0 ] && [ ${#extra[@]} -eq 0 ]; then
    # A fresh machine has no package lists, and then "not obtainable" means nothing yet.
    if [ ${#optional[@]} -eq 0 ] || [ -n "$(obtainable hello)" ]; then finish "$@"; fi
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
    # Without a terminal nobody can type a password: then it works without one or not at all.
    [ -t 0 ] || as_root=(sudo -n)
    if ! has sudo || ! "${as_root[@]}" true; then
        say "missing: ${wanted[*]-} ${optional[*]-}"
        say "somebody with the right to must run: apt-get install --no-install-recommends ${wanted[*]-} ${extra[*]-}"
        exit 1
    fi
fi
apt() { ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 "$@"; }

# nginx and redis-server start themselves when they are installed, on ports that may be somebody else's. Debian's way
# to say no is this policy file: it is there only during the installation, and not touched where there is one already.
forbid_starts() {
    if [ -e "$policy" ] && ! grep -qF "$policy_mark" "$policy"; then return; fi
    printf '#!/bin/sh\n%s\ncase $1 in nginx*|redis*) exit 101 ;; esac\nexit 0\n' "$policy_mark" |
        ${as_root[@]+"${as_root[@]}"} tee "$policy" >/dev/null
    ${as_root[@]+"${as_root[@]}"} chmod 755 "$policy"
}
allow_starts() {
    if grep -qsF "$policy_mark" "$policy"; then ${as_root[@]+"${as_root[@]}"} rm -f "$policy"; fi
}

say "missing: ${wanted[*]-} ${extra[*]-}"
apt update >/dev/null 2>&1 || say "the package lists could not be refreshed; going on with those that are here"
mapfile -t extra < <(obtainable ${optional[@]+"${optional[@]}"})
if [[ " ${optional[*]-} " == *' chromium '* && " ${extra[*]-} " != *' chromium '* ]] && ! has chromium; then
    say "apt has no Chromium here; tests of pages are left out until there is one (on Ubuntu: sudo snap install chromium)"
fi
todo=(${wanted[@]+"${wanted[@]}"} ${extra[@]+"${extra[@]}"})
[ ${#todo[@]} -gt 0 ] || finish "$@"

trap allow_starts EXIT
trap 'exit 130' INT TERM HUP
forbid_starts
say "apt-get install ${todo[*]}"
log=$(mktemp)
if ! apt install --yes --no-install-recommends "${todo[@]}" >"$log" 2>&1; then
    tail -n 15 "$log"
    say "the installation failed; all of its output is in $log"
    exit 1
fi
rm -f "$log"

# The portal has its own nginx and Redis; the system's would come up at the next boot. Only where this installation
# brought them: an administrator's own ones stay as they are.
if [ -d /run/systemd/system ]; then
    for service in nginx redis-server; do
        [[ " ${todo[*]} " != *" $service "* ]] || ${as_root[@]+"${as_root[@]}"} systemctl --quiet disable "$service" || true
    done
fi
say "installed"
finish "$@"
