#!/bin/sh
# Figures of one node.
set -eu
# shellcheck source=/dev/null
. /package/scripts/ask.sh
[ "$LACE_ROLE" != sentinel ] || exit 0
redis-cli -p "$LACE_PORT_REDIS" info | tr -d '\r' | awk -F : '
    $1 == "role" { print "primary", $2 == "master" ? 1 : 0 }
    $1 == "connected_slaves" { print "connected_replicas", $2 }
    $1 ~ /^(connected_clients|used_memory|total_commands_processed|evicted_keys)$/ { print $1, $2 }
    $1 ~ /^db[0-9]+$/ { split($2, part, /[=,]/); keys += part[2] }
    END { print "keys", keys + 0 }'
