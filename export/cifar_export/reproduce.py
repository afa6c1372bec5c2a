"""Exports a second time, in another process with another hash seed, and compares the files byte for byte."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cifar_export.advice import arguments
from cifar_export.recipe import ExportRecipe, PublishOptions
from cifar_export.result import ExportResult
from cifar_export.scratch import staging_folder
from cifar_runtime.errors import CifarEdgeError, GateError


def check_reproducible(
    recipe: ExportRecipe,
    results: tuple[ExportResult, ...],
    *,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Checks that a second export gives the same model files.

    Args:
        recipe: what was exported.
        results: what was published.
        progress: told in a few words what begins.

    Raises:
        GateError: a file differs.
        CifarEdgeError: the second export failed.
    """
    (progress or (lambda _: None))("exporting again in another process")
    with staging_folder(recipe.publish.output) as folder:
        again = replace(recipe, publish=PublishOptions(output=folder, force=True), verbose=False)
        _export_in_child(again)
        different = [result.path.name for result in results if not _are_equal(result.path, folder)]
    if different:
        raise GateError(
            f"{', '.join(different)}: a second export in another process gave other bytes, expected the same.",
            hint="Report it, with the versions in the card; the published files passed their gates.",
        )


def _export_in_child(recipe: ExportRecipe) -> None:
    hash_seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    program = "import sys; from cifar_export.commands.export import main; sys.exit(main())"
    done = subprocess.run(  # noqa: S603 - this interpreter, our own module
        [sys.executable, "-c", program, *arguments(recipe), "--quiet"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise CifarEdgeError(
            f"the second export failed with exit code {done.returncode}: {last}",
            hint="Run the export again without --check-reproducible to see its whole message.",
        )


def _are_equal(path: Path, folder: Path) -> bool:
    return (folder / path.name).read_bytes() == path.read_bytes()
