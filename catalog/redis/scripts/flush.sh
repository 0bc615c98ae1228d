#!/bin/sh
# Forgets the keys of one database; replicas forget them too.
set -eu
# shellcheck source=/dev/null
. /package/scripts/ask.sh
redis-cli -e -h "$(primary)" -p "$LACE_PORT_REDIS" -n "$LACE_PARAMETER_DATABASE" flushdb
