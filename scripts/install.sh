#!/bin/sh
# Installs the Debian packages that a purpose needs and this machine lacks, and
# for tests moto, the simulator of EC2, and schemathesis, which tries an API by
# its description, into folders of their own.
#
#   scripts/install.sh [--for build|host|demo|test|long|bench] [--dry-run]
#                      [--background --status FILE]
#
# Names what it will install before it does. Exit status: 0 all there, 1 apt or
# cargo failed, 2 cannot even begin (no root, no apt-get), with what to do.
#
# With --background the checks are made at once, the work goes on after this
# script has returned, and FILE says how far it is, as one JSON object:
#   {"state":"running|done|failed","stage":"...","elapsed_s":3,"estimate_s":20,
#    "packages":["erlang-base"],"message":"","pid":123}
set -eu

nextest_version=0.9.143
moto_version=5.2.5
schemathesis_version=4.32.5
# Where nft and ip live, which a plain user's path leaves out.
PATH=$PATH:/usr/sbin:/sbin
purpose=demo dry_run=no background=no status_file='' worker=no worker_pid=$$

refuse() { # WHAT REMEDY
    echo "install: $1" >&2
    echo "install: $2" >&2
    write_status failed "$1"
    exit 2
}

usage() {
    sed -n '2,14s/^# \{0,1\}//p' "$0"
}

# One line per need: the program to look for, the package that brings it.
needs_of() {
    case $1 in
        build)
            printf '%s\n' 'gcc gcc' 'make make' 'git git' '/usr/include/stdlib.h libc6-dev' \
                'node nodejs' 'npm npm'
            ;;
        host)
            needs_of build
            printf '%s\n' 'nft nftables' 'ip iproute2'
            ;;
        demo)
            needs_of host
            printf '%s\n' 'erl erlang-base'
            ;;
        bench)
            needs_of demo
            printf '%s\n' 'bwrap bubblewrap' 'pdsh pdsh' 'unshare util-linux' 'curl curl' \
                '/usr/sbin/haproxy haproxy' '/usr/sbin/nginx nginx-light' 'wrk wrk'
            ;;
        test)
            needs_of bench
            printf '%s\n' 'shellcheck shellcheck' 'bsdtar libarchive-tools' 'zip zip' \
                'xz xz-utils' 'bzip2 bzip2' 'zstd zstd' 'script bsdutils' \
                'mix elixir' 'mkfs.ext4 e2fsprogs' \
                'pebble pebble' 'h2load nghttp2-client' \
                '/usr/sbin/sshd openssh-server' 'ssh-keygen openssh-client' 'strip binutils' \
                'chromium chromium' 'chromedriver chromium-driver' \
                '/usr/share/doc/python3-venv python3-venv'
            ;;
        long)
            needs_of test
            printf '%s\n' 'qemu-system-x86_64 qemu-system-x86' 'mmdebstrap mmdebstrap'
            ;;
    esac
}

