#!/bin/sh
# configure.sh FOLDER [MESON OPTION...]: sets the build folder up, or again when the list of
# sources, the options, the compiler or AWS-LC changed. Otherwise it leaves all to ninja.
set -eu
tools=$(dirname "$0")
build=$1
shift

prefix=$("$tools/aws-lc.sh")
compiler="CC=${CC:-} CFLAGS=${CFLAGS:-} LDFLAGS=${LDFLAGS:-}"
state=$(
    echo "$compiler"
    printf '%s\n' "$@" "$prefix"
    cat "$prefix/VERSION" 2>/dev/null || true
    # there for `make check`, perhaps not yet there for `make`
    pkg-config --modversion cmocka 2>/dev/null || true
    for kind in library unit support fuzz; do "$tools/sources.sh" $kind; done
)
before=$build/.configured
if [ -f "$build/build.ninja" ] && [ "$state" = "$(cat "$before" 2>/dev/null)" ]; then
    exit 0
fi

# Whatever happens from here on, it is not what it was.
compiler_before=$(head -n 1 "$before" 2>/dev/null || true)
rm -f "$before"
again=
if [ "$compiler" = "$compiler_before" ]; then
    again=--reconfigure
else
    # Meson takes the compiler at the first set-up only, and its --wipe empties the whole
    # folder, what tools/aws-lc.sh keeps there included.
    rm -rf "$build/meson-private" "$build/meson-info" "$build/build.ninja"
fi
mkdir -p "$build"
log=$build/configure.log
# shellcheck disable=SC2086 # empty or one word
if ! meson setup $again "$build" "$tools/.." -Daws_lc="$prefix" "$@" >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
printf '%s\n' "$state" >"$before"
