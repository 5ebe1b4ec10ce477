#!/bin/bash
# aws-lc.sh: has AWS-LC, the TLS library, as static libraries under build/deps/aws-lc.
#
# Debian 12 has no package of it. Debian unstable's librust-aws-lc-sys-dev carries its
# whole source: apt fetches that one file through a private list of sources and checks
# its signature; it is unpacked here and built with cmake and ninja, and kept, so that a build
# with other flags is of the same version. Nothing of that suite is installed, and the
# machine's own apt state is not touched.
#
# Prints the prefix (include/, lib/, VERSION) on its standard output, progress on the other.
#   AWS_LC_PREFIX=dir   take this built one
#   AWS_LC_SOURCE=dir   build this source tree
#   AWS_LC_FLAGS=...    compile it with these flags as well (tools/release.sh)
#   REPRISE_DEPS=dir    keep it here instead of build/deps
set -euo pipefail

tools=$(cd "$(dirname "$0")" && pwd)
package=librust-aws-lc-sys-dev
flags=${AWS_LC_FLAGS:-}
known_good=$tools/aws-lc.version
deps=${REPRISE_DEPS:-$tools/../build/deps}

say() { printf 'aws-lc: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# Prints the version of the AWS-LC whose include folder is $1.
header_version() {
    sed -n 's/^#define AWSLC_VERSION_NUMBER_STRING "\(.*\)"$/\1/p' "$1/openssl/base.h" 2>/dev/null
}

known() { sed -n "s/^$1 //p" "$known_good"; }

# The user's own: only looked at.
use_prefix() {
    local prefix lib
    prefix=$(cd "$1" 2>/dev/null && pwd) || die "AWS_LC_PREFIX=$1: no such folder"
    [ -n "$(header_version "$prefix/include")" ] ||
        die "AWS_LC_PREFIX=$1: its include/openssl/base.h is not AWS-LC's"
    for lib in lib lib64; do
        if [ -f "$prefix/$lib/libssl.a" ] && [ -f "$prefix/$lib/libcrypto.a" ]; then
            echo "$prefix"
            return
        fi
    done
    die "AWS_LC_PREFIX=$1: no libssl.a and libcrypto.a in its lib or lib64"
}

# Prints "URI<tab>keyring" for each Debian archive that this machine's apt knows, the
# likely one first. apt itself reads its configuration, in whichever form it is; the
# keyring (empty: apt's default ones) is read from the entry that apt points at.
archives() {
    local suite uri entry release component keyring
    # shellcheck source=/dev/null
    suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2016 # $(...) is apt's own
    apt-get indextargets --no-release-info 'Created-By: Packages' 'Target-Of: deb' \
        --format '$(REPO_URI) $(SOURCESENTRY) $(RELEASE) $(COMPONENT)' |
        while read -r uri entry release component; do
            [ "$component" = main ] || continue
            case $uri in cdrom:* | *debian-security*) continue ;; esac
            case $release in
            "$suite" | stable | oldstable | testing | unstable | sid | trixie | forky) ;;
            *) continue ;;
            esac
            keyring=$(signed_by "${entry%:*}" "${entry##*:}")
            printf '%s\t%s\n' "$uri" "$keyring"
        done | awk '!seen[$0]++'
}

# Prints the keyring that entry $2 of the sources file $1 names: a paragraph's number in
# the deb822 form, a line's number in the older one.
signed_by() {
    case $1 in
    *.sources)
        awk -v want="$2" '
            /^[[:space:]]*$/ { inside = 0; next }
            /^#/ { next }
            !inside { inside = 1; n++ }
            n == want && tolower($1) == "signed-by:" { print $2 }' "$1"
        ;;
    *) sed -n "$2s/^deb[[:space:]]*\[[^]]*signed-by=\([^] ]*\).*/\1/Ip" "$1" ;;
    esac
}

past_date=()

# apt-get on the private list of sources: its lists, cache and pins are its own, its
# proxies and mirrors the machine's.
private_apt() {
    local options=(
        -o "Dir::Etc::sourcelist=$work/unstable.sources"
        -o Dir::Etc::sourceparts=-
        -o Dir::Etc::preferences=/dev/null
        -o Dir::Etc::preferencesparts=/dev/null
        -o "Dir::State::lists=$work/lists"
        -o "Dir::Cache=$work/cache"
        -o APT::Default-Release=
        -o APT::Update::Error-Mode=any
        -o Acquire::AllowInsecureRepositories=false
        -o APT::Get::AllowUnauthenticated=false
        -o Acquire::Languages=none
        -o Acquire::Retries=2
        -o Acquire::http::Timeout=30
        -o Acquire::https::Timeout=30
    )
    [ "$(id -u)" != 0 ] || options+=(-o APT::Sandbox::User=root)
    apt-get -q "${options[@]}" "${past_date[@]}" "$@"
}

