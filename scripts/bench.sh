#!/bin/sh
# Runs the benchmarks; each prints its figures beside what they should be, and
# beside a peer where one is installed.
#
#   scripts/bench.sh [--build] [--quick] [--only FIGURE] [NAME...]
#
# Names: main_job, nodes, store, planner, names, proxies, beam; all where none is said.
# --quick bounds main_job to ten nodes and few rounds; --only takes one
# figure of it: cold-start, at-rest, single, exec, nodes-COUNT, crashing or
# beam. --build builds and runs nothing. Needs root to run.
set -eu

every='main_job nodes store planner names proxies beam'
build=no quick='' only='' names=''
while [ $# -gt 0 ]; do
    word=$1 && shift
    case $word in
        --build) build=yes ;;
        --quick) quick=--quick ;;
        --only) only=${1:?'--only wants a figure'} names=main_job && shift ;;
        -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0" && exit 0 ;;
        main_job | nodes | store | planner | names | proxies | beam) names="$names $word" ;;
        *) echo "bench: there is no '$word': choose from $every" >&2 && exit 2 ;;
    esac
done
if [ "$build" = no ] && [ "$(id -u)" != 0 ]; then
    if ! sudo -v; then
        echo 'bench: light nodes need root or sudo' >&2
        exit 2
    fi
    # Cargo stays with whoever has it; what it runs is root's.
    triple=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
    export "CARGO_TARGET_${triple}_RUNNER=sudo -E"
fi

example() { # CRATE EXAMPLE
    if [ "$build" = yes ]; then
        cargo build --release --locked -p "$1" --example "$2"
    else
        cargo run --quiet --release --locked -p "$1" --example "$2"
    fi
}

beam() { # a runtime on the loopback, which ends with the figures
    [ "$build" = no ] || { example lace-beam calls && return; }
    port=$((20000 + $$ % 20000))
    erl -noinput -name bench@127.0.0.1 -setcookie figures -start_epmd false \
        -erl_epmd_port "$port" -kernel inet_dist_use_interface '{127,0,0,1}' &
    runtime=$!
    status=0
    cargo run --quiet --release --locked -p lace-beam --example calls -- \
        bench@127.0.0.1 "127.0.0.1:$port" figures || status=$?
    kill "$runtime"
    return "$status"
}

proxies() {
    if [ "$build" = yes ]; then
        cargo bench --locked -p lace-edge --bench proxies --no-run
    else
        cargo bench --quiet --locked -p lace-edge --bench proxies -- ${quick:+"$quick"}
    fi
}

main_job() {
    if [ "$build" = yes ]; then
        cargo bench --locked -p lace --bench main_job --no-run
    else
        cargo bench --quiet --locked -p lace --bench main_job -- ${quick:+"$quick"} ${only:+--only "$only"}
    fi
}

failed=''
for name in ${names:-$every}; do
    echo "== $name"
    case $name in
        main_job) main_job ;;
        nodes) example lace-machine start_bench ;;
        store) example lace-store bench ;;
        planner) example lace-planner decisions ;;
        names) example lace-edge lookups ;;
        proxies) proxies ;;
        beam) beam ;;
    esac || failed="$failed $name"
done
if [ -n "$failed" ]; then
    echo "bench: not measured as a whole:$failed" >&2
    exit 1
fi
