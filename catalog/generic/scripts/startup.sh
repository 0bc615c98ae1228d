#!/bin/bash
# What the service says that a node shall do once in its life, before any script of the release.
set -u
[ -n "${LACE_SETTING_STARTUP:-}" ] || exit 0
set -a
# shellcheck source=/dev/null
. /run/generic.env
export HOME=${HOME:-/root}
cd "$HOME" || exit 1
exec bash /run/startup.sh </dev/null
