#!/bin/sh
# Read by the other scripts: how this node, and others, are asked.
REDISCLI_AUTH=$LACE_PASSWORD_REDIS
export REDISCLI_AUTH
# What a node says of replication: `said WORD [HOST]`.
said() {
    timeout 5 redis-cli -h "${2:-127.0.0.1}" -p "$LACE_PORT_REDIS" info replication | tr -d '\r' | awk -F : -v word="$1" '$1 == word { print $2 }'
}
# The address of the current primary as this node knows it; its own is 127.0.0.1.
primary() {
    if [ "$(said role)" = master ]; then echo 127.0.0.1; else said master_host; fi
}
# The address that most sentinels call the primary; nothing where none answers.
elected() {
    while read -r sentinel; do
        timeout 2 redis-cli -h "$sentinel" -p "$LACE_PORT_SENTINEL" sentinel get-master-addr-by-name main 2>/dev/null | head -n 1
    done </run/sentinels | grep -E '^[0-9.]+$' | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }'
}