missing_packages() {
    needs_of "$purpose" | while read -r probe package; do
        case $probe in
            /*) [ -e "$probe" ] || echo "$package" ;;
            *) command -v "$probe" >/dev/null 2>&1 || echo "$package" ;;
        esac
    done | tr '\n' ' '
}

needs_nextest() {
    case $purpose in test | long) ;; *) return 1 ;; esac
    ! cargo nextest --version >/dev/null 2>&1
}

# The package of rebar3 wants all of Erlang with its windows; the program itself wants none of it.
needs_rebar3() {
    case $purpose in test | long) ;; *) return 1 ;; esac
    ! command -v rebar3 >/dev/null 2>&1
}

# Programs from the Python package index, whichever one this machine's pip asks.
needs_python_tool() { # NAME VERSION PROGRAM
    case $purpose in test | long) ;; *) return 1 ;; esac
    [ ! -x "/usr/local/lib/lace-$1-$2/bin/$3" ] || [ ! -x "/usr/local/bin/$3" ]
}

needs_moto() { needs_python_tool moto "$moto_version" moto_server; }

needs_schemathesis() { needs_python_tool schemathesis "$schemathesis_version" schemathesis; }

# Of what does not come by apt: is anything missing?
needs_others() { needs_rebar3 || needs_moto || needs_schemathesis; }

elapsed() { echo $(($(date +%s) - began)); }

say() {
    if [ "$worker" = yes ]; then
        printf 'install: [%3d s] %s\n' "$(elapsed)" "$1"
    else
        printf 'install: %s\n' "$1"
    fi
}

json_text() { printf '%s' "$1" | tr '\n\t\r' '   ' | sed 's/\\/\\\\/g; s/"/\\"/g'; }

# Written beside and moved, so that a reader never sees half of it.
write_status() { # STATE MESSAGE
    [ -n "$status_file" ] || return 0
    list=$(for package in ${packages:-}; do printf '"%s",' "$package"; done)
    printf '{"state":"%s","stage":"%s","elapsed_s":%d,"estimate_s":%d,"packages":[%s],"message":"%s","pid":%d}\n' \
        "$1" "$(json_text "${stage:-}")" "$(elapsed)" "${estimate:-0}" "${list%,}" "$(json_text "$2")" "$worker_pid" \
        >"$status_file.$$"
    mv -f "$status_file.$$" "$status_file"
}

# Runs COMMAND with its output kept back; shows the stage, and seconds on a terminal.
run_stage() { # TEXT ESTIMATE_S COMMAND...
    stage=$1 estimate=$2
    shift 2
    say "$stage (about $estimate s)"
    write_status running ''
    stage_began=$(date +%s)
    "$@" >"$log" 2>&1 &
    job=$!
    while kill -0 "$job" 2>/dev/null; do
        if [ -t 1 ]; then
            printf '\r         %3d s of about %d s ' $(($(date +%s) - stage_began)) "$estimate"
        fi
        sleep 0.2
    done
    if [ -t 1 ]; then printf '\r%40s\r' ''; fi
    if wait "$job"; then return 0; fi
    tail -n 15 "$log" >&2
    return 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -y -qq \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Acquire::Retries=2 "$@"
}

# One question to apt: what it would do, into $answer. False when the lists of
# this machine do not know a package, or hold it back.
ask_apt() {
    # shellcheck disable=SC2086  # package names are words
    answer=$(as_root env LC_ALL=C apt-get --assume-no -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends $packages 2>&1) || :
    case $answer in *'Need to get '*) return 0 ;; *) return 1 ;; esac
}

# The whole list that apt names, ours and what they depend on.
named_by_apt() {
    printf '%s\n' "$answer" | awk '/^The following (NEW|additional)/ { new = /NEW/; next }
        /^  / && new { printf "%s", $0 } !/^  / { new = 0 }'
}

megabytes() {
    printf '%s\n' "$answer" | awk '/^Need to get/ {
        gsub(",", "", $4); unit = $5 == "kB" ? 0.001 : $5 == "GB" ? 1000 : $5 == "MB" ? 1 : 0
        print int($4 * unit + 0.5) }' FS='[ /]'
}

install_packages() {
    [ -n "$packages" ] || return 0
    stage='asking apt' estimate=2
    write_status running ''
    if ! ask_apt; then
        run_stage 'reading the package lists' 10 apt update ||
            fail 'apt-get update failed: is the network there, and is /etc/apt/sources.list right?'
        ask_apt || fail "apt cannot install all of: $packages"
    fi
    whole=$(named_by_apt)
    count=$(echo "$whole" | wc -w)
    size=$(megabytes)
    say "apt will install:$whole"
    seconds=$((3 + count + ${size:-10} / 4))
    text="installing $count Debian packages, ${size:-?} MB to fetch"
    # shellcheck disable=SC2086
    run_stage "$text" "$seconds" apt install --no-install-recommends $packages && return 0
    # The usual reason is a list older than the archive.
    run_stage 'reading the package lists again' 10 apt update || fail 'apt-get update failed'
    # shellcheck disable=SC2086
    run_stage "$text" "$seconds" apt install --no-install-recommends $packages ||
        fail "apt-get could not install: $packages"
}

install_nextest() {
    needs_nextest || return 0
    run_stage "building cargo-nextest $nextest_version" 400 \
        cargo install --quiet --locked cargo-nextest --version "$nextest_version" ||
        fail "cargo could not install cargo-nextest $nextest_version"
}

install_rebar3() {
    needs_rebar3 || return 0
    run_stage 'unpacking rebar3' 5 unpack_rebar3 || fail 'apt-get could not fetch the package rebar3'
}

install_moto() {
    needs_moto || return 0
    install_python_tool moto "$moto_version" moto_server 'moto[server,ec2]'
}

install_schemathesis() {
    needs_schemathesis || return 0
    install_python_tool schemathesis "$schemathesis_version" schemathesis schemathesis
}

install_python_tool() { # NAME VERSION PROGRAM WHAT
    run_stage "installing $1 $2" 90 unpack_python_tool "$@" ||
        fail "pip could not install $1 $2: is the Python package index reached?"
}

# The link comes last: without it, half of an installation is made anew.
unpack_python_tool() { # NAME VERSION PROGRAM WHAT
    place=/usr/local/lib/lace-$1-$2
    as_root rm -rf "$place" &&
        as_root python3 -m venv "$place" &&
        as_root "$place/bin/pip" install --quiet "$4==$2" &&
        as_root ln -sfn "$place/bin/$3" "/usr/local/bin/$3"
}

unpack_rebar3() {
    place=$(mktemp -d)
    chmod 0755 "$place"
    (cd "$place" && apt-get -qq -o Acquire::Retries=2 download rebar3 && dpkg-deb -x rebar3_*.deb .) &&
        as_root install -D -m 0755 "$place/usr/bin/rebar3" /usr/local/bin/rebar3
    unpacked=$?
    rm -rf "$place"
    return "$unpacked"
}

fail() {
    say "$1" >&2
    write_status failed "$1"
    failed=yes
    exit 1
}

# What is wrong before anything was begun is said in the foreground.
check_means() {
    if needs_nextest && ! command -v cargo >/dev/null 2>&1; then
        refuse 'cargo is missing' 'install Rust 1.95 or newer, then run this again'
    fi
    [ -n "$packages" ] || needs_others || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        refuse "this machine has no apt-get, and these are missing: ${packages:-rebar3, moto, schemathesis}" \
            'install their like with the package manager of this system, then run this again'
    fi
    [ "$(id -u)" != 0 ] || return 0
    if ! command -v sudo >/dev/null 2>&1; then
        how="apt-get install --no-install-recommends $packages"
        if needs_others; then how="$0 --for $purpose"; fi
        refuse "these packages are missing, and only root may install them: ${packages:-rebar3, moto, schemathesis}" \
            "run as root: $how"
    fi
    if sudo -n true 2>/dev/null; then return 0; fi
    if [ -t 0 ] && sudo -v; then return 0; fi
    refuse "sudo wants a password, and these packages are missing: $packages" \
        "run: sudo apt-get install --no-install-recommends $packages"
}

on_exit() {
    code=$?
    rm -f "$log"
    if [ "$code" -ne 0 ] && [ "$failed" = no ]; then write_status failed "ended early"; fi
}

work() {
    worker=yes
    log=$(mktemp)
    failed=no
    trap on_exit EXIT
    trap 'exit 130' INT TERM
    install_packages
    install_rebar3
    install_moto
    install_schemathesis
    install_nextest
    stage='all there' estimate=0
    say "$stage"
    write_status "done" ''
}

while [ $# -gt 0 ]; do
    case $1 in
        --for)
            purpose=${2:-}
            shift
            ;;
        --dry-run) dry_run=yes ;;
        --background) background=yes ;;
        --status)
            status_file=${2:-}
            shift
            ;;
        -h | --help) usage && exit 0 ;;
        *)
            echo "install: unknown argument '$1'" >&2
            usage >&2
            exit 2
            ;;
    esac
    shift || break
done
began=$(date +%s)
if [ -z "$(needs_of "$purpose")" ]; then
    refuse "there is no purpose '$purpose'" 'choose one of: build, host, demo, test, long, bench'
fi
if [ "$background" = yes ] && [ -z "$status_file" ]; then
    refuse '--background needs --status FILE' 'say where the progress should be written'
fi

packages=$(missing_packages)
if [ -n "$packages" ]; then
    say "missing Debian packages: $packages"
fi
if needs_nextest; then
    say "missing: cargo-nextest (built from source by cargo)"
fi
if needs_rebar3; then
    say "missing: rebar3 (unpacked from Debian's package)"
fi
if needs_moto; then
    say "missing: moto $moto_version (installed by pip)"
fi
if needs_schemathesis; then
    say "missing: schemathesis $schemathesis_version (installed by pip)"
fi
if [ -z "$packages" ] && ! needs_others && ! needs_nextest; then
    stage='all there'
    say "everything for '$purpose' is there"
    write_status "done" ''
    exit 0
fi
if [ "$dry_run" = yes ]; then exit 0; fi
check_means
if [ "$background" = no ]; then
    work
    exit 0
fi
stage='starting'
write_status running ''
(
    trap '' HUP
    read -r worker_pid _ </proc/self/stat
    work </dev/null >"$status_file.log" 2>&1
) &
say "goes on in the background, status in $status_file"
