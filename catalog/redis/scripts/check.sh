#!/bin/sh
# The primary answers; a replica has its primary too; a sentinel answers.
set -eu
# shellcheck source=/dev/null
. /package/scripts/ask.sh
if [ "$LACE_ROLE" = sentinel ]; then
    [ "$(timeout 2 redis-cli -p "$LACE_PORT_SENTINEL" ping)" = PONG ]
    exit
fi
[ "$(timeout 2 redis-cli -p "$LACE_PORT_REDIS" ping)" = PONG ] || exit 1
[ "$(said role)" = slave ] || exit 0
[ "$(said master_link_status)" != up ] || exit 0
echo 'the primary is not followed yet' >&2
exit 1
