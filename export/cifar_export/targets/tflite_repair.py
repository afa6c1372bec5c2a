"""An int8 TensorFlow Lite model with some of its operators in float32."""

from typing import Any

from cifar_export.converted import Converted, IoType
from cifar_export.int8.calibration import RepresentativeDataset
from cifar_export.targets.mixed_precision import Move, float_names, groups_of, moves_of
from cifar_export.targets.tflite import tflite_calibrated, tflite_partly_int8
from cifar_runtime.formats.tflite_graph import tflite_graph


class TfliteMixedPrecision:
    """One float32 model, calibrated once, that becomes int8 but for any of its groups; see ``MixedPrecision``."""

    def __init__(self, model: Any, feed: RepresentativeDataset, *, model_name: str) -> None:
        """Calibrates.

        Args:
            model: a folded functional model.
            feed: calibration images, reaching 0 and 255.
            model_name: for messages.

        Raises:
            ArtefactError: TensorFlow Lite cannot convert it.
        """
        self._calibrated, self._name = tflite_calibrated(model, feed), model_name
        graph = tflite_graph(self._calibrated)
        names = [graph.tensors[operator.outputs[0]].name for operator in graph.operators]
        self.moves = moves_of(groups_of(graph, names))

    def convert(self, groups: Move, *, io: IoType) -> Converted:
        """The int8 model with these groups in float32.

        Raises:
            ArtefactError: TensorFlow Lite cannot quantize it so.
        """
        return tflite_partly_int8(
            self._calibrated, float_names(groups), io=io, model_name=self._name
        )
