"""Switches the tests that need the whole of CIFAR-10 (switched on, missing data fails), and Ctrl-C for all of them."""

import os
import signal

import pytest

pytest_plugins = [
    "cifar_fixtures.checkpoints",
    "cifar_fixtures.cifar10_members",
    "cifar_fixtures.readers",
    "cifar_fixtures.reports",
]

# A run that a shell started in the background ignores Ctrl-C, and so would every command that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("CIFAR_EDGE_FULL_DATA") == "1":
        return
    skip = pytest.mark.skip(reason="set CIFAR_EDGE_FULL_DATA=1 after cifar-data fetch")
    for item in items:
        if "full_data" in item.keywords:
            item.add_marker(skip)
