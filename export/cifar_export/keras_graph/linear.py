"""A convolution or dense layer as float64 arrays that affine maps fold into, exactly."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cifar_export.keras_graph.affine import Affine, Vector

LinearKind = Literal["Conv2D", "DepthwiseConv2D", "Dense"]


@dataclass(slots=True, kw_only=True)
class Linear:
    """One layer's weights while folding goes on; the only mutable state of the fold.

    Attributes:
        kind: the Keras class.
        layer: the original Keras layer, only read.
        call_index: its place in the trace.
        kernel: float64, as Keras stores it: Conv2D (h, w, in, out), DepthwiseConv2D (h, w, in, multiplier),
            Dense (in, out).
        bias: float64, shape (out,).
    """

    kind: LinearKind
    layer: Any
    call_index: int
    kernel: NDArray[np.float64]
    bias: Vector

    @property
    def pads_with_zeros(self) -> bool:
        """Whether zeros are computed with at the borders, which a shifted input would have to be too."""
        return self.kind != "Dense" and self.layer.padding != "valid"

    def scale_outputs(self, scale: Vector) -> None:
        """Multiplies each output channel, before the layer's activation, by ``scale``, shape (out,)."""
        if self.kind == "DepthwiseConv2D":
            self.kernel = self.kernel * scale.reshape(self.kernel.shape[2:])
        else:
            self.kernel = self.kernel * scale
        self.bias = self.bias * scale

    def shift_outputs(self, shift: Vector) -> None:
        """Adds ``shift``, shape (out,), to the outputs, before the layer's activation."""
        self.bias = self.bias + shift

    def absorb(self, owed: Affine) -> None:
        """Takes over an affine map of the input; a shift only where no zeros are padded."""
        if self.kind == "DepthwiseConv2D":
            self.bias = self.bias + (self.kernel.sum(axis=(0, 1)) * owed.shift[:, None]).ravel()
            self.kernel = self.kernel * owed.scale[:, None]
            return
        summed = self.kernel.sum(axis=tuple(range(self.kernel.ndim - 2)))
        self.bias = self.bias + owed.shift @ summed
        absorbed = np.empty_like(self.kernel)
        absorbed[..., owed.order, :] = self.kernel * owed.scale[:, None]
        self.kernel = absorbed


def linear_from_layer(layer: Any, *, call_index: int) -> Linear | None:
    """The layer's float64 weights, or None when it is not one that folding understands."""
    kind = type(layer).__name__
    if not type(layer).__module__.startswith("keras."):
        return None
    if kind in ("Conv2D", "DepthwiseConv2D"):
        if layer.data_format != "channels_last" or (kind == "Conv2D" and layer.groups != 1):
            return None
    elif kind != "Dense":
        return None
    weights = layer.get_weights()
    if len(weights) != 1 + bool(layer.use_bias):
        return None  # adapters and quantized weights are somebody else's
    kernel, *bias = (np.asarray(weight, dtype=np.float64) for weight in weights)
    channels = int(np.prod(kernel.shape[2:])) if kind == "DepthwiseConv2D" else kernel.shape[-1]
    return Linear(
        kind=kind,  # type: ignore[arg-type]
        layer=layer,
        call_index=call_index,
        kernel=kernel,
        bias=bias[0] if bias else np.zeros(channels),
    )
