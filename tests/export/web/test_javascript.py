"""The page's JavaScript: its own unit tests against Python's numbers, its types, its lint."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from cifar_fixtures.web_vectors import vectors


def test_the_page_computes_what_python_computes(workspace: Path) -> None:
    path = workspace / "vectors.json"
    path.write_text(json.dumps(vectors()))
    ended = subprocess.run(
        ["node", "--test", "--test-reporter=spec", "unit"],  # noqa: S607
        cwd=workspace,
        check=False,
        env={**os.environ, "CIFAR_EDGE_VECTORS": str(path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("project", ["tsconfig.page.json", "tsconfig.worker.json"])
def test_the_types_in_the_comments_hold(tools: Path, project: str) -> None:
    assert_silent(tools, "tsc", "--project", project)


def test_the_linter_has_nothing_to_say(tools: Path) -> None:
    assert_silent(tools, "eslint", "--max-warnings=0", ".")


def assert_silent(tools: Path, command: str, *arguments: str) -> None:
    program = tools / "node_modules" / ".bin" / command
    ended = subprocess.run(
        [program, *arguments], cwd=tools, check=False, capture_output=True, text=True, timeout=300
    )
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")
