#!/usr/bin/env bash
# stage.sh [--show] NAME SECONDS COMMAND...: runs one stage of make.
#
# Says what it does and about how long that takes: as long as last time on this
# checkout, or SECONDS on two cores at the first time. The output of COMMAND is
# shown on a terminal and with --show; otherwise it is kept in target/stages and
# its end is shown when COMMAND fails.
set -euo pipefail

show=no
if [ "$1" = --show ]; then show=yes && shift; fi
name=$1 seconds=$2
shift 2
if [ -t 1 ]; then show=yes; fi

stages=${CARGO_TARGET_DIR:-target}/stages
mkdir -p "$stages"
file=$stages/${name//[^a-zA-Z0-9]/-}

estimate=$((seconds * 2 / $(nproc) + 1))
if [ -s "$file.seconds" ]; then estimate=$(cat "$file.seconds"); fi
printf '== %s (about %s s)\n' "$name" "$estimate"

tick() {
    while sleep 30; do printf '   %s: %d s of about %s s\n' "$name" "$SECONDS" "$estimate"; done
}

SECONDS=0
status=0
if [ "$show" = yes ]; then
    "$@" || status=$?
else
    # In a process group of its own, so that its `sleep` goes with it.
    set -m
    tick &
    ticker=$!
    set +m
    trap 'kill -- "-$ticker" 2>/dev/null || true' EXIT
    "$@" >"$file.log" 2>&1 || status=$?
fi
if [ "$status" = 0 ]; then
    echo "$SECONDS" >"$file.seconds"
    printf '== %s: done in %d s\n' "$name" "$SECONDS"
else
    if [ "$show" = no ]; then tail -n 80 "$file.log"; fi
    printf '== %s: FAILED after %d s (exit %d)\n' "$name" "$SECONDS" "$status"
    exit "$status"
fi
