"""Firmware is judged on the evaluation images by the export's own limits before a file of it is written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cifar_data.packaged import test_sample as packaged_test_sample
from cifar_data.split import Split
from cifar_eval.parity.limits import Limits
from cifar_export.firmware.evaluation import Evaluation, Judged
from cifar_export.firmware.write import write_firmware
from cifar_runtime.classifier import Classifier
from cifar_runtime.errors import GateError

EDGE_S = Path(__file__).parents[3] / "runtime/cifar_runtime/models/edge-s-int8.tflite"
LIMITS = Limits(max_accuracy_drop=0.05, min_agreement=0.9)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Forty images, and LiteRT's own scores in the place of Keras'."""
    sample = packaged_test_sample()
    split = replace(
        sample,
        images=np.asarray(sample.images)[:40],
        labels=np.asarray(sample.labels)[:40],
        ids=sample.ids[:40],
    )
    reference = Classifier(EDGE_S).scores(np.asarray(split.images))
    return Evaluation(split=split, reference=reference, limits=LIMITS)


def right(reference: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]", split: Split) -> int:
    return int((reference.argmax(axis=1) == split.labels).sum())


def test_a_firmware_that_decides_alike_is_written_with_its_figures(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    report = write_firmware(EDGE_S, tmp_path, engine="c", evaluation=evaluation)
    assert report.judged == Judged(
        split="test-sample",
        num_images=40,
        accuracy=right(evaluation.reference, evaluation.split) / 40,
        agreement=1.0,
    )


def test_a_firmware_that_decides_otherwise_is_not_written(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    other = replace(evaluation, reference=np.roll(evaluation.reference, 1, axis=1))
    with pytest.raises(GateError) as caught:
        write_firmware(EDGE_S, tmp_path, engine="c", evaluation=other)
    assert caught.value.exit_code == 5
    message = str(caught.value)
    assert message.startswith(
        "edge-s-int8.tflite as firmware on 40 images of test-sample: accuracy drop "
    )
    assert "agreement 0.00%, limit at least 90.00%: failed" in message
    assert "; no firmware was written. Firmware rounds otherwise than LiteRT" in message
    assert list(tmp_path.iterdir()) == []
