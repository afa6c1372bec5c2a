"""BatchNorm as one TensorFlow operation while training; imports Keras and TensorFlow.

Keras writes BatchNorm out as a mean, a variance and some arithmetic in float32, and their gradients, each of which
reads or writes all activations. Of a step of `edge-s` on a CPU that is half the time.
"""

from typing import Any

import keras
import tensorflow as tf


class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]  # Keras has no types
    """Keras' layer for images whose channels come last; in inference it is Keras' own."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """The normalized ``inputs``, shape (n, height, width, channels), which are not masked."""
        if not (training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        zeros = tf.zeros_like(self.moving_mean)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            tf.convert_to_tensor(self.gamma) if self.scale else zeros + 1.0,
            tf.convert_to_tensor(self.beta) if self.center else zeros,
            epsilon=self.epsilon,
            is_training=True,
        )
        count = tf.cast(tf.size(inputs) / tf.shape(inputs)[-1], variance.dtype)
        # The operation estimates the variance of all images there are; Keras takes that of the batch.
        self._follow(self.moving_mean, mean)
        self._follow(self.moving_variance, variance * (count - 1.0) / count)
        return outputs

    def _follow(self, moving: Any, batch: Any) -> None:
        moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))


def with_fused_batch_norm(model: Any) -> Any:
    """A functional model of the same layers and weights, but for its BatchNorms, which are fused copies."""
    fused = keras.models.clone_model(model, clone_function=_fused_or_itself)
    fused.set_weights(model.get_weights())
    return fused


def _fused_or_itself(layer: Any) -> Any:
    if type(layer) is not keras.layers.BatchNormalization:
        return layer  # a copy of a Dropout would drop others
    return FusedBatchNormalization.from_config(layer.get_config())
