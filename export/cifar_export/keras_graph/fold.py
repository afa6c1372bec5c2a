"""Folds every BatchNorm and Rescaling of a Keras model that folds exactly, BatchNorm behind ReLU included.

No converter folds a BatchNorm that follows a ReLU; its per-channel multipliers then meet per-tensor quantization,
and int8 collapses to chance. With a = gamma / sqrt(variance + epsilon) and c = beta - a * mean the layer is
a * x + c, and these steps are exact (in float64 here):

- directly behind a convolution, a and c fold into its weights and bias;
- behind ReLU and pooling, |a| folds backward into the convolution, since |a| relu(z) = relu(|a| z) and both
  maximum and mean commute with a positive factor;
- what remains, the sign of a and the shift c, moves forward through pooling, cropping, Flatten and dropout into the
  next convolution or dense layer. Zero padding would turn a shift wrong, so there it stays as an addition in its place;
- a negative sign meets a maximum: max(a relu(z)) = -|a| min(relu(z)) = -relu(-max(-|a| z)). Those channels get a
  branch of their own: convolution with negated weights, the pooling, and a negating ReLU. (One path with the sign
  behind the pooling is exact too, but quantizes unrectified values for every channel: int8 then agreed with
  Keras on 81.6 % of 2,000 test images, in branches on 98.1 %.)

Whatever does not fit is left where the layer stood: of images, in a depthwise convolution of 1x1, since int8 rounds
behind every operator, and a multiplication by a vector has one scale for all channels. The model given is not changed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from cifar_export.keras_graph.affine import Affine, Vector, affine_of
from cifar_export.keras_graph.inline import hides_layers
from cifar_export.keras_graph.linear import Linear, linear_from_layer
from cifar_export.keras_graph.rewrite import Edit, SplitPooling, rewrite
from cifar_export.keras_graph.trace import Call, Trace, functional_from, trace

LAYERS_INSIDE = "the layers inside were not prepared"
"""The note on a layer that is a model, or has layers, of which inlining could make none of the model's own."""

FOLDED_BACK = "scale folded back into "
"""How the note begins on what follows an activation; the name of the layer before that comes next."""

RescalingRule = Literal["keep", "strip"]

