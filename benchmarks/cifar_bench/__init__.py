"""Measures time, memory, accuracy and parity of models, and draws and judges what was measured.

The names below are loaded on first use, so that importing the package waits for no NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cifar_bench.benchmark import bench as bench
    from cifar_bench.page.page import html_page as html_page
    from cifar_bench.recipe import BenchRecipe as BenchRecipe
    from cifar_bench.recipe import Effort as Effort
    from cifar_bench.regression.baseline import read_report as read_report
    from cifar_bench.regression.gates import judge_regression as judge_regression
    from cifar_bench.regression.limits import RegressionLimits as RegressionLimits
    from cifar_bench.results.report import Report as Report
    from cifar_bench.tables.plain import markdown_table as markdown_table

_MODULES = {
    "BenchRecipe": "cifar_bench.recipe",
    "Effort": "cifar_bench.recipe",
    "RegressionLimits": "cifar_bench.regression.limits",
    "Report": "cifar_bench.results.report",
    "bench": "cifar_bench.benchmark",
    "html_page": "cifar_bench.page.page",
    "judge_regression": "cifar_bench.regression.gates",
    "markdown_table": "cifar_bench.tables.plain",
    "read_report": "cifar_bench.regression.baseline",
}
__all__ = [
    "BenchRecipe",
    "Effort",
    "RegressionLimits",
    "Report",
    "bench",
    "html_page",
    "judge_regression",
    "markdown_table",
    "read_report",
]


def __getattr__(name: str) -> Any:
    """A public name, from the module that holds it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
