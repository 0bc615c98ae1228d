#!/usr/bin/env bash
# Bundles what the dashboard loads into crates/dashboard/web/dist, from our
# sources and the packages of package-lock.json. Does nothing where the bundle
# is newer than both. The packages come through npm's ordinary client.
set -euo pipefail
cd "$(dirname -- "$(readlink -f -- "$0")")/../crates/dashboard/web"

if [ -f dist/app.js ] && [ -z "$(find package.json package-lock.json build.mjs src -newer dist/app.js)" ]; then
    echo "the bundle is there"
    exit 0
fi
if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --no-audit --no-fund --loglevel=error
fi
node build.mjs
du -sh dist
