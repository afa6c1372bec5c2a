"""A package's public names, each loaded on first use (PEP 562), so that importing the package waits for nothing."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

LazyNames = tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]


def public_names(package: str, modules: Mapping[str, tuple[str, ...]]) -> LazyNames:
    """The package's ``__getattr__``, ``__dir__`` and ``__all__``.

    Args:
        package: its name.
        modules: the public names by the module below the package that holds them.
    """
    module_of = {name: module for module, names in modules.items() for name in names}

    def load(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{package}.{module_of[name]}"), name)
        setattr(sys.modules[package], name, value)  # the next use finds it at once
        return value

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *module_of})

    return load, listed, list(module_of)
