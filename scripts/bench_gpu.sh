#!/bin/sh
# Animation speed on an NVIDIA GPU: one frame's latency and batched throughput against the card's bfloat16 peak.
# Written without a GPU at hand and not yet run on one: docs/performance.md has no number of it.
#   PYTHON=.venv/bin/python sh scripts/bench_gpu.sh > gpu.json
set -eu
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys, torch; sys.exit(0 if torch.cuda.is_available() else "no GPU that PyTorch can use")'
nvidia-smi --query-gpu=name,driver_version,clocks.max.sm --format=csv >&2
exec "$PYTHON" "$(dirname "$0")/bench_gpu.py" "$@"
