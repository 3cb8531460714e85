#!/usr/bin/env bash
# Trains the bundled weights: depth first, then the talking head, then the fp16 file for the package, which is for
# src/dagan/assets/dagan-lite.safetensors once scripts/results.py has shown it to be better.
#
#   scripts/train_default.sh CLIPS_DIR STILLS_DIR PERCEPTUAL.safetensors RUN_DIR
#
# CLIPS_DIR holds train/ and train_lowres/, STILLS_DIR photos of faces. Stops and goes on: finished steps are not
# repeated. On two CPU cores give it a night; the steps of each phase are in src/dagan/training/recipes.py. STEPS=2
# HEADS=2 rehearses it. Where a run folder is gone, `dagan train --from src/dagan/assets/dagan-lite.safetensors` goes on
# from the weights of the package.
set -euo pipefail
clips=$1 stills=$2 perceptual=$3 run=$4
bin=${BIN:-.venv/bin}
both=("$clips/train" "$clips/train_lowres")
mkdir -p "$run"

tracks=()
for folder in "${both[@]}"; do
  "$bin/python" scripts/landmarks.py "$folder" -o "$run/landmarks/$(basename "$folder")"
  tracks+=("$run/landmarks/$(basename "$folder")")
done
common=(--cache "$run/cache" ${THREADS:+--threads "$THREADS"} ${STEPS:+--steps "$STEPS"})
stage_2=("${common[@]}" --perceptual "$perceptual" --perceptual-side 64 --landmarks "${tracks[@]}")

# exact depth of synthetic heads, and the order of landmarks, beside the self-supervised loss on real clips (docs/depth.md)
"$bin/dagan" train-depth "${both[@]}" -o "$run/depth" "${common[@]}" --synthetic "${HEADS:-120}" --truth 1 \
  --order 0.3 --landmarks "${tracks[@]}" --ema 0.99
# more people: photos, seen from elsewhere on the surface that F_d makes of them
"$bin/python" scripts/still_clips.py "$stills" -o "$run/still_clips" --depth "$run/depth/model.safetensors"
"$bin/python" scripts/landmarks.py "$run/still_clips" -o "$run/landmarks/still_clips"
all=("${both[@]}" "$run/still_clips")
"$bin/dagan" train "${all[@]}" -o "$run/small" "${stage_2[@]}" --landmarks "${tracks[@]}" "$run/landmarks/still_clips" \
  --depth "$run/depth/model.safetensors" --phases keypoints,motion,half_size
# how expressions move the detector's keypoints
"$bin/python" scripts/train_retargeting.py "$run/small/model.safetensors" "$run/expressive.safetensors" \
  --clips "${all[@]}" --landmarks "${tracks[@]}" "$run/landmarks/still_clips" --cache "$run/cache" \
  ${STEPS:+--steps "$STEPS"}
# full size on the sharp clips alone: the low-resolution ones would teach blur
"$bin/dagan" train "$clips/train" -o "$run/full" "${stage_2[@]}" \
  --from "$run/expressive.safetensors" --phases full_size
"$bin/python" scripts/pack_weights.py "$run/full/model.safetensors" "$run/dagan-lite.safetensors"
