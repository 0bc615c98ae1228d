#!/bin/sh
# The primary answers; a replica has its primary too.
set -eu
REDISCLI_AUTH=$LACE_PASSWORD_REDIS
export REDISCLI_AUTH
ask() {
    timeout 2 redis-cli -p "$LACE_PORT_REDIS" "$@"
}
[ "$(ask ping)" = PONG ] || exit 1
[ "$LACE_ROLE" = replica ] || exit 0
if ask info replication | grep -q '^master_link_status:up'; then exit 0; fi
echo 'the primary is not followed yet' >&2
exit 1
