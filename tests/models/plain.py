"""What the plain converters make of a kind's checkpoint, which it trains: ``python -m models.plain KIND FOLDER``.

The TensorFlow converter with its default optimizations, tf2onnx, and onnxruntime's ``quantize_static``, each as its
own documentation says, calibrated on the first training pictures. It writes float32.tflite, int8.tflite, float32.onnx
and int8.onnx, those that the converters make, and errors.json.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import train
from models.kinds import KINDS
from models.pictures import pictures

NUM_CALIBRATION = 512
_OPSET = 18


def main(name: str, folder: Path) -> None:
    """Trains a kind, and converts its checkpoint four ways."""
    import keras

    kind = KINDS[name]
    train.main(name, folder)
    (images, _), _ = pictures(kind.size, num_classes=kind.num_classes)
    inputs = train.model_inputs(kind, images[:NUM_CALIBRATION])
    model = keras.saving.load_model(folder / "net.keras", compile=False)
    errors: dict[str, str] = {}
    ways: dict[str, Callable[[], bytes]] = {
        "float32.tflite": lambda: _tflite(model, None),
        "float32.onnx": lambda: _onnx(model),
        "int8.onnx": lambda: _quantized_onnx(folder, inputs),
        "int8.tflite": lambda: _tflite(model, inputs),  # last: the converter can kill the process
    }
    for way, convert in ways.items():
        errors[way] = "the converter ended the process"
        (folder / "errors.json").write_text(json.dumps(errors))
        try:
            (folder / way).write_bytes(convert())
            del errors[way]
        except Exception as error:  # noqa: BLE001 - whatever a converter raises is its result
            errors[way] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:160]}"
        (folder / "errors.json").write_text(json.dumps(errors))


def _tflite(model: Any, inputs: NDArray[np.float32] | None) -> bytes:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if inputs is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]

        def representative_dataset() -> Iterator[list[NDArray[np.float32]]]:
            for one in inputs:
                yield [one[None]]

        converter.representative_dataset = representative_dataset
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return bytes(converter.convert())


def _onnx(model: Any) -> bytes:
    import tensorflow as tf
    import tf2onnx

    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="image")]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def scores(image: Any) -> Any:
        return tf.identity(model(image, training=False), name="scores")

    proto, _ = tf2onnx.convert.from_function(scores, input_signature=signature, opset=_OPSET)
    return bytes(proto.SerializeToString())


class _Reader:
    """Calibration inputs one by one, as onnxruntime asks for them."""

    def __init__(self, name: str, inputs: NDArray[np.float32]) -> None:
        self._batches = iter([{name: one[None]} for one in inputs])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._batches, None)


def _quantized_onnx(folder: Path, inputs: NDArray[np.float32]) -> bytes:
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    source, prepared, target = (folder / f"{name}.tmp.onnx" for name in ("a", "b", "c"))
    source.write_bytes((folder / "float32.onnx").read_bytes())
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    name = onnx.load(prepared).graph.input[0].name
    quantization.quantize_static(
        str(prepared),
        str(target),
        _Reader(name, inputs),
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
    )
    return target.read_bytes()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
