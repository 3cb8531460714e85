#!/usr/bin/env bash
# Trains the bundled weights: first the depth network, then the talking head, then the float16 file for the package. It
# replaces src/dagan/assets/dagan-lite.safetensors once scripts/results.py has shown that it is better.
#
#   scripts/train_default.sh CLIPS_DIR PHOTOS_DIR PERCEPTUAL.safetensors RUN_DIR
#
# CLIPS_DIR holds train/ and train_lowres/, PHOTOS_DIR photos of faces. Run it again to go on: finished steps are not
# repeated. It takes a night on two CPU cores; src/dagan/training/recipes.py has the steps of each phase. STEPS=2 HEADS=2
# rehearses it. To go on from the bundled weights: dagan train --from src/dagan/assets/dagan-lite.safetensors.
set -euo pipefail
clips=$1 photos=$2 perceptual=$3 run=$4
dagan=${DAGAN:-dagan} python=${PYTHON:-python}
sharp="$clips/train" blurred="$clips/train_lowres"
common=(--cache "$run/cache" ${THREADS:+--threads "$THREADS"} ${STEPS:+--steps "$STEPS"})
stage_2=("${common[@]}" --perceptual "$perceptual" --perceptual-side 64 --landmarks "$run/landmarks")
mkdir -p "$run"

$dagan landmarks "$sharp" "$blurred" -o "$run/landmarks"

# 1. Depth, self-supervised on real clips; beside that, exact depth of synthetic heads and the order of landmarks.
$dagan train-depth "$sharp" "$blurred" -o "$run/depth" "${common[@]}" --synthetic "${HEADS:-120}" --truth 1 \
  --order 0.3 --landmarks "$run/landmarks" --ema 0.99

# 2. More people: photos, seen from elsewhere on the surface that the depth network makes of them.
$dagan stills "$photos" -o "$run/still_clips" --depth "$run/depth/model.safetensors"
$dagan landmarks "$run/still_clips" -o "$run/landmarks"
all=("$sharp" "$blurred" "$run/still_clips")

# 3. The talking head: keypoints, motion, everything at half size; then how expressions move the keypoints.
$dagan train "${all[@]}" -o "$run/small" "${stage_2[@]}" --depth "$run/depth/model.safetensors" \
  --phases keypoints,motion,half_size
[ -f "$run/expressive/model.safetensors" ] || $dagan train-retargeting "${all[@]}" -o "$run/expressive" \
  --from "$run/small/model.safetensors" --landmarks "$run/landmarks" --cache "$run/cache" ${STEPS:+--steps "$STEPS"}

# 4. Full size on the sharp clips alone: the low-resolution ones would teach blur.
$dagan train "$sharp" -o "$run/full" "${stage_2[@]}" --from "$run/expressive/model.safetensors" --phases full_size
$python scripts/pack_weights.py "$run/full/model.safetensors" "$run/dagan-lite.safetensors"
