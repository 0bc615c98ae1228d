#!/bin/sh
# Runs when a rendered template or the members changed. LACE_CHANGED names what, one a line.
set -eu
printf 'changed: %s\n' "${LACE_CHANGED:-}"
