"""A backbone's weights are where a run begins: the head fitted to its features, BatchNorm as it was."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_data.split import Split
from cifar_runtime.errors import InputError
from cifar_train import networks, transfer
from cifar_train.networks.backbones import BACKBONES, Backbone, keras_backbone
from cifar_train.recipe import RunOptions
from cifar_train.recipes import RECIPES
from cifar_train.training import train
from cifar_train.transfer import begin_transfer, fitted_head

# Without the top, as Keras' pages give them.
PARAMETERS: dict[Backbone, int] = {
    "mobilenet-v2": 2_257_984,
    "mobilenet-v3-small": 939_120,
    "efficientnet-v2-b0": 5_919_312,
    # 4,652,008 are published; the top has 1,280 times 1,000 and 1,000. Beside them, BatchNorm's 42,016 statistics.
    "efficientnet-lite0": 4_652_008 - 1_281_000 + 42_016,
}
RECIPE = replace(
    RECIPES["quick"],
    architecture="mobilenet-v2",
    epochs=1,
    batch_size=10,
    optimizer="adamw",
    learning_rate=1e-4,
    augmentation=None,
    distillation=None,
    precision="float32",
)


def bright(count: int) -> Split:
    """Noise, the second class brighter."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 2
    noise = random.integers(0, 100, (count, 32, 32, 3))
    images = (noise + 120 * labels[:, None, None, None]).astype(np.uint8)
    return Split(
        name="mine",
        images=images,
        labels=labels,
        label_names=("dark", "bright"),
        ids=np.arange(count),
    )


@pytest.mark.parametrize("name", BACKBONES)
def test_backbones_have_their_published_parameters_and_take_raw_pixels(name: Backbone) -> None:
    model = networks.build(name, input_shape=(32, 32, 3), num_classes=4)
    features = model.layers[-1].input.shape[-1]
    assert model.count_params() == PARAMETERS[name] + 4 * (features + 1)
    assert {layer.momentum for layer in model.layers if hasattr(layer, "moving_mean")} == {0.9}
    pixels = np.array([[[[0.0] * 3, [255.0] * 3]]], np.float32)
    seen = np.asarray(model.get_layer("backbone_pixels")(pixels)).reshape(2, 3)
    if name == "efficientnet-v2-b0":
        # (0 - mean) / deviation and (1 - mean) / deviation of ImageNet, by hand.
        expected = [[-2.1179, -2.0357, -1.8044], [2.2489, 2.4286, 2.64]]
    elif name == "efficientnet-lite0":
        expected = [[-127 / 128] * 3, [1.0] * 3]
    else:
        expected = [[-1.0] * 3, [1.0] * 3]
    np.testing.assert_allclose(seen, expected, atol=1e-4)


def test_a_run_begins_with_the_file_and_keeps_batch_norm(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(1)
    plain = keras_backbone("mobilenet-v2", weights=None, input_shape=(32, 32, 3))
    for layer in plain.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(layer.moving_mean + 0.01)
    plain.save_weights(tmp_path / "mine.weights.h5")
    data, run = bright(20), tmp_path / "run"
    recipe = begin_transfer(RECIPE, str(tmp_path / "mine.weights.h5"), data, run, resume=False)
    assert recipe.initial_sha256 is not None
    result = train(recipe, RunOptions(folder=run), data=(data, data))
    model = keras.models.load_model(result.model_path)
    assert model.count_params() == PARAMETERS["mobilenet-v2"] + 2 * 1281
    trained, before = _arrays(model)[:-2], _arrays(plain)
    fixed = [np.array_equal(one, other) for one, other in zip(trained, before, strict=True)]
    kinds = [weight.path.rsplit("/", 1)[-1] for weight in plain.weights]
    held = {"moving_mean", "moving_variance", "gamma", "beta"}
    for same, kind in zip(fixed, kinds, strict=True):
        assert same == (kind in held)

    (run / transfer.FILE_NAME).write_bytes(b"other")
    with pytest.raises(InputError, match="is not what the run began with"):
        train(recipe, RunOptions(folder=run, force=True), data=(data, data))


def test_another_runs_model_gives_its_backbone(tmp_path: Path) -> None:
    """Of another size and other classes; of another network it is refused."""
    import keras

    keras.utils.set_random_seed(4)
    trained = networks.build("mobilenet-v2", input_shape=(64, 48, 3), num_classes=5)
    trained.save(tmp_path / "model.keras")
    begin_transfer(RECIPE, str(tmp_path / "model.keras"), bright(4), tmp_path / "run", resume=False)
    model = networks.build("mobilenet-v2", input_shape=(32, 32, 3), num_classes=2)
    model.load_weights(tmp_path / "run" / transfer.FILE_NAME)
    for found, wanted in zip(_arrays(model)[:-2], _arrays(trained)[:-2], strict=True):
        np.testing.assert_array_equal(found, wanted)

    other = networks.build("edge-xs", input_shape=(32, 32, 3), num_classes=2)
    other.save(tmp_path / "other.keras")
    with pytest.raises(
        InputError, match=r"other\.keras: cannot be read as weights of mobilenet-v2"
    ):
        begin_transfer(
            RECIPE, str(tmp_path / "other.keras"), bright(4), tmp_path / "b", resume=False
        )


def _arrays(model: Any) -> list[Any]:
    return [np.asarray(weight) for weight in model.weights]


@pytest.mark.parametrize("classes", [2, 3])
def test_a_head_tells_separable_classes_apart(classes: int) -> None:
    random = np.random.default_rng(0)
    labels = np.arange(60) % classes
    features = (np.eye(classes)[labels] * 5 + random.normal(size=(60, classes))).astype(np.float32)
    weights, biases = fitted_head(features, labels)
    assert (weights.shape, biases.shape) == ((classes, classes), (classes,))
    scores = features @ weights + biases
    assert (scores.argmax(axis=1) == labels).all()


@pytest.mark.parametrize("content", [None, b"no weights"])
def test_a_file_that_is_no_weights_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mine.weights.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        InputError, match=r"mine\.weights\.h5: (is no weights file|cannot be read as weights)"
    ):
        begin_transfer(RECIPE, str(path), bright(4), tmp_path / "run", resume=False)
    assert not (tmp_path / "run").exists()


def test_without_a_network_the_message_says_what_to_copy_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise Exception(
            "URL fetch failure on https://example.invalid/models/net.h5: None -- no network"
        )

    monkeypatch.setattr(transfer, "keras_backbone", unreachable)
    with pytest.raises(InputError) as caught:
        begin_transfer(RECIPE, "imagenet", bright(4), tmp_path / "run", resume=False)
    assert str(caught.value) == (
        "mobilenet-v2: its ImageNet weights cannot be downloaded: URL fetch failure on "
        "https://example.invalid/models/net.h5: None -- no network. With a network, fetch "
        "https://example.invalid/models/net.h5; then copy it to ~/.keras/models/net.h5 here, or give --weights net.h5. "
        "--weights none begins with fresh weights."
    )
