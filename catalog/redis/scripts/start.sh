#!/bin/sh
# redis in the foreground, on the configuration that Lace rendered; with sentinels it follows whom they have elected.
set -eu
# shellcheck source=/dev/null
. /package/scripts/ask.sh
umask 077
home=/var/lib/redis
if [ "$LACE_ROLE" = sentinel ]; then
    # What sentinels have found out is kept over restarts; what Lace says of passwords and times goes first.
    live=$home/sentinel.conf
    touch "$live"
    monitored=$(awk '$1 == "sentinel" && $2 == "monitor" { print $4, $5 }' "$live")
    awk -v monitored="$monitored" '$2 == "monitor" && monitored != "" { print $1, $2, $3, monitored, $6; next } { print }' /run/sentinel.conf >"$live.new"
    grep -E '^sentinel (myid|config-epoch|leader-epoch|current-epoch|known-)' "$live" >>"$live.new" || true
    mv "$live.new" "$live"
    exec redis-server "$live" --sentinel
fi
conf=/run/redis-live.conf
cp /run/redis.conf "$conf"
if [ -s /run/sentinels ]; then
    found=$(elected)
    own=$(hostname -I)
    case " $own " in
        *" ${found:-none} "*) sed -i '/^replicaof /d' "$conf" ;;
        *) if [ -n "$found" ]; then
            sed -i '/^replicaof /d' "$conf"
            echo "replicaof $found $LACE_PORT_REDIS" >>"$conf"
        fi ;;
    esac
fi
set -- "$conf"
if [ -e "$home/restore.rdb" ]; then
    # A copy that is being restored: until it is whole in memory, nothing else is read.
    cp "$home/restore.rdb" "$home/dump.rdb"
    rm -rf "$home/appendonlydir"
    set -- "$conf" --appendonly no
fi
exec redis-server "$@"
