#!/bin/sh
# Forgets the keys of one database; replicas forget them too.
set -eu
REDISCLI_AUTH=$LACE_PASSWORD_REDIS
export REDISCLI_AUTH
redis-cli -p "$LACE_PORT_REDIS" -n "$LACE_PARAMETER_DATABASE" flushdb
