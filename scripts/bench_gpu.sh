#!/bin/sh
# Speed on an NVIDIA GPU: an animation's latency of one frame and batched throughput against the card's bfloat16 peak, then
# the steps of a training (dagan bench train), at a batch that fills a card and as torch.compile makes them.
# Written without a GPU at hand and not yet run on one: docs/performance.md has no number of it.
#   PYTHON=.venv/bin/python sh scripts/bench_gpu.sh > gpu.jsonl     # one JSON object after the other
#   TRAIN_BATCH=16 makes the training's batch smaller for a smaller card
set -eu
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys, torch; sys.exit(0 if torch.cuda.is_available() else "no GPU that PyTorch can use")'
nvidia-smi --query-gpu=name,driver_version,clocks.max.sm --format=csv >&2
"$PYTHON" "$(dirname "$0")/bench_gpu.py" "$@"
for compiled in "" --compile; do
  # shellcheck disable=SC2086 # nothing at all where it is empty
  "$PYTHON" -m dagan bench train --device cuda --batch "${TRAIN_BATCH:-32}" --rounds 10 --json $compiled
done
