#!/bin/sh
# release.sh: builds build/release/reprise, the program to install: Reprise and AWS-LC compiled
# by what a run under load has shown of them (gcc's profile-guided optimisation), and
# optimised across files when linked.
#
# Builds both twice, with counters and then by them, and between the two runs
# tests/bench/train.py: a few minutes. It does nothing when nothing of the program changed since.
# An AWS-LC that AWS_LC_PREFIX names is linked as it is; another one is kept in
# build/release/deps, since what it was compiled by belongs to this folder.
set -eu
cd "$(dirname "$0")/.."

release=build/release
program=$release/reprise
profile=$PWD/$release/profile
package=librust-aws-lc-sys-dev.deb

say() { printf 'release: %s\n' "$*" >&2; }

case $PWD in
*[[:space:]]*)
    say "$PWD has a space in it, which gcc's flags cannot have: build it elsewhere"
    exit 1
    ;;
esac

# What the program was made from, beside the files.
state="$(gcc -dumpfullversion) CFLAGS ${CFLAGS:-} LDFLAGS ${LDFLAGS:-}
AWS-LC ${AWS_LC_PREFIX:-} ${AWS_LC_SOURCE:-}"

# Prints the first file or folder that changed after the last one began to be built.
changed() {
    find src meson.build meson_options.txt tests/meson.build tools/*.sh \
        tests/bench/train.py tests/bench/peers.py tests/bench/floor.c \
        ${AWS_LC_PREFIX:+"$AWS_LC_PREFIX"} ${AWS_LC_SOURCE:+"$AWS_LC_SOURCE"} \
        -newer $release/.done -print -quit
}

# build TARGET FLAGS [MESON OPTION...]
build() {
    target=$1
    flags=$2
    shift 2
    # -w: inlined otherwise, gcc warns of what is not so, and AWS-LC makes errors of warnings.
    # A mismatch: the sandbox, which is not in the one with counters.
    CC=gcc AWS_LC_FLAGS="$flags -w" REPRISE_DEPS=$release/deps \
        CFLAGS="${CFLAGS:-} $flags -Wno-missing-profile -Wno-coverage-mismatch" \
        tools/configure.sh $release "$@"
    if [ -t 2 ]; then
        ninja -C $release "$target" >&2
    else
        ninja -C $release "$target" >$release/build.log || { cat $release/build.log >&2 && return 1; }
    fi
}

mkdir -p $release/deps
exec 8>$release/.lock
flock 8

if [ -x $program ] && [ "$state" = "$(cat $release/.done 2>/dev/null)" ] && [ -z "$(changed)" ]; then
    exit 0
fi

# One that counts, or is half of this and half of that, is not left behind.
trap 'rm -f $program' EXIT
trap 'exit 1' HUP INT TERM
rm -rf "$profile" $release/.done
mkdir -p "$profile"
printf '%s\n' "$state" >$release/.began # what changes from here on is not in it
kept=${REPRISE_DEPS:-build/deps}/$package
[ ! -f "$kept" ] || cp "$kept" $release/deps/

# The filter of system calls forbids a worker to write a file at its end.
say "with counters (1 of 3)"
build reprise "-fprofile-generate=$profile" -Dsandbox=false
say "under load (2 of 3)"
/usr/bin/python3 tests/bench/train.py $program "$profile"
# What the load did not reach is compiled as ever, not for size.
# reprise.1 stands for the whole manual, which is made with the program.
say "by what they counted (3 of 3)"
build reprise.1 \
    "-fprofile-use=$profile -fprofile-partial-training -flto=auto -ffat-lto-objects" \
    -Db_lto=true
if nm $program | grep -q gcov_; then
    say "$program still counts: $release was changed meanwhile. Remove it and try again"
    exit 1
fi
trap - EXIT
mv $release/.began $release/.done
say "$program"
