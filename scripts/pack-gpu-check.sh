#!/usr/bin/env bash
# Packs what scripts/gpu-check.sh needs into OUT/fewstep.tar.xz (under 64 MiB), for a GPU host without a network: fewstep and its packages but for
# onnxruntime-node, the bundled student, and a model of the published size whose random weights are made on the host. PYTHON names an interpreter with
# distill's requirements.
#   scripts/pack-gpu-check.sh OUT
#   on the host, where node_modules/onnxruntime-node is:   tar xJf fewstep.tar.xz && scripts/gpu-check.sh results
set -euo pipefail
python=${PYTHON:-python3}
out=$(mkdir -p "${1:?expected a folder to write to}" && cd "$1" && pwd)
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm run --silent build
mkdir -p "$work/models" "$work/bench"
cp -r dist scripts package.json "$work"
cp bench/server.js bench/report.js "$work/bench"
cp -r models/student models/tokenizers "$work/models"
npm ls --omit=dev --all --parseable | grep -o 'node_modules/.*' | grep -v '^node_modules/onnxruntime-node' | while read -r package; do
  if [[ -d "$package" ]]; then mkdir -p "$work/$package" && cp -r "$package/." "$work/$package"; fi
done
"$python" bench/full_size.py "$work/models" full-size=float16,half
"$python" scripts/strip_weights.py "$work/models/full-size"
tar cJf "$out/fewstep.tar.xz" -C "$work" .
du -h "$out/fewstep.tar.xz"
