#!/bin/sh
# nginx in the foreground, on the configuration that Lace rendered.
set -eu
exec nginx -e stderr -c /etc/lace/nginx.conf
