#!/bin/sh
# sources.sh KIND: lists the source files that the tree holds, for meson.build. A new file
# needs no entry anywhere; tools/configure.sh notices it.
#   library   src/*/*.c but the program's main
#   unit      unit tests: one program each
#   support   what unit tests share
#   fuzz      fuzz targets
set -eu
cd "$(dirname "$0")/.."
export LC_ALL=C

list() {
    case $1 in
    library) find src -name '*.c' ! -path src/cmd/main.c ;;
    unit) find tests/unit -name 'test_*.c' ;;
    support) find tests/unit -name '*.c' ! -name 'test_*' ;;
    fuzz) find tests/fuzz -name 'fuzz_*.c' ;;
    *) echo "usage: $0 library|unit|support|fuzz" >&2 && exit 2 ;;
    esac
}

list "${1:-}" | sort
