"""The command ``cifar-info``: parses, describes a model, prints. It imports nothing heavy for ``--help``."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cifar_runtime.commands.options import (
    add_contract_option,
    add_document_option,
    add_verbose_option,
)
from cifar_runtime.commands.parser import Parser, run_command, sentences_to_stderr
from cifar_runtime.commands.result_file import check_result_file, write_document
from cifar_runtime.errors import GateError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from cifar_runtime.certificates.certificate import Certificate
    from cifar_runtime.contract import Contract
    from cifar_runtime.formats.graph import Graph, GraphTensor
    from cifar_runtime.golden import Replay
    from cifar_runtime.inspection.info import ModelInfo

PROGRAM = "cifar-info"
_EXAMPLES = """\
  cifar-info                                     the packaged model
  cifar-info model.tflite --self-test            does it still give the scores in its card, here?
  cifar-info model.tflite --self-test --json desk.json          this machine's certificate, for cifar-parity
  cifar-info model.tflite --serial-log boot.txt --json m3.json  a board's, from what its firmware printed
  cifar-info foreign.tflite --contract cifar10-raw255 -v
  cifar-info --doctor                            this installation, for a bug report
"""
_NAME_WIDTH = 40
# What a contract's threshold bounds, by its abstention score.
_CERTAINTIES = {"probability": "probability", "generalized-entropy": "certainty"}


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoRecipe:
    """One run of cifar-info.

    Attributes:
        model: the model file; None: the packaged one.
        contract: for a model without a card, a built-in contract's name or a JSON file.
        self_test: replay the golden vectors; its JSON document is a certificate.
        layers: with the checksum of every operator's output in the certificate.
        serial_log: what a board's self-test printed, to certify the board instead of this machine; None for neither.
        verify_signature: the public key of whoever must have signed model and card; None: nobody must.
        json: where the JSON document goes: None, ``-`` for stdout, or a file.
        full: with pictures, ids and the scales of every channel in the JSON document.
        verbose: list every tensor with its quantization.
        doctor: describe this installation instead of a model.
    """

    model: "Path | None"
    contract: str | None
    self_test: bool
    layers: bool
    serial_log: "Path | None"
    verify_signature: "Path | None"
    json: str | None
    full: bool
    verbose: bool
    doctor: bool = False


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of ``cifar-info``."""
    return run_command(PROGRAM, lambda arguments: run(parse(arguments)), argv)


def parse(argv: Sequence[str]) -> InfoRecipe:
    """The recipe that a command line asks for.

    Raises:
        UsageError: the command line makes no sense.
    """
    options = _parser().parse_args(argv)
    check_result_file("--json", options.json, suffix=".json", program=PROGRAM, operands="MODEL")
    if options.layers and (not options.self_test or options.json is None or options.full):
        raise UsageError(
            f"{PROGRAM}: --layers goes into a certificate, which is not asked for.",
            hint="Give --self-test and --json too, without --full.",
        )
    if options.serial_log is not None and (options.self_test or options.contract):
        raise UsageError(
            f"{PROGRAM}: --serial-log certifies a board by its own log, so nothing is replayed here.",
            hint="Leave --self-test and --contract out.",
        )
    if options.doctor and (options.model or options.contract or options.self_test):
        raise UsageError(
            f"{PROGRAM}: --doctor describes this installation, and takes no model.",
            hint="Give it --json only.",
        )
    from pathlib import Path  # after --help has left

    return InfoRecipe(
        model=None if options.model is None else Path(options.model),
        contract=options.contract,
        self_test=options.self_test,
        layers=options.layers,
        serial_log=None if options.serial_log is None else Path(options.serial_log),
        verify_signature=(
            None if options.verify_signature is None else Path(options.verify_signature)
        ),
        json=options.json,
        full=options.full,
        verbose=options.verbose,
        doctor=options.doctor,
    )


def run(recipe: InfoRecipe) -> int:
    """Describes and prints; 0, or 5 when the golden vectors gave other scores.

    Raises:
        CifarEdgeError: the model cannot be described.
    """
    import os

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in classify.py
    if recipe.doctor:
        from cifar_runtime.commands.doctor import print_diagnosis

        return print_diagnosis(recipe.json)
    from cifar_runtime.classifier import default_model
    from cifar_runtime.inspection.info import model_info

    model = default_model() if recipe.model is None else recipe.model
    if recipe.verify_signature is not None:
        from cifar_runtime.inspection.signature import verify_signature

        names = verify_signature(model, recipe.verify_signature)
        announce = sentences_to_stderr(PROGRAM)
        announce(f"{recipe.verify_signature.name} signed {', '.join(names)}")
    if recipe.serial_log or (recipe.self_test and recipe.json and not recipe.full):
        certificate = _certificate(model, recipe)
        _print_certificate(certificate, recipe.json)
        return 0 if certificate.passed else GateError.exit_code
    info = model_info(model, contract=recipe.contract, with_self_test=recipe.self_test)
    _print(info, recipe)
    failed = info.self_test is not None and not info.self_test.passed
    return GateError.exit_code if failed else 0


