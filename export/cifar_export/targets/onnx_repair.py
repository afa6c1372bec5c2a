"""An int8 ONNX model with some of its operators in float32."""

from dataclasses import replace
from pathlib import Path

from cifar_export.converted import Converted, IoType, Quantization
from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.streams import quiet_conversion
from cifar_export.targets.mixed_precision import Group, Move, float_names, groups_of, moves_of
from cifar_export.targets.onnx_int8 import StaticQuantization, onnx_int8, prepared_bytes
from cifar_runtime.formats.graph import graph_from_bytes


class OnnxMixedPrecision:
    """One float32 model, calibrated once, that becomes int8 but for any of its groups; see ``MixedPrecision``."""

    def __init__(
        self,
        float_model: Converted,
        feed: RepresentativeDataset,
        static: StaticQuantization,
        folder: Path,
        *,
        model_name: str,
    ) -> None:
        """Calibrates.

        Args:
            float_model: what ``onnx_float32`` returned.
            feed: calibration images.
            static: how activations become integers.
            folder: where the ranges are kept.
            model_name: for messages.

        Raises:
            ArtefactError: onnxruntime cannot quantize it.
        """
        self._float_model, self._feed, self._name = float_model, feed, model_name
        self._static = replace(static, ranges=folder / "ranges.json")
        with quiet_conversion(verbose=False):
            groups = onnx_groups(prepared_bytes(float_model))
        self.moves = moves_of(groups)
        self._ends: tuple[Quantization, Quantization] | None = None
        whole = self.convert((), io="int8")
        if whole.input is None or whole.output is None:
            raise TypeError("an int8 model has integer ends")
        self._ends = whole.input, whole.output

    def convert(self, groups: Move, *, io: IoType) -> Converted:
        """The int8 model with these groups in float32.

        Raises:
            ArtefactError: onnxruntime cannot quantize it so.
        """
        static = replace(self._static, io=io, floats=float_names(groups), ends=self._ends)
        return onnx_int8(self._float_model, self._feed, static, model_name=self._name)


def onnx_groups(prepared: bytes) -> tuple[Group, ...]:
    """The groups of an ONNX file with known shapes and named nodes."""
    import onnx

    nodes = onnx.load_model_from_string(prepared).graph.node
    return groups_of(graph_from_bytes(prepared, "onnx"), [node.name for node in nodes])
