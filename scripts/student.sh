#!/usr/bin/env bash
# The trainers that the export is tested with. torch's CPU build comes from pip's own find-links where it is there;
# plain torch would bring gigabytes of CUDA, so where it is not, the trainer tests are skipped and say so.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$(command -v uv || echo .venv/uv/bin/uv)
export UV_PYTHON_DOWNLOADS=never
links=$(python3 -m pip config list 2>/dev/null | sed -n "s/.*find-links='\(.*\)'/\1/p" | head -n 1)
flags=()
for place in $links; do flags+=(--find-links "$place"); done
if "$uv" pip install -q --python .venv/bin/python "${flags[@]}" 'torch==2.13.0+cpu' 2>/dev/null; then
  "$uv" pip install -q --python .venv/bin/python "${flags[@]}" 'torch==2.13.0+cpu' \
    'transformers>=5,<6' 'trl>=1.16,<2' 'datasets>=3' 'gguf>=0.10' ||
    echo "The trainers could not be installed; their tests will be skipped."
else
  echo "No CPU build of torch is to be had here; the trainer tests will be skipped."
  "$uv" pip install -q --python .venv/bin/python 'datasets>=3' || true
fi