def _certificate(model: "Path", recipe: InfoRecipe) -> "Certificate":
    """This machine's, or that of the board that wrote the log."""
    if recipe.serial_log is not None:
        from cifar_runtime.artefact import open_artefact
        from cifar_runtime.certificates.serial_log import read_serial_log

        return read_serial_log(recipe.serial_log, open_artefact(model))
    from cifar_runtime.certificates.certify import certify

    return certify(model, contract=recipe.contract, layers=recipe.layers)


def _print_certificate(certificate: "Certificate", target: str | None) -> None:
    if target is not None:
        import json

        write_document(target, json.dumps(certificate.to_json(), indent=2) + "\n")
        return
    from cifar_runtime.plain_text import printable

    verdict = "passed" if certificate.passed else "FAILED"
    kept, total = certificate.self_test.decisions_kept, certificate.self_test.num_vectors
    sys.stdout.write(
        f"model       {printable(certificate.model.name)} (sha256 {certificate.model.sha256})\n"
        f"device      {printable(certificate.device)}\n"
        f"kernels     {printable(certificate.kernels)}\n"
        f"self-test   {verdict} there; {kept} of {total} decisions are the card's, scores within "
        f"{certificate.self_test.max_error:.3g} of its\n"
    )


def _parser() -> Parser:
    parser = Parser(
        prog=PROGRAM,
        description="Shows what a model is and expects, and whether it still gives the scores in its card.",
        examples=_EXAMPLES,
    )
    add = parser.add_argument
    add("model", nargs="?", metavar="MODEL", help=".tflite or .onnx file (default: the packaged)")
    add_contract_option(parser)
    add("--self-test", action="store_true", help="replay the golden vectors: exit 0 or 5")
    text = "with --self-test and --json: the checksum of every operator's output too (.tflite)"
    add("--layers", action="store_true", help=text)
    text = (
        "refuse a model that the owner of this public key has not signed, or that was changed since"
    )
    add("--verify-signature", metavar="KEY.pem", help=text)
    text = "certify a board by what its firmware's self-test printed; MODEL is what it was made of"
    add("--serial-log", metavar="FILE", help=text)
    text = "describe this installation for a bug report: versions, processor, interpreters, caches, extras"
    add("--doctor", action="store_true", help=text)
    add_document_option(parser, "--json", "one JSON document; with --self-test a certificate")
    text = "with --json: the golden pictures, the calibration images' ids and every channel's scale too"
    add("--full", action="store_true", help=text)
    add_verbose_option(parser, "the quantization of every tensor")
    return parser


def _print(info: "ModelInfo", recipe: InfoRecipe) -> None:
    if recipe.json is None:
        from cifar_runtime.plain_text import printable_lines

        sys.stdout.write(printable_lines(_lines(info, verbose=recipe.verbose)))
        return
    import json

    from cifar_runtime.inspection.info import without_bulk

    document = info.to_json() if recipe.full else without_bulk(info.to_json())
    write_document(recipe.json, json.dumps(document, indent=1) + "\n")


def _lines(info: "ModelInfo", *, verbose: bool) -> Iterator[str]:
    artefact, graph = info.artefact, info.graph
    yield f"model       {artefact.name}, {artefact.format}, {len(artefact.data):,} bytes"
    yield f"sha256      {artefact.sha256}"
    if artefact.foreign:
        yield "card        none: the contract is the one that was stated"
    yield from _contract_lines(artefact.contract)
    yield from _provenance_lines(artefact.card)
    macs = "unknown: the file states no shapes between its operators"
    yield (
        f"parameters  {graph.num_parameters:,} in {graph.parameter_bytes:,} bytes; multiply-"
        f"accumulates an image: {macs if graph.macs is None else f'{graph.macs:,}'}"
    )
    yield from _wrapped(
        "operators", [f"{name} {count}" for name, count in graph.operator_counts.items()]
    )
    if info.self_test is not None:
        yield _self_test_line(info.self_test)
    if verbose:
        yield from _tensor_lines(graph)


def _contract_lines(contract: "Contract") -> Iterator[str]:
    image, scores = contract.input, contract.output
    height, width, channels = image.shape
    yield (
        f"input       {image.dtype} {height}x{width}x{channels} {image.layout} {image.colour_order}, "
        f"real = pixel * {image.multiplier:.9g} + {image.offset:.9g}{_grid(image)}"
    )
    yield f"            {image.resize}, then {image.filter_in_words} to that size"
    if image.jpeg_decoding_in_words is not None:
        yield f"            {image.jpeg_decoding_in_words}"
    yield f"output      {scores.kind}, {scores.dtype} of {len(contract.labels)}{_grid(scores)}"
    calibrated = {
        "temperature": scores.temperature,
        f"unsure below a {_CERTAINTIES[scores.abstention_score]} of": scores.abstention_threshold,
        "any number of labels, those of at least": scores.label_threshold,
    }
    values = [f"{name} {value:.6g}" for name, value in calibrated.items() if value is not None]
    if values:
        yield f"            {', '.join(values)}"
    yield from _wrapped("labels", contract.labels)


