#!/usr/bin/env bash
# Trains on from a model file in the minutes that a data-centre GPU is lent: the keypoint detector, how expressions move
# its keypoints, then everything at full size; first and last for the steps that fit the time at the speed that a short
# run shows.
#
#   scripts/train_gpu.sh DATA START.safetensors OUT SECONDS
#
# DATA, packed beforehand: train/, train_lowres/ and still_clips/ with landmarks/ (scripts/landmarks.py) of each, cache/
# (scripts/decode_clips.py), vgg.safetensors. OUT gets the fp16 model in parts of 15 MB (cat OUT/model.* > MODEL) and the
# logs. STEPS=2 rehearses it on a CPU.
set -euo pipefail
data=$1 start=$2 out=$3 seconds=$4
python=${PYTHON:-python3} run=${RUN:-/tmp/run}
STARTUP=15 # seconds until the first step, and after the last
mkdir -p "$run" "$out"
landmarks=("$data"/landmarks/*)
common=(--cache "$data/cache" --perceptual "$data/vgg.safetensors" --landmarks "${landmarks[@]}" --no-tensorboard
  --device "${DEVICE:-cuda}" --workers "${WORKERS:-15}" --validation 0.05)

# phase NAME BATCH UNTIL EMA START CLIPS...: ends UNTIL seconds after the script's start; the run folder is $run/NAME
phase() {
  local name=$1 batch=${BATCH:-$2} until=$3 ema=$4 from=$5 steps=${STEPS:-}
  shift 5
  local arguments=("$@" --phases "$name" --batch-size "$batch" --ema "$ema" --from "$from" "${common[@]}")
  [ -z "$steps" ] && [ -f "$run/$name.steps" ] && steps=$(cat "$run/$name.steps")
  if [ -z "$steps" ]; then
    "$python" -m dagan train "${arguments[@]}" -o "$run/try_$name" --steps 40 --log-every 20
    steps=$("$python" -c '
import json, sys
rates = [line["samples_per_second"] for line in map(json.loads, open(sys.argv[1])) if "samples_per_second" in line]
print(int(max(1, float(sys.argv[2])) * rates[-1] / int(sys.argv[3])))' \
      "$run/try_$name/metrics.jsonl" "$((until - SECONDS - STARTUP))" "$batch")
    echo "$steps" > "$run/$name.steps"
  fi
  echo "$name: $steps steps of $batch, $SECONDS s gone"
  "$python" -m dagan train "${arguments[@]}" -o "$run/$name" --steps "$steps" --log-every 50 --panel-every 250 --keep 1
  cp "$run/$name/metrics.jsonl" "$out/$name.jsonl"
}

phase keypoints 64 "$((seconds / 5))" 0.995 "$start" "$data/train" "$data/train_lowres" "$data/still_clips"
[ -f "$run/expressive.safetensors" ] || "$python" scripts/train_retargeting.py "$run/keypoints/model.safetensors" \
  "$run/expressive.safetensors" --clips "$data"/{train,train_lowres,still_clips} --landmarks "${landmarks[@]}" \
  --cache "$data/cache" --device "${DEVICE:-cuda}" --steps "${STEPS:-1000}"
phase full_size 64 "$((seconds - 20))" 0.999 "$run/expressive.safetensors" "$data/train"
"$python" scripts/pack_weights.py "$run/full_size/model.safetensors" "$run/model"
split -b 15M "$run/model" "$out/model."
echo "done, $SECONDS s gone"
