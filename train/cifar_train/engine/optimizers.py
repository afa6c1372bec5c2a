"""A recipe's optimizer and learning-rate schedule, and the moving average of its weights with BatchNorm statistics."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_train.recipe import TrainRecipe

MOMENTUM = 0.9
# Beside 0.08, and beside half of both, 0.03 for kernels and 0.3 for the rest was best in ten epochs (docs/log.md).
KERNEL_RATE = 0.1
# BatchNorm's weights and biases.
UNDECAYED = ["gamma", "beta", "bias"]


def optimizer_from_recipe(recipe: TrainRecipe, *, steps: int) -> Any:
    """A fresh Keras optimizer for epochs of ``steps`` steps."""
    import keras

    rate: Any = recipe.learning_rate
    if recipe.schedule == "cosine":
        warmup_steps = max(1, round(recipe.warmup_fraction * recipe.epochs * steps))
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0,
            warmup_target=recipe.learning_rate,
            warmup_steps=warmup_steps,
            # A run of one step is all warm-up, and Keras wants one to decay in.
            decay_steps=max(1, recipe.epochs * steps - warmup_steps),
        )
    average: dict[str, Any] = {"use_ema": recipe.ema is not None, "ema_momentum": recipe.ema or 0.0}
    # Keras subtracts rate * decay * weight beside the momentum; PyTorch sends the decay through it, so its 5e-4 at
    # momentum 0.9 is 5e-3 here.
    descent = {"momentum": MOMENTUM, "weight_decay": recipe.weight_decay or None, **average}
    if recipe.optimizer == "adam":
        optimizer = keras.optimizers.Adam(rate, **average)
    elif recipe.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, **average)
    elif recipe.optimizer == "muon":
        from cifar_train.engine.muon import Muon

        optimizer = Muon(rate, kernel_rate=KERNEL_RATE, undecayed=UNDECAYED, **descent)
    else:
        optimizer = keras.optimizers.SGD(rate, nesterov=True, **descent)
    optimizer.exclude_from_weight_decay(var_names=UNDECAYED)
    # Keras would overwrite the weights with their average whenever fit returns, which here is after each epoch.
    optimizer.finalize_variable_values = _leave_weights
    return optimizer


def take_average(model: Any, batches: Iterable[NDArray[np.float32]]) -> None:
    """Overwrites the weights with their moving average and estimates BatchNorm's statistics for it anew.

    Args:
        model: compiled with an optimizer that averages.
        batches: of training images to estimate from, float32, shape (n, height, width, channels).
    """
    optimizer = model.optimizer
    type(optimizer).finalize_variable_values(optimizer, model.trainable_variables)
    estimate_batch_norm(model, batches)


def estimate_batch_norm(model: Any, batches: Iterable[NDArray[np.float32]]) -> None:
    """Sets BatchNorm's running statistics to the plain mean over batches of pixels; the weights stay.

    Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", 2018, section 3.2.
    """
    import keras

    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    usual = [layer.momentum for layer in layers]
    for number, pixels in enumerate(batches, start=1):
        for layer in layers:
            # With 1 - 1/k the k-th update leaves the mean of all k.
            layer.momentum = 1 - 1 / number
        model(keras.ops.convert_to_tensor(pixels), training=True)
    for layer, momentum in zip(layers, usual, strict=True):
        layer.momentum = momentum


def _leave_weights(variables: Any) -> None:
    del variables  # Keras passes them
