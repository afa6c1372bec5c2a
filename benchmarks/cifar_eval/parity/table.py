"""Draws a comparison for a terminal, at most 100 columns wide. Pure: data in, text out."""

from collections.abc import Mapping

from cifar_eval.formatting import NOT_APPLICABLE, aligned, counted, percent, training_notes
from cifar_eval.layers.explanation import Explanation
from cifar_eval.layers.layer_errors import LayerErrors
from cifar_eval.parity.counts import ClassParity
from cifar_eval.parity.gate import Gate
from cifar_eval.parity.report import CandidateVerdict, ParityReport
from cifar_runtime.plain_text import printable_lines

MAX_NAME = 30
MAX_LAYERS = 12
MAX_LAYER_NAME = 52
MAX_CLASSES = 3

_HEADER = ("model", "top-1", "drop [95 % CI]", "agree", "lost", "gained", "SQNR dB", "verdict")


def plain_report(report: ParityReport, explanations: Mapping[str, Explanation]) -> str:
    """The table, then every candidate's gates, with a last newline.

    Args:
        report: the verdicts.
        explanations: of some candidates, by name.
    """
    reference = [_short(report.reference.name, MAX_NAME), percent(report.reference_accuracy.value)]
    rows = [
        list(_HEADER),
        [*reference, *([NOT_APPLICABLE] * 5), "reference"],
        *(_row(candidate) for candidate in report.candidates),
    ]
    lines = [*_measured_how(report), "", *aligned(rows)]
    for candidate in report.candidates:
        lines += ["", *_details(candidate)]
        explanation = explanations.get(candidate.model.name)
        if explanation is not None:
            lines += _explained(explanation)
    return printable_lines(lines)


def gate_line(gate: Gate) -> str:
    """The gate in one line: a mark, the value, the limit, and what would have passed."""
    unit, sign = ("pp", "<=") if gate.name == "accuracy_drop" else ("%", ">=")
    line = (
        f"[{'✓' if gate.passed else '✗'}] {gate.title} {percent(gate.value)} {unit} {sign} "
        f"{percent(gate.limit)} {unit}"
    )
    if gate.passed:
        return line
    return f"{line}; {percent(gate.passing_limit)} {unit} would have passed"


def _measured_how(report: ParityReport) -> list[str]:
    seen = report.reference_accuracy.seen
    return [
        f"Paired on {counted(seen, 'image')} of {report.split}; lost and gained: turned wrong, "
        "turned right.",
        *training_notes(report.split),
        "Drop in points with its paired 95 % score interval (Tango 1998); p: exact McNemar test.",
        *_judged_how(report.candidates[0].gates[0]),
    ]


def _judged_how(drop: Gate) -> list[str]:
    """What the drop is judged by, the same for all candidates."""
    limit = f"{percent(drop.limit)} pp"
    if drop.basis == "interval_end":
        return [f"The drop's limit, {limit}, is judged at the upper end of the interval."]
    enough = (
        "any number of images is too few"
        if drop.images_needed is None
        else f"that takes about {_rounded_up(drop.images_needed):,}"
    )
    return [
        f"The drop's limit, {limit}, is judged by the drop as measured: so few images cannot resolve",
        f"it by the interval ({enough}).",
    ]


def _row(candidate: CandidateVerdict) -> list[str]:
    parity = candidate.parity
    low, high = parity.accuracy_drop_interval
    return [
        _short(candidate.model.name, MAX_NAME),
        percent(candidate.accuracy.value),
        f"{percent(parity.accuracy_drop)} [{percent(low)}, {percent(high)}]",
        percent(parity.agreement),
        f"{parity.flips_to_wrong:,}",
        f"{parity.flips_to_right:,}",
        _decibels(parity.sqnr_db),
        "pass" if candidate.passed else "FAIL",
    ]


def _details(candidate: CandidateVerdict) -> list[str]:
    parity, model = candidate.parity, candidate.model
    lines = [f"{model.name} ({model.model_file.file}, {model.runtime}):"]
    lines += [f"  {gate_line(gate)}" for gate in candidate.gates]
    lines.append(
        f"  p {parity.mcnemar_p:.3g}; score error at most {parity.max_score_error:.3g}, "
        f"mean {parity.mean_score_error:.3g}"
    )
    worst = _worst_classes(candidate.classes)
    if worst:
        lines.append(f"  largest drop by class: {worst}")
    return lines


def _worst_classes(classes: tuple[ClassParity, ...]) -> str:
    """The classes that lose most, with their drop in points; empty where none loses."""
    losing = sorted(
        ((one.accuracy_drop or 0.0, one.label) for one in classes), key=lambda pair: -pair[0]
    )
    return ", ".join(
        f"{label} {percent(drop)} pp" for drop, label in losing[:MAX_CLASSES] if drop > 0
    )


def _explained(explanation: Explanation) -> list[str]:
    lines = []
    if explanation.errors is not None:
        lines += _layer_lines(explanation.errors)
    if explanation.reason is not None:
        lines.append(f"  No error by layer: {explanation.reason}")
    if explanation.next_commands:
        first, *others = explanation.next_commands
        lines.append(f"  try next: {first}")
        lines += [f"  or:       {command}" for command in others]
    return lines


def _layer_lines(errors: LayerErrors) -> list[str]:
    shown = errors.layers[:MAX_LAYERS]
    rows = [
        ["  layer", "#", "operator", "SQNR dB", "max error"],
        *(
            [
                f"  {_short(layer.title, MAX_LAYER_NAME)}",
                str(layer.position),
                layer.operator,
                f"{'~' if layer.rescaled else ''}{_decibels(layer.sqnr_db)}",
                f"{layer.max_error:.3g}",
            ]
            for layer in shown
        ),
    ]
    more = len(errors.layers) - len(shown)
    title = (
        f"  Error by layer against {errors.reference}, worst first "
        f"({counted(errors.num_images, 'image')}, layers matched by {errors.matched_by}):"
    )
    rest = [f"  and {counted(more, 'layer')} more, in --json"] if more else []
    if any(layer.rescaled for layer in shown):
        rest.append(
            "  ~ its channels have other gains than in the float model: without these gains"
        )
    return [title, *aligned(rows), *rest]


def _decibels(value: float | None) -> str:
    return "exact" if value is None else f"{value:.1f}"


def _short(name: str, width: int) -> str:
    return name if len(name) <= width else f"…{name[1 - width :]}"


def _rounded_up(count: int) -> int:
    """Up to two significant digits, since the figure is an estimate."""
    step: int = 10 ** max(0, len(str(count)) - 2)
    return -(-count // step) * step
