#!/bin/sh
# All that the current primary holds, as an RDB file.
set -eu
# shellcheck source=/dev/null
. /package/scripts/ask.sh
exec redis-cli -h "$(primary)" -p "$LACE_PORT_REDIS" --rdb -