_INFERENCE_IDENTITIES = (
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "GaussianDropout",
    "GaussianNoise",
    "AlphaDropout",
    "ActivityRegularization",
    "Identity",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldNote:
    """What happened to one layer.

    Attributes:
        layer: its name.
        action: one clause for people and the card.
    """

    layer: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A folded model and its report.

    Attributes:
        model: a new functional Keras model that computes the same scores.
        notes: what happened to each layer that folding touched.
        multiplier: what the caller must multiply pixels by (1 unless a Rescaling was stripped).
        offset: what the caller must add then.
    """

    model: Any
    notes: tuple[FoldNote, ...]
    multiplier: float
    offset: float


def fold(model: Any, *, rescaling: RescalingRule = "keep") -> Folded:
    """The model with everything folded that folds exactly.

    Args:
        model: a built Sequential or functional Keras model; it is not changed.
        rescaling: what to do with a leading Rescaling that cannot fold (its convolution pads with zeros): keep it
            in the model, or strip it and let the contract tell the caller to do it.
    """
    functional = functional_from(model)
    folding = _Folding(trace=trace(functional), rescaling=rescaling)
    folding.run()
    return Folded(
        model=rewrite(functional, folding.edits),
        notes=tuple(folding.notes),
        multiplier=folding.multiplier,
        offset=folding.offset,
    )


@dataclass(slots=True, kw_only=True)
class _State:
    """What is known of one tensor.

    Attributes:
        producer: index of the call that returns it.
        owed: the map that turns it into the original's tensor; None when it is that already.
        head: the linear layer whose output scale can still change; None when nothing may.
        since: calls between ``head`` and here, each commuting with positive per-channel factors.
    """

    producer: int = -1
    owed: Affine | None = None
    head: Linear | None = None
    since: tuple[Call, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Folding:
    """One walk over the calls, which decides an edit for each; nothing is built here."""

    trace: Trace
    rescaling: RescalingRule
    edits: dict[int, Edit] = field(default_factory=dict)
    notes: list[FoldNote] = field(default_factory=list)
    states: dict[int, _State] = field(default_factory=dict)
    pixels: set[int] = field(default_factory=set)
    multiplier: float = 1.0
    offset: float = 0.0

    def run(self) -> None:
        self.pixels.update(number for call in self.trace.calls[:1] for number in call.inputs)
        handlers: dict[str, Callable[[Call, _State], _State]] = {
            **dict.fromkeys(("Conv2D", "DepthwiseConv2D", "Dense"), self._linear),
            "BatchNormalization": self._batch_norm,
            "Rescaling": self._rescaling,
            **dict.fromkeys(("ReLU", "LeakyReLU", "Activation"), self._activation),
            **dict.fromkeys(("MaxPooling2D", "GlobalMaxPooling2D"), self._max_pooling),
            **dict.fromkeys(
                ("AveragePooling2D", "GlobalAveragePooling2D", "Cropping2D"),
                self._channel_by_channel,
            ),
            "Flatten": self._flatten,
            **dict.fromkeys(_INFERENCE_IDENTITIES, self._identity),
        }
        for call in self.trace.calls:
            name = type(call.layer).__name__
            is_ours = call.is_simple and type(call.layer).__module__.startswith("keras.")
            handler = handlers.get(name, self._opaque) if is_ours else self._opaque
            inputs = [self.states.setdefault(number, _State()) for number in call.inputs]
            state = handler(call, inputs[0]) if is_ours else self._opaque(call, *inputs)
            for number in call.outputs:
                self.states[number] = state
                if self.trace.uses[number] != 1:
                    self._settle(state)

    def _edit(self, call: Call) -> Edit:
        return self.edits.setdefault(call.index, Edit())

    def _note(self, call: Call, action: str) -> None:
        self.notes.append(FoldNote(layer=call.layer.name, action=action))

    def _settle(self, state: _State) -> None:
        """Pays what is owed in its place, and lets nothing fold further back."""
        if state.owed is not None:
            self.edits.setdefault(state.producer, Edit()).after = state.owed
            name = self.trace.calls[state.producer].layer.name
            self.notes.append(FoldNote(layer=name, action="what could not move on stays behind it"))
        state.owed, state.head, state.since = None, None, ()

    def _opaque(self, call: Call, *inputs: _State) -> _State:
        if hides_layers(call.layer):
            self._note(call, LAYERS_INSIDE)
        for state in inputs:
            self._settle(state)
        return _State(producer=call.index)

    def _identity(self, call: Call, state: _State) -> _State:
        self._edit(call).action = "drop"
        return _State(producer=call.index, owed=state.owed, head=state.head, since=state.since)

    def _passed(self, call: Call, state: _State) -> _State:
        return _State(
            producer=call.index, owed=state.owed, head=state.head, since=(*state.since, call)
        )

    def _linear(self, call: Call, state: _State) -> _State:
        linear = linear_from_layer(call.layer, call_index=call.index)
        if linear is None:
            return self._opaque(call, state)
        if state.owed is not None:
            self._absorb(linear, state)
        edit = self._edit(call)
        edit.action, edit.linear = "linear", linear
        activation = activation_of(call.layer)
        since = (call,) if activation == "relu" else ()
        head = linear if activation in ("linear", "relu") else None
        return _State(producer=call.index, head=head, since=since)

    def _absorb(self, linear: Linear, state: _State) -> None:
        """Folds what is owed into ``linear``, but for a shift where it pads with zeros."""
        owed = state.owed
        if owed is None or (linear.kind == "DepthwiseConv2D" and owed.is_reordered):
            self._settle(state)
            return
        if linear.pads_with_zeros and owed.is_shifted:
            if not np.all(np.abs(owed.scale) == 1):
                self._settle(state)
                return
            # scale is its own inverse here: scale * x[order] + shift = scale * (x + scale * shift)[order].
            addition = np.zeros_like(owed.shift)
            addition[owed.order] = owed.scale * owed.shift
            rest = Affine(scale=owed.scale, shift=np.zeros_like(owed.shift), order=owed.order)
            state.owed = affine_of(np.ones_like(addition), addition)
            self._settle(state)
            linear.absorb(rest)
            return
        linear.absorb(owed)
        state.owed = None

    def _batch_norm(self, call: Call, state: _State) -> _State:
        layer = call.layer
        axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
        if axis not in (-1, len(call.input_shape) - 1):
            return self._opaque(call, state)
        scale, shift = batch_norm_affine(layer)
        return self._affine(call, state, scale=scale, shift=shift)

    def _rescaling(self, call: Call, state: _State) -> _State:
        scale, offset = (
            np.asarray(value, dtype=np.float64) for value in (call.layer.scale, call.layer.offset)
        )
        if max(scale.ndim, offset.ndim) > 1 or call.input_shape[-1] is None:
            return self._opaque(call, state)
        if self._takes_pixels(call) and not self._next_absorbs(call):
            is_simple_mapping = scale.ndim == offset.ndim == 0 and scale > 0
            if self.rescaling == "strip" and is_simple_mapping:
                return self._strip(call, state, scale=float(scale), offset=float(offset))
            if call.index == 0:
                return self._opaque(call, state)
        channels = (call.input_shape[-1],)
        return self._affine(
            call,
            state,
            scale=np.broadcast_to(scale, channels).astype(np.float64),
            shift=np.broadcast_to(offset, channels).astype(np.float64),
        )

    def _takes_pixels(self, call: Call) -> bool:
        """Whether the call, and nothing else, takes the model's input, or what rescalings that were stripped left."""
        return call.inputs[0] in self.pixels and self.trace.uses[call.inputs[0]] == 1

    def _strip(self, call: Call, state: _State, *, scale: float, offset: float) -> _State:
        """Leaves one more rescaling to the caller; ``preprocess_input`` is a division, then a subtraction."""
        self.multiplier, self.offset = self.multiplier * scale, self.offset * scale + offset
        self.pixels.update(call.outputs)
        self._note(call, "left to the caller, as the contract says")
        return self._identity(call, state)

    def _next_absorbs(self, call: Call) -> bool:
        """Whether the only user of the call's output takes a shifted input exactly."""
        users = [user for user in self.trace.calls if call.outputs[0] in user.inputs]
        if len(users) != 1 or self.trace.uses[call.outputs[0]] != 1 or not users[0].is_simple:
            return False
        linear = linear_from_layer(users[0].layer, call_index=users[0].index)
        return linear is not None and not linear.pads_with_zeros

    def _affine(self, call: Call, state: _State, *, scale: Vector, shift: Vector) -> _State:
        self._edit(call).action = "drop"
        head = state.head
        if head is not None and not state.since:
            head.scale_outputs(scale)
            head.shift_outputs(shift)
            self._note(call, f"folded into {head.layer.name}")
            return _State(producer=call.index, head=head)
        owed = (state.owed or affine_of(np.ones_like(scale), np.zeros_like(shift))).then(
            scale, shift
        )
        if head is not None:
            head.scale_outputs(np.abs(owed.scale))
            owed = affine_of(np.where(owed.scale < 0, -1.0, 1.0), owed.shift)
            self._note(
                call,
                f"{FOLDED_BACK}{head.layer.name}{_signs(scale)}, shift moved forward",
            )
        else:
            self._note(call, "moved forward")
        return _State(producer=call.index, owed=owed, head=head, since=state.since)

    def _activation(self, call: Call, state: _State) -> _State:
        activation = activation_of(call.layer)
        if activation == "linear":
            return self._identity(call, state)
        if activation not in ("relu", "leaky_relu"):
            return self._opaque(call, state)
        if state.owed is not None and (state.owed.is_shifted or state.owed.has_negative_scale):
            self._settle(state)
        return self._passed(call, state)

    def _channel_by_channel(self, call: Call, state: _State) -> _State:
        if call.layer.data_format != "channels_last":
            return self._opaque(call, state)
        return self._passed(call, state)

    def _max_pooling(self, call: Call, state: _State) -> _State:
        if call.layer.data_format != "channels_last":
            return self._opaque(call, state)
        if state.owed is not None and state.owed.has_negative_scale:
            if self._can_split(call, state):
                return self._split(call, state)
            self._settle(state)
        return self._passed(call, state)

    @staticmethod
    def _can_split(call: Call, state: _State) -> bool:
        return (
            type(call.layer).__name__ == "MaxPooling2D"
            and state.head is not None
            and state.head.kind == "Conv2D"
            and len(state.since) == 1
            and activation_of(state.since[0].layer) == "relu"
        )

    def _split(self, call: Call, state: _State) -> _State:
        head, owed = state.head, state.owed
        if head is None or owed is None:
            raise TypeError("only a convolution that owes signs can be split")
        is_negative = owed.scale < 0
        for index in {head.call_index, state.since[0].index}:
            self.edits[index] = Edit(action="drop")
        edit = self._edit(call)
        edit.action = "split"
        edit.split = SplitPooling(linear=head, is_negative=is_negative)
        order = np.empty(len(is_negative), dtype=np.int64)
        order[np.concatenate([np.flatnonzero(~is_negative), np.flatnonzero(is_negative)])] = (
            np.arange(len(is_negative))
        )
        self._note(
            call,
            f"{int(is_negative.sum())} channels of {head.layer.name} pooled by minimum in a branch",
        )
        return _State(
            producer=call.index, owed=Affine(scale=owed.scale, shift=owed.shift, order=order)
        )

    def _flatten(self, call: Call, state: _State) -> _State:
        sides = call.input_shape[1:]
        if any(side is None for side in sides) or call.layer.data_format != "channels_last":
            return self._opaque(call, state)
        positions = int(np.prod(sides[:-1], dtype=np.int64))  # type: ignore[arg-type]
        owed = state.owed.tiled(positions) if state.owed is not None else None
        return _State(producer=call.index, owed=owed)


def batch_norm_affine(layer: Any) -> tuple[Vector, Vector]:
    """A Keras BatchNormalization at inference as (scale, shift), float64, shape (channels,) each.

    Source: Ioffe and Szegedy, "Batch Normalization", 2015, algorithm 2.
    """
    mean = np.asarray(layer.moving_mean, dtype=np.float64)
    variance = np.asarray(layer.moving_variance, dtype=np.float64)
    gamma = np.asarray(layer.gamma, dtype=np.float64) if layer.scale else np.ones_like(mean)
    beta = np.asarray(layer.beta, dtype=np.float64) if layer.center else np.zeros_like(mean)
    scale = gamma / np.sqrt(variance + layer.epsilon)
    return scale, beta - scale * mean


def activation_of(layer: Any) -> str:
    """``linear``, ``relu``, ``leaky_relu``, or another name, which folding treats as unknown."""
    kind = type(layer).__name__
    if kind == "ReLU":
        is_plain = layer.max_value is None and layer.threshold == 0
        return _relu_kind(layer.negative_slope) if is_plain else "clipped"
    if kind == "LeakyReLU":
        return _relu_kind(layer.negative_slope)
    name = getattr(layer.activation, "__name__", "unknown")
    is_builtin = getattr(layer.activation, "__module__", "").startswith("keras.")
    return name if is_builtin and name in ("linear", "relu") else "unknown"


def _relu_kind(negative_slope: float) -> str:
    if negative_slope == 0:
        return "relu"
    return "leaky_relu" if negative_slope > 0 else "unknown"


def _signs(scale: Vector) -> str:
    negative, zero = int((scale < 0).sum()), int((scale == 0).sum())
    parts = [f"{count} {word}" for count, word in ((negative, "negative"), (zero, "zero")) if count]
    return f" ({', '.join(parts)} gamma)" if parts else ""
