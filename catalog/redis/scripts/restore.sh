#!/bin/sh
# The primary starts anew with what the copy holds, and its replicas follow it there. A copy that redis cannot read changes nothing.
set -eu
# shellcheck source=/dev/null
. /package/scripts/ask.sh
ask() {
    timeout 5 redis-cli -p "$LACE_PORT_REDIS" "$@"
}
home=/var/lib/redis
# 75: another node shall be asked.
[ "$(said role)" = master ] || { echo 'this node is not the primary now' >&2; exit 75; }
trap 'rm -f "$home/restore.new"' EXIT
cat >"$home/restore.new"
redis-check-rdb "$home/restore.new" >/tmp/rdb.check 2>&1 || {
    echo "redis cannot read the copy: $(grep -v '^\[offset' /tmp/rdb.check | tail -n 1)" >&2
    exit 1
}
mv "$home/restore.new" "$home/restore.rdb"
before=$(ask info server | tr -d '\r' | awk -F : '$1 == "run_id" { print $2 }')
ask config set save '' >/dev/null
ask shutdown nosave >/dev/null 2>&1 || true
# It is started again by itself, and reads the copy.
while :; do
    now=$(ask info server 2>/dev/null | tr -d '\r' | awk -F : '$1 == "run_id" { print $2 }') || now=
    loading=$(ask info persistence 2>/dev/null | tr -d '\r' | awk -F : '$1 == "loading" { print $2 }') || loading=
    if [ -n "$now" ] && [ "$now" != "$before" ] && [ "$loading" = 0 ]; then break; fi
    sleep 0.2
done
if [ "$LACE_SETTING_APPEND" = true ]; then
    ask config set appendonly yes >/dev/null
    until ask info persistence | tr -d '\r' | grep -q '^aof_rewrite_in_progress:0'; do sleep 0.2; done
fi
rm -f "$home/restore.rdb" "$home/dump.rdb"
