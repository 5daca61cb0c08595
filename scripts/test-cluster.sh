#!/usr/bin/env bash
# Servers on hosts of their own (`npm run test:cluster`): network namespaces within one that leads nowhere.
# Needs root, iproute2, haproxy and nats-server, which it installs where there is apt.
set -euo pipefail
cd "$(dirname "$0")/.."
if ((EUID != 0)) || ! unshare --net true; then
  echo 'test:cluster: skipped, network namespaces need root'
  exit 0
fi
missing=()
for package in iproute2:ip haproxy:haproxy nats-server:nats-server; do
  command -v "${package#*:}" > /dev/null || missing+=("${package%:*}")
done
if ((${#missing[@]})); then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
fi
if (($# == 0)); then set -- test/cluster/*.cluster.ts; fi
# With a mount namespace the names of the network namespaces go when the tests do.
exec unshare --net --mount bash -c 'mount -t tmpfs none /run && exec npx tap run --timeout=600 --jobs=1 --reporter=tap "$@"' - "$@"
