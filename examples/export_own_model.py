"""Exports a Keras classifier to int8 TFLite and says whether it may take Keras' place.

``python examples/export_own_model.py mine.keras --labels labels.txt --train train --test test`` for pictures of your
own, one folder a class; without arguments the checkpoint and the pictures that come with cifar-edge. It needs
``pip install ./runtime '.[export]'``.
"""

import argparse
import sys
from pathlib import Path

from cifar_data.packaged import checkpoint
from cifar_export import (
    CalibrationRecipe,
    EvaluationImages,
    ExportGateError,
    ExportRecipe,
    GateRecipe,
    PublishOptions,
    SourceRecipe,
    export,
)
from cifar_runtime import Classifier


def recipe_from(options: argparse.Namespace) -> ExportRecipe:
    """What to make, what to calibrate and compare on, and what it must hold."""
    return ExportRecipe(
        source=SourceRecipe(checkpoint=options.checkpoint, labels=options.labels),
        publish=PublishOptions(output=options.output),
        calibration=CalibrationRecipe(data=options.train),
        evaluation=EvaluationImages(split="test-sample", data=options.test),
        gate=GateRecipe(max_accuracy_drop=0.005, min_agreement=0.97),
    )


def main() -> int:
    """0 when the model was published, 5 when it decides too differently."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", nargs="?", type=Path, default=checkpoint())
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--train", type=Path, help="pictures for calibration")
    parser.add_argument("--test", type=Path, help="labelled pictures to compare on")
    parser.add_argument("--output", type=Path, default=Path("exported"))
    try:
        (result,) = export(recipe_from(parser.parse_args()))
    except ExportGateError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    labels = ", ".join(Classifier(result.path).artefact.contract.labels)
    print(f"{result.path}: {result.accuracy:.2%}, {result.agreement:.2%} as Keras; {labels}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
