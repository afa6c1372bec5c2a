"""Ray: started on this machine for one run, or joined by its address; quiet, and without its reports to its makers."""

import importlib.util
import logging
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from cifar_runtime.errors import InputError, MissingDependencyError
from cifar_runtime.install_hints import install_hint
from cifar_runtime.plain_text import reason_of
from cifar_runtime.system.interruption import sparing_children
from cifar_runtime.system.native_stderr import filtered_native_stderr

# Parts and results are small and pass through it at once; Ray's own choice is 30 % of the memory.
_OBJECT_STORE_BYTES = 256 * 1024 * 1024
_SHIPPED = ("cifar_runtime", "cifar_batch")
# No reports to Ray's makers, and no notes of its C++ on stderr.
_RAY_LINE = re.compile(rb"(?m)^\[\d{4}-\d\d-\d\d [\d:,]+ [IWE] .*\n?")
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}


def check_ray() -> None:
    """Raises where Ray Data is not installed.

    Raises:
        MissingDependencyError: it is not.
    """
    missing = [name for name in ("ray", "pyarrow") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"Ray Data is not installed: {' and '.join(missing)} not found.",
            hint=install_hint("ray"),
        )


@contextmanager
def joined(address: str | None, workers: int | None) -> Iterator[int]:
    """Ray runs in the body, which gets the number of cores that may work; a Ray that ran before goes on afterwards.

    Args:
        address: of a cluster; None: here, in processes that end with the body.
        workers: cores; None: all.

    Raises:
        InputError: no cluster answers, or Ray does not start.
        MissingDependencyError: Ray Data is not installed.
    """
    check_ray()
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    ran_before = ray.is_initialized()
    if not ran_before:
        _start(ray, address, workers)
    _quieten()
    # Ray's driver prints what its processes say to stdout, which belongs to the command's result.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        try:
            yield workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        finally:
            if not ran_before:
                ray.shutdown()


def _start(ray: Any, address: str | None, workers: int | None) -> None:
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        options |= {
            "address": "local",
            "num_cpus": workers,
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE_BYTES,
        }
    else:
        options |= {"address": address, "runtime_env": {"py_modules": _shipped()}}
    terminate = signal.getsignal(signal.SIGTERM)
    try:
        with sparing_children(), filtered_native_stderr(_RAY_LINE):
            ray.init(**options)
    except (OSError, RuntimeError, ValueError) as cause:  # ConnectionError among them
        raise InputError(
            f"Ray{'' if address is None else f' at {address}'} cannot be used: {reason_of(cause)}.",
            hint="Start it (ray start --head), or leave --address out."
            if address
            else "See its logs in /tmp/ray.",
        ) from cause
    finally:
        _restore(terminate)


def _restore(handler: Any) -> None:
    """Puts back who hears of SIGTERM, which Ray takes for itself."""
    try:
        signal.signal(signal.SIGTERM, handler)
    except ValueError:  # not the main thread, which Ray left alone then
        return


def _shipped() -> list[str]:
    """The folders of the packages that every worker needs in this very version."""
    found = [importlib.util.find_spec(name) for name in _SHIPPED]
    return [place for one in found if one for place in one.submodule_search_locations or ()]


def _quieten() -> None:
    """Ray Data's progress and notes would stand between the command's own."""
    from ray.data import DataContext

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
