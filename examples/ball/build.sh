#!/bin/sh
# build.sh VERSION OUTDIR [TLS]: makes the release `ball` with its runtime in OUTDIR.
#
# 1.0.0 and 2.0.0 are good, 3.x is bad on purpose (see court_score.erl). With TLS
# `true` it carries what Erlang distribution over TLS takes. Needs erlc and escript
# (Debian: erlang-base; for TLS erlang-ssl) and nothing from a package index.
set -eu

here=$(dirname -- "$(readlink -f -- "$0")")
version=${1:-} out=${2:-} tls=${3:-false}
if [ $# -lt 2 ] || [ $# -gt 3 ] || [ -z "$version" ] || [ -z "$out" ]; then
    echo "usage: build.sh VERSION OUTDIR [true]   (versions: 1.0.0, 2.0.0, and 3.0.0 which crashes; true: with TLS)" >&2
    exit 2
fi
case $out in
    /*) ;;
    *) out=$PWD/$out ;;
esac
case $version in
    *[!0-9.]*) echo "build.sh: version '$version' is not a version like 1.0.0" >&2 && exit 2 ;;
esac
for tool in erlc escript; do
    if ! command -v "$tool" >/dev/null; then
        echo "build.sh: $tool is missing: scripts/install.sh --for demo" >&2
        exit 2
    fi
done
if [ -e "$out" ] && [ ! -e "$out/releases/start_erl.data" ] && [ -n "$(ls -A "$out")" ]; then
    echo "build.sh: $out is there and is not a release: choose another directory" >&2
    exit 2
fi

flags=
case $version in
    3.*) flags=-DBROKEN ;;
esac

# Built beside its place and moved in one step, so that nobody sees half of it.
mkdir -p "$(dirname -- "$out")"
new=$out.new.$$
trap 'rm -rf "$new"' EXIT
rm -rf "$new"
for app in ball court; do
    ebin=$new/lib/$app-$version/ebin
    mkdir -p "$ebin"
    sed "s/@VSN@/$version/" "$here/src/$app/$app.app.in" >"$ebin/$app.app"
    # shellcheck disable=SC2086  # no flag or one
    erlc -Werror +deterministic +debug_info $flags -o "$ebin" "$here/src/$app"/*.erl
done
escript "$here/release/assemble.escript" "$version" "$new" "$tls"
mkdir -p "$new/bin"
cp "$here/release/sys.config" "$here/release/vm.args" "$new/releases/$version/"
cp "$here/release/ball.sh" "$new/bin/ball"
chmod 0755 "$new/bin/ball"
rm -rf "$out"
mv "$new" "$out"
