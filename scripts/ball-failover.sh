#!/usr/bin/env bash
# Proves examples/ball by itself, without Lace: three nodes in network
# namespaces of their own, kernel `distributed`, a killed first node (failover)
# that comes back (takeover), one version after the other, and the bad one.
# Needs root and erlang-base. Leaves nothing behind.
set -euo pipefail

repo=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")
work=$(mktemp -d)
net=10.231.7
prefix=lacetry$$
declare -a running=()

say() { printf '[%6.2f s] %s\n' "$(since "$began")" "$*"; }
since() { awk -v a="$1" -v b="$(date +%s.%N)" 'BEGIN { printf "%.2f", b - a }'; }

clean_up() {
    local pid n
    for pid in "${running[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    for n in hub 1 2 3; do ip netns del "$prefix-$n" 2>/dev/null || true; done
    rm -rf "$work"
}

# A bridge in a namespace of its own, so that the host's network stays as it is.
make_network() {
    local n
    ip netns add "$prefix-hub"
    ip -n "$prefix-hub" link add name bridge0 type bridge
    ip -n "$prefix-hub" link set bridge0 up
    for n in 1 2 3; do
        ip netns add "$prefix-$n"
        ip -n "$prefix-hub" link add "port$n" type veth peer name eth0 netns "$prefix-$n"
        ip -n "$prefix-hub" link set "port$n" master bridge0 up
        ip -n "$prefix-$n" address add "$net.$n/24" dev eth0
        ip -n "$prefix-$n" link set lo up
        ip -n "$prefix-$n" link set eth0 up
    done
}

write_config() { # N
    local others=() n
    for n in 1 2 3; do
        if [ "$n" != "$1" ]; then others+=("'ball@$net.$n'"); fi
    done
    mkdir -p "$work/$1"
    cat >"$work/$1/peers.config" <<CONFIG
[{kernel, [{distributed, [{ball, 0, ['ball@$net.1', {'ball@$net.2', 'ball@$net.3'}]}]},
           {sync_nodes_mandatory, []},
           {sync_nodes_optional, [${others[0]}, ${others[1]}]},
           {sync_nodes_timeout, 5000}]}].
CONFIG
}

become_ball() { # N COMMAND...: this process turns into bin/ball of node N
    local n=$1
    shift
    exec ip netns exec "$prefix-$n" env -i PATH="$PATH" HOME="$work/$n" LACE_COOKIE=thesame \
        LACE_NODE_NAME="ball@$net.$n" ERL_DIST_PORT=9100 LACE_SYS_CONFIG="$work/$n/peers.config" \
        ERL_ZFLAGS='-kernel net_ticktime 8' "$work/$version/bin/ball" "$@"
}

ball() { (become_ball "$@"); }

start() { # N
    become_ball "$1" foreground >>"$work/$1/out" 2>&1 &
    running[$1]=$!
}

runs_on() { ball "$1" rpc ball_srv ask 2>/dev/null || true; }

wait_for() { # SECONDS N PATTERN
    local answer='' end=$((SECONDS + $1))
    while [ "$SECONDS" -lt "$end" ]; do
        answer=$(runs_on "$2")
        # shellcheck disable=SC2053  # a pattern on purpose
        if [[ $answer == $3 ]]; then say "node $2 says $answer" && return 0; fi
        sleep 0.05
    done
    say "node $2 says '$answer' instead of $3" >&2
    tail -n 20 "$work"/*/out >&2
    return 1
}

kill_node() { # N
    kill -KILL "${running[$1]}"
    wait "${running[$1]}" 2>/dev/null || true
}

began=$(date +%s.%N)
if [ "$(id -u)" != 0 ]; then echo "ball-failover.sh: needs root for network namespaces" >&2 && exit 2; fi
trap clean_up EXIT
for version in 1.0.0 2.0.0 3.0.0; do "$repo/examples/ball/build.sh" "$version" "$work/$version"; done
chmod -R a-w "$work"/?.0.0
say "built three versions"
make_network
version=1.0.0
for n in 1 2 3; do write_config "$n"; done

for n in 1 2 3; do start "$n"; done
wait_for 15 3 "{'ball@$net.1',normal,*,\"1.0.0\"}"
say "nodes seen by the second: $(ball 2 eval 'lists:sort([node() | nodes()])')"

kill_node 1
say "killed node 1"
wait_for 15 3 "{'ball@$net.[23]',normal,*,\"1.0.0\"}"
start 1
say "started node 1 again"
wait_for 15 3 "{'ball@$net.1',{takeover,'ball@$net.[23]'},*,\"1.0.0\"}"

version=2.0.0
for n in 3 2 1; do
    ball "$n" stop >/dev/null
    wait "${running[$n]}" || true
    start "$n"
    wait_for 15 "$n" "{'ball@$net.?',*}"
done
wait_for 15 3 "{'ball@$net.1',{takeover,*},*,\"2.0.0\"}"
ip netns exec "$prefix-2" curl -fsS --max-time 2 "http://$net.1:8080/"

version=3.0.0
ball 3 stop >/dev/null || true
crashed=$(date +%s.%N)
if ball 3 foreground >"$work/3/bad" 2>&1; then echo "version 3.0.0 did not crash" >&2 && exit 1; fi
say "version 3.0.0 ended after $(since "$crashed") s: $(tail -n 1 "$work/3/bad" | cut -d' ' -f2-)"
say "ok"
