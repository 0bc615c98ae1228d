#!/usr/bin/env bash
# All that there is to test; `make test` and .ci/run come here. One build, used
# by every stage that follows it. LACE_TEST_LONG=1 runs the long versions too.
set -euo pipefail
cd "$(dirname -- "$(readlink -f -- "$0")")/.."

target=${CARGO_TARGET_DIR:-target}
results=$target/nextest.log
profile=ci
declare -a selection=()
if [ "${LACE_TEST_LONG:-}" = 1 ]; then
    profile=long
    selection=(--run-ignored all)
fi

stage() { scripts/stage.sh "$@"; }

shell_scripts() {
    git ls-files --cached --others --exclude-standard | while read -r file; do
        if [ -f "$file" ] && head -c 64 "$file" | head -n 1 | grep -qE '^#!(/bin/sh|.*\bbash)'; then
            echo "$file"
        fi
    done
}

# Where somebody else than root types this, what is built stays theirs, and the tests alone run as root.
run_tests() {
    if [ "$(id -u)" != 0 ]; then
        local triple
        triple=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
        export "CARGO_TARGET_${triple}_RUNNER=$PWD/scripts/as-root.sh"
    fi
    cargo nextest run --workspace --locked --cargo-profile ci --profile "$profile" \
        ${selection[@]+"${selection[@]}"} 2>&1 | tee "$results"
}

has_doctests() {
    grep -rqE --include='*.rs' '^[[:space:]]*//[/!] ```(rust|no_run|should_panic|compile_fail)?$' crates/*/src
}

check_shell() {
    local -a files
    mapfile -t files < <(shell_scripts)
    shellcheck -- "${files[@]}"
}
export -f check_shell shell_scripts

if [ "$(id -u)" != 0 ]; then
    sudo -v || {
        echo "make test: light nodes need root or sudo" >&2
        exit 2
    }
    # A build may take longer than sudo remembers.
    while sleep 60; do sudo -n -v; done &
    remembers=$!
    trap 'kill "$remembers" 2>/dev/null || true' EXIT
fi
if [ "$profile" = long ]; then scripts/install.sh --for long; else scripts/install.sh --for test; fi
mkdir -p "$target"
: >"$results"
stage "format" 5 cargo fmt --all --check
stage "shell scripts" 5 bash -c check_shell
stage "bundle" 15 scripts/bundle.sh
stage "tidy" 40 cargo run --quiet --locked --profile ci -p xtask -- tidy
stage "clippy" 240 cargo clippy --workspace --all-targets --locked --profile ci -- -D warnings
stage "build" 420 cargo nextest run --workspace --locked --cargo-profile ci --no-run
stage --show "tests" 300 bash -c "$(declare -p profile selection results); $(declare -f run_tests)
set -euo pipefail; run_tests"
if has_doctests; then
    stage "documentation examples" 60 cargo test --doc --workspace --locked --profile ci
fi
if [ "${LACE_TEST_LONG:-}" = 1 ]; then
    stage "ball by itself" 20 scripts/ball-failover.sh
    stage "limits on cgroup v2" 180 scripts/cgroup2.sh
fi
