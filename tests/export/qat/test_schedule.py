"""What both backends of quantization-aware training share: views, rates, verdicts, and steps in fitting units."""

from math import cos, log, pi, sqrt
from typing import Any

import numpy as np
import pytest

from cifar_export.qat.scaled_adam import ScaledAdam, Units, units_of
from cifar_export.qat.schedule import (
    ValidationPoint,
    best,
    is_validated,
    logits_of,
    rate_at,
    report,
    sentence,
    validation_point,
    verdict,
    views,
)


def test_a_look_counts_equal_decisions_and_measures_divergence() -> None:
    wanted = np.array([[0.0, log(3)], [log(4), 0.0]], dtype=np.float32)
    found = np.zeros((2, 2), dtype=np.float32)
    found[0, 1] = 1e-4  # decides the first as wanted; a tie, so the first class, for the second
    point = validation_point(7, wanted, found)
    by_hand = [
        0.25 * log(0.25 / 0.5) + 0.75 * log(0.75 / 0.5),
        0.8 * log(0.8 / 0.5) + 0.2 * log(0.2 / 0.5),
    ]
    assert (point.step, point.agreement) == (7, 1.0)
    assert point.divergence == pytest.approx(np.mean(by_hand), rel=1e-3)
    assert validation_point(0, wanted, found[:, ::-1].copy()).agreement == 0.5


def test_the_state_of_least_divergence_is_kept_and_reported() -> None:
    points = [
        ValidationPoint(step=step, agreement=agreement, divergence=divergence)
        for step, agreement, divergence in ((0, 0.9, 0.3), (4, 0.8, 0.1), (8, 0.95, 0.2))
    ]
    assert best(points).step == 4
    assert verdict(points) == "QAT: kept the state of step 4, the nearest to the float model"
    assert verdict(points[:1]) == (
        "QAT: no step came nearer to the float model than the start: that is kept, untrained"
    )
    found = report(points, num_images=50)
    assert (found["steps"], found["kept_step"], found["validation_images"]) == (8, 4, 50)
    assert found["looks"][1] == {"step": 4, "agreement": 0.8, "divergence": 0.1}
    assert (
        sentence(points[2], num_steps=8, num_images=2000, loss=0.5)
        == "QAT: step 8 of 8: loss 0.50000, agreement 95.00%, divergence 0.20000 on 2,000 validation images"
    )


@pytest.mark.parametrize(
    ("step", "expected"),
    [(1, 0.2), (5, 1.0), (52, 0.5 * (1 + cos(pi * 47 / 95))), (100, 0.0)],
)
def test_rates_warm_up_and_fall_along_a_cosine(step: int, expected: float) -> None:
    assert rate_at(step, 100, 1.0) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("num_steps", [1, 4, 100])
def test_the_last_step_is_always_looked_at(num_steps: int) -> None:
    seen = [step for step in range(1, num_steps + 1) if is_validated(step, num_steps)]
    assert seen[-1] == num_steps
    assert len(seen) <= 8


def test_every_image_is_seen_before_any_again_in_moved_views() -> None:
    """Images of one colour each keep it under any mirroring and shift."""
    images = np.repeat(np.arange(12, dtype=np.uint8), 8 * 8 * 3).reshape(12, 8, 8, 3)
    batches = list(views(images, batch_size=5, num_batches=4, seed=0))
    assert [batch.shape for batch in batches] == [(5, 8, 8, 3)] * 4
    colours = np.concatenate([batch[:, 0, 0, 0] for batch in batches])
    assert sorted(colours[:12]) == list(range(12))
    assert len(set(colours[12:])) == 8
    assert all(len(np.unique(image)) == 1 for batch in batches for image in batch)


def test_views_are_shifts_and_mirror_images_of_their_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
    padded = np.pad(image[0], ((2, 2), (2, 2), (0, 0)), mode="reflect")
    mirrored = np.pad(image[0, :, ::-1], ((2, 2), (2, 2), (0, 0)), mode="reflect")
    possible = {
        source[top : top + 8, left : left + 8].tobytes()
        for source in (padded, mirrored)
        for top in range(5)
        for left in range(5)
    }
    found = {batch[0].tobytes() for batch in views(image, batch_size=1, num_batches=40, seed=1)}
    assert found <= possible
    assert len(found) > 10


def test_units_are_root_mean_squares_of_each_output_channel() -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype(np.float32)
    kernel[..., 2] = 0
    found = units_of(kernel, np.arange(4.0), np.arange(5.0) ** 2, is_depthwise=False)
    expected = [sqrt(float((kernel[..., channel] ** 2).mean())) for channel in range(5)]
    expected[2] = max(expected) / 1000
    np.testing.assert_allclose(found.kernel.ravel(), expected, rtol=1e-5)
    np.testing.assert_allclose(found.mean_input, np.arange(4.0).reshape(1, 1, 4, 1))
    np.testing.assert_allclose(found.bias, [0.004, 1, 2, 3, 4], rtol=1e-6)


def test_a_first_step_moves_by_the_rate_in_units_and_keeps_the_mean_output() -> None:
    """Adam's first step has the gradient's sign and the rate's size; the bias takes the kernel's shift back."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    start, start_bias = random.normal(size=(4, 3)), random.normal(size=3)
    units = Units(
        mean_input=random.uniform(1, 2, size=(4, 1)).astype(np.float32),
        kernel=np.array([[0.1, 1.0, 10.0]], dtype=np.float32),
        bias=np.array([5.0, 6.0, 7.0], dtype=np.float32),
    )
    kernel, bias = tf.Variable(start, dtype=tf.float32), tf.Variable(start_bias, dtype=tf.float32)
    gradients = [random.normal(size=(4, 3)), random.normal(size=3)]
    ScaledAdam([(kernel, bias)], [units]).apply(
        [tf.constant(gradient, tf.float32) for gradient in gradients], 0.01
    )
    centred = gradients[0] - units.mean_input * gradients[1]
    change = np.asarray(kernel) - start
    np.testing.assert_allclose(change, -0.01 * np.sign(centred) * units.kernel, rtol=1e-3)
    moved = np.asarray(bias) - start_bias + (units.mean_input * change).sum(axis=0)
    np.testing.assert_allclose(moved, -0.01 * np.sign(gradients[1]) * units.bias, rtol=1e-3)


def test_a_depthwise_kernel_without_bias_moves_by_its_units() -> None:
    import tensorflow as tf

    start = np.random.default_rng(0).normal(size=(3, 3, 4, 1)).astype(np.float32)
    kernel = tf.Variable(start)
    units = units_of(start, np.ones(4), np.ones(4), is_depthwise=True)
    assert units.kernel.shape == (1, 1, 4, 1)
    ScaledAdam([(kernel, None)], [units]).apply([tf.ones_like(kernel)], 0.5)
    expected = start - 0.5 * np.sqrt((start**2).mean(axis=(0, 1), keepdims=True))
    np.testing.assert_allclose(np.asarray(kernel), expected, rtol=1e-4)


def test_a_look_computes_fewer_large_images_at_once() -> None:
    asked: list[int] = []

    class Model:
        def predict(self, images: Any, *, batch_size: int, **_: Any) -> Any:
            asked.append(batch_size)
            return np.zeros((len(images), 3), np.float32)

    for side in (32, 224):
        assert logits_of(Model(), np.zeros((2, side, side, 3), np.float32)).shape == (2, 3)
    assert asked == [250, 10]
