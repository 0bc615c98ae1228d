#!/bin/sh
# Becomes the process of the node. Settings are LACE_SETTING_NAME; /run/lace/context.json says everything else.
set -eu
while :; do
    cat /etc/@NAME@.conf
    sleep "${LACE_SETTING_EVERY:-5}"
done
