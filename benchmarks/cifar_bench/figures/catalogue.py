"""Every figure of a report: one module each, listed here; the page and README take them from this list."""

from types import MappingProxyType

from cifar_bench.figures import (
    accuracy_latency,
    accuracy_macs,
    accuracy_size,
    ceiling_shares,
    latency_spread,
)

_MODULES = (accuracy_latency, accuracy_size, accuracy_macs, latency_spread, ceiling_shares)

FIGURES = MappingProxyType({module.FIGURE.name: module.FIGURE for module in _MODULES})
"""The figures by their names, in the order of the page."""
