#!/bin/bash
# Ready where requests are heard, unless init.sh has failed. One that was interrupted has not.
set -eu
[ -p /run/generic/requests ] || { echo 'the process is not up yet' >&2; exit 1; }
state=$(cat /run/generic/init.state 2>/dev/null || true)
case $state in
'stopped (return code '*)
    code=${state//[!0-9]/}
    case $code in
    0 | 137 | 143) exit 0 ;;
    esac
    echo "init.sh failed: return code $code; lace logs $LACE_APP/$LACE_SERVICE" >&2
    exit 1
    ;;
esac
