"""The command ``cifar-classify``: parses, calls the classifier, prints.

Nothing heavy is imported before an image is classified, so that ``--help`` stays instant.
"""

import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple, get_args

from cifar_runtime.commands.options import (
    add_contract_option,
    add_document_option,
    add_quiet_option,
    add_threads_option,
    add_verbose_option,
)
from cifar_runtime.commands.parser import (
    Parser,
    choice,
    positive_int,
    run_command,
    sentences_to_stderr,
    thread_count,
)
from cifar_runtime.commands.result_file import STDOUT, check_result_file, write_result_file
from cifar_runtime.errors import InputError, UsageError
from cifar_runtime.formats.known_formats import RuntimeChoice

if TYPE_CHECKING:
    from pathlib import Path

    from cifar_runtime.classifier import Classifier, Prediction

PROGRAM = "cifar-classify"
SCHEMA = "cifar-edge/classify/1"
STDIN = "-"
MAX_NAME_BYTES = 65_536  # of a path on stdin; systems allow 4,096
_CHUNK_BYTES = 65_536
_EXAMPLES = """\
  cifar-classify cat.png                     the label and its probability
  cifar-classify photos/ -k 3 -m int8.tflite three labels for each image of a folder
  find . -name '*.jpg' -print0 | cifar-classify - -0 --jsonl
"""


class ClassifyRecipe(NamedTuple):  # not a dataclass: importing those takes 10 ms, a third of --help
    """One run of cifar-classify.

    Attributes:
        inputs: files, folders, and ``-`` for a list of paths on stdin.
        null: the list on stdin is separated by NUL instead of line breaks.
        model: the model file; None: the packaged one.
        contract: for a model without a card, a built-in contract's name or a JSON file.
        top_k: labels shown for each image.
        output: what stdout gets.
        json_path: where the JSON document goes instead of stdout.
        threads: worker threads inside the interpreter.
        jobs: processes that classify side by side.
        runtime: ``auto``, or the format that must be used.
        verbosity: -1 without a heading, 1 with a note on the model on stderr.
    """

    inputs: tuple[str, ...]
    null: bool
    model: "Path | None"
    contract: str | None
    top_k: int
    output: Literal["table", "json", "jsonl"]
    json_path: "Path | None"
    threads: int
    jobs: int
    runtime: RuntimeChoice
    verbosity: Literal[-1, 0, 1]


