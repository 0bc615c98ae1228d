#!/bin/sh
# build.sh OUTDIR: RabbitMQ as Debian packages it, unpacked and not installed,
# with the parts of Erlang/OTP that it wants beyond erlang-base, -crypto,
# -inets, -mnesia, -public-key, -runtime-tools, -ssl and -tools.
set -eu
out=${1:-}
if [ $# -ne 1 ]; then
    echo "usage: build.sh OUTDIR" >&2
    exit 2
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# apt fetches as a user of its own.
chmod 0755 "$work"
mkdir "$work/debs" "$work/tree"
chmod 0777 "$work/debs"
fetch() {
    (cd "$work/debs" && apt-get -qq download rabbitmq-server erlang-eldap erlang-os-mon erlang-syntax-tools erlang-xmerl)
}
# The usual reason is a machine that never read apt's lists.
fetch || { apt-get -qq update && fetch; }
for deb in "$work"/debs/*.deb; do
    dpkg-deb -x "$deb" "$work/tree"
done
mkdir -p "$out.new"
cp -a "$work"/tree/usr/lib/rabbitmq/lib/rabbitmq_server-*/. "$out.new/"
cp -a "$work/tree/usr/lib/erlang/lib" "$out.new/erlang"
basename "$work"/tree/usr/lib/rabbitmq/lib/rabbitmq_server-* | sed 's/.*-//' >"$out.new/VERSION"
rm -rf "$out"
mv "$out.new" "$out"
