"""The commands that ``kills`` ends in flight, and what must be whole afterwards."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from cifar_runtime.classifier import default_model
from hardening.kills import Victim, script


def _hidden(folder: Path) -> str | None:
    left = list(folder.rglob(".*"))
    return f"left {len(left)} hidden files" if left else None


def _half_json(folder: Path) -> str | None:
    path = folder / "result.json"
    if not path.exists():
        return None
    try:
        json.loads(path.read_text())
    except ValueError:
        return "half a document"
    return None


# cifar-classify --json


def _picture(folder: Path) -> str | None:
    from PIL import Image

    Image.new("RGB", (64, 48), (200, 30, 40)).save(folder / "picture.png")
    return None


def _classify(folder: Path) -> list[str]:
    return [script("cifar-classify"), f"{folder}/picture.png", "--json", f"{folder}/result.json"]


# cifar-bench --json


def _bench(folder: Path) -> list[str]:
    options = ["--quick", "--limit", "100", "--json", f"{folder}/result.json", "-q"]
    return [script("cifar-bench"), str(default_model("tflite")), *options]


# cifar-export: two exports in turn, which differ by their calibration images.


def _checkpoint(folder: Path) -> str | None:
    lines = (
        "import keras, sys",
        "from keras import layers",
        "keras.utils.set_random_seed(3)",
        "parts = [keras.Input((32, 32, 3)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3, strides=4)]",
        "parts += [layers.ReLU(), layers.GlobalAveragePooling2D(), layers.Dense(10)]",
        "keras.Sequential(parts).save(sys.argv[1])",
    )
    command = [sys.executable, "-c", "\n".join(lines), str(folder / "net.keras")]
    subprocess.run(command, check=True, capture_output=True)
    return None


def _export(folder: Path) -> list[str]:
    number = folder / "number"
    count = int(number.read_text()) if number.exists() else 0
    number.write_text(str(count + 1))
    what = ["--format", "tflite", "--quantize", "int8", "--output-kind", "logits"]
    images = ["--calibration-samples", str(32 + count % 2), "--eval-split", "test-sample"]
    gates = ["--max-accuracy-drop", "100%", "--min-agreement", "0"]
    to = ["-o", f"{folder}/out", "--force", "-q"]
    return [script("cifar-export"), f"{folder}/net.keras", *what, *images, *gates, *to]


def _half_artefact(folder: Path) -> str | None:
    from cifar_runtime.artefact import open_artefact
    from cifar_runtime.errors import ArtefactError

    seen = sorted(path.name for path in (folder / "out").iterdir() if not path.name.startswith("."))
    if seen != ["net-int8.tflite", "net-int8.tflite.json"]:
        return f"visible: {', '.join(seen)}"
    try:
        open_artefact(folder / "out" / "net-int8.tflite")
    except ArtefactError:
        return "half an artefact"
    return None


# cifar-train: continued after each kill, it ends with the bits of an unbroken run.


def _pictures(folder: Path) -> str | None:
    from PIL import Image

    from cifar_data.packaged import test_sample

    sample = test_sample()
    for index in range(0, 1000, 5):
        place = folder / "pictures" / f"class-{int(sample.labels[index]) % 2}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sample.images[index]).save(place / f"{index}.png")
    return None


def _train(folder: Path) -> list[str]:
    run = folder / "run"
    if (run / "card.json").exists():  # the unbroken run, or one that a kill came too late for
        shutil.rmtree(run)
    what = ["--data", f"{folder}/pictures", "--size", "32", "--network", "edge-xs", "--epochs", "3"]
    how = ["--deterministic", "--batch-size", "64", "-o", str(run), "-q"]
    go_on = ["--resume"] if (run / "state.json").exists() else []
    return [script("cifar-train"), *what, *how, *go_on]


def _other_weights(folder: Path) -> str | None:
    """Only a finished run is judged: its weights are those of the first, which nothing interrupted."""
    if not (folder / "run" / "card.json").exists():
        return None
    with zipfile.ZipFile(folder / "run" / "model.keras") as archive:
        weights = archive.read("model.weights.h5")
    first = folder / "unbroken.h5"
    if not first.exists():
        first.write_bytes(weights)
    return None if first.read_bytes() == weights else "other weights"


# cifar-data fetch --force, over a set that is there.


def _dataset(folder: Path) -> str | None:
    from cifar_fixtures.cifar10_members import archive_of

    from cifar_data.cifar10.binary_format import records_from_images
    from cifar_data.cifar10.sources import MEMBER_SHA256
    from cifar_data.cifar10.splits import is_available, load_official

    if not is_available():
        return "CIFAR-10 is not in the cache (cifar-data fetch)"
    train, test = load_official("train"), load_official("test")
    members = {}
    for number, name in enumerate(MEMBER_SHA256):
        split, start = (test, 0) if name == "test_batch.bin" else (train, number * 10_000)
        chosen = slice(start, start + 10_000)
        members[name] = records_from_images(split.images[chosen], split.labels[chosen])
    archive_of(folder / "cifar-10-binary.tar", members)
    return None


def _fetch(folder: Path) -> list[str]:
    cache = f"CIFAR_EDGE_CACHE={folder}/cache"
    options = ["--from", f"{folder}/cifar-10-binary.tar", "--force", "-q"]
    return ["/usr/bin/env", cache, script("cifar-data"), "fetch", *options]


def _lost_set(folder: Path) -> str | None:
    environment = {**os.environ, "CIFAR_EDGE_CACHE": str(folder / "cache")}
    command = [script("cifar-data"), "verify"]
    ended = subprocess.run(command, env=environment, capture_output=True, check=False)
    return None if ended.returncode == 0 else "lost the data set"


VICTIMS = (
    Victim(
        name="classify",
        title="`cifar-classify PICTURE --json result.json`, killed, interrupted or terminated at a random moment",
        cases={"quick": 20, "nightly": 8_000},
        chunk=200,
        prepare=_picture,
        command=_classify,
        flaw=_half_json,
        flaw_at_end=_hidden,
    ),
    Victim(
        name="bench",
        title="`cifar-bench MODEL --json result.json`, killed so",
        cases={"quick": 2, "nightly": 800},
        chunk=20,
        prepare=lambda _: None,
        command=_bench,
        flaw=_half_json,
        flaw_at_end=_hidden,
    ),
    Victim(
        name="export",
        title="`cifar-export` over an older export, killed so",
        cases={"quick": 0, "nightly": 150},
        chunk=10,
        prepare=_checkpoint,
        command=_export,
        flaw=_half_artefact,
        flaw_at_end=lambda folder: _half_artefact(folder) or _hidden(folder),
    ),
    Victim(
        name="train",
        title="`cifar-train`, killed so and continued: in the end the weights of an unbroken run, bit for bit",
        cases={"quick": 0, "nightly": 150},
        chunk=10,
        prepare=_pictures,
        command=_train,
        flaw=_other_weights,
        flaw_at_end=_other_weights,
    ),
    Victim(
        name="fetch",
        title="`cifar-data fetch --force` over a stored set, killed so",
        cases={"quick": 2, "nightly": 300},
        chunk=20,
        prepare=_dataset,
        command=_fetch,
        flaw=_lost_set,
        flaw_at_end=_lost_set,
    ),
)

# Those that are killed at system calls too, and how often; under strace they take twice as long.
TRACED: Mapping[str, Mapping[str, int]] = {
    "classify": {"quick": 10, "nightly": 500},
    "fetch": {"quick": 0, "nightly": 100},
}
