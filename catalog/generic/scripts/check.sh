#!/bin/bash
# Ready where requests are heard and init.sh has done its work. Where somebody interrupted it, it has.
set -eu
home=/run/generic
[ -p "$home/requests" ] || { echo 'the process is not up yet' >&2; exit 1; }
[ ! -e "$home/init.interrupted" ] || exit 0
state=$(cat "$home/init.state" 2>/dev/null || true)
case $state in
'' | 'stopped (return code 0)') exit 0 ;;
running) echo 'init.sh still runs' >&2 ;;
*) echo "init.sh failed: return code ${state//[!0-9]/}; lace logs $LACE_APP/$LACE_SERVICE" >&2 ;;
esac
exit 1
