"""A Keras model with the layers of its inner models as layers of its own, which computes the same.

All that prepares a model looks at its layers, and a backbone that is called as one layer hides them: nothing in it
would be folded, equalized or trained. A separable convolution hides two, and becomes these. The model given is not
changed; what the layers compute is not looked at.
"""

from collections.abc import Mapping
from typing import Any

from cifar_export.keras_graph.trace import (
    LayerCall,
    cloned,
    first_by_position,
    fresh_inputs,
    functional_from,
    has_graph,
)


def inlined(model: Any) -> Any:
    """A functional model of copies in float32, without inner models and separable convolutions where that is exact.

    An inner model stays where it is called for training, with a mask, or on what its inputs would change: by another
    rank or to integers.

    Args:
        model: a Sequential or functional model; where it hides nothing, it is returned itself.

    Raises:
        ArtefactError: a layer cannot be copied.
    """
    import keras

    functional = functional_from(model)
    if not any(has_graph(part) or _is_separable(part) for part in functional.operations):
        return model
    inputs = fresh_inputs(functional)
    outputs = _Inlining(functional).run(functional, inputs)
    return keras.Model(inputs, outputs, name=model.name)


def hides_layers(layer: Any) -> bool:
    """Whether a layer has layers with weights inside, which nothing prepares for int8."""
    import keras

    return isinstance(layer, keras.layers.Layer) and any(
        inner.weights for inner in layer._flatten_layers(include_self=False)
    )


class _Inlining:
    """One walk through a model and the models in it; a layer that is met again is the same copy again."""

    def __init__(self, model: Any) -> None:
        self._copies: dict[int, Any] = {}
        self._pointwise: dict[int, Any] = {}
        self._taken = {str(operation.name) for operation in model.operations}
        self._path: list[Any] = []

    def run(self, model: Any, inputs: Any) -> Any:
        """The outputs of copies of the model's layers, called on Keras tensors."""
        self._path.append(model)
        outputs = model._run_through_graph(
            inputs, operation_fn=lambda layer: layer, call_fn=self._called
        )
        self._path.pop()
        return outputs

    def _called(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = first_by_position(layer, args, kwargs)
        if has_graph(layer) and _is_exact(layer, args, kwargs):
            return self.run(functional_from(layer), args[0])
        if _is_separable(layer):
            return self._separated(layer, args[0])
        if id(layer) not in self._copies:
            self._copies[id(layer)] = self._named(cloned(layer, use_bias=False), layer)
        copy = self._copies[id(layer)]
        return LayerCall(index=0, original=layer, copy=copy, args=args, kwargs=kwargs).replayed()

    def _separated(self, layer: Any, tensor: Any) -> Any:
        if id(layer) not in self._copies:
            depthwise, pointwise = _separate(layer)
            self._copies[id(layer)] = self._named(depthwise, layer)
            self._pointwise[id(layer)] = self._named(pointwise, layer)
        depthwise, pointwise = self._copies[id(layer)], self._pointwise[id(layer)]
        output = pointwise(depthwise(tensor))
        kernel, *others = layer.get_weights()
        depthwise.set_weights([kernel])
        pointwise.set_weights(others)
        return output

    def _named(self, copy: Any, layer: Any) -> Any:
        """The copy under its own name; where that is taken, with the name of the inner model in front."""
        name = str(copy.name)
        if len(self._path) == 1 and name == layer.name:
            return copy
        wanted = [name, f"{self._path[-1].name}_{name}"]
        numbered = (f"{wanted[-1]}_{number}" for number in range(1, len(self._taken) + 2))
        copy.name = next(free for free in (*wanted, *numbered) if free not in self._taken)
        self._taken.add(copy.name)
        return copy


def _is_exact(model: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call of a model is the calls of its layers."""
    import keras

    given = keras.tree.flatten(args[0])
    return (
        len(args) == 1
        and all(value is None or value is False for value in keras.tree.flatten(dict(kwargs)))
        and len(given) == len(model.inputs)
        and all(isinstance(tensor, keras.KerasTensor) for tensor in given)
        and all(
            len(tensor.shape) == len(taken.shape)
            and ("float" in taken.dtype or taken.dtype == tensor.dtype)
            for tensor, taken in zip(given, model.inputs, strict=True)
        )
    )


def _is_separable(layer: Any) -> bool:
    import keras

    return type(layer) is keras.layers.SeparableConv2D


def _separate(layer: Any) -> tuple[Any, Any]:
    """The depthwise and the pointwise convolution of a separable one; they have no weights yet."""
    from keras import layers

    common = {"data_format": layer.data_format, "dtype": "float32"}
    depthwise = layers.DepthwiseConv2D(
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        dilation_rate=layer.dilation_rate,
        depth_multiplier=layer.depth_multiplier,
        use_bias=False,
        name=f"{layer.name}_depthwise",
        **common,
    )
    pointwise = layers.Conv2D(
        layer.filters,
        1,
        activation=layer.activation,
        use_bias=layer.use_bias,
        name=layer.name,
        **common,
    )
    return depthwise, pointwise
