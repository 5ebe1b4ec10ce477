#!/bin/sh
# release.sh: builds build/release/reprise, the program to install: Reprise and AWS-LC compiled
# by what a run under load has shown of them (gcc's profile-guided optimisation), and
# optimised across files when linked.
#
# Builds both twice, with counters and then by them, and between the two runs
# tests/bench/train.py: a few minutes. It does nothing when nothing of the program changed since.
# An AWS-LC that AWS_LC_PREFIX names is linked as it is.
set -eu
cd "$(dirname "$0")/.."

release=build/release
program=$release/reprise
profile=$PWD/$release/profile

say() { printf 'release: %s\n' "$*" >&2; }

state="AWS-LC ${AWS_LC_PREFIX:-} ${AWS_LC_SOURCE:-} CFLAGS ${CFLAGS:-}"
if [ -x $program ] && [ "$state" = "$(cat $release/.done 2>/dev/null)" ] &&
    [ -z "$(find src meson.build tools/*.sh tests/bench/train.py -newer $release/.done -print -quit)" ]; then
    exit 0
fi

# build TARGET FLAGS [MESON OPTION...]
build() {
    what=$1
    flags=$2
    shift 2
    # -w: inlined otherwise, gcc warns of what is not so, and AWS-LC makes errors of warnings.
    # A mismatch: the sandbox, which is not in the one with counters.
    CC=gcc AWS_LC_FLAGS="$flags -w" \
        CFLAGS="${CFLAGS:-} $flags -Wno-missing-profile -Wno-coverage-mismatch" \
        tools/configure.sh $release "$@"
    if [ -t 2 ]; then
        ninja -C $release "$what" >&2
    else
        ninja -C $release "$what" >$release/build.log || { cat $release/build.log >&2 && return 1; }
    fi
}

rm -rf "$profile" $release/.done
mkdir -p "$profile"
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
printf '%s\n' "$state" >$release/.done
say "$program"
