"""TensorBoard event files, written with TensorFlow alone: an epoch's figures as scalars."""

import time
from pathlib import Path

from cifar_train.run.state import Epoch

_SCALARS = (
    "loss",
    "accuracy",
    "validation_loss",
    "validation_accuracy",
    "images_per_second",
)


class EventFile:
    """One event file in a run folder; a resumed run starts another, and TensorBoard joins them."""

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"events.out.tfevents.{time.time_ns()}.cifar-edge"
        self._writer = tf.io.TFRecordWriter(str(path))
        # Source: tensorflow/core/util/events_writer.cc: the first record states the version.
        self._write(tf.compat.v1.Event(wall_time=time.time(), file_version="brain.Event:2"))

    def add(self, epoch: Epoch) -> None:
        """Appends what ``epoch`` measured; it is on disk afterwards."""
        import tensorflow as tf

        values = [
            tf.compat.v1.Summary.Value(tag=tag, simple_value=getattr(epoch, tag))
            for tag in _SCALARS
        ]
        self._write(
            tf.compat.v1.Event(
                wall_time=time.time(),
                step=epoch.number,
                summary=tf.compat.v1.Summary(value=values),
            )
        )

    def close(self) -> None:
        """Closes the file."""
        self._writer.close()

    def _write(self, event: object) -> None:
        self._writer.write(event.SerializeToString())  # type: ignore[attr-defined]
        self._writer.flush()