# Fetches the package from the archive at $1, signed by the keyring $2, as $kept.
fetch_from() {
    local deb
    rm -rf "${work:?}"/*
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/package"
    {
        printf 'Types: deb\nURIs: %s\nSuites: sid\nComponents: main\nTargets: Packages\n' "$1"
        printf 'Architectures: %s\n' "$(dpkg --print-architecture)"
        [ -z "$2" ] || printf 'Signed-By: %s\n' "$2"
    } >"$work/unstable.sources"
    say "fetching $package from $1 (unstable)"
    if ! private_apt update >>"$log" 2>&1; then
        grep -q 'Release file .* is expired' "$log" || return 1
        say "its list is past its date: a mirror that stands still. The signature is checked all the same"
        past_date=(-o Acquire::Check-Valid-Until=false)
        private_apt update >>"$log" 2>&1 || return 1
    fi
    (cd "$work/package" && private_apt download "$package" >>"$log" 2>&1) || return 1
    deb=$(echo "$work"/package/*.deb)
    [ -f "$deb" ] || return 1
    mv "$deb" "$kept"
    rm -rf "$work/lists" "$work/cache" "$work/package"
}

fetch() {
    local uri keyring
    while IFS=$'\t' read -r uri keyring; do
        ! fetch_from "$uri" "$keyring" || return 0
    done < <(archives 2>>"$log")
    sed 's/^/aws-lc:   /' "$log" | grep -E '(E|W|Err):' | tail -n 5 >&2 || true
    die "AWS-LC's source cannot be fetched: no Debian archive of /etc/apt was reached." \
        "Try again with the network up, or give AWS_LC_SOURCE=<source tree> or AWS_LC_PREFIX=<built one> (all of it: $log)"
}

# Sets `source` to the source tree in the package.
unpack() {
    if ! package_version=$(dpkg-deb -f "$kept" Version) || ! dpkg-deb -x "$kept" "$work/tree"; then
        die "$kept is damaged: remove it and try again"
    fi
    source=$(echo "$work"/tree/usr/share/cargo/registry/aws-lc-sys-*/aws-lc)
    [ -f "$source/CMakeLists.txt" ] || die "$kept ($package_version) holds no AWS-LC source"
}

# Builds the tree $1 and installs it as $prefix.
build() {
    local options=(
        -GNinja -DCMAKE_BUILD_TYPE=Release -DCMAKE_POSITION_INDEPENDENT_CODE=ON
        -DCMAKE_INSTALL_PREFIX="$stage" -DCMAKE_INSTALL_LIBDIR=lib
        -DBUILD_LIBSSL=ON -DBUILD_TESTING=OFF -DBUILD_TOOL=OFF -DBUILD_SHARED_LIBS=OFF
        -DDISABLE_GO=ON -DDISABLE_PERL=ON
    )
    [ -z "$flags" ] || options+=("-DCMAKE_C_FLAGS=$flags" "-DCMAKE_CXX_FLAGS=$flags")
    say "building AWS-LC $(header_version "$1/include")${flags:+ with $flags} (about a minute)"
    rm -rf "$work/build" "$stage"
    CC=gcc CXX=g++ cmake "${options[@]}" -S "$1" -B "$work/build" >>"$log" 2>&1 || failed
    if [ -t 2 ]; then
        NINJA_STATUS='aws-lc: [%f/%t] ' ninja -C "$work/build" >&2 || failed
    else
        ninja -C "$work/build" >>"$log" 2>&1 || failed
    fi
    cmake --install "$work/build" >>"$log" 2>&1 || failed
    [ -f "$stage/lib/libssl.a" ] || failed
    [ -f "$stage/lib/libcrypto.a" ] || failed
}

failed() {
    tail -n 20 "$log" >&2
    die "the build failed (all of it: $log)"
}

# Says when it is not the version that is known to be good.
compare() {
    local version=$1 package_version=$2
    if [ -n "$package_version" ] && [ "$package_version" != "$(known package)" ]; then
        say "the archive has moved on: $package $package_version (AWS-LC $version);" \
            "known to be good is $(known package) (AWS-LC $(known aws-lc)). Building with the newer one."
    elif [ -z "$package_version" ] && [ "$version" != "$(known aws-lc)" ]; then
        say "this is AWS-LC $version; known to be good is $(known aws-lc)"
    fi
}

if [ -n "${AWS_LC_PREFIX:-}" ]; then
    use_prefix "$AWS_LC_PREFIX"
    exit
fi

mkdir -p "$deps" || die "cannot make $deps"
deps=$(cd "$deps" && pwd)
prefix=$deps/aws-lc
kept=$deps/$package.deb
# What the installed one was made from; another AWS_LC_SOURCE is another one.
origin=${AWS_LC_SOURCE:-archive}${flags:+ $flags}
is_there() { [ -f "$prefix/VERSION" ] && [ "$(cat "$prefix/ORIGIN" 2>/dev/null)" = "$origin" ]; }

if ! is_there; then
    exec 9>"$deps/aws-lc.lock"
    flock 9
fi
if ! is_there; then
    work=$deps/aws-lc.work
    stage=$deps/aws-lc.new
    log=$deps/aws-lc.log
    mkdir -p "$work"
    : >"$log"
    package_version=
    if [ -n "${AWS_LC_SOURCE:-}" ]; then
        source=$(cd "$AWS_LC_SOURCE" 2>/dev/null && pwd) || die "AWS_LC_SOURCE=$AWS_LC_SOURCE: no such folder"
        if [ ! -f "$source/CMakeLists.txt" ] || [ -z "$(header_version "$source/include")" ]; then
            die "AWS_LC_SOURCE=$AWS_LC_SOURCE: not a source tree of AWS-LC"
        fi
    else
        # With flags it is the version that was built without.
        if [ -z "$flags" ] || [ ! -f "$kept" ]; then
            fetch
        fi
        unpack
    fi
    version=$(header_version "$source/include")
    compare "$version" "$package_version"
    build "$source"
    if [ -n "$package_version" ]; then
        printf '%s (%s %s)\n' "$version" "$package" "$package_version" >"$stage/VERSION"
    else
        printf '%s\n' "$version" >"$stage/VERSION"
    fi
    echo "$origin" >"$stage/ORIGIN"
    rm -rf "$prefix"
    mv "$stage" "$prefix"
    rm -rf "$work"
    say "AWS-LC $(cat "$prefix/VERSION") is in $prefix"
fi
echo "$prefix"
