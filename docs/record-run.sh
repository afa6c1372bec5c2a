#!/usr/bin/env bash
# Keeps what README and the log show of a finished training run: its card, curves, test evaluation and last lines, and
# how its int8 .tflite file does on the test split, whether or not that passes its gates.
# The run: cifar-train --recipe NAME --seed N -o runs/NAME-seed-N --final 2>&1 | tee -a runs/NAME-seed-N.log
# Then:    docs/record-run.sh runs/NAME-seed-N
set -euo pipefail
run=$(realpath "${1:?usage: docs/record-run.sh RUN_FOLDER, with its output in RUN_FOLDER.log}")
field() { python3 -c "import json, sys; print(json.load(open(sys.argv[1]))['recipe'][sys.argv[2]])" "$run/card.json" "$1"; }
recipe=$(field name)
seed=$(field seed)
name="$recipe-seed-$seed"
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"

mkdir -p "docs/runs/$name"
cp "$run"/{card.json,curves.csv,curves.svg} "docs/runs/$name/"
final=
if [ -e "$run/evaluation-test.json" ]; then
  cp "$run"/{evaluation-test.json,confusion-test.png,report-test.png} "docs/runs/$name/"
  final=" --final"
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  cifar-export "$run/model.keras" --format tflite --quantize int8 --eval-split test --max-accuracy-drop 100pp --min-agreement 0 --output "$folder"
  cifar-parity "$run/model.keras" "$folder/model-int8.tflite" --split test --json "docs/runs/$name/parity-int8.json" ||
    [ $? = 5 ]
fi
{
  echo "\$ cifar-train --recipe $recipe --seed $seed -o runs/$name$final"
  echo "…"
  grep '^epoch .*loss' "$run.log" | tail -n 2
  tac "$run.log" | sed '/^[^ ]*model.keras  (epoch/q' | tac # of the last command, where --final came later
} | sed -E "s#[^ ]*$(basename "$run")(/| |$)#runs/$name\1#g" >"docs/outputs/train-$name.txt"
