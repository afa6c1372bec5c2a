"""BatchNorm as one TensorFlow operation while training; imports Keras and TensorFlow.

Keras writes BatchNorm out as a mean, a variance and some arithmetic in float32, and their gradients, each of which
reads or writes all activations. Of a step of `edge-s` on a CPU that is half the time. oneDNN's operation is ten times
slower where the channels do not fill its vectors, so channels of zeros fill these, and none more: they take time.
"""

from functools import cache
from typing import Any

import keras
import tensorflow as tf

from cifar_runtime.environment import read_environment


class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]  # Keras has no types
    """Keras' layer for images whose channels come last; in inference it is Keras' own."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """The normalized ``inputs``, shape (n, height, width, channels), which are not masked."""
        if not (training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        scale = self.gamma if self.scale else tf.ones_like(self.moving_mean)
        offset = self.beta if self.center else tf.zeros_like(self.moving_mean)
        channels = inputs.shape[-1]
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            _filled(inputs),
            _filled(tf.convert_to_tensor(scale)),
            _filled(tf.convert_to_tensor(offset)),
            epsilon=self.epsilon,
            is_training=True,
        )
        outputs, mean, variance = (
            _first_channels(each, channels) for each in (outputs, mean, variance)
        )
        count = tf.cast(tf.size(inputs) / tf.shape(inputs)[-1], variance.dtype)
        # The operation estimates the variance of all images there are; Keras takes that of the batch.
        self._follow(self.moving_mean, mean)
        self._follow(self.moving_variance, variance * (count - 1.0) / count)
        return outputs

    def _follow(self, moving: Any, batch: Any) -> None:
        moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))


def _filled(tensor: Any) -> Any:
    """The tensor with channels of zeros behind its own, up to a whole number of vectors."""
    missing = -tensor.shape[-1] % _channels_of_a_vector()
    if not missing:
        return tensor
    # tf.pad and a slice, its inverse, take longer than the normalization.
    zeros = tf.zeros(tf.concat([tf.shape(tensor)[:-1], [missing]], axis=0), tensor.dtype)
    return tf.concat([tensor, zeros], axis=-1)


@cache
def _channels_of_a_vector() -> int:
    """How many channels oneDNN normalizes at once on this processor: those of AVX2 where that is its widest, or 16."""
    flags = read_environment().isa_flags
    return 8 if "avx2" in flags and "avx512f" not in flags else 16


def _first_channels(tensor: Any, count: int) -> Any:
    filling = tensor.shape[-1] - count
    return tf.split(tensor, [count, filling], axis=-1)[0] if filling else tensor


def with_fused_batch_norm(model: Any) -> Any:
    """A functional model of the same layers and weights, but for its BatchNorms, which are fused copies."""
    fused = keras.models.clone_model(model, clone_function=_fused_or_itself)
    fused.set_weights(model.get_weights())
    return fused


def _fused_or_itself(layer: Any) -> Any:
    if type(layer) is not keras.layers.BatchNormalization:
        return layer  # a copy of a Dropout would drop others
    return FusedBatchNormalization.from_config(layer.get_config())
