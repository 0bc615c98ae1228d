#!/bin/bash
# The process of a node: it begins the scripts of the release when they are asked for, one request after the other, and
# keeps how each stands. Requests come by ask.sh.
set -u
home=/run/generic
scripts='init notify run interrupt cleanup'
grace=$LACE_SETTING_GRACE
requests=$home/requests
export HOME=${HOME:-/root}
mkdir -p "$home"
cd /app 2>/dev/null || cd /

state() {
    cat "$home/$1.state" 2>/dev/null
}

say() {
    printf '%s\n' "$2" >"$home/$1.new" && mv "$home/$1.new" "$home/$1.state"
}

# Finds every process that a script began, whatever became of it: all have the mark in their environment. Which scripts are meant is a
# regular expression. Nothing is forked here and below, for there may be no room.
ours=()
find_ours() {
    local dir words word meant="^LACE_GENERIC=($1)\$"
    ours=()
    for dir in /proc/[0-9]*; do
        { mapfile -d '' -t words <"$dir/environ"; } 2>/dev/null || continue
        for word in ${words[@]+"${words[@]}"}; do
            if [[ $word =~ $meant ]]; then
                ours+=("${dir#/proc/}")
                break
            fi
        done
    done
    [ ${#ours[@]} -gt 0 ]
}

# Nobody ever writes there.
pause() {
    read -r -t "$1" -u 4 _
}

# Stopped first, until nobody new is there: what stands still forks no more, however fast it was.
kill_all() {
    local round before=''
    for ((round = 0; round < 500; round++)); do
        find_ours "$1" || return 0
        if [ "${ours[*]}" = "$before" ]; then
            kill -s KILL "${ours[@]}" 2>/dev/null
            pause 0.02
        else
            kill -s STOP "${ours[@]}" 2>/dev/null
        fi
        before=${ours[*]}
    done
}

end_all() {
    local until=$((SECONDS + ${grace%.*}))
    if find_ours "$1"; then kill -s TERM "${ours[@]}" 2>/dev/null; fi
    while find_ours "$1" && [ "$SECONDS" -lt "$until" ]; do pause 0.1; done
    kill_all "$1"
}

# Says in `those` what an interrupt ends. What init.sh left at work, once it has ended, is there for the other scripts and stays.
those='[a-z]*'
find_those() {
    local stands=''
    [ ! -r "$home/init.state" ] || read -r stands <"$home/init.state"
    those='[a-z]*'
    [ "$stands" = running ] || those='notify|run|interrupt|cleanup'
}

# Bounds how many processes there may be for a script to begin another one: the rest of the node's limit is for us, and for
# whoever looks and interrupts. Root of a node is no root to RLIMIT_NPROC (setrlimit(2)); root of the host is, and has no such limit.
bound() {
    local file most='' rest
    read -r _ rest </proc/self/uid_map
    [ "${rest%% *}" != 0 ] || return 0
    for file in /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max; do
        [ ! -r "$file" ] || read -r most <"$file"
    done
    case $most in '' | *[!0-9]*) return 0 ;; esac
    rest=$((most / 8))
    if [ "$rest" -lt 32 ]; then rest=32; fi
    if [ "$rest" -gt $((most / 2)) ]; then rest=$((most / 2)); fi
    # Somebody has to be able to interrupt.
    if [ "$1" = interrupt ]; then rest=$((rest / 4)); fi
    ulimit -u $((most - rest))
}

# A script from its beginning to its end. What it began elsewhere and left is ended with it where its time is over.
perform() {
    local name=$1 limit=LACE_SETTING_${1^^}_TIMEOUT code
    shift
    (
        set -a
        # shellcheck source=/dev/null
        . /run/generic.env
        export LACE_GENERIC=$name
        # Where memory is short, what a script began goes first.
        echo 500 >/proc/self/oom_score_adj 2>/dev/null
        bound "$name"
        exec setsid -w timeout -k "$grace" "${!limit}" bash "/app/$name.sh" "$@" </dev/null 3<&- 4<&-
    )
    code=$?
    case $code in 124 | 137) kill_all "$name" ;; esac
    say "$name" "stopped (return code $code)"
}

# Begins a script, which goes on beside us. One that the release has not is passed over.
begin() {
    if [ ! -f "/app/$1.sh" ]; then
        echo "lace: the release has no $1.sh: passed over"
        return 0
    fi
    say "$1" running
    perform "$@" &
}

running() {
    local name
    for name in $scripts; do
        [ "$(state "$name")" != running ] || echo "$name.sh"
    done
    [ ! -e "$home/interrupting" ] || echo 'an interrupt'
}

interrupt() {
    find_those
    if [ -e "$home/interrupting" ]; then
        echo 'lace: interrupted again: everything is killed'
        kill_all "$those"
        return 0
    fi
    : >"$home/interrupting"
    [ "$those" != '[a-z]*' ] || : >"$home/init.interrupted"
    [ ! -f /app/interrupt.sh ] || say interrupt running
    (
        if [ -f /app/interrupt.sh ]; then perform interrupt "$@"; fi
        end_all "$those"
        rm -f "$home/interrupting"
    ) &
}

handle() {
    local id=$1 verb=$2 answer=ok busy words=()
    [ ! -f "$home/words.$id" ] || read -r -d '' -a words <"$home/words.$id"
    busy=$(running | head -n 1)
    case $verb in
    interrupt) interrupt ${words[@]+"${words[@]}"} ;;
    run | cleanup | notify)
        if [ -n "$busy" ]; then
            answer="$busy still runs"
        else
            begin "$verb" ${words[@]+"${words[@]}"}
        fi
        ;;
    *) answer="there is no such script: $verb" ;;
    esac
    rm -f "$home/words.$id"
    printf '%s\n' "$answer" >"$home/answer.$id.new" && mv "$home/answer.$id.new" "$home/answer.$id"
}

# Waits until the master is known: the first nodes of a service start together.
master_known() {
    local tries
    for ((tries = 0; tries < 150; tries++)); do
        if grep -q '^MASTER_IP=.' /run/generic.env; then return 0; fi
        sleep 0.2
    done
    echo 'lace: no master is known after 30 s' >&2
}

# Did init.sh fail? Where somebody interrupted it, it did not.
init_failed() {
    [ ! -e "$home/init.interrupted" ] || return 1
    case $(state init) in
    'stopped (return code 0)') return 1 ;;
    'stopped '*) return 0 ;;
    esac
    return 1
}

finish() {
    trap '' TERM USR1
    end_all '[a-z]*'
    exit "$1"
}

# Of a process before this one nothing goes on.
rm -f "$home/idle"
mkfifo -m 600 "$home/idle" || exit 1
exec 4<>"$home/idle"
kill_all '[a-z]*'
rm -f "$requests" "$home/interrupting" "$home"/answer.* "$home"/words.*
for name in $scripts; do
    [ "$(state "$name")" != running ] || say "$name" 'stopped (return code 1)'
done
mkfifo -m 600 "$requests" || exit 1
exec 3<>"$requests"
trap 'finish 0' TERM
trap 'echo "lace: init.sh failed: it is tried again" >&2; finish 1' USR1
if [ -f /app/init.sh ] && { [ -z "$(state init)" ] || init_failed; }; then
    say init running
    {
        master_known
        perform init
        if init_failed; then kill -s USR1 $$; fi
    } &
fi
while :; do
    # Woken now and then, so that no signal waits for a request.
    if read -r -t 5 -u 3 id verb; then handle "$id" "$verb"; fi
done
