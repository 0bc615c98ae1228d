#!/bin/sh
# redis in the foreground, on the configuration that Lace rendered.
set -eu
exec redis-server /run/redis.conf
