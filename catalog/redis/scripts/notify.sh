#!/bin/sh
# What can change while it runs: whom it follows, and how much it keeps. Everything stands in the rendered configuration.
set -eu
# shellcheck source=/dev/null
. /package/scripts/ask.sh
conf=/run/redis.conf
ask() {
    timeout 5 redis-cli -e -p "$LACE_PORT_REDIS" "$@"
}
word() {
    awk -v key="$1" '$1 == key { print $2 }' "$conf"
}
if [ "$LACE_ROLE" = sentinel ]; then
    quorum=$(awk '$2 == "monitor" { print $6 }' /run/sentinel.conf)
    after=$(awk '$2 == "down-after-milliseconds" { print $4 }' /run/sentinel.conf)
    timeout 5 redis-cli -e -p "$LACE_PORT_SENTINEL" sentinel set main quorum "$quorum" down-after-milliseconds "$after"
    exit
fi
ask config set maxmemory "$(word maxmemory)" maxmemory-policy "$(word maxmemory-policy)"
# With sentinels it is theirs to say who follows whom.
[ ! -s /run/sentinels ] || exit 0
[ "$LACE_ROLE" = replica ] || exit 0
primary=$(awk '$1 == "replicaof" { print $2, $3 }' "$conf")
# shellcheck disable=SC2086  # host and port are two words
[ -z "$primary" ] || ask replicaof $primary
