"""Reads the arrays of a file that ``torch.save`` wrote before its version 1.6, without torch; runs nothing in it."""

import io
import pickle
import struct
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


class _Stored(NamedTuple):
    """Where an array's numbers are."""

    storage: str
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def arrays_from_torch_file(data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of a state dict by name.

    Args:
        data: the file.

    Raises:
        pickle.UnpicklingError: it holds something else than float32 and int64 arrays.

    Source: torch/serialization.py, ``_legacy_save``: pickles of a magic number, a version and the machine, of the
        object with its storages by key, and of their keys; then each storage's length and its numbers.
    """
    stream = io.BytesIO(data)
    for _ in range(3):
        _Reader(stream).load()
    stored: dict[str, _Stored] = _Reader(stream).load()
    dtypes = {one.storage: one.dtype for one in stored.values()}
    storages = {}
    for key in _Reader(stream).load():
        (length,) = struct.unpack("<q", stream.read(8))
        dtype = np.dtype(dtypes[key])
        storages[key] = np.frombuffer(stream.read(length * dtype.itemsize), dtype)
    return {name: _array(one, storages[one.storage]) for name, one in stored.items()}


def _array(one: _Stored, numbers: NDArray[Any]) -> NDArray[Any]:
    size = numbers.dtype.itemsize
    strides = [stride * size for stride in one.strides]
    view = np.lib.stride_tricks.as_strided(numbers[one.offset :], one.shape, strides)
    return np.array(view)


class _Reader(pickle.Unpickler):
    """Knows the few names of a state dict, and refuses all others."""

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name.

        Raises:
            pickle.UnpicklingError: it is no name of a state dict.
        """
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _stored
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a state dict")

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        """Key and dtype of a storage."""
        _, dtype, key, *_ = pid
        return key, dtype


def _stored(
    storage: tuple[str, str], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _Stored:
    key, dtype = storage
    return _Stored(key, dtype, offset, shape, strides)
