#!/bin/sh
# A new configuration is looked at before it is taken: a bad one leaves the old one at work.
set -eu
nginx -e stderr -q -t -c /etc/lace/nginx.conf
exec nginx -e stderr -c /etc/lace/nginx.conf -s reload
