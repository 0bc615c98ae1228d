#!/bin/bash
# A line for each script: its name, and how it stands.
set -eu
for name in init notify run interrupt cleanup; do
    state=/run/generic/$name.state
    if [ -e "$state" ]; then echo "$name.sh $(cat "$state")"; else echo "$name.sh never started"; fi
done
