#!/usr/bin/env bash
# Checks and measures fewstep on a machine with a GPU in one go, with no network: is it right against the CPU, how fast are passes, how much memory
# do they take, and what does the server write in a minute of saturation.
#   scripts/gpu-check.sh OUT                  on the GPU
#   scripts/gpu-check.sh OUT --device cpu     the same on the CPU, small and short, to try it
# Writes OUT/gpu-check.json and OUT/gpu-check.md. Needs node with fewstep built and installed around this script, CUDA provider included; `nvidia-smi`
# and a python3 with torch add figures where there are. scripts/pack-gpu-check.sh makes a folder to take along.
set -euo pipefail
out=$(mkdir -p "${1:?expected a folder for the results}" && cd "$1" && pwd)
cd "$(dirname "$0")/.."
if [[ -e models/full-size/weights.json ]]; then node scripts/fill-weights.js models/full-size; fi
exec node scripts/gpu-check.js "$out" "${@:2}"
