#!/bin/sh
# bin/guest: starts the release as scripts of relx do (RELX_OUT_FILE_PATH is where expanded templates go).
set -eu
root=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")
read -r erts version <"$root/releases/start_erl.data" || :
if [ -d "$root/erts-$erts" ]; then
    ROOTDIR=$root
else
    ROOTDIR=$(erl -noshell -noinput -eval 'io:format("~s", [code:root_dir()]), halt()')
fi
BINDIR=$ROOTDIR/erts-$erts/bin EMU=beam PROGNAME=guest
export ROOTDIR BINDIR EMU PROGNAME

# ${VAR} and ${VAR:-default} of the environment.
expand() {
    awk '{
        while (match($0, /[$][{][A-Za-z_0-9]+(:-[^}]*)?[}]/)) {
            name = substr($0, RSTART + 2, RLENGTH - 3); default_value = ""
            if (i = index(name, ":-")) { default_value = substr(name, i + 2); name = substr(name, 1, i - 1) }
            value = (name in ENVIRON) ? ENVIRON[name] : default_value
            $0 = substr($0, 1, RSTART - 1) value substr($0, RSTART + RLENGTH)
        }
        print
    }' "$root/releases/$version/$1.src" >"${RELX_OUT_FILE_PATH:-$root/releases/$version}/$1"
}

case ${1:-} in
    foreground | daemon)
        expand vm.args
        expand sys.config
        out=${RELX_OUT_FILE_PATH:-$root/releases/$version}
        set -- "$1" "$BINDIR/erlexec" -noinput +Bd -mode embedded -boot "$root/releases/$version/start" \
            -boot_var REL_LIB "$root/lib" -args_file "$out/vm.args" -config "$out/sys.config" \
            -erl_epmd_port "${ERL_DIST_PORT:-4369}" -start_epmd false
        mode=$1
        shift
        if [ "$mode" = foreground ]; then exec "$@"; fi
        setsid "$@" >/dev/null 2>&1 &
        sleep 1
        ;;
    *) echo "usage: guest foreground|daemon" >&2 && exit 2 ;;
esac
