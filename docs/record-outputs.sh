#!/usr/bin/env bash
# Runs the commands whose output README and docs show, and keeps what they print in docs/outputs; then run: make readme.
# Models given as arguments are measured beside ours, fed with raw pixels 0..255: MLPerf Tiny's reference models, say.
# The training runs' outputs (train-*.txt) are kept by docs/record-run.sh. Run it on a machine that has nothing else to do.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

keep() { # keep NAME: standard input without this machine's folders
  sed -e "s#$folder#exported#g" -e "s#$PWD/##g" -e "s#$HOME#~#g" >"docs/outputs/$1.txt"
}

record() { # record NAME COMMAND...: the command line and all that it prints
  local name=$1
  shift
  { printf '$ %s\n' "$*" && "$@" 2>&1; } | keep "$name"
}

record_here() { # as record, from the folder one is in; of the epochs, the last two
  local name=$1
  shift
  { printf '$ %s\n' "$*" && "$@" 2>&1; } | grep -v '^epoch .*% of epoch ' |
    awk '/^epoch /{held[++n]=$0; next} n{print "…"; for (i = n > 2 ? n - 1 : 1; i <= n; i++) print held[i]; n=0} {print}' \
      >"$OLDPWD/docs/outputs/$name.txt"
}

make --no-print-directory .venv/ready >&2 # now, so that the outputs below are of the commands alone
record data-fetch cifar-data fetch --force
record data-info cifar-data info
record export cifar-export --format tflite,onnx --quantize none,int8 --eval-split test -o "$folder"
record export-notebook cifar-export models/notebook.keras --format tflite,onnx --quantize int8 --eval-split test -o "$folder"
record classify cifar-classify train/cifar_data/samples/images
record classify-json cifar-classify train/cifar_data/samples/images/cat.png -k 2 --json
record export-seed-cnn cifar-export models/seed-cnn.keras --format tflite,onnx --quantize none,int8 --eval-split test -o "$folder"
record export-edge-xs cifar-export models/edge-xs.keras --format tflite,onnx --quantize int8 --eval-split test -o "$folder"
record export-edge-m cifar-export models/edge-m.keras --format tflite,onnx --quantize int8 --eval-split test -o "$folder"
record export-resnet8 cifar-export models/resnet8.keras --format tflite,onnx --quantize int8 --eval-split test -o "$folder"
# edge-s in int8 as the package brings it.
cifar-bench "$folder"/edge-s-float32.{tflite,onnx} runtime/cifar_runtime/models/edge-s-int8.{tflite,onnx} \
  "$folder"/seed-cnn-{float32,int8}.{tflite,onnx} "$folder"/{edge-xs,edge-m,resnet8,notebook}-int8.{tflite,onnx} "$@" --contract cifar10-raw255 \
  --against train/cifar_data/checkpoints/edge-s.keras --against=models/{edge-xs,edge-m,resnet8,seed-cnn,notebook}.keras \
  --split test --threads 1,2 --json benchmarks/reports/shipped.json
record info cifar-info "$folder/edge-s-int8.tflite" --self-test
cifar-export models/notebook.keras --quantize none --eval-split test-sample -o "$folder"
record parity-failed cifar-parity models/notebook.keras "$folder"/notebook-{float32,int8}.tflite --min-agreement 99% || true # exit code 5
record parity cifar-parity train/cifar_data/checkpoints/edge-s.keras "$folder"/edge-s-int8.{tflite,onnx} --split test
# Pictures from outside CIFAR-10 (scikit-image's cat, moon and grass), classified by the wheel alone in an environment of its own.
python -m build --wheel --outdir "$folder/wheel" . >"$folder/build.log"
python3 -m venv "$folder/device"
"$folder/device/bin/pip" install --quiet --disable-pip-version-check --constraint constraints.txt "$folder"/wheel/*.whl
python -m pip download --quiet --disable-pip-version-check --no-deps --dest "$folder/photo" scikit-image
python -m zipfile --extract "$folder"/photo/scikit_image-*.whl "$folder/photo"
cp "$folder"/photo/skimage/data/{chelsea,grass,moon}.png "$folder"
(cd "$folder" && PATH="$folder/device/bin:/usr/bin:/bin" && printf '$ %s\n' "cifar-classify chelsea.png grass.png moon.png -k 2" && cifar-classify chelsea.png grass.png moon.png -k 2) |
  keep classify-photo
# The road of docs/own-pictures.md, and its model on the device's environment from above.
python -m cifar_maintain.photographs "$folder/photos"
(cd "$folder" && { timeout -s INT 60 cifar-make photos || true; } && # interrupted once, to show that it goes on
  record_here make cifar-make photos && PATH="$folder/device/bin:/usr/bin:/bin" &&
  record_here make-classify cifar-classify photos/temple/IMG_0000.jpg photos/frog/frog-002.png -m out/photos-int8.tflite)
make --no-print-directory demo 2>&1 | keep demo
# Without pytest's dots, a line for every test file.
{ printf '$ %s\n' 'CIFAR_EDGE_FULL_DATA=1 make test' && CIFAR_EDGE_FULL_DATA=1 make --no-print-directory test 2>&1; } |
  sed -E -e '/\[ *[0-9]+%\]$/d' -e "s#$PWD#cifar-edge#" | keep test
