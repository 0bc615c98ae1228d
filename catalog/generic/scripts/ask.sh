#!/bin/bash
# Asks the node's process for the script that is called like the verb, and waits until it has begun.
set -eu
home=/run/generic
id=$$.$RANDOM
[ -p "$home/requests" ] || { echo 'the process of the node is not up' >&2; exit 1; }
printf '%s\n' "${LACE_PARAMETER_PARAMETERS:-}" >"$home/words.$id"
# Opened for both, so that nobody waits here for a reader that went away.
printf '%s %s\n' "$id" "$LACE_VERB" 1<>"$home/requests"
for ((tries = 0; tries < 400; tries++)); do
    if [ -e "$home/answer.$id" ]; then
        answer=$(cat "$home/answer.$id")
        rm -f "$home/answer.$id"
        [ "$answer" != ok ] || exit 0
        echo "$answer" >&2
        exit 1
    fi
    sleep 0.05
done
echo 'the process of the node does not answer' >&2
exit 1
