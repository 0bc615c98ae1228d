#!/bin/bash
# Ends with 0 where no script runs, and nothing that one left at work. What init.sh left is there for the others.
set -eu
cd /run/generic
how="lace service action $LACE_APP/$LACE_SERVICE interrupt"
for state in *.state; do
    [ -e "$state" ] || continue
    if [ "$(cat "$state")" = running ]; then
        echo "${state%.state}.sh still runs: wait for its end, or: $how" >&2
        exit 1
    fi
done
[ ! -e interrupting ] || { echo 'an interrupt is under way' >&2; exit 1; }
for name in run notify interrupt cleanup; do
    if grep -Eqsz "^LACE_GENERIC=$name\$" /proc/[0-9]*/environ; then
        echo "$name.sh has ended, and what it began still runs: wait for its end, or: $how" >&2
        exit 1
    fi
done
