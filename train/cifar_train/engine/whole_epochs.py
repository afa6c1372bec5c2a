"""Whole epochs on a GPU, with the JAX backend: the images lie there, and an epoch's steps are one compiled loop.

The host draws what is random, as it does for single steps, and sends indices only. Keras' own step runs in the loop.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cifar_data.split import Split
from cifar_train.engine.backend import has_gpu
from cifar_train.engine.parallel import Measured
from cifar_train.input.batches import Draw, batch_from_draw, draws, target_table
from cifar_train.recipe import TrainRecipe
from cifar_train.teacher.distillation import CheckpointTeacher, Teacher


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeEpochs:
    """Trains a model on images that lie on the device.

    Attributes:
        model: compiled, its optimizer built.
        recipe: what random numbers are drawn for.
        train: the images, on the host; their number and size are what draws need.
        teacher: stored answers, or None.
        run_steps: (state, targets, stacked draws) -> state after their steps, on the device.
    """

    model: Any
    recipe: TrainRecipe
    train: Split
    teacher: Teacher | None
    run_steps: Callable[[Any, Any, Draw], Any]

    def train_epoch(self, number: int) -> Measured:
        """Mean loss and accuracy of the steps of one epoch; the model's variables are those after it."""
        self.model.reset_metrics()
        groups = _variables(self.model)
        state = tuple([variable.value for variable in group] for group in groups)
        targets = target_table(self.recipe, self.train, self.teacher, number)
        drawn = draws(self.recipe, self.train, number, teacher=self.teacher)
        for stacked in stacked_draws(drawn):
            state = self.run_steps(state, targets, stacked)
        for group, values in zip(groups, state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        # Steps run on while Python does; reading their measures waits for the last one.
        return {name: float(value) for name, value in self.model.get_metrics_result().items()}


def open_whole_epochs(
    recipe: TrainRecipe, model: Any, train: Split, teacher: Teacher | None
) -> WholeEpochs | None:
    """Puts the training images on the GPU; None where steps run one by one.

    They do on a CPU, where XLA runs convolutions in a loop several times slower than outside, with other backends,
    with --distribute, and with a checkpoint as teacher, which judges each batch on the way.
    """
    alone = recipe.backend == "jax" and recipe.distribute == "none"
    if not alone or isinstance(teacher, CheckpointTeacher) or not has_gpu(recipe.backend):
        return None
    import jax

    images = jax.device_put(train.images)
    targets = target_table(recipe, train, teacher, epoch=1)
    # Keras builds metrics when it first measures; a compiled loop needs their variables before.
    classes = model.output_shape[-1]
    model.compute_metrics(None, targets[:1], targets[:1, :classes])
    steps = _compiled_steps(model)
    return WholeEpochs(
        model=model,
        recipe=recipe,
        train=train,
        teacher=teacher,
        run_steps=lambda state, targets, stacked: steps(state, images, targets, stacked),
    )


def _compiled_steps(model: Any) -> Callable[[Any, Any, Any, Draw], Any]:
    """Keras' steps in a loop that JAX compiles once for each size of batch and number of steps."""
    import jax

    def steps(state: Any, images: Any, targets: Any, stacked: Draw) -> Any:
        def step(state: Any, draw: Draw) -> tuple[Any, None]:
            _, after = model.train_step(state, batch_from_draw(images, targets, draw))
            return tuple(map(list, after)), None

        return jax.lax.scan(step, state, stacked)[0]

    compiled: Callable[[Any, Any, Any, Draw], Any] = jax.jit(steps)
    return compiled


def _variables(model: Any) -> tuple[list[Any], ...]:
    """What a step of Keras' JAX trainer takes and returns, in its order."""
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


def stacked_draws(drawn: Iterator[Draw]) -> Iterator[Draw]:
    """The draws of an epoch with an axis of steps in front: all full batches, then the last one if it is smaller."""
    import jax

    epoch = list(drawn)
    full = [draw for draw in epoch if len(draw.chosen) == len(epoch[0].chosen)]
    for part in (full, epoch[len(full) :]):
        if part:
            yield jax.tree.map(lambda *steps: np.stack(steps), *part)
