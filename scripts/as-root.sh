#!/bin/sh
# as-root.sh COMMAND...: runs it as root. Cargo's runner for the tests where
# somebody who may use sudo types `make test`: light nodes need root.
set -eu
exec sudo -n --preserve-env env "PATH=$PATH" "$@"
