#!/bin/sh
# bin/ball: starts this release and talks to it. Writes nothing beside the
# release, so that one read-only tree serves any number of nodes.
#
# Environment:
#   LACE_NODE_NAME, RELX_NAME   node name (name@host); else -name in vm.args
#   LACE_COOKIE, RELX_COOKIE    goes into $HOME/.erlang.cookie, mode 0400, and
#                               never onto a command line
#   ERL_DIST_PORT               one fixed distribution port, no epmd
#   LACE_SYS_CONFIG             one more configuration file, NAME.config
#   ERL_FLAGS, ERL_AFLAGS, ERL_ZFLAGS, ERL_CRASH_DUMP   as everywhere in Erlang
set -eu
set -f

self=$(readlink -f -- "$0")
ROOTDIR=$(dirname -- "$(dirname -- "$self")")
read -r erts_version release_version <"$ROOTDIR/releases/start_erl.data" || :
BINDIR=$ROOTDIR/erts-$erts_version/bin
EMU=beam
PROGNAME=ball
export ROOTDIR BINDIR EMU PROGNAME
release=$ROOTDIR/releases/$release_version

die() {
    echo "ball: $1" >&2
    exit "${2:-1}"
}

usage() {
    cat <<USAGE
usage: ball COMMAND
  foreground      run until SIGTERM, output on the terminal
  console         run with an Erlang shell
  ping            pong when the node answers
  rpc M F [ARGS]  call M:F, ARGS is an Erlang list: rpc ball_srv ask
  eval EXPR       evaluate an Erlang expression in the node
  remote          an Erlang shell in the running node
  stop            stop the node and wait until it is gone
  pid             process id of the node
  versions        versions in this release, the current one marked
USAGE
}

# vm.args -> $vm_args without names and cookies, which are set apart here.
read_vm_args() {
    vm_args='' vm_name='' vm_cookie='' name_flag=-name
    while read -r line || [ -n "$line" ]; do
        case $line in
            '' | '#'*) ;;
            '-name '*) vm_name=${line#-name } name_flag=-name ;;
            '-sname '*) vm_name=${line#-sname } name_flag=-sname ;;
            '-setcookie '*) vm_cookie=${line#-setcookie } ;;
            *) vm_args="$vm_args $line" ;;
        esac
    done <"${LACE_VM_ARGS:-$release/vm.args}"
}

choose_name() {
    node=${LACE_NODE_NAME:-${RELX_NAME:-}}
    if [ -n "$node" ]; then
        name_flag=-name
    else
        node=$vm_name
    fi
    [ -n "$node" ] || die "no node name: set LACE_NODE_NAME or write -name into vm.args" 2
    case $name_flag$node in
        -name*@*) ;;
        -name*) die "node name '$node' has no host: write NAME@HOST" 2 ;;
    esac
}

# The runtime and erl_call both read $HOME/.erlang.cookie by themselves.
place_cookie() {
    [ -n "${HOME:-}" ] || die "HOME is not set: the cookie file needs a place" 2
    cookie=${LACE_COOKIE:-${RELX_COOKIE:-$vm_cookie}}
    unset LACE_COOKIE RELX_COOKIE
    [ -n "$cookie" ] || return 0
    cookie_file=$HOME/.erlang.cookie
    if [ -r "$cookie_file" ] && [ "$(cat "$cookie_file")" = "$cookie" ]; then
        return 0
    fi
    mkdir -p "$HOME"
    if ! (umask 0277 && printf %s "$cookie" >"$cookie_file.$$") || ! mv -f "$cookie_file.$$" "$cookie_file"; then
        die "cannot write $cookie_file" 2
    fi
}

# The fixed distribution port, from its own variable or from the flags; and from
# the flags, whether distribution goes over TLS, the file that says how, and how
# long a silent node counts as alive: a visitor has to keep the same time.
find_port() {
    port=${ERL_DIST_PORT:-} protocol='' tls_file='' tick=''
    previous=
    for word in ${ERL_AFLAGS:-} $vm_args ${ERL_FLAGS:-} ${ERL_ZFLAGS:-}; do
        case $previous in
            -erl_epmd_port) port=${port:-$word} ;;
            -proto_dist) protocol=$word ;;
            -ssl_dist_optfile) tls_file=$word ;;
            net_ticktime) tick=$word ;;
        esac
        previous=$word
    done
}

start_node() {
    # No crash dump unless somebody has a place for it: they can take minutes.
    [ -n "${ERL_CRASH_DUMP:-}" ] || export ERL_CRASH_DUMP_SECONDS="${ERL_CRASH_DUMP_SECONDS:-0}"
    # shellcheck disable=SC2086  # flags of vm.args are words
    set -- "$@" $vm_args "$name_flag" "$node" -mode embedded \
        -boot "$release/start" -config "$release/sys.config"
    if [ -n "${LACE_SYS_CONFIG:-}" ]; then
        case $LACE_SYS_CONFIG in
            *.config) set -- "$@" -config "$LACE_SYS_CONFIG" ;;
            *) die "LACE_SYS_CONFIG is '$LACE_SYS_CONFIG': its name must end with .config" 2 ;;
        esac
        [ -r "$LACE_SYS_CONFIG" ] || die "cannot read $LACE_SYS_CONFIG" 2
    fi
    if [ -n "${ERL_DIST_PORT:-}" ]; then
        set -- "$@" -erl_epmd_port "$ERL_DIST_PORT" -start_epmd false
    fi
    exec "$BINDIR/erlexec" "$@"
}