def _grid(side: Any) -> str:
    return "" if side.scale is None else f", scale {side.scale:.9g}, zero point {side.zero_point}"


def _provenance_lines(card: Mapping[str, Any]) -> Iterator[str]:
    """What the card says of the model's making; a card may lack any of it."""
    provenance = card.get("provenance") or {}
    checkpoint = provenance.get("checkpoint") or {}
    if "sha256" in checkpoint:
        yield f"made from   {checkpoint.get('file')} (sha256 {checkpoint['sha256']})"
    calibration = provenance.get("calibration") or {}
    if "count" in calibration:
        yield f"calibrated  on {calibration['count']:,} images (sha256 {calibration.get('sha256')})"
    parity = provenance.get("parity") or {}
    if parity.get("seen") and "candidate_correct" in parity:
        share = parity["candidate_correct"] / parity["seen"]
        yield f"accuracy    {share:.2%} of {parity['seen']:,} images of {parity.get('split')}"
    yield from _evidence_lines(provenance)
    yield f"licence     {card.get('licence') or 'not stated'}"
    golden = card.get("golden_vectors")
    if golden:
        yield (
            f"golden      {len(golden['scores'])} vectors, "
            f"scores within {golden['tolerance']:.3g} on other machines"
        )


def _self_test_line(result: "Replay") -> str:
    if result.bit_exact:
        return f"self-test   passed: all {result.num_vectors} golden vectors give the same scores, bit for bit"
    verdict = "passed" if result.passed else "FAILED"
    return (
        f"self-test   {verdict}: scores differ by up to {result.max_error:.3g}, allowed are "
        f"{result.tolerance:.3g}; {result.decisions_kept} of {result.num_vectors} decisions kept"
    )


def _evidence_lines(provenance: Mapping[str, Any]) -> Iterator[str]:
    """What the exporter measured of confidence and robustness, in the words of the card's schema."""
    for name, lines_of in (("confidence", _confidence_lines), ("robustness", _robustness_lines)):
        try:
            lines = lines_of(provenance.get(name) or {})
        except (KeyError, TypeError, ValueError):  # nothing was measured, or another version did
            continue
        yield from lines


def _confidence_lines(confidence: Mapping[str, Any]) -> list[str]:
    measured, images = confidence["measured"], confidence["images"]
    right = measured["selective_accuracy"]
    return [
        f"confidence  answers {measured['coverage']:.2%} of {images['num_images']:,} images of "
        f"{images['split']}{'' if right is None else f', {right:.2%} of them right'}",
        f"            calibration error {measured['ece_before']:.2%}, with the temperature "
        f"{measured['ece_after']:.2%}",
        *(
            f"            answers {one['accepted']} of {one['seen']} images of {one['source']}, wrongly"
            for one in confidence["false_acceptance"]
        ),
    ]


def _robustness_lines(robustness: Mapping[str, Any]) -> list[str]:
    artefact, images = robustness["artefact"], robustness["images"]
    return [
        f"robustness  {artefact['corrupted_accuracy']:.2%} under {len(artefact['corruptions'])} corruptions "
        f"of {images['num_images']:,} images of {images['split']}; undamaged {artefact['clean_accuracy']:.2%}"
    ]


def _wrapped(title: str, words: Sequence[str]) -> Iterator[str]:
    import textwrap

    text = textwrap.wrap(", ".join(words), width=86, break_on_hyphens=False)
    for number, line in enumerate(text or ["none"]):
        yield f"{'' if number else title:<12}{line}"


def _tensor_lines(graph: "Graph") -> Iterator[str]:
    from cifar_runtime.plain_text import printable

    yield ""
    yield f"{'tensor':<{_NAME_WIDTH}}  {'type':<8}  {'shape':<17}  quantization"
    for tensor in graph.tensors:
        name = printable(tensor.name)
        short = name if len(name) <= _NAME_WIDTH else "..." + name[3 - _NAME_WIDTH :]
        shape = (
            "?"
            if tensor.shape is None
            else "x".join("n" if size is None else str(size) for size in tensor.shape)
        )
        line = f"{short:<{_NAME_WIDTH}}  {tensor.dtype:<8}  {shape:<17}  {_quantization(tensor)}"
        yield line.rstrip()


def _quantization(tensor: "GraphTensor") -> str:
    if not tensor.scales:
        return ""
    points = sorted(set(tensor.zero_points)) or [0]
    point = (
        f"zero point {points[0]}" if len(points) == 1 else f"zero points {points[0]}..{points[-1]}"
    )
    if len(tensor.scales) == 1:
        return f"scale {tensor.scales[0]:.6g}, {point}"
    low, high = min(tensor.scales), max(tensor.scales)
    return f"{len(tensor.scales)} scales {low:.3g}..{high:.3g} along axis {tensor.axis}, {point}"
