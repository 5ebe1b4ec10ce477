#!/bin/bash
# fuzz.sh [SECONDS [TARGET...]]: runs the fuzz targets with libFuzzer, each for so long (60).
#
# It starts from tests/fuzz/corpus/<target> and keeps what it finds in build/fuzz/corpus/<target>.
# A crash ends with the file that causes it, build/fuzz/<target>-crash-*: mend the fault, then
# put the file into the tree's corpus. MERGE=1 instead adds to the tree's corpus what reaches
# new code, and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
shift || true
build=build/fuzz
symbolizer=/usr/bin/llvm-symbolizer-14

CC=clang-14 tools/configure.sh $build -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false
ninja -C $build fuzz

if [ $# = 0 ]; then
    mapfile -t targets < <(tools/sources.sh fuzz | sed 's|.*/fuzz_\(.*\)\.c$|\1|')
else
    targets=("$@")
fi
[ ${#targets[@]} -gt 0 ] || {
    echo "no fuzz targets in tests/fuzz" >&2
    exit 1
}

failed=()
for target in "${targets[@]}"; do
    seed=tests/fuzz/corpus/$target
    found=$build/corpus/$target
    mkdir -p "$seed" "$found"
    if [ "${MERGE:-}" = 1 ]; then
        what=(-merge=1 "$seed" "$found")
    else
        what=("-max_total_time=$seconds" "$found" "$seed")
    fi
    echo "== $target"
    ASAN_SYMBOLIZER_PATH=$symbolizer UBSAN_OPTIONS=print_stacktrace=1 \
        "$build/tests/fuzz-$target" -print_final_stats=1 -timeout=10 -rss_limit_mb=1024 \
        -artifact_prefix="$build/$target-" "${what[@]}" || failed+=("$target")
done

echo "${#targets[@]} targets, ${#failed[@]} failed${failed[*]:+: ${failed[*]}}"
[ ${#failed[@]} = 0 ]