class Result(NamedTuple):
    """What became of one image."""

    image: str
    outcome: "Prediction | InputError"

    @property
    def failed(self) -> bool:
        """Whether the image could not be read."""
        return isinstance(self.outcome, InputError)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of ``cifar-classify``."""
    return run_command(PROGRAM, lambda arguments: run(parse(arguments)), argv)


def parse(argv: Sequence[str]) -> ClassifyRecipe:
    """The recipe that a command line asks for.

    Raises:
        UsageError: the command line makes no sense.
    """
    options = _parser().parse_intermixed_args(argv)
    from pathlib import Path  # after --help has left

    # First: --json photo.png has taken the only image.
    check_result_file(
        "--json", options.json, suffix=".json", program=PROGRAM, operands="the images"
    )
    if not options.inputs:
        raise UsageError(
            f"{PROGRAM}: the following arguments are required: IMAGE.",
            hint=f"See {PROGRAM} --help.",
        )
    return ClassifyRecipe(
        inputs=tuple(options.inputs),
        null=options.null,
        model=None if options.model is None else Path(options.model),
        contract=options.contract,
        top_k=options.top_k,
        output="jsonl" if options.jsonl else "table" if options.json is None else "json",
        json_path=None if options.json in (None, STDOUT) else Path(options.json),
        threads=options.threads,
        jobs=options.jobs,
        runtime=options.runtime,
        verbosity=-1 if options.quiet else 1 if options.verbose else 0,
    )


def run(recipe: ClassifyRecipe) -> int:
    """Classifies and prints; 0, or 3 when an image of several failed.

    Raises:
        CifarEdgeError: nothing could be classified.
    """
    # One thread of OpenBLAS, which nothing here uses, costs 70 ms of CPU to start.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from cifar_runtime.classifier import Classifier

    classifier = Classifier(
        recipe.model, contract=recipe.contract, runtime=recipe.runtime, threads=recipe.threads
    )
    if recipe.top_k > len(classifier.labels):
        raise UsageError(
            f"-k is {recipe.top_k}, expected at most {len(classifier.labels)}: "
            f"{classifier.name} has that many labels.",
            hint="Give a smaller -k.",
        )
    if recipe.verbosity > 0:
        sentences_to_stderr(PROGRAM)(_model_note(classifier, recipe))
    if recipe.output == "jsonl" and STDIN in recipe.inputs:
        return _write_lines(_classify(classifier, _expand(recipe), jobs=recipe.jobs), recipe.top_k)
    paths = list(_expand(recipe))
    results = _classify(classifier, paths, jobs=recipe.jobs, alone=len(paths) == 1)
    return _write(recipe, classifier, paths, results)


def _parser() -> Parser:
    parser = Parser(
        prog=PROGRAM,
        description="Says what is on images, with an exported model.",
        examples=_EXAMPLES,
    )
    add = parser.add_argument
    add("inputs", nargs="*", metavar="IMAGE", help="file, folder, or - for paths on stdin")
    add("-0", "--null", action="store_true", help="paths on stdin end in NUL (find -print0)")
    add("-m", "--model", help=".tflite or .onnx file (default: the packaged model)")
    add_contract_option(parser)
    add("-k", "--top-k", type=positive_int, default=1, metavar="K", help="labels an image (1)")
    form = parser.add_mutually_exclusive_group()
    add_document_option(form, "--json", "one JSON document")
    form.add_argument("--jsonl", action="store_true", help="one JSON line an image, as it goes")
    add_threads_option(parser)
    help_ = "processes that classify side by side, each with its own model in memory (default: 1)"
    add("-j", "--jobs", type=thread_count, default=1, metavar="N", help=help_)
    add(
        "--runtime",
        type=choice(get_args(RuntimeChoice)),
        default="auto",
        metavar=f"{{{','.join(get_args(RuntimeChoice))}}}",
        help="interpreter (auto: by the model file)",
    )
    level = parser.add_mutually_exclusive_group()
    add_quiet_option(level, "no heading, no notes")
    add_verbose_option(level, "a note on the model")
    return parser


def _model_note(classifier: "Classifier", recipe: ClassifyRecipe) -> str:
    artefact, session = classifier.artefact, classifier.session
    return (
        f"{classifier.name} (sha256 {artefact.sha256}), {session.runtime}, "
        f"{recipe.threads} thread{'s' if recipe.threads > 1 else ''}"
    )


def _expand(recipe: ClassifyRecipe) -> Iterator[str]:
    """The path of every image as it is found: folders opened (not their folders), stdin read.

    Raises:
        InputError: there is none.
    """
    path = None
    for text in recipe.inputs:
        for path in _names_from_stdin(null=recipe.null) if text == STDIN else _opened(text):
            yield path
    if path is None:
        raise InputError("no image was named on stdin.", hint="Write one path a line.")


def _opened(text: str) -> Iterable[str]:
    """The pictures of a folder, those that cannot be decoded too; else the text, which reading judges."""
    from cifar_runtime.system.files import is_folder

    if not is_folder(text):
        return (text,)
    from cifar_runtime.imaging.image_files import image_files  # no lone picture needs it

    try:
        found = image_files(text, recursive=False)
    except InputError:  # an item that fails
        return (text,)
    return sorted((*found.images, *found.undecodable)) or (text,)


def _names_from_stdin(*, null: bool) -> Iterator[str]:
    names = _split(sys.stdin.buffer, b"\0" if null else b"\n")
    for number, name in enumerate(names):
        text = name if null else name.removesuffix(b"\r")
        if number == 0:
            text = text.removeprefix(b"\xef\xbb\xbf")  # some shells begin with a byte order mark
        if text.strip():
            yield os.fsdecode(text)


def _split(stream: BinaryIO, separator: bytes) -> Iterator[bytes]:
    """What stands between separators, each as soon as it has arrived.

    Raises:
        InputError: a name goes on and on.
    """
    rest = b""
    while chunk := os.read(stream.fileno(), _CHUNK_BYTES):
        *names, rest = (rest + chunk).split(separator)
        yield from names
        if len(rest) > MAX_NAME_BYTES:
            raise InputError(
                f"stdin: a path is longer than {MAX_NAME_BYTES} bytes.",
                hint="Write one path a line, or separate them by NUL and give -0.",
            )
    yield rest


def _classify(
    classifier: "Classifier", paths: Iterable[str], *, jobs: int, alone: bool = False
) -> Iterator[Result]:
    named, ahead = (paths, paths) if isinstance(paths, list) else itertools.tee(paths)
    for path, outcome in zip(named, classifier.classify_paths(ahead, jobs=jobs), strict=True):
        if alone and isinstance(outcome, InputError):
            raise outcome
        yield Result(image=path, outcome=outcome)


def _write(
    recipe: ClassifyRecipe,
    classifier: "Classifier",
    paths: Sequence[str],
    results: Iterator[Result],
) -> int:
    if recipe.output == "json":
        return _write_document(recipe, classifier, list(results))
    if recipe.output == "jsonl":
        return _write_lines(results, recipe.top_k)
    return _write_table(recipe, classifier, paths, results)


def _write_document(
    recipe: ClassifyRecipe, classifier: "Classifier", results: Sequence[Result]
) -> int:
    artefact = classifier.artefact
    document = {
        "schema": SCHEMA,
        "model": {
            "name": classifier.name,
            "sha256": artefact.sha256,
            "format": artefact.format,
            "runtime": classifier.session.runtime,
            "threads": recipe.threads,
        },
        "results": [_json_from_result(result, recipe.top_k) for result in results],
    }
    import json

    text = json.dumps(document, indent=2) + "\n"
    if recipe.json_path is None:
        sys.stdout.write(text)
    else:
        write_result_file(recipe.json_path, text)
    return _exit_code(failed=any(result.failed for result in results))


def _write_lines(results: Iterator[Result], top_k: int) -> int:
    import json

    failed = False
    for result in results:
        failed = failed or result.failed
        sys.stdout.write(json.dumps(_json_from_result(result, top_k)) + "\n")
        sys.stdout.flush()
    return _exit_code(failed=failed)


def _write_table(
    recipe: ClassifyRecipe,
    classifier: "Classifier",
    paths: Sequence[str],
    results: Iterator[Result],
) -> int:
    from cifar_runtime.plain_text import printable

    names = [printable(path) for path in paths]
    widths = max(map(len, [*names, "image"])), _label_width(classifier)
    heading = f"{'image':<{widths[0]}}  {'label':<{widths[1]}}  probability\n"
    failed = False
    for name, result in zip(names, results, strict=True):
        if heading and recipe.verbosity >= 0:
            sys.stdout.write(heading)  # not before a result: a lone image that fails has no table
        heading = ""
        if isinstance(result.outcome, InputError):
            failed = True
            sentences_to_stderr(PROGRAM)(str(result.outcome))
            continue
        for label, probability in _rows(result.outcome, recipe.top_k):
            percent = f"{100 * probability:.2f} %"
            sys.stdout.write(f"{name:<{widths[0]}}  {label:<{widths[1]}}  {percent:>11}\n")
        sys.stdout.flush()
    return _exit_code(failed=failed)


def _label_width(classifier: "Classifier") -> int:
    labels = ["label", *classifier.labels]
    output = classifier.artefact.contract.output
    if output.abstention_threshold is not None:
        labels += [_unsure(label) for label in classifier.labels]
    if output.is_independent:
        labels += [_none(label) for label in classifier.labels]
    return max(map(len, labels))


def _rows(prediction: "Prediction", top_k: int) -> Iterator[tuple[str, float]]:
    """What the table says of an image: labels with probabilities; of an unsure answer, that it is.

    Where any number of labels may hold, all those that do, and where none does, that and the likeliest.
    """
    if prediction.holding is not None:
        yield from prediction.holding or [(_none(prediction.label), prediction.probability)]
        return
    for rank, (label, probability) in enumerate(prediction.ranked[:top_k]):
        yield (_unsure(label) if prediction.abstained and rank == 0 else label), probability


def _unsure(label: str) -> str:
    return f"unsure ({label}?)"


def _none(label: str) -> str:
    return f"none ({label}?)"


def _json_from_result(result: Result, top_k: int) -> dict[str, Any]:
    if isinstance(result.outcome, InputError):
        return {"image": result.image, "error": result.outcome.to_json()}
    prediction = result.outcome
    document: dict[str, Any] = {
        "image": result.image,
        "label": prediction.label,
        "index": prediction.index,
        "probability": prediction.probability,
        "abstained": prediction.abstained,
        "ranked": _labels_to_json(prediction.ranked[:top_k]),
    }
    if prediction.holding is not None:
        document["holding"] = _labels_to_json(prediction.holding)
    return document


def _labels_to_json(labels: Iterable[tuple[str, float]]) -> list[dict[str, Any]]:
    return [{"label": label, "probability": probability} for label, probability in labels]


def _exit_code(*, failed: bool) -> int:
    return InputError.exit_code if failed else 0
