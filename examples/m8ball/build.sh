#!/bin/sh
# build.sh compile | rel: the application, then its release in rel/m8ball, on
# the host's own Erlang (Debian: erlang-base). No package index is asked.
set -eu
cd "$(dirname -- "$(readlink -f -- "$0")")"
case ${1:-} in
    compile)
        mkdir -p ebin
        cp src/m8ball.app ebin/
        erlc -Werror -o ebin src/*.erl
        ;;
    rel)
        rm -rf rel/m8ball
        escript rel/generate.escript rel/m8ball
        ;;
    *)
        echo "usage: build.sh compile | rel" >&2
        exit 2
        ;;
esac
