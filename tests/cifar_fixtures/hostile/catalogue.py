"""All hostile cases; ``python -m cifar_fixtures.hostile.catalogue DIR`` writes them out."""

import json
import shutil
import sys
from pathlib import Path

from cifar_fixtures.hostile.artefacts import cards, model_files
from cifar_fixtures.hostile.case import (
    CONTRACT,
    Case,
)
from cifar_fixtures.hostile.contracts import contracts
from cifar_fixtures.hostile.foreign_onnx import foreign_onnx
from cifar_fixtures.hostile.foreign_tflite import foreign_tflite
from cifar_fixtures.hostile.pictures import pictures


def catalogue() -> tuple[Case, ...]:
    """All cases."""
    return (*model_files(), *cards(), *foreign_tflite(), *foreign_onnx(), *contracts(), *pictures())


def prepare(folder: Path, artefacts: Path) -> None:
    """Puts the good files beside which the hostile ones are made into a folder.

    Args:
        folder: a fresh one.
        artefacts: where tiny-int8.tflite and tiny-float32.onnx lie with their cards.
    """
    from PIL import Image

    for source, name in (("tiny-int8.tflite", "good.tflite"), ("tiny-float32.onnx", "good.onnx")):
        for suffix in ("", ".json"):
            shutil.copy(artefacts / f"{source}{suffix}", folder / f"{name}{suffix}")
    Image.new("RGB", (20, 16), (200, 30, 40)).save(folder / "good.png")
    (folder / "contract.json").write_text(json.dumps(CONTRACT))


def main() -> None:
    """Writes each case into its own folder below the one given."""
    artefacts = Path(__file__).parents[2] / "runtime" / "artefacts" / "v1"
    for case in catalogue():
        folder = Path(sys.argv[1]) / case.name
        folder.mkdir(parents=True)
        prepare(folder, artefacts)
        arguments = " ".join(case.write(folder)).replace("\0", "\\0")
        sys.stdout.write(f"{case.name}: exit {case.exit_code}: cifar-classify {arguments}\n")


if __name__ == "__main__":
    main()
