"""Measures time, memory, accuracy and parity of models, and draws and judges what was measured.

The names below are loaded on first use, so that importing the package waits for no NumPy.
"""

from typing import TYPE_CHECKING

from cifar_runtime.public_names import public_names

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

__getattr__, __dir__, __all__ = public_names(
    __name__,
    {
        "benchmark": ("bench",),
        "page.page": ("html_page",),
        "recipe": (
            "BenchRecipe",
            "Effort",
        ),
        "regression.baseline": ("read_report",),
        "regression.gates": ("judge_regression",),
        "regression.limits": ("RegressionLimits",),
        "results.report": ("Report",),
        "tables.plain": ("markdown_table",),
    },
)
