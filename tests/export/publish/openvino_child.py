"""What OpenVINO gives, in its own environment: ``python openvino_child.py MODEL IMAGES.npy SCORES.npy OPTIONS``."""

import json
import sys
import warnings

import numpy as np

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    import openvino

    model, given, target, options = sys.argv[1:]
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model), "CPU", json.loads(options))
    np.save(target, np.concatenate([compiled(image[None])[0] for image in np.load(given)]))
