#!/bin/sh
# What can change while it runs: whom it follows, and how much it keeps. Everything stands in the rendered configuration.
set -eu
conf=/run/redis.conf
REDISCLI_AUTH=$LACE_PASSWORD_REDIS
export REDISCLI_AUTH
ask() {
    timeout 5 redis-cli -p "$LACE_PORT_REDIS" "$@"
}
word() {
    awk -v key="$1" '$1 == key { print $2 }' "$conf"
}
ask config set maxmemory "$(word maxmemory)" maxmemory-policy "$(word maxmemory-policy)"
[ "$LACE_ROLE" = replica ] || exit 0
primary=$(awk '$1 == "replicaof" { print $2, $3 }' "$conf")
# shellcheck disable=SC2086  # host and port are two words
[ -z "$primary" ] || ask replicaof $primary
