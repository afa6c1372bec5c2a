"""Holds an exported model to limits against the model it replaces; exit code 5 when it misses one.

``python examples/ci_gate.py REFERENCE CANDIDATE``, any of .keras, .tflite and .onnx. It needs
``pip install ./runtime '.[bench]'``, and TensorFlow for a .keras file.
"""

import argparse
import sys
from pathlib import Path

from cifar_eval import Limits, compare, judge
from cifar_runtime import CifarEdgeError

LIMITS = Limits(max_accuracy_drop=0.005, min_agreement=0.97)


def main() -> int:
    """Prints a line for each limit; 0, 5, or the error's own exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", type=Path)
    parser.add_argument("candidate", type=Path)
    parser.add_argument("--images", default="test-sample", help="a split, or a folder of classes")
    parser.add_argument("--min-agreement", type=float, default=LIMITS.min_agreement)
    options = parser.parse_args()
    limits = Limits(max_accuracy_drop=LIMITS.max_accuracy_drop, min_agreement=options.min_agreement)
    try:
        parity = compare(options.reference, options.candidate, images=options.images)
    except CifarEdgeError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    gates = judge(parity, limits)
    for gate in gates:
        print(f"{gate.name}: {'passed' if gate.passed else 'FAILED'}, limit {gate.limit:.3f}")
    return 0 if all(gate.passed for gate in gates) else 5


if __name__ == "__main__":
    sys.exit(main())