# A runtime of its own for a visit. No flags of the node: its sync_nodes or its
# port are not for a visitor.
visit() {
    unset ERL_FLAGS ERL_AFLAGS ERL_ZFLAGS
    set -- "$@" -hidden -dist_listen false -boot "$release/start_clean"
    if [ -n "$tick" ]; then set -- "$@" -kernel net_ticktime "$tick"; fi
    if [ -n "$protocol" ]; then set -- "$@" -proto_dist "$protocol"; fi
    if [ -n "$tls_file" ]; then set -- "$@" -ssl_dist_optfile "$tls_file"; fi
    if [ -n "$port" ]; then set -- "$@" -erl_epmd_port "$port" -start_epmd false; fi
    exec "$BINDIR/erlexec" "$@"
}

visitor() {
    echo "$1-$$-$(od -An -N3 -tx1 /dev/urandom | tr -d ' \n')@${node#*@}"
}

# erl_call speaks no TLS: a runtime of its own asks, and prints as erl_call does.
# Node and expressions come by its environment.
visit_call() {
    if [ "$1" = -a ]; then
        BALL_EVAL="erlang:node(), done."
    else
        BALL_EVAL=$(cat)
    fi
    export BALL_EVAL BALL_NODE="$node"
    # shellcheck disable=SC2016  # Erlang, not shell
    (visit "$name_flag" "$(visitor call)" -noinput -eval '
        Node = list_to_atom(os:getenv("BALL_NODE")),
        {ok, Tokens, _} = erl_scan:string(os:getenv("BALL_EVAL")),
        Ran = case erl_parse:parse_exprs(Tokens) of
            {ok, Exprs} -> rpc:call(Node, erl_eval, exprs, [Exprs, []], 30000);
            {error, {_, _, Why}} -> {error, lists:flatten(Why)}
        end,
        case Ran of
            {value, Value, _} -> io:format("{ok, ~tp}", [Value]), halt(0);
            {badrpc, nodedown} -> halt(1);
            Error -> io:format("~tp~n", [Error]), halt(1)
        end.')
}

# erl_call joins as a hidden node under a random name and leaves again.
call_node() {
    if [ "$protocol" = inet_tls ]; then
        visit_call "$@"
    elif [ -n "$port" ]; then
        "$BINDIR/erl_call" -R -timeout 30 -address "${node#*@}:$port" "$@"
    elif [ "$name_flag" = -name ]; then
        "$BINDIR/erl_call" -R -timeout 30 -name "$node" "$@"
    else
        "$BINDIR/erl_call" -R -timeout 30 -sname "$node" "$@"
    fi
}

ping_node() {
    call_node -a 'erlang node []' >/dev/null 2>&1
}

need_node() {
    ping_node || die "node $node does not answer; is it running, and is the cookie the same?"
}

# The node prints the value itself, as its own shell would; erl_call hands on
# what is printed and says in its last line whether the evaluation went well.
evaluate() {
    printed=$(printf 'io:format("~tp~n", [begin %s end]), done.\n' "$1" |
        call_node -fetch_stdout -e 2>&1) && status=0 || status=$?
    case $printed in
        *'{ok, done}') printf %s "${printed%'{ok, done}'}" ;;
        *)
            [ -n "$printed" ] || need_node
            die "$printed" "$((status > 0 ? status : 1))"
            ;;
    esac
}

stop_node() {
    need_node
    pid=$(evaluate 'list_to_integer(os:getpid())')
    evaluate 'init:stop()' >/dev/null
    waited=0
    while ping_node; do
        [ "$waited" -lt 120 ] || die "node $node (pid $pid) has not stopped within a minute"
        waited=$((waited + 1))
        sleep 0.5
    done
    echo ok
}

remote_shell() {
    need_node
    visit "$name_flag" "$(visitor remote)" -remsh "$node"
}

list_versions() {
    set +f
    for rel in "$ROOTDIR"/releases/*/ball.rel; do
        version=$(basename -- "$(dirname -- "$rel")")
        if [ "$version" = "$release_version" ]; then echo "$version current"; else echo "$version"; fi
    done
}

command=${1:-}
case $command in
    foreground | console | ping | rpc | eval | remote | stop | pid)
        shift
        read_vm_args
        choose_name
        place_cookie
        find_port
        ;;
esac
case $command in
    foreground) start_node +Bd -noinput ;;
    console) start_node ;;
    ping) if ping_node; then echo pong; else echo "pang: $node does not answer" >&2 && exit 1; fi ;;
    rpc)
        [ $# -ge 2 ] || die "rpc wants M F [ARGS], for example: ball rpc ball_srv ask" 2
        evaluate "apply($1, $2, ${3:-[]})"
        ;;
    eval)
        [ $# -eq 1 ] || die "eval wants one expression, for example: ball eval 'nodes()'" 2
        evaluate "${1%.}"
        ;;
    remote) remote_shell ;;
    stop) stop_node ;;
    pid) evaluate 'list_to_integer(os:getpid())' ;;
    versions) list_versions ;;
    help | -h | --help) usage ;;
    *)
        usage >&2
        exit 2
        ;;
esac
