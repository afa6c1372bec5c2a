"""What exported files decide, by plain interpreters that know nothing of this project: input and output by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.pictures import Images, Labels

Scores = NDArray[np.float64]


def scores_of_artefact(path: Path, images: Images) -> Scores:
    """Scores, float64, shape (n, num_classes), of pictures fed as the card beside the file says."""
    card = json.loads(path.with_name(f"{path.name}.json").read_text())["contract"]
    taken, given = card["input"], card["output"]
    real = images.astype(np.float64) * taken["multiplier"] + taken["offset"]
    found = raw_scores(path, _quantized(real, taken))
    if given["dtype"] == "float32":
        return found
    return (found - given["zero_point"]) * given["scale"]


def raw_scores(path: Path, inputs: NDArray[Any]) -> Scores:
    """What a file returns for inputs of its own dtype, float64, picture by picture."""
    run = _tflite(path) if path.suffix == ".tflite" else _onnx(path)
    return np.concatenate([np.asarray(run(one[None]), np.float64) for one in inputs])


def decided(scores: NDArray[np.float64]) -> Labels:
    """The class of each row of scores; of one score, the probability of the second of two classes, too."""
    if scores.shape[1] == 1:
        return (scores[:, 0] > 0.5).astype(np.int64)
    return scores.argmax(axis=1).astype(np.int64)


def _quantized(real: NDArray[np.float64], tensor: dict[str, Any]) -> NDArray[Any]:
    if tensor["dtype"] == "float32":
        return real.astype(np.float32)
    limits = np.iinfo(tensor["dtype"])
    steps = np.round(real / tensor["scale"]) + tensor["zero_point"]
    return np.clip(steps, limits.min, limits.max).astype(tensor["dtype"])


def _tflite(path: Path) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    taken = interpreter.get_input_details()[0]["index"]
    given = interpreter.get_output_details()[0]["index"]

    def run(image: NDArray[Any]) -> NDArray[Any]:
        interpreter.set_tensor(taken, image)
        interpreter.invoke()
        return np.array(interpreter.get_tensor(given))

    return run


def _onnx(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    return lambda image: session.run(None, {taken.name: image})[0]
