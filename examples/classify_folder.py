"""Classifies every new picture in a folder, until it is interrupted: ``python examples/classify_folder.py photos``.

It needs ``pip install ./runtime`` only. ``--once`` looks once and ends, as the tests do.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from cifar_runtime import CifarEdgeError, Classifier

SUFFIXES = (".png", ".jpg", ".jpeg")


def new_pictures(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """The pictures in a folder that are not in ``seen``, which they are then added to."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES and path not in seen:
            seen.add(path)
            yield path


def main() -> None:
    """Opens the model once, then prints a line for each picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, help="an exported model (default: the packaged one)")
    parser.add_argument("--once", action="store_true", help="look once")
    options = parser.parse_args()
    classifier = Classifier(options.model)
    seen: set[Path] = set()
    while True:
        for path in new_pictures(options.folder, seen):
            try:
                prediction = classifier.classify(path)
            except CifarEdgeError as error:  # a picture that is half written, or none
                print(f"{path.name}: {error}")
                continue
            label = f"unsure ({prediction.label}?)" if prediction.abstained else prediction.label
            print(f"{path.name}: {label} {prediction.probability:.1%}", flush=True)
        if options.once:
            return
        time.sleep(1)


if __name__ == "__main__":
    main()
