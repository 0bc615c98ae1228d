#!/bin/bash
# Ends with 0 where no script runs.
set -eu
cd /run/generic
for state in *.state; do
    [ -e "$state" ] || continue
    if [ "$(cat "$state")" = running ]; then
        echo "${state%.state}.sh still runs: wait for its end, or: lace service action $LACE_APP/$LACE_SERVICE interrupt" >&2
        exit 1
    fi
done
[ ! -e interrupting ] || { echo 'an interrupt is under way' >&2; exit 1; }
