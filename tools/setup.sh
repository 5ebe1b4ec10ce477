#!/bin/sh
# setup.sh [build|check|bench]: has the Debian packages of tools/apt-packages.txt.
#
# Looks first and says nothing when all is there. As root, or where sudo asks no
# password, it installs what is missing; otherwise it prints the one command to run.
# SETUP=no skips it, for systems other than Debian.
set -eu

want=${1:-check}
list=$(dirname "$0")/apt-packages.txt

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# Prints the packages of the groups asked for, as "package" or "package ?command".
wanted() {
    group=
    sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$list" | while read -r name command; do
        case $name in
        '['*) group=$name ;;
        *) [ "$group" != '[build]' ] && [ "$group" != "[$want]" ] || echo "$name $command" ;;
        esac
    done
}

# Prints the packages that are not installed and whose command is not there either.
missing() {
    installed=" $(dpkg-query -W -f '${db:Status-Status}=${Package} ' 2>/dev/null) "
    wanted | while read -r name command; do
        case $installed in
        *" installed=$name "*) continue ;;
        esac
        [ -n "$command" ] && command -v "${command#\?}" >/dev/null 2>&1 && continue
        printf ' %s' "$name"
    done
}

apt_get() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=2 \
        -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 \
        -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@"
}

case $want in
build | check | bench) ;;
*) die "usage: $0 [build|check|bench]" ;;
esac
[ "${SETUP:-}" != no ] || exit 0
command -v dpkg-query >/dev/null 2>&1 ||
    die "this is not Debian: install what $list names, then run again with SETUP=no"

packages=$(missing)
[ -n "$packages" ] || exit 0

install="apt-get update && apt-get install -y --no-install-recommends$packages"
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root='sudo -n'
else
    say "packages are missing, and installing them needs root. Run:"
    if command -v sudo >/dev/null 2>&1; then
        printf "  sudo sh -c '%s'\n" "$install" >&2
    else
        printf "  su -c '%s'\n" "$install" >&2
    fi
    exit 1
fi

say "installing$packages"
# An archive that is not reached need not matter: one of several may be down, or the
# packages may be at hand. The installation tells.
apt_get update || say "the package lists are not all up to date"
# What the peers' packages start when they are installed would take ports and CPU.
policy=/usr/sbin/policy-rc.d
if [ "$want" = bench ] && [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    $as_root chmod 755 $policy
    trap '$as_root rm -f $policy' EXIT
fi
# shellcheck disable=SC2086 # one word a package
apt_get install -y --no-install-recommends $packages ||
    die "the packages were not installed: is the archive of /etc/apt reachable? Tried:$packages"
packages=$(missing)
[ -z "$packages" ] || die "still missing after the installation:$packages"
