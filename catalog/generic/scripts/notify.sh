#!/bin/bash
# The nodes of the service are others than before: notify.sh begins as soon as no script runs. What is not told in this time
# is told later: whoever asks for this asks again.
set -u
for ((tries = 0; tries < 40; tries++)); do
    if "${0%/*}/idle.sh" 2>/dev/null; then exec "${0%/*}/ask.sh"; fi
    sleep 1
done
exec "${0%/*}/idle.sh"
